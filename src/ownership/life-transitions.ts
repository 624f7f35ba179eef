// Pure: how a dataset begins (made at its home, registered by compare-and-set) and ends (tombstone at its owner).
// Both need the coordinator; an unknown outcome is read back until it is known. Entered from transitions.ts only.
import { type OwnershipRecord, recordVersion } from '../cluster/record.ts';
import { compareTerms, nextTerm } from '../common/term.ts';
import { recordOf } from './publication.ts';
import type { Copy, CopyState, Effect, Event, Failure, MachineLimits, Phase, Step } from './state.ts';
import { absorb, answer, decline, IDLE, stay } from './steps.ts';

type At<K extends Phase['at']> = Phase & { at: K };

export function stepLife(state: CopyState, event: Event, limits: MachineLimits): Step {
  const { phase } = state;
  switch (event.on) {
    case 'create':
      return create(state, event);
    case 'remove':
      return remove(state, event.request);
    case 'tick':
      return tick(state);
    default:
  }
  switch (phase.at) {
    case 'checking':
      return checked(state, phase, event);
    case 'making':
      return made(state, phase, event);
    case 'registering':
      return registered(state, phase, event, limits);
    case 'resolving':
      return resolved(state, phase, event, limits);
    case 'confirming':
      return confirmed(state, phase, event);
    case 'settling':
      // Crash before: start-up finds `creating` and the record, and comes here again.
      if (event.on !== 'persisted') return stay(state);
      return stay({ ...state, copy: event.copy, fresh: true, phase: IDLE }, ...answer(phase.request, state.record));
    case 'emptying':
      return emptied(state, phase, event);
    case 'marking':
      if (event.on !== 'persisted') return stay(state);
      return bury({ ...state, copy: event.copy }, phase.request);
    case 'burying':
      return buried(state, phase, event);
    case 'unmarking':
      if (event.on !== 'persisted') return stay(state);
      return stay(
        { ...state, copy: event.copy, phase: IDLE },
        ...decline(phase.request, phase.failure.code, phase.failure.message),
      );
    case 'entombing':
      return entombed(state, phase, event);
    default:
      return stay(state);
  }
}

function tick(state: CopyState): Step {
  const { copy, phase } = state;
  // An attempt to take the creation back is on its way: its outcome is looked at, not overtaken.
  if (phase.at === 'resolving' && state.publishing) return stay(state);
  if (phase.at === 'resolving') return stay({ ...state, phase: { ...phase, waiting: false } }, { do: 'read-record' });
  if (phase.at === 'burying') return stay({ ...state, phase: { ...phase, waiting: false } }, { do: 'read-record' });
  if (copy?.role === 'creating') {
    const next: Phase = { at: 'resolving', request: null, ground: '', tries: 0, waiting: false };
    return stay({ ...state, phase: next }, { do: 'read-record' });
  }
  if (!copy?.deleting) return stay(state);
  // The tombstone is known here: only the putting away is left, and the name may be another dataset's by now.
  if (state.buried) return putAway(state, copy);
  return stay({ ...state, phase: { at: 'burying', request: null, waiting: false } }, { do: 'read-record' });
}

// --- creation -----------------------------------------------------------------------------------------------------

function create(state: CopyState, event: Event & { on: 'create' }): Step {
  if (state.phase.at !== 'idle')
    return stay(state, ...decline(event.request, 'DATASET_BUSY', `${state.dataset} is busy`));
  const { record } = state;
  if (record && record.phase !== 'deleted') {
    return stay(state, ...decline(event.request, 'DATASET_EXISTS', `${state.dataset} exists`, record));
  }
  if (state.copy)
    return stay(state, ...decline(event.request, 'DATASET_BUSY', `a copy of ${state.dataset} stands here`));
  const { on: _on, ...asked } = event;
  return stay({ ...state, phase: { at: 'checking', ...asked } }, { do: 'read-record' });
}

