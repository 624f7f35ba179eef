// Pure: a replica's side of the machine: follow the owner, and take its place by an operator's word. Entered from
// transitions.ts only; docs/REPLICAS.md.
//
// Following asks for nothing but snapshots: no claim, no promise, so it may begin and end at any moment. Taking over is
// decided by the record alone: of two replicas that try, one finds the other there.
import { type OwnershipRecord, recordVersion } from '../cluster/record.ts';
import { compareTerms } from '../common/term.ts';
import { ACCEPTED_TERM_STEP, raisedTerm } from './publication.ts';
import { pullable, staleCompletion } from './pull-transitions.ts';
import type { Copy, CopyState, Event, Phase, Step } from './state.ts';
import { absorb, IDLE, stay, warn } from './steps.ts';

type At<K extends Phase['at']> = Phase & { at: K };

export function stepReplica(state: CopyState, event: Event): Step {
  const { phase } = state;
  if (event.on === 'follow') return follow(state);
  if (event.on === 'seize') return seize(state, event);
  switch (phase.at) {
    case 'following':
      return followed(state, phase, event);
    case 'seizing':
      return seizing(state, phase, event);
    case 'seized':
      // A term of its own that nothing was opened under: the next request opens it.
      if (event.on !== 'persisted') return stay(state);
      return stay(
        { ...state, copy: event.copy, fresh: true, phase: IDLE },
        { do: 'note', level: 'warn', message: `${state.dataset}: owner here now, by an operator's word` },
      );
    default:
      return stay(state);
  }
}

function follow(state: CopyState): Step {
  const record = pullable(state);
  if (state.phase.at !== 'idle' || !record || record.target === state.self) return stay(state);
  // What stands here of an earlier dataset of the name goes by its own rules first.
  if (state.copy && state.copy.id !== record.id) return stay(state);
  const run = state.run + 1;
  const { owner: source, id } = record;
  return stay({ ...state, run, phase: { at: 'following', run, source, id } }, { do: 'follow', run, source, id });
}

function followed(state: CopyState, phase: At<'following'>, event: Event): Step {
  if (event.on !== 'pulled' && event.on !== 'pull-failed') return stay(state);
  if (event.run !== phase.run) return staleCompletion(state, event);
  const effects = event.on === 'pull-failed' ? [warn(event.failure)] : [];
  return stay({ ...state, copy: event.copy, phase: IDLE }, ...effects);
}

// --- taking over ---------------------------------------------------------------------------------------------------

function seize(state: CopyState, { id, owner }: Event & { on: 'seize' }): Step {
  if (state.phase.at !== 'idle' || !isReplica(state.copy, id) || state.buried) return stay(state);
  return stay({ ...state, phase: { at: 'seizing', id, owner } }, { do: 'read-record' });
}

function isReplica(copy: Copy | null, id: string): boolean {
  return copy?.id === id && (copy.role === 'receiving' || copy.role === 'prior');
}

function seizing(state: CopyState, phase: At<'seizing'>, event: Event): Step {
  const { copy } = state;
  const { id } = phase;
  if (!copy) return stay({ ...state, phase: IDLE });
  // Unavailable, or unknown: what stands here is as it was, and the operator asks again.
  if (event.on === 'coordinator-failed') return stay({ ...state, phase: IDLE }, warn(event.failure));
  if (event.on === 'record-read') {
    const { tagged, known } = event;
    const seen = absorb(state, tagged);
    // A restored dump may show an owner of long ago; what this node knows counts beside it.
    const heard = tagged?.record ?? null;
    const isNewer =
      known?.id === id && (heard === null || (heard.id === id && compareTerms(known.term, heard.term) > 0));
    const current = isNewer ? known : (heard ?? known ?? null);
    if (current && !isOf(current, phase, state.self)) {
      const message = `${state.dataset}: not taken over, the record is of ${current.owner}`;
      return stay({ ...seen, phase: IDLE }, { do: 'note', level: 'error', message });
    }
    // The lost owner may have opened once more than anybody heard of (I4).
    const raised = raisedTerm(seen, copy, [current?.term ?? null, known?.id === copy.id ? known.term : null]);
    const term = { n: raised.n + ACCEPTED_TERM_STEP, node: raised.node };
    const next = recordOfTakeover(state, copy, term, current);
    return stay(seen, { do: 'cas', tag: tagged?.tag ?? null, next });
  }
  if (event.on !== 'cas-done') return stay(state);
  if (!event.result.ok) return stay(state, { do: 'read-record' });
  const { record, tag } = event.result.value;
  // Crash here: the record names this node, and the copy is a replica still; the operator asks again.
  return stay(
    { ...state, record, tag, behind: false, phase: { at: 'seized' } },
    { do: 'persist', copy: { ...copy, role: 'owner', term: record.term, priorSinceMs: null } },
  );
}

/** Of the owner that was given up, or of this node, which was cut short after its commit. */
function isOf(record: OwnershipRecord, { id, owner }: At<'seizing'>, self: string): boolean {
  return record.id === id && record.phase !== 'deleted' && (record.owner === owner || record.owner === self);
}

function recordOfTakeover(
  { self, dataset }: CopyState,
  copy: Copy,
  term: OwnershipRecord['term'],
  current: OwnershipRecord | null,
): OwnershipRecord {
  return {
    version: recordVersion(copy.creator),
    dataset,
    id: copy.id,
    owner: self,
    term,
    phase: 'stable',
    target: null,
    pin: current?.pin ?? null,
    inSync: [self],
    createdMs: copy.createdMs,
    creator: copy.creator,
  };
}
