// Requests for the tests of authentication: built from a raw target and headers, as Node would hand them over.
import type { Credential } from '../../../src/config/types.ts';
import { type Authenticator, createAuthenticator, type SignedRequest } from '../../../src/s3/sigv4/authenticate.ts';
import { parseTarget } from '../../../src/s3/target.ts';

/** The credential of AWS's published examples. */
export const EXAMPLE: Credential = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKeys: ['wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
  displayName: 'example',
  canonicalId: 'example-id',
  email: null,
  account: 'example-id',
  allow: [{ buckets: '*', actions: '*' }],
};

export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** Fri, 24 May 2013 00:00:00 GMT */
export const EXAMPLE_MS = Date.UTC(2013, 4, 24);

export function authenticator(
  options: { nowMs?: number; region?: string; credentials?: readonly Credential[] } = {},
): Authenticator {
  const credentials = options.credentials ?? [EXAMPLE];
  return createAuthenticator({
    region: options.region ?? 'us-east-1',
    credentials: () => credentials,
    nowMs: () => options.nowMs ?? EXAMPLE_MS,
  });
}

export function request(
  method: string,
  rawTarget: string,
  headers: Readonly<Record<string, string>> | readonly string[],
  domains: readonly string[] = ['s3.amazonaws.com'],
): SignedRequest {
  const rawHeaders = Array.isArray(headers) ? (headers as string[]) : Object.entries(headers).flat();
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  return { method, target: parseTarget(rawTarget, at < 0 ? undefined : rawHeaders[at + 1], domains), rawHeaders };
}