function checked(state: CopyState, phase: At<'checking'>, event: Event): Step {
  const { request } = phase;
  if (event.on === 'coordinator-failed') {
    return stay({ ...state, phase: IDLE }, ...decline(request, event.failure.code, event.failure.message));
  }
  if (event.on !== 'record-read') return stay(state);
  const current = event.tagged?.record ?? null;
  const tag = event.tagged?.tag ?? null;
  const seen = absorb(state, event.tagged);
  if (state.copy) {
    // Left by a pull that was given up while this began.
    const busy = decline(request, 'DATASET_BUSY', `a copy of ${state.dataset} stands here`);
    return stay({ ...seen, phase: IDLE }, ...busy);
  }
  if (current && current.phase !== 'deleted') {
    return stay({ ...seen, phase: IDLE }, ...decline(request, 'DATASET_EXISTS', `${state.dataset} exists`, current));
  }
  // Even over a tombstone: in an incomplete incarnation another, living dataset of this name may be unheard of.
  if (!event.complete) {
    const message = 'not every node has reported its datasets since the coordinator lost its records';
    return stay({ ...seen, phase: IDLE }, ...decline(request, 'CATALOG_INCOMPLETE', message));
  }
  const term = nextTerm(state.self, [current?.term, state.record?.term]);
  const copy: Copy = {
    id: phase.id,
    role: 'creating',
    term,
    createdMs: phase.createdMs,
    creator: phase.creator,
    ...(phase.origin === undefined ? {} : { origin: phase.origin }),
    promise: null,
    source: null,
    deleting: false,
    priorSinceMs: null,
  };
  const next: Phase = { at: 'making', request, tag, ground: event.ground };
  return stay({ ...seen, phase: next }, { do: 'create-copy', copy, request });
}

function made(state: CopyState, phase: At<'making'>, event: Event): Step {
  if (event.on === 'copy-create-failed') {
    return stay({ ...state, phase: IDLE }, ...decline(phase.request, event.failure.code, event.failure.message));
  }
  if (event.on !== 'copy-created') return stay(state);
  const { request, tag, ground } = phase;
  const next: Phase = { at: 'registering', request, ground, tries: 0 };
  return stay({ ...state, copy: event.copy, phase: next }, { do: 'cas', tag, next: firstRecord(state, event.copy) });
}

function firstRecord(state: CopyState, copy: Copy): OwnershipRecord {
  return {
    version: recordVersion(copy.creator),
    dataset: state.dataset,
    id: copy.id,
    owner: state.self,
    term: copy.term,
    phase: 'stable',
    target: null,
    // A clone shares its blocks with what it was cloned from: it stays there until an operator says otherwise.
    pin: copy.origin === undefined ? null : state.self,
    inSync: [state.self],
    createdMs: copy.createdMs,
    creator: copy.creator,
  };
}

function registered(state: CopyState, phase: At<'registering'>, event: Event, limits: MachineLimits): Step {
  const { request, ground } = phase;
  if (event.on === 'coordinator-failed') {
    const next: Phase = { at: 'resolving', request, ground, tries: 0, waiting: false };
    return readAgain({ ...state, phase: next }, next, event, limits);
  }
  if (event.on !== 'cas-done') return stay(state);
  if (event.result.ok) {
    const { record, tag } = event.result.value;
    return confirm({ ...state, record, tag }, request, ground);
  }
  const { current } = event.result;
  const seen = absorb(state, current);
  if (current?.record.id === state.copy?.id) {
    // Our own call, whose reply was lost, got there after all.
    return confirm(seen, request, ground);
  }
  if (!current || current.record.phase === 'deleted') {
    // A tombstone that was told again after a loss, or a record that was lost: nobody has the name.
    return discard(seen, request, 'DATASET_BUSY', `the record of ${state.dataset} changed meanwhile`);
  }
  return discard(seen, request, 'DATASET_EXISTS', `${state.dataset} was created elsewhere`);
}

/**
 * Until it is confirmed nobody is let in. What was made elsewhere than at its home has to be known there first, or the home
 * would go on saying that it does not exist: as a new home, this node waits until such knowledge is stale.
 */
function confirm(state: CopyState, request: string | null, ground: string): Step {
  const phase: Phase = { at: 'confirming', request, ground };
  const isMadeAway = state.copy?.origin !== undefined;
  return stay({ ...state, phase }, isMadeAway ? { do: 'read-record', settled: true } : { do: 'read-record' });
}

