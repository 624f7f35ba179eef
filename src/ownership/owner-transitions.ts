// Pure: the owner's side of the machine: open under a new term, hand over (drain, seal, promise), take a refused promise
// back, let go after an adopted one, be deposed. Entered from transitions.ts only.
import { type OwnershipRecord, recordVersion } from '../cluster/record.ts';
import { compareTerms } from '../common/term.ts';
import { ACCEPTED_TERM_STEP, isTakenByRecord, publicationOf, raisedTerm, recordOf } from './publication.ts';
import type { Copy, CopyState, Effect, Event, MachineLimits, Step } from './state.ts';
import { absorb, answer, decline, IDLE, STAMP, stay, warn } from './steps.ts';

type HandoffEvent = Event & {
  on: 'open' | 'close' | 'drain' | 'told-released' | 'told-refused' | 'retire' | 'accept-disk' | 'take-back';
};

const HANDOFF_EVENTS: readonly Event['on'][] = [
  'open',
  'close',
  'drain',
  'told-released',
  'told-refused',
  'retire',
  'accept-disk',
  'take-back',
];

export function isHandoffEvent(event: Event): event is HandoffEvent {
  return HANDOFF_EVENTS.includes(event.on);
}

export function stepOwner(state: CopyState, event: Event, nowMs: number, limits: MachineLimits): Step {
  const { copy, phase } = state;
  switch (event.on) {
    case 'open':
      return open(state);
    case 'close':
      if (phase.at !== 'idle' || !state.openTerm) return stay(state);
      return stay({ ...state, phase: { at: 'closing' } }, { do: 'close-store' });
    case 'drain':
      return drain(state, event, nowMs);
    case 'told-refused':
      return isPromised(copy, event) && canTurn(state) ? reclaim(state, event.n) : stay(state);
    case 'told-released':
      return isPromised(copy, event) && canTurn(state) ? letGo(state) : stay(state);
    case 'retire':
      if (phase.at !== 'idle' || copy?.id !== event.id || (copy.role !== 'prior' && copy.role !== 'receiving')) {
        return stay(state);
      }
      return moveAway(state, copy, 'deleted');
    case 'accept-disk':
      return acceptDisk(state);
    case 'take-back':
      if (!copy?.promise || copy.id !== event.id || !canTurn(state)) return stay(state);
      return reclaim(state, copy.promise.term.n, true);
    case 'tick':
      return tick(state, nowMs, limits);
    default:
      return copy ? progress(state, copy, event, nowMs, limits) : moved(state, event);
  }
}

function tick(state: CopyState, nowMs: number, limits: MachineLimits): Step {
  const { copy } = state;
  if (!copy) return stay(state);
  if (copy.role === 'receiving' || copy.role === 'prior') {
    // The dataset is deleted: its owner's tombstone lets go of every copy of that id.
    return state.buried ? moveAway(state, copy, 'deleted') : stay(state);
  }
  if (copy.role !== 'owner') return stay(state);
  if (copy.promise) {
    const silent = nowMs - state.contactMs >= limits.promiseSilenceMs;
    const told = publishIfNeeded(state);
    if (!silent && !isTakenByRecord(state)) return told;
    const ask: Effect = { do: 'ask-refuse', to: copy.promise.to, id: copy.id, n: copy.promise.term.n };
    return stay({ ...told.state, phase: { at: 'inquiring' } }, ask, ...told.effects);
  }
  if (publicationOf(state).kind === 'deposed') return depose(state);
  return publishIfNeeded(state);
}

function open(state: CopyState): Step {
  const { copy } = state;
  if (state.phase.at !== 'idle' || state.openTerm || !copy || copy.role !== 'owner') return stay(state);
  if (copy.promise || copy.deleting) return stay(state);
  const verdict = publicationOf(state).kind;
  if (verdict === 'deposed' || verdict === 'conflict' || verdict === 'went-back') return stay(state);
  if (state.fresh) {
    // Taken by creation, adoption or resumption, and never used: no second raise.
    return stay({ ...state, phase: { at: 'opening' } }, { do: 'open-store', id: copy.id, term: copy.term });
  }
  const term = raisedTerm(state, copy);
  return stay({ ...state, phase: { at: 'raising', term } }, { do: 'persist', copy: { ...copy, term } });
}

