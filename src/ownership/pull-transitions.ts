// Pure: how a node takes a dataset over from its owner: claim, copy while the owner serves, announce, ask it to drain, copy
// the rest, prepare, commit, adopt; and how it refuses a promise instead. Entered from transitions.ts only.
//
// Adopting and refusing are two values of one durable register (the fence), so an owner that hears *refused* knows that
// its promise can never be adopted, whatever calls are still on their way.
import { type OwnershipRecord, recordVersion } from '../cluster/record.ts';
import { compareTerms } from '../common/term.ts';
import { isVoid, raisedTerm, recordOf } from './publication.ts';
import type { Copy, CopyState, Effect, Event, Failure, MachineLimits, Phase, Step } from './state.ts';
import { absorb, answer, decline, IDLE, stay, warn } from './steps.ts';

type At<K extends Phase['at']> = Phase & { at: K };

export function stepPull(state: CopyState, event: Event, limits: MachineLimits): Step {
  const { phase } = state;
  switch (event.on) {
    case 'pull':
      return pull(state);
    case 'cancel-pull':
      return cancel(state);
    case 'refuse-asked':
      return refuseAsked(state, event);
    case 'tick':
      return tick(state, limits);
    default:
  }
  switch (phase.at) {
    case 'claiming':
      return event.on === 'cas-done' || event.on === 'coordinator-failed'
        ? claimed(state, phase, event)
        : staleCompletion(state, event);
    case 'copying':
      return copied(state, phase, event);
    case 'announcing':
      return announced(state, phase, event);
    case 'asking':
      return asked(state, phase, event);
    case 'finishing':
      return finished(state, phase, event, limits);
    case 'preparing':
      // Crash before: the promise is unused and will be asked for. Crash after: start-up commits.
      if (event.on !== 'persisted') return stay(state);
      return commit({ ...state, copy: event.copy });
    case 'committing':
      return committed(state, phase, event);
    case 'adopting':
      if (event.on !== 'fence-stored' || !state.copy) return stay(state);
      return stay(
        { ...state, phase: { at: 'assuming' } },
        { do: 'persist', copy: { ...state.copy, role: 'owner', source: null } },
      );
    case 'assuming':
      return assumed(state, event);
    case 'demoting':
      return demoting(state, event);
    default:
      return staleCompletion(state, event);
  }
}

/** Nothing of these is at work on the disk, so what a cancelled pull left there is what stands there. */
const OFF_DISK: readonly Phase['at'][] = ['idle', 'checking', 'claiming', 'copying', 'following'];

/** A pull that was cancelled still brings the copy it left. */
export function staleCompletion(state: CopyState, event: Event): Step {
  if ((event.on === 'pulled' || event.on === 'pull-failed') && OFF_DISK.includes(state.phase.at)) {
    return stay({ ...state, copy: event.copy });
  }
  return stay(state);
}

/** May the record's dataset be pulled onto what stands here? */
export function pullable(state: CopyState): OwnershipRecord | null {
  const { record, copy, self } = state;
  if (!record || record.phase === 'deleted' || record.owner === self) return null;
  if (copy && copy.role !== 'receiving' && copy.role !== 'prior') return null;
  return record;
}

function pull(state: CopyState): Step {
  if (state.phase.at === 'following') {
    // What it has received by then is what the pull begins with.
    const { state: next, effects } = pull({ ...state, phase: IDLE });
    return stay(next, { do: 'cancel-pull', run: state.phase.run }, ...effects);
  }
  if (state.phase.at !== 'idle') return stay(state);
  if (state.copy?.role === 'prepared') return tickPrepared(state);
  const record = pullable(state);
  if (!record || state.tag === null || state.behind) return stay(state);
  const run = state.run + 1;
  if (record.phase !== 'stable' && record.target === state.self) return startCopy({ ...state, run }, record, run);
  return stay(
    { ...state, run, phase: { at: 'claiming', run } },
    { do: 'cas', tag: state.tag, next: { ...record, phase: 'copying', target: state.self } },
  );
}