/** The reply was lost (or start-up found the half-made dataset): what does the coordinator hold? */
function resolved(state: CopyState, phase: At<'resolving'>, event: Event, limits: MachineLimits): Step {
  if (event.on === 'coordinator-failed') return readAgain(state, phase, event, limits);
  if (event.on !== 'record-read' || !state.copy) return stay(state);
  const { request } = phase;
  const current = event.tagged?.record ?? null;
  const tag = event.tagged?.tag ?? null;
  const seen = absorb(state, event.tagged);
  const ours = current?.id === state.copy.id;
  if (ours && current && current.phase !== 'deleted') {
    // Written once more, as it stands: an attempt to take it back may still be on its way, from an earlier life too. With
    // its tag used up that one fails; landing on a dataset in use, it would make it look deleted.
    const ground = phase.ground || event.ground;
    const next: Phase = { at: 'registering', request, ground, tries: phase.tries + 1 };
    return stay({ ...seen, phase: next }, { do: 'cas', tag, next: current });
  }
  if (ours || (current && current.phase !== 'deleted')) {
    return discard(seen, request, 'DATASET_BUSY', `${state.dataset} could not be created`);
  }
  // Nothing there. The lost call may still be on its way, so the same name is settled by one more compare-and-set: with
  // the tag used up, the late one fails. Registering again is that (the creation goes on), but only on sure ground.
  if (!event.complete) {
    const next: Phase = { ...phase, request: null, waiting: true };
    return stay(
      { ...seen, phase: next },
      ...decline(request, 'COORDINATOR_OUTCOME_UNKNOWN', 'the creation is not known to be committed'),
    );
  }
  const next: Phase = { at: 'registering', request, ground: event.ground, tries: phase.tries + 1 };
  return stay({ ...seen, phase: next }, { do: 'cas', tag, next: firstRecord(state, state.copy) });
}

function readAgain(
  state: CopyState,
  phase: At<'resolving'>,
  event: Event & { on: 'coordinator-failed' },
  limits: MachineLimits,
): Step {
  const tries = phase.tries + 1;
  if (tries <= limits.readBackTriesMax || phase.request === null) {
    return stay({ ...state, phase: { ...phase, tries, waiting: true } });
  }
  return stay(
    { ...state, phase: { ...phase, tries, waiting: true, request: null } },
    ...decline(phase.request, 'COORDINATOR_OUTCOME_UNKNOWN', event.failure.message),
  );
}

/**
 * Was the ground sure the whole time? Same incarnation and map as when completeness was read, and still complete: else
 * another dataset of this name may turn up, or another node may be the home and answer for its absence.
 */
function confirmed(state: CopyState, phase: At<'confirming'>, event: Event): Step {
  const { request, ground } = phase;
  const again: Phase = { at: 'resolving', request, ground, tries: 0, waiting: true };
  if (event.on === 'coordinator-failed') return stay({ ...state, phase: again });
  if (event.on !== 'record-read' || !state.copy) return stay(state);
  const current = event.tagged?.record ?? null;
  const tag = event.tagged?.tag ?? null;
  const seen = absorb(state, event.tagged);
  if (current?.id !== state.copy.id || current.phase === 'deleted') return stay({ ...seen, phase: again });
  if (event.complete && event.ground === ground) {
    return stay(
      { ...seen, phase: { at: 'settling', request } },
      { do: 'persist', copy: { ...state.copy, role: 'owner' } },
    );
  }
  // Not so: take the record back, to where the name's terms stood before (they never go back, across its datasets too):
  // at 0 it is void; above that there was a tombstone, and every dataset of this name that lives is above it.
  const floor = { n: state.copy.term.n - 1, node: state.self };
  const voided: OwnershipRecord = { ...current, phase: 'deleted', target: null, term: floor };
  return stay({ ...seen, phase: again, publishing: true }, { do: 'publish', tag, next: voided });
}

/** Only ever a copy in role `creating`: nobody has written to it. */
function discard(
  state: CopyState,
  request: string | null,
  code: 'DATASET_EXISTS' | 'DATASET_BUSY',
  message: string,
): Step {
  const { copy } = state;
  if (!copy) return stay({ ...state, phase: IDLE });
  // Remembered as gone: should the coordinator come back from a dump that still holds its record, nobody looks for it.
  const gone: OwnershipRecord = { ...firstRecord(state, copy), phase: 'deleted', term: { n: 0, node: state.self } };
  return stay(
    { ...state, phase: { at: 'moving-away', how: 'deleted' } },
    { do: 'remember', record: gone },
    { do: 'move-away', copy, how: 'deleted' },
    ...decline(request, code, message, state.record ?? undefined),
  );
}

// --- removal ------------------------------------------------------------------------------------------------------

function remove(state: CopyState, request: string): Step {
  const { copy, phase } = state;
  if (copy?.role !== 'owner')
    return stay(state, ...decline(request, 'NOT_OWNER', `${state.dataset} is not owned here`));
  if (phase.at !== 'idle' || !state.openTerm || copy.promise || copy.deleting) {
    return stay(state, ...decline(request, 'DATASET_BUSY', `${state.dataset} is busy`));
  }
  return stay({ ...state, phase: { at: 'emptying', request } }, { do: 'probe-empty' });
}