function drain(state: CopyState, event: Event & { on: 'drain' }, nowMs: number): Step {
  const { copy, phase } = state;
  if (!copy || copy.id !== event.id || copy.role !== 'owner' || publicationOf(state).kind === 'deposed') {
    return stay(state, ...decline(event.request, 'NOT_OWNER', `${state.dataset} is not owned here`));
  }
  if (publicationOf(state).kind === 'went-back') {
    return stay(state, ...decline(event.request, 'DATASET_UNAVAILABLE', `this copy of ${state.dataset} is an old one`));
  }
  if (copy.promise) {
    if (copy.promise.to !== event.from) {
      return stay(state, ...decline(event.request, 'DATASET_BUSY', `${state.dataset} is promised to another node`));
    }
    return stay({ ...state, contactMs: nowMs }, ...answer(event.request, copy.promise));
  }
  if (phase.at !== 'idle' || copy.deleting) {
    return stay(state, ...decline(event.request, 'DATASET_BUSY', `${state.dataset} is ${phase.at}`));
  }
  // The record is read afresh: only the node that it names as the target is promised anything.
  return stay(
    { ...state, phase: { at: 'verifying', request: event.request, from: event.from } },
    { do: 'read-record' },
  );
}

function progress(state: CopyState, copy: Copy, event: Event, nowMs: number, limits: MachineLimits): Step {
  const { phase } = state;
  switch (phase.at) {
    case 'raising':
      if (event.on !== 'persisted') return stay(state);
      // Crash here: the term is taken and unused; the next opening takes a higher one.
      return stay(
        { ...state, copy: event.copy, phase: { at: 'opening' } },
        { do: 'open-store', id: copy.id, term: event.copy.term },
      );
    case 'opening':
      if (event.on === 'store-opened') {
        return publishIfNeeded({ ...state, openTerm: event.term, fresh: false, phase: IDLE });
      }
      // Whether anything was written under the term is unknown: the next opening takes another.
      return event.on === 'store-failed'
        ? stay({ ...state, fresh: false, phase: IDLE }, warn(event.failure))
        : stay(state);
    case 'closing':
      return event.on === 'store-closed' ? stay({ ...state, openTerm: null, phase: IDLE }) : stay(state);
    case 'verifying':
      return verified(state, copy, phase, event, nowMs, limits);
    case 'sealing':
      return sealed(state, copy, phase, event);
    case 'promising':
      if (event.on !== 'persisted') return stay(state);
      // Crash before: nothing was promised, the owner resumes. Crash after: it waits for the other's word.
      return stay(
        { ...state, copy: event.copy, phase: IDLE, contactMs: nowMs },
        ...answer(phase.request, event.copy.promise),
      );
    case 'inquiring':
      return inquired(state, copy, event, nowMs);
    case 'reclaiming':
      return reclaiming(state, copy, phase, event);
    case 'resuming':
      return event.on === 'persisted' ? stay({ ...state, copy: event.copy, fresh: true, phase: IDLE }) : stay(state);
    case 'releasing':
      return event.on === 'persisted' ? stay({ ...state, copy: event.copy, fresh: false, phase: IDLE }) : stay(state);
    case 'fencing':
      if (event.on !== 'store-closed') return stay(state);
      return moveAway({ ...state, openTerm: null }, copy, copy.deleting ? 'deleted' : 'deposed');
    case 'moving-away':
      return moved(state, event);
    default:
      return stay(state);
  }
}

function verified(
  state: CopyState,
  copy: Copy,
  phase: CopyState['phase'] & { at: 'verifying' },
  event: Event,
  nowMs: number,
  limits: MachineLimits,
): Step {
  const { request, from } = phase;
  const back: CopyState = { ...state, phase: IDLE };
  if (event.on === 'coordinator-failed')
    return stay(back, ...decline(request, event.failure.code, event.failure.message));
  if (event.on !== 'record-read') return stay(state);
  const { tagged } = event;
  const record = tagged?.record ?? null;
  const seen = absorb(back, tagged);
  const agreed =
    record !== null &&
    record.id === copy.id &&
    record.owner === state.self &&
    record.phase === 'draining' &&
    record.target === from &&
    compareTerms(record.term, copy.term) <= 0;
  if (!agreed)
    return stay(
      seen,
      ...decline(request, 'DATASET_BUSY', `the record of ${state.dataset} does not say draining to ${from}`),
    );
  const sinceMs = state.drainSinceMs ?? nowMs;
  const force = nowMs - sinceMs >= limits.forceDrainMs;
  return stay(
    { ...seen, drainSinceMs: sinceMs, phase: { at: 'sealing', request, from } },
    { do: 'seal', id: copy.id, term: copy.term, to: from, force },
  );
}

