// CORS rules of a bucket: what a rule is, which one covers a request, and the headers that it puts on the answer. Pure.
// The rules are the bucket's document `cors`; stored data: fields may be added, never change meaning.
// Source: Amazon S3 User Guide, Using cross-origin resource sharing: "How does Amazon S3 evaluate the CORS configuration
// on a bucket?"; the first rule that covers the request counts.
import { S3_LISTENER_LIMITS } from '../../routing/limits.ts';

export const CORS_DOCUMENT = 'cors';

export const CORS_METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD'] as const;
export type CorsMethod = (typeof CORS_METHODS)[number];

export interface CorsRule {
  readonly id?: string;
  /** `*` stands for any characters, at most once in each. */
  readonly allowedOrigins: readonly string[];
  readonly allowedMethods: readonly CorsMethod[];
  /** As allowedOrigins; compared without regard to case. */
  readonly allowedHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
}

export interface CorsRequest {
  readonly origin: string;
  readonly method: string;
  /** Of a preflight: the names in Access-Control-Request-Headers, in lower case. */
  readonly headers: readonly string[];
}

/** The document as the store returned it; anything else than ours counts as no rules. */
export function parseCorsDocument(value: unknown): readonly CorsRule[] {
  if (typeof value !== 'object' || value === null) return [];
  const { rules } = value as { rules?: unknown };
  return Array.isArray(rules) ? (rules as CorsRule[]) : [];
}

export function corsDocument(rules: readonly CorsRule[]): { rules: readonly CorsRule[] } {
  return { rules };
}

/** Both come back in the answer, so nothing that a header cannot carry ever matches. */
const ORIGIN = /^[!-~]+$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

export function matchingRule(rules: readonly CorsRule[], request: CorsRequest): CorsRule | null {
  // More names than a request may have headers: nobody could send it, and comparing them all would cost everybody time.
  if (request.headers.length > S3_LISTENER_LIMITS.headersMax) return null;
  if (!ORIGIN.test(request.origin) || !request.headers.every((name) => HEADER_NAME.test(name))) return null;
  return rules.find((rule) => covers(rule, request)) ?? null;
}

function covers(rule: CorsRule, { origin, method, headers }: CorsRequest): boolean {
  if (!rule.allowedMethods.some((allowed) => allowed === method)) return false;
  if (!rule.allowedOrigins.some((allowed) => matchesPattern(allowed, origin))) return false;
  const allowedHeaders = headers.length === 0 ? [] : rule.allowedHeaders.map((allowed) => allowed.toLowerCase());
  return headers.every((name) => allowedHeaders.some((allowed) => matchesPattern(allowed, name)));
}

/** `pattern` has at most one `*`; what stands before and after it may not overlap in the text. */
export function matchesPattern(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  return text.length >= before.length + after.length && text.startsWith(before) && text.endsWith(after);
}

/** On every answer of a bucket that has rules: it differs by these, whether or not this request had them. */
export const CORS_VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method';

/** Credentials and the origin `*` exclude each other (Fetch standard, CORS check). */
export function corsHeaders(rule: CorsRule, { origin, headers }: CorsRequest): Record<string, string> {
  const anybody = rule.allowedOrigins.find((allowed) => matchesPattern(allowed, origin)) === '*';
  return {
    'access-control-allow-origin': anybody ? '*' : origin,
    'access-control-allow-methods': rule.allowedMethods.join(', '),
    ...(headers.length > 0 ? { 'access-control-allow-headers': headers.join(', ') } : {}),
    ...(rule.exposeHeaders.length > 0 ? { 'access-control-expose-headers': rule.exposeHeaders.join(', ') } : {}),
    ...(rule.maxAgeSeconds === undefined ? {} : { 'access-control-max-age': String(rule.maxAgeSeconds) }),
    ...(anybody ? {} : { 'access-control-allow-credentials': 'true' }),
    vary: CORS_VARY,
  };
}
