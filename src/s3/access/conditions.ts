// Condition operators of bucket policies: parsed once, asked per request. Pure.
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".
//
//   key not in the request:  plain false · negated true · …IfExists true · ForAllValues true · ForAnyValue false
//   several policy values:   plain: one must match · negated: none may
import { BlockList, isIP } from 'node:net';
import { matchesPattern, type Pattern, parsePattern, type Resolve } from './pattern.ts';

/** Values of a condition key of this request. PENDING: it has some that are not known yet (they are in the body). */
export type Lookup = (key: string) => readonly string[] | typeof PENDING | undefined;

export const PENDING = Symbol('pending');

/** How values are compared; the negated operators are the same with `negated`. */
type Test =
  | { readonly kind: 'pattern'; readonly patterns: readonly Pattern[]; readonly ignoreCase: boolean }
  /** Each of the six parts of an ARN has to match. */
  | { readonly kind: 'arn'; readonly patterns: readonly (readonly Pattern[])[] }
  | { readonly kind: 'order'; readonly compare: Comparison; readonly date: boolean; readonly values: readonly number[] }
  | { readonly kind: 'bool'; readonly values: readonly boolean[] }
  | { readonly kind: 'ip'; readonly list: BlockList }
  | { readonly kind: 'null'; readonly absent: boolean };

type Comparison = 'Equals' | 'LessThan' | 'LessThanEquals' | 'GreaterThan' | 'GreaterThanEquals';

export interface Condition {
  /** Lower case. */
  readonly key: string;
  readonly test: Test;
  readonly negated: boolean;
  readonly ifExists: boolean;
  readonly set: 'all' | 'any' | null;
  /** As written. */
  readonly operator: string;
  readonly values: readonly string[];
}

const OPERATOR =
  /^(?:(ForAllValues|ForAnyValue):)?(String|Numeric|Date|Arn|Binary|Bool|IpAddress|NotIpAddress|Null)([A-Za-z]*?)(IfExists)?$/;
// Maps, for an object has more names than were written into it (`Stringconstructor`).
const STRING_TESTS: ReadonlyMap<string, { wildcards: boolean; ignoreCase: boolean }> = new Map([
  ['Equals', { wildcards: false, ignoreCase: false }],
  ['EqualsIgnoreCase', { wildcards: false, ignoreCase: true }],
  ['Like', { wildcards: true, ignoreCase: false }],
]);
const COMPARISONS: ReadonlySet<string> = new Set<Comparison>([
  'Equals',
  'LessThan',
  'LessThanEquals',
  'GreaterThan',
  'GreaterThanEquals',
]);

function isComparison(name: string): name is Comparison {
  return COMPARISONS.has(name);
}

/** Null: no such operator, or a value that it cannot compare with. */
export function parseCondition(
  operator: string,
  key: string,
  values: readonly string[],
  variables: boolean,
): Condition | null {
  const [, set, family = '', rest = '', ifExists] = OPERATOR.exec(operator) ?? [];
  const negated = rest.startsWith('Not') || family === 'NotIpAddress';
  const name = rest.startsWith('Not') ? rest.slice(3) : rest;
  // There is no DateNotLessThan and the like.
  if (rest.startsWith('Not') && !/^(Equals|EqualsIgnoreCase|Like)$/.test(name)) return null;
  const test = parseTest(family, name, values, variables);
  if (test === null || (test.kind === 'null' && (ifExists !== undefined || set !== undefined))) return null;
  return {
    key: key.toLowerCase(),
    test,
    negated,
    ifExists: ifExists !== undefined,
    set: set === 'ForAllValues' ? 'all' : set === 'ForAnyValue' ? 'any' : null,
    operator,
    values,
  };
}

function parseTest(family: string, name: string, values: readonly string[], variables: boolean): Test | null {
  switch (family) {
    case 'String': {
      const how = STRING_TESTS.get(name);
      if (how === undefined) return null;
      const patterns = parseAll(values, (value) => parsePattern(value, { variables, wildcards: how.wildcards }));
      return patterns && { kind: 'pattern', patterns, ignoreCase: how.ignoreCase };
    }
    case 'Binary': {
      const patterns = parseAll(values, (value) => parsePattern(value, { variables: false, wildcards: false }));
      return name === 'Equals' && patterns ? { kind: 'pattern', patterns, ignoreCase: false } : null;
    }
    case 'Arn': {
      if (name !== 'Equals' && name !== 'Like') return null;
      const patterns = parseAll(values, (value) => parseArnPattern(value, variables));
      return patterns && { kind: 'arn', patterns };
    }
    case 'Numeric':
    case 'Date': {
      const date = family === 'Date';
      const numbers = parseAll(values, date ? dateOf : numberOf);
      return isComparison(name) && numbers ? { kind: 'order', compare: name, date, values: numbers } : null;
    }
    default:
      return name === '' ? parseUnnamed(family, values) : null;
  }
}

