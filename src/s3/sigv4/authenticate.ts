// Who sent a request: AWS Signature Version 4, in the Authorization header or in the query (presigned URL).
// State: the lookup by access key and the signing keys, both dropped when the credentials change. Time and credentials
// are arguments. It knows nothing of operations or bodies; what the signature says about the body is handed on.
//
//   header:    parse → scope → known key → date = scope's day → skew → everything signed → signature
//   presigned: parse → scope → date = scope's day → known key → not expired → everything signed → signature
//
// Every step has its own S3 code, and the order is S3's (a wrong region is told to a client with an unknown key too).
// A request without any mechanism is anonymous; what nobody in particular may do is not decided here.
import type { Credential } from '../../config/types.ts';
import { ANONYMOUS } from '../access/anonymous.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import type { Authenticated, Identity, Target } from '../types.ts';
import { type AmzDate, requireRequestDate, requireWithinSkew } from './amz-date.ts';
import { ALGORITHM, parseAuthorization, type Signature, unsupportedMechanism } from './authorization-header.ts';
import { canonicalHeaders, canonicalPaths, canonicalQuery, canonicalRequest } from './canonical-request.ts';
import { type ContentSha256, parseContentSha256, UNSIGNED_PAYLOAD } from './content-sha256.ts';
import { malformedCredential } from './credential-scope.ts';
import {
  isPresigned,
  isPresignedV2,
  parsePresigned,
  requireUnexpired,
  SIGNATURE_PARAMETER,
} from './presigned-query.ts';
import { collectHeaders, type RawHeaders, requireSigned, singleHeader } from './request-headers.ts';
import { hmac, SigningKeyCache, sameSignature, sha256Hex } from './signing-key.ts';

export interface AuthenticatorOptions {
  readonly region: string;
  /** Called per request; a new array (live reload) rebuilds the lookup and drops cached keys. */
  readonly credentials: () => readonly Credential[];
  readonly nowMs: () => number;
}

export interface SignedRequest {
  readonly method: string;
  readonly target: Target;
  /** As Node gives them: name, value, name, value …; values latin1. Duplicates are kept. */
  readonly rawHeaders: readonly string[];
}

export interface Authenticator {
  /** Throws S3Error, one code per fault. Without credentials: ANONYMOUS. */
  authenticate(request: SignedRequest): Authenticated;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const keys = new SigningKeyCache();
  let current: readonly Credential[] | null = null;
  let byAccessKey = new Map<string, Credential>();

  function credential(accessKey: string): Credential {
    const credentials = options.credentials();
    if (credentials !== current) {
      current = credentials;
      byAccessKey = new Map(credentials.map((one) => [one.accessKey, one]));
      keys.clear();
    }
    const found = byAccessKey.get(accessKey);
    if (found === undefined) {
      throw new S3Error('InvalidAccessKeyId', undefined, { fields: { AWSAccessKeyId: accessKey } });
    }
    return found;
  }

  return {
    authenticate(request) {
      const headers = collectHeaders(request.rawHeaders);
      const authorization = singleHeader(headers, 'authorization');
      const { query } = request.target;
      const presigned = isPresigned(query) || isPresignedV2(query);
      if (authorization !== undefined && presigned) throw twoMechanisms(authorization);
      refuseSessionToken(headers, query);
      if (presigned) return fromQuery(request, headers, options, credential, keys);
      if (authorization === undefined || authorization === '') return anonymous(headers);
      return fromHeader(request, headers, authorization, options, credential, keys);
    },
  };
}

/** The payload may still be framed or hashed, but there is no key that could have signed its chunks. */
function anonymous(headers: RawHeaders): Authenticated {
  const content = parseContentSha256(singleHeader(headers, 'x-amz-content-sha256') ?? UNSIGNED_PAYLOAD);
  if (content.kind !== 'chunked') return { identity: ANONYMOUS, payload: content, presigned: false };
  if (content.signed) throw new S3Error('InvalidRequest', 'A signed payload needs a signed request.');
  return {
    identity: ANONYMOUS,
    payload: { kind: 'chunked', signed: null, trailer: content.trailer },
    presigned: false,
  };
}

/** For requests whose head carries no credentials by design: a preflight, a form. */
export const UNAUTHENTICATED: Authenticated = { identity: ANONYMOUS, payload: { kind: 'unsigned' }, presigned: false };

function twoMechanisms(authorization: string): S3Error {
  return invalidArgument(
    'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter ' +
      'or the Authorization header should be specified',
    'Authorization',
    authorization.slice(0, 16),
  );
}

/** Temporary credentials do not exist here, so no token can be valid; ignoring one would ignore its restrictions. */
function refuseSessionToken(headers: RawHeaders, query: Target['query']): void {
  if (headers.has('x-amz-security-token') || query.has('X-Amz-Security-Token')) throw new S3Error('InvalidToken');
}

type Lookup = (accessKey: string) => Credential;

