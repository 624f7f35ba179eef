// The text of a bucket policy as a Policy, or MalformedPolicy with S3's words for what is wrong. Pure. What this
// evaluator would not understand is refused here: a stored policy that is read otherwise than its author meant is worse
// than none. Source: IAM User Guide, "IAM JSON policy reference"; S3 User Guide, "Policies and permissions in Amazon S3".
import { S3Error } from '../errors.ts';
import { ACTIONS } from './actions.ts';
import { isKnownKey } from './condition-keys.ts';
import { type Condition, parseCondition } from './conditions.ts';
import { matchesPattern, type Pattern, parsePattern } from './pattern.ts';
import type { Policy, Statement } from './policy.ts';
import { type Principal, parseAwsPrincipal } from './principals.ts';

const VERSIONS = ['2012-10-17', '2008-10-17'];
const POLICY_FIELDS = new Set(['Version', 'Id', 'Statement']);
const STATEMENT_FIELDS = new Set([
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
]);

type Json = Readonly<Record<string, unknown>>;

export function parsePolicy(text: string, bucket: string): Policy {
  const root = parseJson(text);
  refuseUnknown(root, POLICY_FIELDS);
  const version = root.Version ?? '2008-10-17';
  if (typeof version !== 'string' || !VERSIONS.includes(version)) {
    throw malformed('The policy must contain a valid version string');
  }
  if (root.Id !== undefined && typeof root.Id !== 'string') throw malformed('Invalid policy syntax.');
  if (root.Statement === undefined) throw malformed('Missing required field Statement');
  const list = Array.isArray(root.Statement) ? root.Statement : [root.Statement];
  if (list.length === 0) throw malformed('Could not parse the policy: Statement is empty!');
  const variables = version === '2012-10-17';
  const statements = list.map((one) => parseStatement(one, bucket, variables));
  const sids = statements.flatMap(({ sid }) => (sid === null || sid === '' ? [] : [sid]));
  if (new Set(sids).size < sids.length) throw malformed('Statement IDs (SID) in a single policy must be unique.');
  return { statements };
}

function malformed(message: string): S3Error {
  return new S3Error('MalformedPolicy', message);
}