function startCopy(state: CopyState, record: OwnershipRecord, run: number, asks = 0): Step {
  return stay(
    { ...state, phase: { at: 'copying', run, source: record.owner, id: record.id, asks } },
    { do: 'pull', run, source: record.owner, id: record.id },
  );
}

function claimed(state: CopyState, phase: At<'claiming'>, event: Event): Step {
  if (event.on === 'coordinator-failed') return stay({ ...state, phase: IDLE }, warn(event.failure));
  if (event.on !== 'cas-done') return stay(state);
  const seen = absorb(state, event.result.ok ? event.result.value : event.result.current);
  if (!event.result.ok) return stay({ ...seen, phase: IDLE });
  return startCopy(seen, event.result.value.record, phase.run);
}

function copied(state: CopyState, phase: At<'copying'>, event: Event): Step {
  if (event.on !== 'pulled' && event.on !== 'pull-failed') return stay(state);
  if (event.run !== phase.run) return staleCompletion(state, event);
  const next: CopyState = { ...state, copy: event.copy };
  if (event.on === 'pull-failed') return giveUp(next, event.failure);
  return announce(next, phase);
}

type Ongoing = At<'copying'> | At<'announcing'> | At<'asking'>;

function announce(state: CopyState, phase: Ongoing): Step {
  const { record } = state;
  const { run, source, id, asks } = phase;
  if (!record || record.id !== id || record.owner !== source || record.phase === 'deleted') {
    return giveUp(state, { code: 'DATASET_UNAVAILABLE', message: 'the dataset changed while it was copied' });
  }
  // Another node claimed it meanwhile (a newer map): the claim is advisory, but there is no sense in a race.
  if (record.target !== state.self)
    return giveUp(state, { code: 'DATASET_BUSY', message: `${record.target} pulls it` });
  if (record.phase === 'draining') return ask(state, { run, source, id, asks });
  return stay(
    { ...state, phase: { at: 'announcing', run, source, id, asks } },
    { do: 'cas', tag: state.tag, next: { ...record, phase: 'draining' } },
  );
}

function announced(state: CopyState, phase: At<'announcing'>, event: Event): Step {
  if (event.on === 'coordinator-failed') {
    // Unavailable or unknown: the catalog will tell; the copy stays and the next pull is short.
    return giveUp(state, event.failure);
  }
  if (event.on !== 'cas-done') return stay(state);
  const seen = absorb(state, event.result.ok ? event.result.value : event.result.current);
  return event.result.ok ? ask(seen, phase) : announce(seen, phase);
}

function ask(state: CopyState, phase: { run: number; source: string; id: string; asks: number }): Step {
  const { run, source, id, asks } = phase;
  return stay(
    { ...state, phase: { at: 'asking', run, source, id, asks: asks + 1, waiting: false } },
    { do: 'ask-drain', to: source, id },
  );
}

function asked(state: CopyState, phase: At<'asking'>, event: Event): Step {
  if (event.on === 'drain-refused') {
    const { code } = event.failure;
    // Busy: long requests in flight there. Unreached: it may have promised; asking again is safe either way.
    if (
      code === 'DATASET_BUSY' ||
      code === 'NODE_UNREACHABLE' ||
      code === 'COORDINATOR_UNAVAILABLE' ||
      code === 'COORDINATOR_OUTCOME_UNKNOWN'
    ) {
      return stay({ ...state, phase: { ...phase, waiting: true } }, warn(event.failure));
    }
    return giveUp(state, event.failure);
  }
  if (event.on !== 'drain-answered') return stay(state);
  const { promise } = event;
  if (promise.to !== state.self) return giveUp(state, { code: 'PEER_PROTOCOL', message: 'promised to another node' });
  if (!mayAdopt(state, phase.id, promise.term.n)) {
    const { n } = promise.term;
    const given = giveUp(state, { code: 'TERM_REFUSED', message: 'this promise was refused' });
    // A later promise was decided here: whoever still holds this one is far behind, and its question is answered *taken*.
    if (state.fences[phase.id]?.n !== n) return given;
    // We refused this promise earlier; its owner has not heard yet, or has not resumed. Say it again, from the disk: what
    // memory calls refused may be a write that failed, and after a crash this node would adopt what it said no to.
    return refuse(given.state, phase.id, n, null, phase.source, ...given.effects);
  }
  const source = { node: phase.source, term: promise.term, snapshot: promise.snapshot, guid: promise.guid };
  return stay(
    { ...state, phase: { at: 'finishing', run: phase.run, source, id: phase.id, tries: 0, waiting: false } },
    { do: 'pull-final', run: phase.run, source, id: phase.id },
  );
}

