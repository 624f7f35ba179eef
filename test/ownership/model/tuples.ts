// What a step does, in the words of the tables of docs/OWNERSHIP-TABLES.md: standing, phase, event → standing, phase,
// effects. Pure. Terms, records and reasons are left out: conditions.ts checks those.
import type { CopyState, Effect, Event } from '../../../src/ownership/state.ts';
import type { Taken } from './world.ts';

export interface Tuple {
  readonly role: string;
  readonly phase: string;
  readonly event: string;
  readonly toPhase: string;
  readonly toRole: string;
  readonly effects: readonly string[];
}

/** Null for a step that the page's rule covers: nothing but knowledge changed, or a request was declined. */
export function tupleOf({ before, event, after, effects }: Taken): Tuple | null {
  const tuple: Tuple = {
    role: roleOf(before),
    phase: phaseOf(before),
    event: eventOf(event),
    toPhase: phaseOf(after),
    toRole: roleOf(after),
    effects: effects.map(effectOf).filter((word) => word !== null),
  };
  const stays = tuple.role === tuple.toRole && tuple.phase === tuple.toPhase;
  return stays && tuple.effects.every((word) => word === 'decline') ? null : tuple;
}

/** The role on the disk, and what beside it decides. */
export function roleOf({ copy }: CopyState): string {
  if (!copy) return '–';
  if (copy.promise) return 'promised';
  return copy.deleting ? 'deleting' : copy.role;
}

/** A phase that waits for the next tick has a star. */
export function phaseOf({ phase }: CopyState): string {
  return 'waiting' in phase && phase.waiting ? `${phase.at}*` : phase.at;
}

/** The event, and of what it says only what the tables tell apart. */
export function eventOf(event: Event): string {
  switch (event.on) {
    case 'cas-done':
      return event.result.ok ? 'cas-done' : 'cas-lost';
    case 'emptiness':
      return event.empty ? 'empty' : 'not-empty';
    case 'refuse-answered':
      return `answered ${event.verdict}`;
    case 'fence-stored':
      return `${event.fence.verdict} stored`;
    default:
      return event.on;
  }
}

function effectOf(effect: Effect): string | null {
  switch (effect.do) {
    case 'note':
      return null;
    case 'answer':
      return effect.answer.ok ? 'answer' : 'decline';
    case 'tell':
      return `tell ${effect.what}`;
    case 'store-fence':
      return `store ${effect.fence.verdict}`;
    case 'move-away':
      return `move-away ${effect.how}`;
    default:
      return effect.do;
  }
}
