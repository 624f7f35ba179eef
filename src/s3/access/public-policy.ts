// Whether a bucket policy is public. Pure. A policy is taken for public until every Allow speaks of somebody in
// particular: of fixed principals, or of requests that a condition pins to fixed values of a key that tells them apart.
// Deny statements make no policy less public. Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3
// storage", "The meaning of public".
import { ANONYMOUS_USER_ID } from './anonymous.ts';
import { type Condition, parseNetwork } from './conditions.ts';
import { isFixed, parsePattern } from './pattern.ts';
import type { Policy, Statement } from './policy.ts';

/** Keys whose fixed value narrows a request to somebody. */
const NARROWING: ReadonlySet<string> = new Set([
  'aws:principalaccount',
  'aws:principalarn',
  'aws:principalorgid',
  'aws:principalorgpaths',
  'aws:sourceaccount',
  'aws:sourcearn',
  'aws:sourceorgid',
  'aws:sourcevpc',
  'aws:sourcevpce',
  'aws:userid',
  'aws:username',
  's3:dataaccesspointaccount',
  's3:dataaccesspointarn',
  's3:x-amz-server-side-encryption-aws-kms-key-id',
]);

const IPV4_BITS_MIN = 8;
const IPV6_BITS_MIN = 32;
const known = new WeakMap<Policy, boolean>();

export function isPublicPolicy(policy: Policy): boolean {
  let answer = known.get(policy);
  if (answer === undefined) {
    answer = policy.statements.some(isPublic);
    known.set(policy, answer);
  }
  return answer;
}

function isPublic(statement: Statement): boolean {
  if (statement.effect === 'Deny') return false;
  const everybody = statement.notPrincipal || statement.principals.some((one) => one.kind === 'everybody');
  return everybody && !statement.conditions.some(narrows);
}

function narrows(condition: Condition): boolean {
  // A request without the key passes these.
  if (condition.negated || condition.ifExists || condition.set === 'all') return false;
  if (condition.test.kind === 'ip') return condition.key === 'aws:sourceip' && condition.values.every(isNarrowNetwork);
  const compares = condition.test.kind === 'pattern' || condition.test.kind === 'arn';
  return compares && NARROWING.has(condition.key) && condition.values.every(isFixedText);
}

/**
 * `*` is itself in StringEquals, but nobody means it: a policy that has one is not thought to be narrow. Neither is one for
 * the aws:userid of nobody.
 */
function isFixedText(value: string): boolean {
  if (value.toLowerCase() === ANONYMOUS_USER_ID) return false;
  const pattern = parsePattern(value, { variables: true, wildcards: true });
  return pattern !== null && isFixed(pattern);
}

function isNarrowNetwork(text: string): boolean {
  const network = parseNetwork(text);
  if (network === null) return false;
  return network.bits >= (network.family === 'ipv4' ? IPV4_BITS_MIN : IPV6_BITS_MIN);
}