function emptied(state: CopyState, phase: At<'emptying'>, event: Event): Step {
  if (event.on !== 'emptiness' || !state.copy) return stay(state);
  const { request } = phase;
  if (event.failure)
    return stay({ ...state, phase: IDLE }, ...decline(request, event.failure.code, event.failure.message));
  if (!event.empty)
    return stay({ ...state, phase: IDLE }, ...decline(request, 'DATASET_NOT_EMPTY', `${state.dataset} holds objects`));
  // Durable before the tombstone: a crash between the two finds out that the removal was ours.
  return stay(
    { ...state, phase: { at: 'marking', request } },
    { do: 'persist', copy: { ...state.copy, deleting: true } },
  );
}

function bury(state: CopyState, request: string | null): Step {
  const { copy } = state;
  if (!copy) return stay(state);
  const next = tombstoneOf(state, copy);
  return stay({ ...state, phase: { at: 'burying', request, waiting: false } }, { do: 'cas', tag: state.tag, next });
}

function tombstoneOf(state: CopyState, copy: Copy): OwnershipRecord {
  const known = recordOf(state, copy.id) ?? firstRecord(state, copy);
  return {
    ...known,
    owner: state.self,
    term: copy.term.n >= known.term.n ? copy.term : known.term,
    phase: 'deleted',
    target: null,
    inSync: [state.self],
  };
}

function isAbove(record: OwnershipRecord, copy: Copy): boolean {
  return compareTerms(record.term, copy.term) > 0;
}

function buried(state: CopyState, phase: At<'burying'>, event: Event): Step {
  const { copy } = state;
  const { request } = phase;
  if (!copy) return stay({ ...state, phase: IDLE });
  if (event.on === 'cas-done' && event.result.ok) {
    const { record, tag } = event.result.value;
    return entomb({ ...state, record, tag }, record, request);
  }
  if (event.on === 'coordinator-failed') {
    if (event.failure.code === 'COORDINATOR_UNAVAILABLE' && request !== null)
      return unmark(state, copy, request, event.failure);
    // Unknown: the gate stays closed until it is known.
    return stay(
      { ...state, phase: { ...phase, request: null, waiting: true } },
      ...decline(request, event.failure.code, event.failure.message),
    );
  }
  const lost = event.on === 'cas-done' && !event.result.ok;
  if (!lost && event.on !== 'record-read') return stay(state);
  const tagged =
    event.on === 'record-read'
      ? event.tagged
      : event.on === 'cas-done' && !event.result.ok
        ? event.result.current
        : null;
  const seen = absorb(state, tagged);
  if (tagged?.record.id === copy.id && tagged.record.phase === 'deleted') return entomb(seen, tagged.record, request);
  if (tagged && tagged.record.id !== copy.id && tagged.record.term.n >= copy.term.n) {
    // Another dataset has the name, which our tombstone made free: it got there, though its reply did not. That record is
    // the other's, alive or dead.
    return entomb(seen, tombstoneOf(seen, copy), request);
  }
  if (tagged?.record.id === copy.id && tagged.record.owner !== state.self && isAbove(tagged.record, copy)) {
    // Somebody else owns it at a higher term: what was proven empty here is not what clients see. Back, and deposed.
    const message = `${state.dataset} is owned by ${tagged.record.owner}`;
    return unmark(seen, copy, request, { code: 'NOT_OWNER', message });
  }
  // It did not get there, or somebody changed the record meanwhile. The dataset was proven empty and its gate has not
  // opened since, so the removal goes on, whoever waits: going back would race with the call that may still be on its way.
  return bury(seen, request);
}

function unmark(state: CopyState, copy: Copy, request: string | null, failure: Failure): Step {
  return stay(
    { ...state, phase: { at: 'unmarking', request, failure } },
    { do: 'persist', copy: { ...copy, deleting: false } },
  );
}

function entomb(state: CopyState, record: OwnershipRecord, request: string | null): Step {
  return stay({ ...state, phase: { at: 'entombing', request, record } }, { do: 'remember', record });
}

function entombed(state: CopyState, phase: At<'entombing'>, event: Event): Step {
  const { copy } = state;
  if (event.on !== 'remembered' || !copy) return stay(state);
  return putAway(state, copy, ...answer(phase.request, null));
}

function putAway(state: CopyState, copy: Copy, ...first: Effect[]): Step {
  if (state.openTerm) return stay({ ...state, phase: { at: 'fencing' } }, ...first, { do: 'fence' });
  const phase: Phase = { at: 'moving-away', how: 'deleted' };
  return stay({ ...state, phase }, ...first, { do: 'move-away', copy, how: 'deleted' });
}