function finished(state: CopyState, phase: At<'finishing'>, event: Event, limits: MachineLimits): Step {
  if ((event.on !== 'pulled' && event.on !== 'pull-failed') || event.run !== phase.run) return stay(state);
  const seen: CopyState = { ...state, copy: event.copy };
  const { source, id } = phase;
  if (event.on === 'pull-failed') {
    const tries = phase.tries + 1;
    if (tries < limits.finalTriesMax)
      return stay({ ...seen, phase: { ...phase, tries, waiting: true } }, warn(event.failure));
    return refuse(seen, id, source.term.n, null, source.node, warn(event.failure));
  }
  const { copy } = event;
  if (!copy || copy.id !== id || !mayAdopt(seen, id, source.term.n)) {
    return refuse(seen, id, source.term.n, null, source.node);
  }
  const term = raisedTerm(seen, copy, [source.term]);
  return stay(
    { ...seen, phase: { at: 'preparing' } },
    { do: 'persist', copy: { ...copy, role: 'prepared', term, source, priorSinceMs: null } },
  );
}

/** The record of the prepared term. The promise in hand outranks whatever the record says below that term. */
function commit(state: CopyState): Step {
  const { copy, self, dataset } = state;
  if (!copy?.source) return stay({ ...state, phase: IDLE });
  if (!mayAdopt(state, copy.id, copy.source.term.n)) return demote(state, copy);
  const known = state.record?.id === copy.id ? state.record : null;
  const next: OwnershipRecord = {
    version: recordVersion(copy.creator),
    dataset,
    id: copy.id,
    owner: self,
    term: copy.term,
    phase: 'stable',
    target: null,
    pin: known?.pin ?? null,
    inSync: [self],
    createdMs: copy.createdMs,
    creator: copy.creator,
  };
  return stay({ ...state, phase: { at: 'committing', waiting: false } }, { do: 'cas', tag: state.tag, next });
}

function committed(state: CopyState, phase: At<'committing'>, event: Event): Step {
  const { copy } = state;
  if (!copy) return stay({ ...state, phase: IDLE });
  if (event.on === 'coordinator-failed')
    return stay({ ...state, phase: { ...phase, waiting: true } }, warn(event.failure));
  if (event.on === 'cas-done' && event.result.ok) return adopt(absorb(state, event.result.value), copy);
  const current =
    event.on === 'record-read'
      ? event.tagged
      : event.on === 'cas-done' && !event.result.ok
        ? event.result.current
        : undefined;
  if (current === undefined) return stay(state);
  const seen = absorb(state, current);
  if (current === null) return commit(seen);
  const { record } = current;
  if (record.id === copy.id && record.phase !== 'deleted') {
    if (record.owner === state.self && compareTerms(record.term, copy.term) === 0) return adopt(seen, copy);
    if (compareTerms(record.term, copy.term) < 0) return commit(seen);
  }
  // What a restored dump holds of this name: an older dataset, or a creation that was taken back. The owner publishes over
  // these too; a copy whose promise is adopted has no owner any more who would.
  if (record.id === copy.id ? isVoid(record) : record.term.n < copy.term.n) return commit(seen);
  // An operator gave up the owner, and this handover with it (`seize`). Nothing was opened here: refused for good, so that
  // the copy is a replica again, and whoever promised it hears so.
  const { term: promised, node } = copy.source ?? { term: copy.term, node: '' };
  if (record.id === copy.id && record.phase !== 'deleted' && record.owner !== state.self) {
    const decided = state.fences[copy.id];
    // Adopted before a crash, and nothing opened: that stays decided, and whoever asks hears it.
    if (decided?.n === promised.n && decided.verdict === 'adopted') return demote(seen, copy);
    return refuse({ ...seen, phase: IDLE }, copy.id, promised.n, null, node);
  }
  // A higher term, a tombstone or another dataset: nothing that this protocol does leads here. Stay out, say so.
  return stay(
    { ...seen, phase: IDLE },
    {
      do: 'note',
      level: 'error',
      message: `${state.dataset}: prepared, but the record is of ${record.owner} at a higher term`,
    },
  );
}