function sealed(state: CopyState, copy: Copy, phase: CopyState['phase'] & { at: 'sealing' }, event: Event): Step {
  if (event.on === 'seal-failed') {
    // Nothing was promised. With the store still open, serving goes on; else the next request opens it, at a new term.
    const openTerm = event.storeOpen ? state.openTerm : null;
    return stay(
      { ...state, openTerm, fresh: state.fresh && openTerm !== null, phase: IDLE },
      ...decline(phase.request, event.failure.code, event.failure.message),
    );
  }
  if (event.on !== 'sealed') return stay(state);
  const promise = { to: phase.from, term: copy.term, snapshot: event.snapshot, guid: event.guid };
  return stay(
    {
      ...state,
      openTerm: null,
      fresh: false,
      drainSinceMs: null,
      phase: { at: 'promising', request: phase.request, from: phase.from },
    },
    { do: 'persist', copy: { ...copy, promise } },
  );
}

function inquired(state: CopyState, copy: Copy, event: Event, nowMs: number): Step {
  if (event.on === 'refuse-failed') {
    // It will never say that it has adopted; whoever owns it now has it from there.
    if (event.left && wentOn(copy, state.record, state.self)) return forgotten(state, copy, 'which has left');
    // I3: no word from the other side, so nobody serves. Ask again with the next tick that finds silence.
    return stay({ ...state, phase: IDLE }, warn(event.failure));
  }
  if (event.on !== 'refuse-answered' || !copy.promise) return stay(state);
  if (event.verdict === 'refused') return reclaim({ ...state, phase: IDLE }, copy.promise.term.n);
  if (event.verdict === 'taken') return letGo({ ...state, phase: IDLE });
  return stay({ ...state, phase: IDLE, contactMs: nowMs });
}

/** The other side has durably refused: take a term above the refused one, but only the record makes it ours again. */
function reclaim(state: CopyState, refused: number, far = false): Step {
  return stay({ ...state, phase: { at: 'reclaiming', refused, term: null, far } }, { do: 'read-record' });
}

function reclaiming(
  state: CopyState,
  copy: Copy,
  phase: CopyState['phase'] & { at: 'reclaiming' },
  event: Event,
): Step {
  if (event.on === 'coordinator-failed') {
    // Unavailable, or unknown: still promised on disk; the next inquiry brings us back here.
    return stay({ ...state, phase: IDLE }, warn(event.failure));
  }
  if (event.on === 'record-read') {
    const { tagged } = event;
    const current = tagged?.record ?? null;
    const seen = absorb(state, tagged);
    // The refused term itself is refused + 1; a late commit of it may be in the record or on its way there.
    // What is known here counts too: a resumption that was cut short may stand above what a restored dump says (I4).
    const raised = raisedTerm(seen, copy, [
      { n: phase.refused + 1, node: state.self },
      recordOf(state, copy.id)?.term ?? null,
      event.known?.id === copy.id ? event.known.term : null,
    ]);
    const term = phase.far ? { n: raised.n + ACCEPTED_TERM_STEP, node: raised.node } : raised;
    if (current && (current.id !== copy.id ? current.term.n >= term.n : current.phase === 'deleted')) {
      return stay({ ...seen, phase: IDLE }, { do: 'note', level: 'error', message: `${state.dataset}: cannot resume` });
    }
    if (wentOn(copy, current, state.self)) return forgotten(seen, copy, 'which has refused it');
    const known = seen.record !== null && seen.record.id === copy.id ? seen.record : null;
    const next = {
      version: recordVersion(copy.creator),
      dataset: state.dataset,
      id: copy.id,
      owner: state.self,
      term,
      phase: 'stable' as const,
      target: null,
      pin: known?.pin ?? null,
      inSync: [state.self],
      createdMs: copy.createdMs,
      creator: copy.creator,
    };
    return stay({ ...seen, phase: { ...phase, term } }, { do: 'cas', tag: tagged?.tag ?? null, next });
  }
  if (event.on !== 'cas-done') return stay(state);
  if (!event.result.ok) return stay({ ...state, phase: { ...phase, term: null } }, { do: 'read-record' });
  const { record, tag } = event.result.value;
  // Crash here: the record says us at the new term, the copy still says promised; the same inquiry runs again.
  return stay(
    { ...state, record, tag, phase: { at: 'resuming' } },
    { do: 'persist', copy: { ...copy, term: record.term, promise: null } },
  );
}

/**
 * A third node owns it above the promise: only whoever adopted the promise can have handed it on, so a refusal came from a
 * node that has forgotten (it came back with an old disk, or with an empty one). As for an owner without a promise: deposed.
 */
function wentOn(copy: Copy, current: OwnershipRecord | null, self: string): boolean {
  if (!copy.promise || current?.id !== copy.id || current.owner === self || current.owner === copy.promise.to)
    return false;
  return compareTerms(current.term, copy.promise.term) > 0;
}

