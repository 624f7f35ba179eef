// Router: where one request goes. Pure: (scope, origin, whereabouts, what was tried) → decision. Effects (forwarding,
// serving, answering) are src/routing/route.ts and the S3 pipeline.
//
//   client ──▶ local ........................ serve
//          ──▶ remote n ..................... forward to n, at most FORWARDS_MAX times, never twice to one node
//          ──▶ refused by n (not owner) ..... the owner it named, else what we know now; then unavailable
//   peer   ──▶ local ........................ serve
//          ──▶ remote ....................... typed refusal (never forwarded again: no circles)
//   absence and lack of proof are answered as they are, by whoever finds them first.
import { assert, type NotOwnerDetails } from '../common/errors.ts';
import type { Whereabouts } from '../ownership/access.ts';

/** First try and one re-route. */
export const FORWARDS_MAX = 2;

export interface Attempt {
  readonly node: string;
  /** Typed refusal: what that node knows. Null: it could not be reached. */
  readonly refusal: NotOwnerDetails | null;
}

export interface RouteQuestion {
  /** 'node': any node answers it from what it has (ListBuckets, OPTIONS). 'dataset': only the owner may. */
  readonly scope: 'node' | 'dataset';
  readonly origin: 'client' | 'peer';
  readonly self: string;
  /** Asked anew for every decision; ignored for scope 'node'. */
  readonly whereabouts: Whereabouts | null;
  /** What was tried before, oldest first. A local refusal (the gate knew better than `locate`) counts with node = self. */
  readonly tried: readonly Attempt[];
  /** The body can still be given to somebody, whole. */
  readonly replayable: boolean;
  /** The body was read into memory: only forwarding can replay it, the local pipeline reads the request itself. */
  readonly buffered: boolean;
}

export type Decision =
  | { readonly kind: 'serve' }
  | { readonly kind: 'forward'; readonly node: string }
  /** To the peer that forwarded it; epoch and term are added by who knows them. */
  | { readonly kind: 'not-owner'; readonly owner: string | null }
  | { readonly kind: 'absent' }
  /** `outcomeUnknown`: somebody may have carried it out, or still be about to. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly outcomeUnknown?: true };

export function decide(question: RouteQuestion): Decision {
  if (question.scope === 'node') return { kind: 'serve' };
  assert(question.whereabouts !== null, 'a dataset request needs whereabouts');
  const { origin, tried, whereabouts } = question;
  if (origin === 'peer') return decideForPeer(whereabouts, tried);
  const last = tried.at(-1);
  if (last && !question.replayable) {
    if (last.refusal) return unavailable('the request cannot be sent again');
    // It was sent, and then there was silence. A refusal proves that nothing was applied; silence proves nothing.
    return { ...unavailable(`node ${last.node} gave no answer`), outcomeUnknown: true };
  }
  if (last?.refusal?.owner && mayForward(question, last.refusal.owner)) {
    return { kind: 'forward', node: last.refusal.owner };
  }
  return decideForClient(question, whereabouts);
}

function decideForPeer(whereabouts: Whereabouts, tried: readonly Attempt[]): Decision {
  const local = tried.at(-1);
  if (local) return { kind: 'not-owner', owner: local.refusal?.owner ?? null };
  switch (whereabouts.kind) {
    case 'local':
      return { kind: 'serve' };
    case 'remote':
      // A guess of the ring is no knowledge: naming it could send the request round for nothing.
      return { kind: 'not-owner', owner: whereabouts.certain ? whereabouts.node : null };
    case 'absent':
      return { kind: 'absent' };
    case 'unavailable':
      return unavailable(whereabouts.reason);
  }
}

function decideForClient(question: RouteQuestion, whereabouts: Whereabouts): Decision {
  const { self, tried, buffered } = question;
  switch (whereabouts.kind) {
    case 'local':
      if (tried.some((attempt) => attempt.node === self)) return unavailable('this node is not the owner any more');
      if (buffered) return unavailable('the dataset has just moved to this node');
      return { kind: 'serve' };
    case 'remote':
      if (mayForward(question, whereabouts.node)) return { kind: 'forward', node: whereabouts.node };
      return unavailable(whyNot(tried));
    case 'absent':
      return { kind: 'absent' };
    case 'unavailable':
      return unavailable(whereabouts.reason);
  }
}

function mayForward(question: RouteQuestion, node: string): boolean {
  const forwards = question.tried.filter((attempt) => attempt.node !== question.self);
  if (node === question.self || forwards.length >= FORWARDS_MAX) return false;
  return forwards.every((attempt) => attempt.node !== node);
}

function whyNot(tried: readonly Attempt[]): string {
  const last = tried.at(-1);
  if (!last) return 'the owner is not known';
  return last.refusal ? `node ${last.node} is not the owner` : `node ${last.node} cannot be reached`;
}

function unavailable(reason: string): Extract<Decision, { kind: 'unavailable' }> {
  return { kind: 'unavailable', reason };
}