function parseJson(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed("Policies must be valid JSON and the first byte must be '{'");
  }
  if (!isObject(value)) throw malformed("Policies must be valid JSON and the first byte must be '{'");
  const twice = repeatedKey(text);
  if (twice !== null) throw malformed(`Duplicate field ${twice}`);
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON.parse takes the last of two equal keys in silence, other readers the first. `text` is valid JSON. */
function repeatedKey(text: string): string | null {
  const open: (Set<string> | null)[] = [];
  for (const [token, quoted, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (quoted !== undefined && colon !== undefined) {
      const key: unknown = JSON.parse(quoted);
      const keys = open.at(-1);
      if (typeof key !== 'string' || !keys) continue;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}

function refuseUnknown(object: Json, known: ReadonlySet<string>): void {
  const unknown = Object.keys(object).find((name) => !known.has(name));
  if (unknown !== undefined) throw malformed(`Unknown field ${unknown}`);
}

function parseStatement(value: unknown, bucket: string, variables: boolean): Statement {
  if (!isObject(value)) throw malformed('Invalid policy syntax.');
  refuseUnknown(value, STATEMENT_FIELDS);
  const { Sid: sid, Effect: effect } = value;
  if (sid !== undefined && typeof sid !== 'string') throw malformed('Invalid policy syntax.');
  if (effect === undefined) throw malformed('Missing required field Effect');
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed(`Invalid effect: ${String(effect).slice(0, 64)}`);
  const who = either(value, 'Principal', 'NotPrincipal');
  if (who.negated && effect === 'Allow') throw malformed('Allow with NotPrincipal is not allowed.');
  const what = either(value, 'Action', 'NotAction');
  const where = either(value, 'Resource', 'NotResource');
  return {
    sid: sid ?? null,
    effect,
    principals: parsePrincipals(who.value),
    notPrincipal: who.negated,
    actions: texts(what.value, 'Action').map(parseAction),
    notAction: what.negated,
    resources: texts(where.value, 'Resource').map((text) => parseResource(text, bucket, variables)),
    notResource: where.negated,
    conditions: parseConditions(value.Condition, variables),
  };
}

function either(statement: Json, plain: string, negated: string): { value: unknown; negated: boolean } {
  const [a, b] = [statement[plain], statement[negated]];
  if (a === undefined && b === undefined) throw malformed(`Missing required field ${plain}`);
  if (a !== undefined && b !== undefined) {
    throw malformed(`Invalid policy syntax: ${plain} and ${negated} exclude each other.`);
  }
  return a === undefined ? { value: b, negated: true } : { value: a, negated: false };
}

/** One text or a list of at least one. */
function texts(value: unknown, field: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const out = list.filter((item) => typeof item === 'string');
  if (out.length < list.length) throw malformed('Invalid policy syntax.');
  if (out.length === 0) throw malformed(`${field} field cannot be empty`);
  return out;
}

function parsePrincipals(value: unknown): readonly Principal[] {
  if (value === '*') return [{ kind: 'everybody' }];
  if (!isObject(value) || Object.keys(value).length === 0) throw malformed('Invalid principal in policy');
  return Object.entries(value).flatMap(([kind, names]) =>
    texts(names, 'Principal').map((name) => parsePrincipal(kind, name)),
  );
}

function parsePrincipal(kind: string, name: string): Principal {
  const wide = name.includes('*');
  switch (kind) {
    case 'AWS': {
      const principal = parseAwsPrincipal(name);
      if (principal !== null) return principal;
      break;
    }
    case 'CanonicalUser':
      if (name !== '' && !wide) return { kind: 'canonical', id: name };
      break;
    case 'Service':
      if (/^[a-z0-9.-]+$/.test(name)) return { kind: 'foreign' };
      break;
    case 'Federated':
      if (name !== '' && !wide) return { kind: 'foreign' };
      break;
    default:
  }
  throw malformed('Invalid principal in policy');
}

function parseAction(text: string): Pattern {
  const pattern = parsePattern(text, { variables: false, wildcards: true });
  // AWS knows actions by name, wildcards included: one that matches nothing is a typing error.
  const known = pattern && ACTIONS.some((action) => matchesPattern(pattern, action, () => undefined, true));
  if (!pattern || !known) throw malformed('Policy has invalid action');
  return pattern;
}

const RESOURCE = /^arn:aws[a-z-]*:s3:::(.+)$/s;

function parseResource(text: string, bucket: string, variables: boolean): Pattern {
  if (text === '*') return requirePattern('*', variables);
  const [, name = ''] = RESOURCE.exec(text) ?? [];
  const slash = name.indexOf('/');
  const bucketPart = requirePattern(slash < 0 ? name : name.slice(0, slash), false);
  // `buck*` may mean a bucket and its keys at once, so it is compared with the name only.
  if (name === '' || !matchesPattern(bucketPart, bucket, () => undefined)) {
    throw malformed('Policy has invalid resource');
  }
  return requirePattern(name, variables);
}

function requirePattern(text: string, variables: boolean): Pattern {
  const pattern = parsePattern(text, { variables, wildcards: true });
  if (pattern === null) throw malformed('Policy has invalid resource');
  return pattern;
}

function parseConditions(value: unknown, variables: boolean): readonly Condition[] {
  if (value === undefined) return [];
  if (!isObject(value)) throw malformed('Invalid policy syntax.');
  return Object.entries(value).flatMap(([operator, block]) => {
    if (!isObject(block)) throw malformed('Invalid policy syntax.');
    const keys = Object.keys(block).map((key) => key.toLowerCase());
    if (new Set(keys).size < keys.length) throw malformed('Duplicate condition key');
    return Object.entries(block).map(([key, values]) => parseOne(operator, key, values, variables));
  });
}

function parseOne(operator: string, key: string, value: unknown, variables: boolean): Condition {
  if (!isKnownKey(key)) throw malformed('Policy has an invalid condition key');
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const scalar = list.every((item) => ['string', 'number', 'boolean'].includes(typeof item));
  if (!scalar || list.length === 0) throw malformed('Invalid policy syntax.');
  const condition = parseCondition(operator, key, list.map(String), variables);
  if (condition !== null) return condition;
  const known = parseCondition(operator, key, [SAMPLE[familyOf(operator)] ?? 'x'], variables) !== null;
  throw malformed(
    known ? `Invalid value for condition ${operator}` : `Invalid Condition type : ${operator.slice(0, 64)}`,
  );
}

/** A value that each family of operators takes: tells a wrong value from an unknown operator. */
const SAMPLE: Readonly<Record<string, string>> = {
  Numeric: '1',
  Date: '2020-01-01T00:00:00Z',
  Arn: 'arn:aws:s3:::b',
  Bool: 'true',
  Null: 'true',
  IpAddress: '10.0.0.0/8',
};

function familyOf(operator: string): string {
  return Object.keys(SAMPLE).find((family) => operator.includes(family)) ?? '';
}
