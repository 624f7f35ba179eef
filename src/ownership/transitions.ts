// The ownership state machine of one dataset on one node: (state, event, now) → state and effects. Pure.
// The runner, the tests and the simulator run exactly this code. docs/OWNERSHIP.md explains states and crash points.
//
// One effect that changes the phase is in flight at a time; an event that does not fit the phase is answered *busy* or
// ignored, and the next tick looks again. A crash forgets everything but `copy` and `fences`.
import type { OwnershipRecord } from '../cluster/record.ts';
import { stepLife } from './life-transitions.ts';
import { depose, isHandoffEvent, stepOwner } from './owner-transitions.ts';
import { publicationOf } from './publication.ts';
import { stepPull } from './pull-transitions.ts';
import { stepReplica } from './replica-transitions.ts';
import {
  type Copy,
  type CopyState,
  type Effect,
  type Event,
  type Failure,
  type Fence,
  MACHINE_LIMITS,
  type MachineLimits,
  type Step,
} from './state.ts';
import { absorb, decline, IDLE, stay, warn } from './steps.ts';

export function absentState(self: string, dataset: string): CopyState {
  return {
    self,
    dataset,
    copy: null,
    fences: {},
    record: null,
    tag: null,
    behind: false,
    buried: false,
    openTerm: null,
    fresh: false,
    publishing: false,
    successor: null,
    phase: IDLE,
    contactMs: 0,
    drainSinceMs: null,
    run: 0,
  };
}

/** After a restart: the durable facts, and nothing else. The first tick goes on with what they ask for. */
export function recover(
  self: string,
  dataset: string,
  copy: Copy | null,
  fences: Readonly<Record<string, Fence>>,
  known: { record: OwnershipRecord | null; tag: string | null; behind: boolean; buried: boolean },
): CopyState {
  // contactMs far in the past: a promise found at start is asked about at once.
  return { ...absentState(self, dataset), copy, fences, ...known, contactMs: Number.NEGATIVE_INFINITY };
}

export function step(state: CopyState, event: Event, nowMs: number, limits: MachineLimits = MACHINE_LIMITS): Step {
  switch (event.on) {
    case 'record':
      return learned({ ...state, record: event.record, tag: event.tag, behind: event.behind, buried: event.buried });
    case 'contact':
      return stay(event.from === state.copy?.promise?.to ? { ...state, contactMs: nowMs } : state);
    case 'published':
      return published(state, event.result);
    case 'fence-stored':
      return fenceStored(state, event);
    case 'fence-failed':
      return fenceFailed(state, event.failure, event.request);
    case 'persist-failed':
      return persistFailed(state, event.failure);
    case 'reload-failed':
      return stay({ ...state, phase: { at: 'unsure', waiting: true } }, warn(event.failure));
    case 'reloaded':
      if (state.phase.at !== 'unsure') return stay(state);
      return stay({ ...state, copy: event.copy, phase: IDLE, fresh: false });
    case 'tick':
      return tick(state, nowMs, limits);
    case 'create':
    case 'remove':
    case 'emptiness':
    case 'copy-created':
    case 'copy-create-failed':
    case 'remembered':
      return stepLife(state, event, limits);
    case 'follow':
    case 'seize':
      return stepReplica(state, event);
    case 'pulled':
    case 'pull-failed':
      return state.phase.at === 'following' ? stepReplica(state, event) : stepPull(state, event, limits);
    case 'pull':
    case 'cancel-pull':
    case 'drain-answered':
    case 'drain-refused':
    case 'refuse-asked':
      return stepPull(state, event, limits);
    default:
      if (isHandoffEvent(event)) return stepOwner(state, event, nowMs, limits);
      return stepPhase(state, event, nowMs, limits);
  }
}

