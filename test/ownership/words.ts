// Words in which tests speak of one machine: a copy, a record, a start, a run of events. Shapes only.
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import type { Copy, CopyState, Effect, Event, Fence } from '../../src/ownership/state.ts';
import { recover, step } from '../../src/ownership/transitions.ts';

export const ID = '0'.repeat(32);
export const OTHER = '1'.repeat(32);

export function term(n: number, node = 'a') {
  return { n, node };
}

/** An owner at 3@a unless told otherwise. */
export function copyOf(change: Partial<Copy> = {}): Copy {
  return {
    id: ID,
    role: 'owner',
    term: term(3),
    createdMs: 1,
    creator: null,
    promise: null,
    source: null,
    deleting: false,
    priorSinceMs: null,
    ...change,
  };
}

/** Of the copy above, stable. */
export function recordOf(change: Partial<OwnershipRecord> = {}): OwnershipRecord {
  return {
    version: 1,
    dataset: 'd',
    id: ID,
    owner: 'a',
    term: term(3),
    phase: 'stable',
    target: null,
    pin: null,
    inSync: [change.owner ?? 'a'],
    createdMs: 1,
    creator: null,
    ...change,
  };
}

export const PROMISE = { to: 'b', term: term(3), snapshot: 's', guid: '77' };
export const SOURCE = { node: 'a', term: term(3), snapshot: 's', guid: '77' };
export const PREPARED = copyOf({ role: 'prepared', term: term(4, 'b'), source: SOURCE });

export interface Start {
  readonly self?: string;
  readonly copy?: Copy | null;
  readonly record?: OwnershipRecord | null;
  readonly tag?: string | null;
  readonly fences?: Record<string, Fence>;
  readonly buried?: boolean;
}

/** As a restart finds it. */
export function start({
  self = 'a',
  copy = null,
  record = null,
  tag = record ? 't' : null,
  fences = {},
  buried = false,
}: Start): CopyState {
  return recover(self, 'd', copy, fences, { record, tag, behind: false, buried });
}

export interface Ran {
  readonly state: CopyState;
  /** Of the last event. */
  readonly effects: readonly Effect[];
  /** What each event asked for, in words. */
  readonly all: readonly string[];
}

export function run(state: CopyState, ...events: readonly Event[]): Ran {
  let ran: Ran = { state, effects: [], all: [] };
  for (const event of events) {
    const taken = step(ran.state, event, 0);
    ran = { ...taken, all: [...ran.all, taken.effects.map((one) => one.do).join(' ')] };
  }
  return ran;
}

export function read(record: OwnershipRecord | null, { tag = 'x', ground = 'i', complete = true } = {}): Event {
  return { on: 'record-read', tagged: record && { record, tag }, ground, complete };
}

export function failed(code: 'COORDINATOR_UNAVAILABLE' | 'COORDINATOR_OUTCOME_UNKNOWN'): Event {
  return { on: 'coordinator-failed', failure: { code, message: '' } };
}

export function wrote(record: OwnershipRecord, tag = 'y'): Event {
  return { on: 'cas-done', result: { ok: true, value: { record, tag } } };
}

export function lost(record: OwnershipRecord | null, tag = 'y'): Event {
  return { on: 'cas-done', result: { ok: false, current: record && { record, tag } } };
}

export function effect<K extends Effect['do']>(effects: readonly Effect[], kind: K): (Effect & { do: K }) | undefined {
  return effects.find((one): one is Effect & { do: K } => one.do === kind);
}
