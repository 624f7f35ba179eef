// A credential that does not come from the file, checked by the same fields. Pure; JSON in, faults or the credential out.
import { z } from 'zod';
import { credentialFields, defaultCanonicalId } from './schema-credentials.ts';
import { fieldAt } from './schema-walk.ts';
import { formatPath } from './tree.ts';
import type { ConfigFault, Credential } from './types.ts';

const SCHEMA = z.strictObject(credentialFields());

export type CheckedCredential = Omit<Credential, 'secretKeys'>;

export function checkCredential(
  value: unknown,
): { readonly credential: CheckedCredential } | { readonly faults: readonly ConfigFault[] } {
  const checked = SCHEMA.safeParse(value);
  if (!checked.success) return { faults: checked.error.issues.map(faultOf) };
  const { accessKey, displayName = accessKey, email = null, allow } = checked.data;
  const canonicalId = checked.data.canonicalId ?? defaultCanonicalId(accessKey);
  const account = checked.data.account ?? canonicalId;
  return { credential: { accessKey, displayName, canonicalId, email, account, allow } };
}

function faultOf(issue: z.core.$ZodIssue): ConfigFault {
  const field = fieldAt(SCHEMA, issue.path);
  const limits = [field?.type, field?.limit].filter((part) => part !== undefined).join(': ');
  const message =
    issue.code === 'unrecognized_keys'
      ? `has unknown keys: ${issue.keys.join(', ')}`
      : issue.code === 'custom'
        ? issue.message
        : issue.code === 'too_big'
          ? 'is a list that is too long'
          : 'is missing, or of another kind';
  return { path: formatPath(issue.path), message, expected: limits.replaceAll('`', '') || 'what docs/CONFIG.md says' };
}