function adopt(state: CopyState, copy: Copy): Step {
  if (!copy.source) return stay({ ...state, phase: IDLE });
  // Crash before: start-up finds `prepared` and the record of its term, and comes here again.
  const fence = { n: copy.source.term.n, verdict: 'adopted' as const };
  return stay(
    { ...state, phase: { at: 'adopting' } },
    { do: 'store-fence', id: copy.id, fence, request: null, tell: null },
  );
}

function assumed(state: CopyState, event: Event): Step {
  if (event.on !== 'persisted') return stay(state);
  const source = state.copy?.source;
  const effects: Effect[] = [{ do: 'note', level: 'info', message: `${state.dataset}: owner here now` }];
  if (source) effects.unshift({ do: 'tell', to: source.node, what: 'released', id: event.copy.id, n: source.term.n });
  return stay({ ...state, copy: event.copy, fresh: true, phase: IDLE }, ...effects);
}

// --- refusing -----------------------------------------------------------------------------------------------------

/** The owner that promised asks: do you still want it? If not, never say yes again. */
function refuseAsked(state: CopyState, event: Event & { on: 'refuse-asked' }): Step {
  const { id, n, request } = event;
  const fence = state.fences[id];
  if (fence && fence.n > n) return stay(state, ...answer(request, 'taken'));
  if (fence && fence.n === n && fence.verdict === 'adopted') return stay(state, ...answer(request, 'taken'));
  if (!(fence && fence.n === n) && wants(state, id, n)) return stay(state, ...answer(request, 'pending'));
  const forgotten = fence?.n === n ? null : forgottenVerdict(state, event);
  if (forgotten === 'taken') return stay(state, ...answer(request, 'taken'));
  if (forgotten === 'unknown') {
    return stay(state, ...decline(request, 'DATASET_UNAVAILABLE', `${state.dataset}: what was decided is lost here`));
  }
  // Stored again even if memory says refused: memory counts the intention, the answer needs the disk.
  return refuse(state, id, n, request, null);
}

/**
 * No verdict stands here, and yet the record is above the promise and names another than the node that promised. Only an
 * adoption leads there, so the disk that held it has gone back. With a third node as the owner that is an answer; with this
 * one, what it adopted is lost as well, and neither answer would be true (I3).
 */
function forgottenVerdict(state: CopyState, event: Event & { on: 'refuse-asked' }): 'taken' | 'unknown' | null {
  const record = recordOf(state, event.id);
  if (!record || record.term.n <= event.n || record.owner === event.from || record.phase === 'deleted') return null;
  return record.owner === state.self ? 'unknown' : 'taken';
}

function wants(state: CopyState, id: string, n: number): boolean {
  const { phase, copy } = state;
  if (phase.at === 'asking') return phase.id === id;
  if (phase.at === 'finishing') return phase.id === id && phase.source.term.n === n;
  if (phase.at === 'preparing' || phase.at === 'unsure' || phase.at === 'demoting') return true;
  return copy?.id === id && copy.role === 'prepared';
}