function forgotten(state: CopyState, copy: Copy, why: string): Step {
  const message = `${state.dataset}: copy set aside: promised to ${copy.promise?.to}, ${why}, but owned by ${state.record?.owner} since`;
  const { state: next, effects } = moveAway(state, copy, 'deposed');
  return stay(next, ...effects, { do: 'note', level: 'error', message });
}

/** The other side has adopted: what is here is a prior copy, for ever below. */
function letGo(state: CopyState): Step {
  const { copy } = state;
  if (!copy) return stay(state);
  return stay(
    { ...state, successor: copy.promise?.to ?? null, phase: { at: 'releasing' } },
    { do: 'persist', copy: { ...copy, role: 'prior', promise: null, priorSinceMs: STAMP } },
  );
}

function moveAway(state: CopyState, copy: Copy, how: 'deposed' | 'deleted'): Step {
  return stay({ ...state, phase: { at: 'moving-away', how } }, { do: 'move-away', copy, how });
}

function moved(state: CopyState, event: Event): Step {
  if (state.phase.at !== 'moving-away') return stay(state);
  if (event.on === 'moved-away') {
    return stay({ ...state, copy: null, openTerm: null, fresh: false, buried: false, phase: IDLE });
  }
  // Tried again by the next tick, for the same reason.
  return event.on === 'move-failed' ? stay({ ...state, phase: IDLE }, warn(event.failure)) : stay(state);
}

function isPromised(copy: Copy | null, event: { from: string; id: string; n: number }): boolean {
  return copy?.id === event.id && copy.promise?.to === event.from && copy.promise.term.n === event.n;
}

function canTurn(state: CopyState): boolean {
  return state.phase.at === 'idle';
}

export function depose(state: CopyState): Step {
  const { copy } = state;
  if (!copy) return stay(state);
  const verdict = publicationOf(state);
  const reason = verdict.kind === 'deposed' ? verdict.reason : 'deposed';
  const note: Effect = { do: 'note', level: 'error', message: `${state.dataset}: copy set aside, ${reason}` };
  if (state.openTerm) return stay({ ...state, phase: { at: 'fencing' } }, { do: 'fence' }, note);
  return stay(
    { ...state, phase: { at: 'moving-away', how: 'deposed' } },
    { do: 'move-away', copy, how: 'deposed' },
    note,
  );
}

/**
 * The copy goes on above every term that its lost future may have used. A prepared one goes on only where the record says
 * that it was committed: an adoption stands in the record before it stands in the fence, so without that it was refused or
 * never decided, and is refused now.
 */
function acceptDisk(state: CopyState): Step {
  const { copy } = state;
  if (!copy || state.phase.at !== 'idle' || state.openTerm || copy.promise) return stay(state);
  const raised = raisedTerm(state, copy);
  const term = { n: raised.n + ACCEPTED_TERM_STEP, node: raised.node };
  if (copy.role === 'owner') {
    const verdict = publicationOf(state).kind;
    if (verdict === 'deposed' || verdict === 'conflict') return stay(state);
    // Proven empty once, perhaps, and written to since: whoever wants it removed asks again.
    return stay({ ...state, phase: { at: 'resuming' } }, { do: 'persist', copy: { ...copy, term, deleting: false } });
  }
  if (copy.role !== 'prepared' || !copy.source) return stay(state);
  const phase = { at: 'demoting' } as const;
  const record = recordOf(state, copy.id);
  const known = state.fences[copy.id];
  const adopted = known?.n === copy.source.term.n && known.verdict === 'adopted';
  if (adopted || (record?.owner === state.self && record.phase !== 'deleted')) {
    return stay({ ...state, phase }, { do: 'persist', copy: { ...copy, term } });
  }
  const back: Effect = { do: 'persist', copy: { ...copy, role: 'receiving', source: null } };
  const fence = { n: copy.source.term.n, verdict: 'refused' as const };
  // What was decided stays decided, however old the copy.
  if (known && known.n >= fence.n) return stay({ ...state, phase }, back);
  return stay(
    { ...state, phase, fences: { ...state.fences, [copy.id]: fence } },
    { do: 'store-fence', id: copy.id, fence, request: null, tell: null },
    back,
  );
}

/** Keeps the record in the coordinator in step with an owner copy; runs beside whatever else is going on. */
export function publishIfNeeded(state: CopyState): Step {
  if (state.publishing) return stay(state);
  const plan = publicationOf(state);
  if (plan.kind !== 'put') return stay(state);
  return stay({ ...state, publishing: true }, { do: 'publish', tag: state.tag, next: plan.next });
}
