// The words in which the transition files write their steps. Pure.
import type { TaggedRecord } from '../cluster/record.ts';
import type { CopyState, Effect, Failure, Phase, Step } from './state.ts';

export const IDLE: Phase = { at: 'idle' };

/** A wall-clock time that the runner fills in when it writes the copy; `persisted` brings it back. */
export const STAMP = 0;

export function stay(state: CopyState, ...effects: Effect[]): Step {
  return { state, effects };
}

/** What the coordinator itself has just said: taken as it is, the decision at hand compares terms. */
export function absorb(state: CopyState, tagged: TaggedRecord | null): CopyState {
  return tagged
    ? { ...state, record: tagged.record, tag: tagged.tag, behind: false }
    : { ...state, tag: null, behind: state.record !== null };
}

export function answer(request: string | null, value: unknown): Effect[] {
  return request === null ? [] : [{ do: 'answer', request, answer: { ok: true, value } }];
}

export function decline(request: string | null, code: Failure['code'], message: string, details?: unknown): Effect[] {
  const failure = details === undefined ? { code, message } : { code, message, details };
  return request === null ? [] : [{ do: 'answer', request, answer: { ok: false, failure } }];
}

export function warn(failure: Failure): Effect {
  return { do: 'note', level: 'warn', message: `${failure.code}: ${failure.message}` };
}
