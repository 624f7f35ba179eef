// The Authorization header: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=a;b, Signature=hex`. Pure.
// Older and other mechanisms are named and refused; what is missing or malformed is said in S3's words.
import { invalidArgument, S3Error } from '../errors.ts';
import { type CredentialScope, malformedCredential, parseCredential } from './credential-scope.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';

export interface Signature {
  readonly credential: CredentialScope;
  /** As sent; it stands in the canonical request. */
  readonly signedHeadersText: string;
  /** Lower case. */
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

/** The mechanism is known and not offered: Signature Version 2 (`AWS key:signature`) and 4A (asymmetric). */
export function unsupportedMechanism(hint = ''): S3Error {
  return new S3Error(
    'InvalidRequest',
    `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.${hint}`,
  );
}

export function parseAuthorization(header: string, region: string): Signature {
  const text = header.trim();
  const space = text.indexOf(' ');
  if (space < 0) {
    throw invalidArgument(
      "Authorization header is invalid -- one and only one ' ' (space) required.",
      'Authorization',
      redacted(text),
    );
  }
  const scheme = text.slice(0, space);
  if (scheme === 'AWS' || scheme === 'AWS4-ECDSA-P256-SHA256') throw unsupportedMechanism();
  if (scheme !== ALGORITHM) throw invalidArgument('Unsupported Authorization Type', 'Authorization', redacted(scheme));
  const components = parseComponents(text.slice(space + 1));
  const credential = parseCredential(component(components, 'Credential'), region, 'header');
  const signedHeadersText = component(components, 'SignedHeaders');
  const signature = component(components, 'Signature');
  return { credential, signedHeadersText, signedHeaders: splitSignedHeaders(signedHeadersText), signature };
}

/** Enough to recognise it, too little to be a secret sent to the wrong place. */
function redacted(text: string): string {
  return text.length > 32 ? `${text.slice(0, 32)}…` : text;
}

function parseComponents(text: string): Map<string, string> {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.length !== 3) {
    throw malformedCredential(
      'header',
      'the authorization header requires three components: Credential, SignedHeaders, and Signature.',
    );
  }
  const components = new Map<string, string>();
  for (const part of parts) {
    const at = part.indexOf('=');
    if (at <= 0 || components.has(part.slice(0, at))) {
      throw malformedCredential('header', `the authorization component "${redacted(part)}" is malformed.`);
    }
    components.set(part.slice(0, at), part.slice(at + 1));
  }
  return components;
}

function component(components: ReadonlyMap<string, string>, name: string): string {
  const value = components.get(name);
  if (value === undefined || value === '') throw malformedCredential('header', `missing ${name}.`);
  return value;
}

export function splitSignedHeaders(text: string): string[] {
  return text.toLowerCase().split(';');
}