function fromHeader(
  request: SignedRequest,
  headers: RawHeaders,
  authorization: string,
  options: AuthenticatorOptions,
  lookup: Lookup,
  keys: SigningKeyCache,
): Authenticated {
  const signature = parseAuthorization(authorization, options.region);
  const found = lookup(signature.credential.accessKey);
  const date = requireRequestDate(singleHeader(headers, 'x-amz-date'), singleHeader(headers, 'date'));
  if (date.day !== signature.credential.day) {
    throw malformedCredential('header', 'Invalid credential date. Date is not the same as X-Amz-Date.');
  }
  requireWithinSkew(date, options.nowMs());
  const payloadHash = singleHeader(headers, 'x-amz-content-sha256');
  const content = parseContentSha256(payloadHash);
  requireSigned(headers, signature.signedHeaders);
  const query = canonicalQuery(request.target.rawQuery);
  const signingKey = verify({ request, headers, signature, date, query, payloadHash: payloadHash ?? '', found, keys });
  return {
    identity: identityOf(found),
    payload: payloadOf(content, signature, date, signingKey),
    presigned: false,
  };
}

function fromQuery(
  request: SignedRequest,
  headers: RawHeaders,
  options: AuthenticatorOptions,
  lookup: Lookup,
  keys: SigningKeyCache,
): Authenticated {
  const parameters = request.target.query;
  if (isPresignedV2(parameters)) throw unsupportedMechanism(V2_HINT);
  const signature = parsePresigned(parameters, options.region);
  const found = lookup(signature.credential.accessKey);
  requireUnexpired(signature, options.nowMs());
  requireSigned(headers, signature.signedHeaders);
  // Signed with the body's hash when the signer knew it, else UNSIGNED-PAYLOAD.
  const payloadHash =
    singleHeader(headers, 'x-amz-content-sha256') ?? parameters.get('X-Amz-Content-Sha256')?.[0] ?? UNSIGNED_PAYLOAD;
  const content = parseContentSha256(payloadHash);
  const { date } = signature;
  const query = canonicalQuery(request.target.rawQuery, SIGNATURE_PARAMETER);
  const signingKey = verify({ request, headers, signature, date, query, payloadHash, found, keys });
  return {
    identity: identityOf(found),
    payload: payloadOf(content, signature, date, signingKey),
    presigned: true,
  };
}

/** Those two still presign with version 2 for some regions unless they are told not to. */
const V2_HINT = ' (AWS CLI 1 and boto3: set signature_version to s3v4.)';

interface Verification {
  readonly request: SignedRequest;
  readonly headers: RawHeaders;
  readonly signature: Signature;
  readonly date: AmzDate;
  readonly query: string;
  readonly payloadHash: string;
  readonly found: Credential;
  readonly keys: SigningKeyCache;
}

/**
 * The signing key under which the signature holds. Header values above 0x7f: some clients (botocore) sign them as
 * UTF-8 and send them as latin1, so both readings of the same characters are tried.
 */
function verify(v: Verification): Buffer {
  const { signature, found } = v;
  const headerText = canonicalHeaders(v.headers, signature.signedHeaders);
  const encodings: BufferEncoding[] = /[\x80-\xff]/.test(headerText) ? ['latin1', 'utf8'] : ['latin1'];
  let first: { canonical: string; toSign: string } | null = null;
  for (const path of canonicalPaths(v.request.target.rawPath)) {
    const canonical = canonicalRequest({
      method: v.request.method,
      path,
      query: v.query,
      headers: headerText,
      signedHeadersText: signature.signedHeadersText,
      payloadHash: v.payloadHash,
    });
    for (const encoding of encodings) {
      const hash = sha256Hex(Buffer.from(canonical, encoding));
      const toSign = `${ALGORITHM}\n${v.date.iso}\n${signature.credential.scope}\n${hash}`;
      first ??= { canonical, toSign };
      for (const [slot, secret] of found.secretKeys.entries()) {
        const key = v.keys.get(secret, slot, signature.credential);
        if (sameSignature(hmac(key, toSign).toString('hex'), signature.signature)) return key;
      }
    }
  }
  throw mismatch(signature, first?.toSign ?? '', first?.canonical ?? '');
}

/** With what was signed here, as S3 does: the one thing that lets somebody find the difference. No secret in it. */
function mismatch(signature: Signature, toSign: string, canonical: string): S3Error {
  return new S3Error('SignatureDoesNotMatch', undefined, {
    fields: {
      AWSAccessKeyId: signature.credential.accessKey,
      StringToSign: toSign,
      SignatureProvided: signature.signature,
      CanonicalRequest: canonical,
    },
  });
}

function payloadOf(
  content: ContentSha256,
  signature: Signature,
  date: AmzDate,
  signingKey: Buffer,
): Authenticated['payload'] {
  if (content.kind !== 'chunked') return content;
  const signed = content.signed
    ? { seedSignature: signature.signature, signingKey, scope: signature.credential.scope, amzDate: date.iso }
    : null;
  return { kind: 'chunked', signed, trailer: content.trailer };
}

export function identityOf(credential: Credential): Identity {
  const { accessKey, displayName, canonicalId, account, allow } = credential;
  return { accessKey, displayName, canonicalId, account, allow };
}