function parseUnnamed(family: string, values: readonly string[]): Test | null {
  switch (family) {
    case 'Bool': {
      const flags = parseAll(values, boolOf);
      return flags && { kind: 'bool', values: flags };
    }
    case 'Null': {
      const [flag, more] = values.map(boolOf);
      return typeof flag === 'boolean' && more === undefined ? { kind: 'null', absent: flag } : null;
    }
    case 'IpAddress':
    case 'NotIpAddress': {
      const list = new BlockList();
      return values.every((value) => addNetwork(list, value)) ? { kind: 'ip', list } : null;
    }
    default:
      return null;
  }
}

function parseAll<T>(values: readonly string[], parse: (value: string) => T | null): readonly T[] | null {
  const out: T[] = [];
  for (const value of values) {
    const parsed = parse(value);
    if (parsed === null) return null;
    out.push(parsed);
  }
  return out;
}

function boolOf(text: string): boolean | null {
  const lower = text.toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : null;
}

function numberOf(text: string): number | null {
  return /^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text.trim()) ? Number(text) : null;
}

const ISO_DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** Milliseconds; of an ISO 8601 date, or of seconds since 1970. */
function dateOf(text: string): number | null {
  const seconds = numberOf(text);
  if (seconds !== null) return seconds * 1000;
  if (!ISO_DATE.test(text)) return null;
  // A time without a zone is UTC; Date.parse would take it for local time.
  const ms = Date.parse(/T/.test(text) && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? `${text}Z` : text);
  return Number.isNaN(ms) ? null : ms;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export function parseNetwork(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | null {
  const [, address = '', bits] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return null;
  const max = version === 4 ? 32 : 128;
  const length = bits === undefined ? max : Number(bits);
  return length > max ? null : { address, bits: length, family: version === 4 ? 'ipv4' : 'ipv6' };
}

function addNetwork(list: BlockList, text: string): boolean {
  const network = parseNetwork(text);
  if (network) list.addSubnet(network.address, network.bits, network.family);
  return network !== null;
}

/** Six parts at the colons outside of variables. */
function parseArnPattern(text: string, variables: boolean): readonly Pattern[] | null {
  const parts = text.match(/(?:\$\{[^}]*\}|[^:])+|(?<=:|^)(?=:|$)/gs) ?? [];
  const six = parts.length > 6 ? [...parts.slice(0, 5), parts.slice(5).join(':')] : parts;
  if (text === '*') return [...Array(6)].flatMap(() => parsePattern('*', { variables, wildcards: true }) ?? []);
  return six.length === 6 ? parseAll(six, (part) => parsePattern(part, { variables, wildcards: true })) : null;
}

/** PENDING when the answer hangs on values that are not known yet. */
export function holds(condition: Condition, lookup: Lookup): boolean | typeof PENDING {
  const values = lookup(condition.key);
  if (values === PENDING) return PENDING;
  const { test } = condition;
  const absent = values === undefined || values.length === 0;
  if (test.kind === 'null') return absent === test.absent;
  if (absent) return condition.ifExists || condition.set === 'all' || (condition.negated && condition.set === null);
  const resolve = resolver(lookup);
  const one = (value: string) => matches(test, value, resolve) !== condition.negated;
  if (condition.set === 'any') return values.some(one);
  if (condition.set === 'all' || condition.negated) return values.every(one);
  return values.some(one);
}

/** Variables stand for keys with one value. */
export function resolver(lookup: Lookup): Resolve {
  return (key) => {
    const values = lookup(key);
    return values !== undefined && values !== PENDING && values.length === 1 ? values[0] : undefined;
  };
}

function matches(test: Exclude<Test, { kind: 'null' }>, value: string, resolve: Resolve): boolean {
  switch (test.kind) {
    case 'pattern':
      return test.patterns.some((pattern) => matchesPattern(pattern, value, resolve, test.ignoreCase));
    case 'arn': {
      const parts = value.split(':');
      const six = [...parts.slice(0, 5), parts.slice(5).join(':')];
      return parts.length >= 6 && test.patterns.some((patterns) => arnMatches(patterns, six, resolve));
    }
    case 'order': {
      const number = test.date ? dateOf(value) : numberOf(value);
      return number !== null && test.values.some((limit) => compare(test.compare, number, limit));
    }
    case 'bool':
      return test.values.some((flag) => boolOf(value) === flag);
    case 'ip': {
      const version = isIP(value);
      return version !== 0 && test.list.check(value, version === 4 ? 'ipv4' : 'ipv6');
    }
  }
}

function arnMatches(patterns: readonly Pattern[], parts: readonly string[], resolve: Resolve): boolean {
  return patterns.every((pattern, i) => matchesPattern(pattern, parts[i] ?? '', resolve));
}

function compare(how: Comparison, a: number, b: number): boolean {
  switch (how) {
    case 'Equals':
      return a === b;
    case 'LessThan':
      return a < b;
    case 'LessThanEquals':
      return a <= b;
    case 'GreaterThan':
      return a > b;
    case 'GreaterThanEquals':
      return a >= b;
  }
}
