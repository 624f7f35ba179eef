// Query parameters that all lists share: page size, url encoding, opaque tokens. Pure.
import { invalidArgument } from '../errors.ts';
import { queryValue } from '../target.ts';
import type { Target } from '../types.ts';

/** As S3 words it, whatever the parameter. */
const INTEGER_MAX = 2_147_483_647;

/** Absent or empty = `max`; above it is clamped; anything but a non-negative integer is refused. */
export function readLimit(target: Target, name: string, max: number): number {
  const text = queryValue(target, name);
  if (text === undefined || text === '') return max;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value < 0 || value > INTEGER_MAX) {
    throw invalidArgument(`Argument ${name} must be an integer between 0 and ${INTEGER_MAX}`, name, text);
  }
  return Math.min(value, max);
}

export function readEncodingType(target: Target): 'url' | null {
  const text = queryValue(target, 'encoding-type');
  if (text === undefined || text === '') return null;
  if (text.toLowerCase() === 'url') return 'url';
  throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', text);
}

/** Tokens are opaque to clients; the digit is the version of what is inside. */
export function encodeToken(after: string): string {
  return Buffer.from(`1${after}`, 'utf8').toString('base64url');
}

export function decodeToken(token: string): string {
  const text = /^[A-Za-z0-9_-]+$/.test(token) ? Buffer.from(token, 'base64url').toString('utf8') : '';
  if (!text.startsWith('1') || encodeToken(text.slice(1)) !== token) {
    throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token);
  }
  return text.slice(1);
}
