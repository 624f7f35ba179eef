// What a node with a withheld disk (docs/OWNERSHIP.md, An old disk) does not begin, and what it still does. Data.
import type { Effect, Event } from './state.ts';

/** What nobody may set going on a withheld disk; everything else ends what is under way. */
export const FROM_OUTSIDE: ReadonlySet<Event['on']> = new Set<Event['on']>([
  'record',
  'open',
  'create',
  'remove',
  'drain',
  'refuse-asked',
  'told-released',
  'told-refused',
  'contact',
  'pull',
  'follow',
  'retire',
  'seize',
  'tick',
]);

export const STILL_DONE: ReadonlySet<Effect['do']> = new Set<Effect['do']>([
  'answer',
  'note',
  'close-store',
  'fence',
  'cancel-pull',
]);