/** Completions whose meaning depends on who asked. */
function stepPhase(state: CopyState, event: Event, nowMs: number, limits: MachineLimits): Step {
  switch (state.phase.at) {
    case 'idle':
    case 'unsure':
      return stay(state);
    case 'checking':
    case 'making':
    case 'registering':
    case 'resolving':
    case 'confirming':
    case 'settling':
    case 'emptying':
    case 'marking':
    case 'burying':
    case 'unmarking':
    case 'entombing':
      return stepLife(state, event, limits);
    case 'following':
    case 'seizing':
    case 'seized':
      return stepReplica(state, event);
    case 'claiming':
    case 'copying':
    case 'announcing':
    case 'asking':
    case 'finishing':
    case 'preparing':
    case 'committing':
    case 'adopting':
    case 'assuming':
    case 'demoting':
      return stepPull(state, event, limits);
    default:
      return stepOwner(state, event, nowMs, limits);
  }
}

function tick(state: CopyState, nowMs: number, limits: MachineLimits): Step {
  const { phase, copy } = state;
  if (phase.at === 'unsure') {
    return phase.waiting ? stay({ ...state, phase: { at: 'unsure', waiting: false } }, { do: 'reload' }) : stay(state);
  }
  if (phase.at !== 'idle') {
    if (!('waiting' in phase) || !phase.waiting) return stay(state);
    return phase.at === 'resolving' || phase.at === 'burying'
      ? stepLife(state, { on: 'tick' }, limits)
      : stepPull(state, { on: 'tick' }, limits);
  }
  if (!copy) return stay(state);
  if (copy.role === 'creating' || copy.deleting) return stepLife(state, { on: 'tick' }, limits);
  if (copy.role === 'prepared') return stepPull(state, { on: 'tick' }, limits);
  return stepOwner(state, { on: 'tick' }, nowMs, limits);
}

/** New knowledge about the record: only a deposed owner acts at once; everything else can wait for its turn. */
function learned(before: CopyState): Step {
  const state = before.record?.phase === 'stable' ? { ...before, drainSinceMs: null } : before;
  if (state.copy?.role !== 'owner' || state.phase.at !== 'idle' || state.copy.deleting) return stay(state);
  return publicationOf(state).kind === 'deposed' ? depose(state) : stay(state);
}

/** Who waits hears now that nobody knows, whatever the failure was: what the disk holds is found out without them. */
function persistFailed(state: CopyState, failure: Failure): Step {
  const { phase } = state;
  const request = 'request' in phase ? phase.request : null;
  return stay(
    { ...state, phase: { at: 'unsure', waiting: false } },
    { do: 'reload' },
    warn(failure),
    ...decline(request, 'STORAGE_OUTCOME_UNKNOWN', failure.message),
  );
}

function published(state: CopyState, result: (Event & { on: 'published' })['result']): Step {
  const idle = { ...state, publishing: false };
  if (result === null) return stay(idle);
  // A lost race: believe what is there; the next tick plans again.
  return learned(absorb(idle, result.ok ? result.value : result.current));
}

function fenceStored(state: CopyState, event: Event & { on: 'fence-stored' }): Step {
  // Two writes may be on their way: a later intention is not forgotten because an earlier one has arrived.
  const later = (state.fences[event.id]?.n ?? 0) > event.fence.n;
  const next = later ? state : { ...state, fences: { ...state.fences, [event.id]: event.fence } };
  if (event.fence.verdict === 'adopted') return stepPull(next, event, MACHINE_LIMITS);
  const effects: Effect[] = [];
  if (event.request) effects.push({ do: 'answer', request: event.request, answer: { ok: true, value: 'refused' } });
  if (event.tell) effects.push({ do: 'tell', to: event.tell, what: 'refused', id: event.id, n: event.fence.n });
  return stay(next, ...effects);
}

function fenceFailed(state: CopyState, failure: Failure, request: string | null): Step {
  const effects: Effect[] = [warn(failure)];
  if (request) effects.push({ do: 'answer', request, answer: { ok: false, failure } });
  if (state.phase.at === 'adopting' || state.phase.at === 'demoting')
    return stay({ ...state, phase: IDLE }, ...effects);
  return stay(state, ...effects);
}
