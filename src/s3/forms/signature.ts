// Who signed a form upload: the policy field, as it was sent, is the string to sign. Signature Version 4, and for forms
// alone Version 2 (HMAC-SHA1), which S3 still takes here; docs/S3.md says why. Pure.
// Source: Amazon S3 API Reference, "Authenticating requests: browser-based uploads using POST"; for version 2,
// Amazon S3 User Guide, "Browser-based uploads using POST (AWS Signature Version 2)".
import { createHmac } from 'node:crypto';
import type { Credential } from '../../config/types.ts';
import { S3Error } from '../errors.ts';
import { parseAmzDate } from '../sigv4/amz-date.ts';
import { ALGORITHM, unsupportedMechanism } from '../sigv4/authorization-header.ts';
import { malformedCredential, parseCredential } from '../sigv4/credential-scope.ts';
import { deriveSigningKey, hmac, sameSignature } from '../sigv4/signing-key.ts';
import { type FormFields, missingField, requireField } from './fields.ts';

export interface FormSignatureOptions {
  readonly region: string;
  readonly credentials: readonly Credential[];
}

const V4_FIELDS = ['x-amz-signature', 'x-amz-credential', 'x-amz-algorithm', 'x-amz-date'];
const V2_FIELDS = ['awsaccesskeyid', 'signature'];

export interface FormSignature {
  readonly signer: Credential;
  /** The policy field as it was signed. */
  readonly policy: string;
  /** As `s3:signatureversion` of bucket policies names it. */
  readonly version: 'AWS4-HMAC-SHA256' | 'AWS';
  /** Absent for version 2. */
  readonly amzDate?: string;
}

/** null: the form is anonymous, without a policy and without a signature. */
export function verifyForm(fields: FormFields, options: FormSignatureOptions): FormSignature | null {
  if (fields.has('x-amz-security-token')) throw new S3Error('InvalidToken');
  if (V4_FIELDS.some((name) => fields.has(name))) return verifyV4(fields, options);
  if (V2_FIELDS.some((name) => fields.has(name))) return verifyV2(fields, options);
  if (fields.has('policy')) throw missingField('X-Amz-Signature');
  return null;
}

function verifyV4(fields: FormFields, options: FormSignatureOptions): FormSignature {
  const policy = requireField(fields, 'policy');
  const algorithm = requireField(fields, 'X-Amz-Algorithm');
  if (algorithm !== ALGORITHM) throw unsupportedMechanism();
  const scope = parseCredential(requireField(fields, 'X-Amz-Credential'), options.region, 'query');
  const date = parseAmzDate(requireField(fields, 'X-Amz-Date'));
  if (date === null || date.day !== scope.day) {
    throw malformedCredential('query', 'Invalid credential date. Date is not the same as X-Amz-Date.');
  }
  const signature = requireField(fields, 'X-Amz-Signature');
  const signer = requireSigner(scope.accessKey, options);
  const holds = signer.secretKeys.some((secret) =>
    sameSignature(hmac(deriveSigningKey(secret, scope), policy).toString('hex'), signature),
  );
  if (!holds) throw mismatch(scope.accessKey, policy, signature);
  return { signer, policy, version: ALGORITHM, amzDate: date.iso };
}

function verifyV2(fields: FormFields, options: FormSignatureOptions): FormSignature {
  const policy = requireField(fields, 'policy');
  const accessKey = requireField(fields, 'AWSAccessKeyId');
  const signature = requireField(fields, 'signature');
  const signer = requireSigner(accessKey, options);
  const holds = signer.secretKeys.some((secret) =>
    sameSignature(createHmac('sha1', secret).update(policy).digest('base64'), signature),
  );
  if (!holds) throw mismatch(accessKey, policy, signature);
  return { signer, policy, version: 'AWS' };
}

function requireSigner(accessKey: string, options: FormSignatureOptions): Credential {
  const signer = options.credentials.find((one) => one.accessKey === accessKey);
  if (signer) return signer;
  throw new S3Error('InvalidAccessKeyId', undefined, { fields: { AWSAccessKeyId: accessKey } });
}

function mismatch(accessKey: string, policy: string, signature: string): S3Error {
  return new S3Error('SignatureDoesNotMatch', undefined, {
    fields: { AWSAccessKeyId: accessKey, StringToSign: policy, SignatureProvided: signature },
  });
}
