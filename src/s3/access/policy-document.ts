// The `policy` document of a bucket: the text as its author sent it, and its parsed form. State: parsed policies, as
// long as the store keeps the document that they were read from; a store gives the same object out until it changes.
import type { Store } from '../../store/types.ts';
import type { Policy } from './policy.ts';
import { parsePolicy } from './policy-parser.ts';

export const POLICY_DOCUMENT = 'policy';

/** Stored data: fields may be added, never change meaning. */
export interface PolicyDocument {
  /** Byte for byte what GetBucketPolicy gives back. */
  readonly text: string;
}

/** A policy that this release cannot read (a later one stored it) denies everything: guessing would be worse. */
export const UNREADABLE: Policy = {
  statements: [
    {
      sid: null,
      effect: 'Deny',
      principals: [{ kind: 'everybody' }],
      notPrincipal: false,
      actions: [{ tokens: [{ kind: 'any' }], source: '*' }],
      notAction: false,
      resources: [{ tokens: [{ kind: 'any' }], source: '*' }],
      notResource: false,
      conditions: [],
    },
  ],
};

const parsed = new WeakMap<object, Policy>();

export function readPolicyText(store: Store): string | null {
  const document = store.document(POLICY_DOCUMENT);
  return isDocument(document) ? document.text : null;
}

/** null: the bucket has no policy. */
export function readPolicy(store: Store, bucket: string): Policy | null {
  const document = store.document(POLICY_DOCUMENT);
  if (document === undefined || document === null) return null;
  if (!isDocument(document)) return UNREADABLE;
  const known = parsed.get(document);
  if (known) return known;
  const policy = parseStored(document.text, bucket);
  parsed.set(document, policy);
  return policy;
}

function isDocument(value: unknown): value is PolicyDocument {
  return typeof value === 'object' && value !== null && typeof (value as Partial<PolicyDocument>).text === 'string';
}

function parseStored(text: string, bucket: string): Policy {
  try {
    return parsePolicy(text, bucket);
  } catch {
    return UNREADABLE;
  }
}
