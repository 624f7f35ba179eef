// The policy of a form upload: the JSON that somebody signed, saying until when, under which conditions on the fields, and
// how large. Pure; time is an argument. Everything that would not be understood is refused: a condition that is skipped
// would let through what the signer forbade.
// Source: Amazon S3 API Reference, "Creating a POST policy" (browser-based uploads).
import { S3Error } from '../errors.ts';
import type { FormFields } from './fields.ts';

export type FieldCondition = {
  readonly operator: 'eq' | 'starts-with';
  /** Lower case, without `$`. */
  readonly field: string;
  readonly value: string;
};

export interface FormPolicy {
  readonly expirationMs: number;
  readonly conditions: readonly FieldCondition[];
  /** Bytes of the file, both ends allowed. */
  readonly range: { readonly min: number; readonly max: number };
}

export function parsePolicy(base64: string): FormPolicy {
  const document = parseDocument(base64);
  for (const name of Object.keys(document)) {
    if (name !== 'expiration' && name !== 'conditions') throw invalid(`Unexpected: '${name}'`);
  }
  const { expiration, conditions } = document;
  if (expiration === undefined) throw invalid('Policy missing expiration.');
  if (conditions === undefined) throw invalid('Policy missing conditions.');
  if (!Array.isArray(conditions)) throw invalid('Conditions must be a list.');
  const fields: FieldCondition[] = [];
  const range = { min: 0, max: Number.POSITIVE_INFINITY };
  for (const condition of conditions) {
    const limits = lengthRange(condition);
    if (limits === null) {
      fields.push(fieldCondition(condition));
      continue;
    }
    range.min = Math.max(range.min, limits.min);
    range.max = Math.min(range.max, limits.max);
  }
  return { expirationMs: parseExpiration(expiration), conditions: fields, range };
}

function invalid(reason: string, cause?: unknown): S3Error {
  return new S3Error('InvalidPolicyDocument', `Invalid Policy: ${reason}`, cause === undefined ? {} : { cause });
}

function parseDocument(base64: string): Record<string, unknown> {
  const packed = base64.replace(/\s/g, '');
  if (packed === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) throw invalid('Policy is not base64.');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(packed, 'base64'));
    const value: unknown = JSON.parse(unescapeDollars(text));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    throw invalid('Invalid JSON.', cause);
  }
  throw invalid('Policy is not an object.');
}

/** `\$` is a dollar in a policy and no escape of JSON. */
function unescapeDollars(text: string): string {
  return text.replace(/\\(.)/gs, (pair, escaped) => (escaped === '$' ? '$' : pair));
}

function parseExpiration(value: unknown): number {
  const text = typeof value === 'string' ? value : '';
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,9})?Z$/.exec(text);
  const ms = match ? Date.parse(`${match[1]}T${match[2]}Z`) : Number.NaN;
  // A day that does not exist rolls over into the next month.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(match?.[1] ?? ' ')) {
    throw invalid(`Invalid 'expiration' value: '${text}'`);
  }
  return ms;
}

/** null: another kind of condition. */
function lengthRange(condition: unknown): { min: number; max: number } | null {
  if (!Array.isArray(condition) || typeof condition[0] !== 'string') return null;
  if (condition[0].toLowerCase() !== 'content-length-range') return null;
  const [min, max] = condition.slice(1).map(bytes);
  if (condition.length !== 3 || min === undefined || max === undefined || min === null || max === null || min > max) {
    throw invalid(`Invalid content-length-range: ${JSON.stringify(condition)}`);
  }
  return { min, max };
}

function bytes(value: unknown): number | null {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function fieldCondition(condition: unknown): FieldCondition {
  if (typeof condition !== 'object' || condition === null) throw invalid('Invalid Condition.');
  if (Array.isArray(condition)) return listCondition(condition);
  const [entry, ...more] = Object.entries(condition);
  if (entry === undefined || more.length > 0) {
    throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.');
  }
  const [field, value] = entry;
  if (typeof value !== 'string') throw invalid('Invalid Simple-Condition: value must be a string.');
  return { operator: 'eq', field: field.toLowerCase(), value };
}

function listCondition(condition: readonly unknown[]): FieldCondition {
  const [name, field, value, ...more] = condition;
  const operator = typeof name === 'string' ? name.toLowerCase() : '';
  if (operator !== 'eq' && operator !== 'starts-with')
    throw invalid(`Invalid Condition: unknown operation '${operator}'.`);
  if (typeof field !== 'string' || typeof value !== 'string' || more.length > 0) {
    throw invalid(`Invalid ${operator} Condition: a field and a value, both strings, are required.`);
  }
  if (!/^\$./.test(field)) throw invalid(`Invalid ${operator} Condition: the field name must begin with '$'.`);
  return { operator, field: field.slice(1).toLowerCase(), value };
}

/**
 * Throws AccessDenied unless the form is what was signed. `fields` are the expanded ones; `bucket` is the one that was
 * posted to, whatever a field of that name says.
 */
export function checkPolicy(policy: FormPolicy, fields: FormFields, bucket: string, nowMs: number): void {
  if (nowMs >= policy.expirationMs) throw refused('Policy expired.');
  const values = new Map(fields).set('bucket', bucket);
  for (const condition of policy.conditions) {
    if (holds(condition, values.get(condition.field) ?? '')) continue;
    const { operator, field, value } = condition;
    throw refused(`Policy Condition failed: ${JSON.stringify([operator, `$${field}`, value])}`);
  }
  const covered = new Set(policy.conditions.map(({ field }) => field));
  const extra = [...values.keys()].filter((name) => !covered.has(name) && !needsNoCondition(name));
  if (extra.length > 0) throw refused(`Extra input fields: ${extra.join(', ')}`);
}

function holds({ operator, field, value }: FieldCondition, actual: string): boolean {
  if (operator === 'eq') return actual === value;
  // "Content-Type values for a starts-with condition that include commas are interpreted as lists."
  const items = field === 'content-type' ? actual.split(',').map((item) => item.trim()) : [actual];
  return items.every((item) => item.startsWith(value));
}

const NEEDS_NO_CONDITION: ReadonlySet<string> = new Set([
  'policy',
  'signature',
  'awsaccesskeyid',
  'x-amz-signature',
  'file',
]);

/** A checksum of the file can only narrow what is accepted; nobody who signs a form knows it beforehand. */
function needsNoCondition(name: string): boolean {
  return NEEDS_NO_CONDITION.has(name) || name.startsWith('x-ignore-') || name.startsWith('x-amz-checksum-');
}

function refused(reason: string): S3Error {
  return new S3Error('AccessDenied', `Invalid according to Policy: ${reason}`);
}