function refuse(
  state: CopyState,
  id: string,
  n: number,
  request: string | null,
  tell: string | null,
  ...also: Effect[]
): Step {
  const fence = { n, verdict: 'refused' as const };
  const isThis = state.phase.at === 'finishing' && state.phase.id === id && state.phase.source.term.n === n;
  const phase: Phase = isThis ? IDLE : state.phase;
  // Decided further on already: it does not go back, and whoever asks is answered from there.
  if ((state.fences[id]?.n ?? 0) > n) return stay({ ...state, phase }, ...also);
  // The intention binds at once: an adoption must not overtake it.
  return stay(
    { ...state, phase, fences: { ...state.fences, [id]: fence } },
    { do: 'store-fence', id, fence, request, tell },
    ...also,
  );
}

/** A prepared copy whose promise was refused (start-up after a crash between the two writes): it is behind again. */
function demote(state: CopyState, copy: Copy): Step {
  return stay(
    { ...state, phase: { at: 'demoting' } },
    { do: 'persist', copy: { ...copy, role: 'receiving', source: null } },
  );
}

function demoting(state: CopyState, event: Event): Step {
  return event.on === 'persisted' ? stay({ ...state, copy: event.copy, phase: IDLE }) : stay(state);
}

export function mayAdopt(state: CopyState, id: string, n: number): boolean {
  const fence = state.fences[id];
  if (!fence || fence.n < n) return true;
  return fence.n === n && fence.verdict === 'adopted';
}

// --- retries, cancelling ------------------------------------------------------------------------------------------

function tick(state: CopyState, limits: MachineLimits): Step {
  const { phase } = state;
  if (phase.at === 'asking') {
    const next: Ongoing = phase;
    if (phase.asks % limits.asksPerRound === 0 && state.record)
      return startCopy(state, state.record, phase.run, phase.asks);
    return announce(state, next);
  }
  if (phase.at === 'finishing') {
    return stay(
      { ...state, phase: { ...phase, waiting: false } },
      { do: 'pull-final', run: phase.run, source: phase.source, id: phase.id },
    );
  }
  if (phase.at === 'committing') return stay({ ...state, phase: { ...phase, waiting: false } }, { do: 'read-record' });
  return tickPrepared(state);
}

function tickPrepared(state: CopyState): Step {
  const { copy } = state;
  if (copy?.role !== 'prepared' || !copy.source) return stay(state);
  if (!mayAdopt(state, copy.id, copy.source.term.n)) return demote(state, copy);
  return stay({ ...state, phase: { at: 'committing', waiting: false } }, { do: 'read-record' });
}

/** Not the home any more, or stopping: until the owner is asked to drain, a pull may simply end. */
function cancel(state: CopyState): Step {
  const { phase, copy } = state;
  // Claimed by a process before this one.
  if (phase.at === 'idle' && (!copy || copy.role === 'receiving' || copy.role === 'prior')) return unclaim(state, []);
  if (phase.at === 'following') return unclaim({ ...state, phase: IDLE }, [{ do: 'cancel-pull', run: phase.run }]);
  if (phase.at !== 'copying' && !(phase.at === 'asking' && phase.waiting)) return stay(state);
  const effects: Effect[] = phase.at === 'copying' ? [{ do: 'cancel-pull', run: phase.run }] : [];
  return unclaim({ ...state, phase: IDLE }, effects);
}

function giveUp(state: CopyState, failure: Failure): Step {
  return unclaim({ ...state, phase: IDLE }, [warn(failure)]);
}

/** The claim in the record is advisory; taking it back is a courtesy to status and to the next candidate. */
function unclaim(state: CopyState, effects: readonly Effect[]): Step {
  const { record, tag } = state;
  if (
    !record ||
    tag === null ||
    state.behind ||
    record.target !== state.self ||
    record.phase !== 'copying' ||
    state.publishing
  ) {
    return stay(state, ...effects);
  }
  const next: OwnershipRecord = { ...record, phase: 'stable', target: null };
  return stay({ ...state, publishing: true }, ...effects, { do: 'publish', tag, next });
}
