// A bucket policy and what it says to one question. Pure: parsed by policy-parser.ts, values of condition keys are asked
// through the question. It must not know credentials' rules, owners or ACLs; the authorizer weighs those.
import type { Identity } from '../types.ts';
import { type Condition, holds, type Lookup, PENDING, resolver } from './conditions.ts';
import { matchesPattern, type Pattern } from './pattern.ts';
import { matchesPrincipal, type Principal } from './principals.ts';

export interface Statement {
  readonly sid: string | null;
  readonly effect: 'Allow' | 'Deny';
  readonly principals: readonly Principal[];
  /** The statement speaks of everybody but the principals. */
  readonly notPrincipal: boolean;
  readonly actions: readonly Pattern[];
  readonly notAction: boolean;
  /** Without `arn:aws:s3:::`. */
  readonly resources: readonly Pattern[];
  readonly notResource: boolean;
  readonly conditions: readonly Condition[];
}

export interface Policy {
  readonly statements: readonly Statement[];
}

export interface Question {
  readonly identity: Identity;
  /** e.g. `s3:GetObject` */
  readonly action: string;
  /** `BUCKET` or `BUCKET/KEY` */
  readonly resource: string;
  readonly lookup: Lookup;
}

export type Verdict = 'deny' | 'allow' | 'silent';

/** A condition on values that are still to come does not deny yet, and lets pass: it is asked again when they are. */
export function evaluatePolicy(policy: Policy, question: Question): Verdict {
  let allowed = false;
  for (const statement of policy.statements) {
    if (statement.effect === 'Allow' && allowed) continue;
    if (!applies(statement, question)) continue;
    if (statement.effect === 'Deny') return 'deny';
    allowed = true;
  }
  return allowed ? 'allow' : 'silent';
}

/** Whether some resource in the bucket may be allowed: for refusing early what can never be. */
export function mayEverAllow(policy: Policy, identity: Identity, action: string): boolean {
  return policy.statements.some(
    (statement) =>
      statement.effect === 'Allow' && speaksOf(statement, identity) && namesAction(statement, action, () => undefined),
  );
}

function applies(statement: Statement, question: Question): boolean {
  const resolve = resolver(question.lookup);
  if (!speaksOf(statement, question.identity) || !namesAction(statement, question.action, resolve)) return false;
  const named = statement.resources.some((pattern) => matchesPattern(pattern, question.resource, resolve));
  if (named === statement.notResource) return false;
  let pending = false;
  for (const condition of statement.conditions) {
    const answer = holds(condition, question.lookup);
    if (answer === false) return false;
    if (answer === PENDING) pending = true;
  }
  return !pending || statement.effect === 'Allow';
}

function speaksOf(statement: Statement, identity: Identity): boolean {
  return statement.principals.some((principal) => matchesPrincipal(principal, identity)) !== statement.notPrincipal;
}

function namesAction(statement: Statement, action: string, resolve: (key: string) => string | undefined): boolean {
  return statement.actions.some((pattern) => matchesPattern(pattern, action, resolve, true)) !== statement.notAction;
}
