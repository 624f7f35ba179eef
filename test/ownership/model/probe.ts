// Every event that could reach a node in the state it is in: what others may ask at any time, and how the effect under way
// may end. One step from states that a walk has reached, so that what a walk seldom does is seen too. Pure.
import type { TaggedRecord } from '../../../src/cluster/record.ts';
import type { Term } from '../../../src/common/term.ts';
import type { CopyState, Event, Phase } from '../../../src/ownership/state.ts';

const STORAGE = { code: 'STORAGE_UNAVAILABLE', message: 'probe' } as const;
const UNAVAILABLE = { code: 'COORDINATOR_UNAVAILABLE', message: 'probe' } as const;
const UNKNOWN = { code: 'COORDINATOR_OUTCOME_UNKNOWN', message: 'probe' } as const;
const BUSY = { code: 'DATASET_BUSY', message: 'probe' } as const;
const NOT_OWNER = { code: 'NOT_OWNER', message: 'probe' } as const;

export function probesOf(state: CopyState): Event[] {
  return [...fromOutside(state), ...completions(state)];
}

function fromOutside({ copy, record, self }: CopyState): Event[] {
  const id = copy?.id ?? record?.id ?? 'none';
  const n = copy?.promise?.term.n ?? copy?.source?.term.n ?? copy?.term.n ?? 1;
  const others = ['a', 'b', 'c'].filter((node) => node !== self);
  const events: Event[] = [
    { on: 'tick' },
    { on: 'open' },
    { on: 'close' },
    { on: 'create', request: 'probe', id: 'new', createdMs: 1, creator: null },
    { on: 'remove', request: 'probe' },
    { on: 'pull' },
    { on: 'follow' },
    { on: 'cancel-pull' },
    { on: 'retire', id },
    { on: 'accept-disk' },
    { on: 'take-back', id },
  ];
  const [first, second] = others;
  if (record) events.push({ on: 'seize', id, owner: record.owner });
  if (!first || !second) return events;
  // Words of a node that has no say are tried too; where there is a promise, its node has.
  const from = copy?.promise?.to ?? first;
  events.push(
    { on: 'drain', request: 'probe', from, id },
    { on: 'drain', request: 'probe', from: from === second ? first : second, id },
    { on: 'refuse-asked', request: 'probe', from: first, id, n },
    { on: 'told-released', from, id, n },
    { on: 'told-refused', from, id, n },
  );
  return events;
}

/** Ends of the effect that a phase waits for, other than those that need to know more than the state does. */
function completions(state: CopyState): Event[] {
  const { copy, phase } = state;
  if ('waiting' in phase && phase.waiting) return [];
  const tagged: TaggedRecord | null =
    state.record && state.tag !== null ? { record: state.record, tag: state.tag } : null;
  const read: Event = { on: 'record-read', tagged, ground: groundOf(phase), complete: true };
  const nothing: Event = { ...read, tagged: null };
  const unsure: Event = { ...read, complete: false };
  const lost: Event = { on: 'cas-done', result: { ok: false, current: tagged } };
  const asks: Event[] = [
    { on: 'coordinator-failed', failure: UNAVAILABLE },
    { on: 'coordinator-failed', failure: UNKNOWN },
  ];
  switch (phase.at) {
    case 'idle':
      return [];
    case 'unsure':
      return [
        { on: 'reloaded', copy },
        ...(state.openTerm === null ? [{ on: 'reloaded', copy: null } as const] : []),
        { on: 'reload-failed', failure: STORAGE },
      ];
    case 'opening':
      return [{ on: 'store-failed', failure: STORAGE }];
    case 'checking':
    case 'resolving':
    case 'confirming':
      return [...asks, read, nothing, unsure];
    case 'claiming':
    case 'announcing':
    case 'registering':
      return [...asks, lost, { on: 'cas-done', result: { ok: false, current: null } }];
    case 'verifying':
      return [...asks, read, nothing];
    case 'seizing':
    case 'reclaiming':
    case 'committing':
    case 'burying':
      return [...asks, read, nothing, lost];
    case 'sealing':
      return [
        { on: 'sealed', snapshot: 's', guid: '7' },
        { on: 'seal-failed', failure: BUSY, storeOpen: state.openTerm !== null },
        { on: 'seal-failed', failure: STORAGE, storeOpen: false },
      ];
    case 'inquiring':
      return [
        { on: 'refuse-failed', failure: STORAGE },
        { on: 'refuse-answered', verdict: 'taken' },
        { on: 'refuse-answered', verdict: 'refused' },
        { on: 'refuse-answered', verdict: 'pending' },
      ];
    case 'making':
      return [{ on: 'copy-create-failed', failure: STORAGE }];
    case 'emptying':
      return [
        { on: 'emptiness', empty: true, failure: null },
        { on: 'emptiness', empty: false, failure: null },
        { on: 'emptiness', empty: false, failure: BUSY },
      ];
    case 'asking':
      return [
        { on: 'drain-answered', promise: { to: state.self, term: promisedTerm(state), snapshot: 's', guid: '7' } },
        { on: 'drain-refused', failure: BUSY },
        { on: 'drain-refused', failure: NOT_OWNER },
      ];
    case 'adopting':
      return [{ on: 'fence-failed', failure: STORAGE, request: null }];
    case 'following':
    case 'copying':
    case 'finishing':
      return [
        { on: 'pull-failed', run: phase.run, failure: STORAGE, copy },
        ...(copy ? [{ on: 'pulled', run: phase.run, copy } as const] : []),
        // Set aside, and then it failed.
        { on: 'pull-failed', run: phase.run, failure: STORAGE, copy: null },
        // Gone behind our back.
        ...(phase.at === 'finishing' ? [{ on: 'pulled', run: phase.run, copy: null } as const] : []),
      ];
    case 'moving-away':
      return [{ on: 'move-failed', failure: STORAGE }];
    case 'closing':
    case 'fencing':
      return [{ on: 'store-closed' }];
    case 'entombing':
      return [{ on: 'remembered' }];
    default:
      return [{ on: 'persist-failed', failure: STORAGE }];
  }
}

/** The owner's, as far as it is known here: what it would promise. */
function promisedTerm({ copy, record }: CopyState): Term {
  const term = record?.term ?? copy?.term;
  return term && term.n > 0 ? term : { n: 1, node: 'a' };
}

function groundOf(phase: Phase): string {
  return 'ground' in phase ? phase.ground : 'probe';
}
