// Who signed a form upload: the policy field, as it was sent, is the string to sign. Signature Version 4, and for forms
// alone Version 2 (HMAC-SHA1), which S3 still takes here; docs/S3.md says why. Pure.
// Source: Amazon S3 API Reference, "Authenticating requests: browser-based uploads using POST"; for version 2,
// Amazon S3 User Guide, "Browser-based uploads using POST (AWS Signature Version 2)".
import { createHmac } from 'node:crypto';
import { S3Error } from '../errors.ts';
import { parseAmzDate } from '../sigv4/amz-date.ts';
import { ALGORITHM, unsupportedMechanism } from '../sigv4/authorization-header.ts';
import { malformedCredential, parseCredential } from '../sigv4/credential-scope.ts';
import { deriveSigningKey, hmac, sameSignature } from '../sigv4/signing-key.ts';
import { type FormFields, missingField, requireField } from './fields.ts';

/** What a credential has to have. */
export interface FormSigner {
  readonly secretKeys: readonly string[];
}

export interface FormSignatureOptions<Signer extends FormSigner> {
  readonly region: string;
  readonly find: (accessKey: string) => Signer | undefined;
}

const V4_FIELDS = ['x-amz-signature', 'x-amz-credential', 'x-amz-algorithm', 'x-amz-date'];
const V2_FIELDS = ['awsaccesskeyid', 'signature'];

/** null: the form is anonymous, without a policy and without a signature. */
export function verifyForm<Signer extends FormSigner>(
  fields: FormFields,
  options: FormSignatureOptions<Signer>,
): Signer | null {
  if (fields.has('x-amz-security-token')) throw new S3Error('InvalidToken');
  if (V4_FIELDS.some((name) => fields.has(name))) return verifyV4(fields, options);
  if (V2_FIELDS.some((name) => fields.has(name))) return verifyV2(fields, options);
  if (fields.has('policy')) throw missingField('X-Amz-Signature');
  return null;
}

function verifyV4<Signer extends FormSigner>(fields: FormFields, options: FormSignatureOptions<Signer>): Signer {
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
  return signer;
}

function verifyV2<Signer extends FormSigner>(fields: FormFields, options: FormSignatureOptions<Signer>): Signer {
  const policy = requireField(fields, 'policy');
  const accessKey = requireField(fields, 'AWSAccessKeyId');
  const signature = requireField(fields, 'signature');
  const signer = requireSigner(accessKey, options);
  const holds = signer.secretKeys.some((secret) =>
    sameSignature(createHmac('sha1', secret).update(policy).digest('base64'), signature),
  );
  if (!holds) throw mismatch(accessKey, policy, signature);
  return signer;
}

function requireSigner<Signer extends FormSigner>(accessKey: string, options: FormSignatureOptions<Signer>): Signer {
  const signer = options.find(accessKey);
  if (signer) return signer;
  throw new S3Error('InvalidAccessKeyId', undefined, { fields: { AWSAccessKeyId: accessKey } });
}

function mismatch(accessKey: string, policy: string, signature: string): S3Error {
  return new S3Error('SignatureDoesNotMatch', undefined, {
    fields: { AWSAccessKeyId: accessKey, StringToSign: policy, SignatureProvided: signature },
  });
}
