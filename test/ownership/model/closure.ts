// All that one node's machine can be brought to: breadth first from a few beginnings, through every event that others may
// send and every end that an effect may have, whatever the rest of the world says in between. Exhaustive up to a bound on
// terms; states that differ in nothing but counters are one. Pure.
//
// The world here is more malicious than any real one (it may show any record at any time), so what holds on every step of
// the closure holds in every cluster.
import type { OwnershipRecord, TaggedRecord } from '../../../src/cluster/record.ts';
import type { Copy, CopyState, Effect, Event } from '../../../src/ownership/state.ts';
import { step } from '../../../src/ownership/transitions.ts';
import { copyOf, ID, OTHER, PREPARED, recordOf, run, type Start, start, term } from '../words.ts';
import { probesOf } from './probe.ts';
import type { Taken } from './world.ts';

/** Where a node may begin: at the home, at an owner, at a puller, after crashes. */
const STARTS: readonly Start[] = [
  {},
  { record: recordOf({ id: OTHER, phase: 'deleted', term: term(2) }) },
  { copy: copyOf(), record: recordOf() },
  { copy: copyOf({ promise: { to: 'b', term: term(3), snapshot: 's', guid: '7' } }), record: recordOf() },
  { copy: copyOf({ deleting: true }), record: recordOf() },
  { copy: copyOf({ role: 'creating' }) },
  { self: 'b', record: recordOf() },
  { self: 'b', copy: copyOf({ role: 'prior', term: term(2, 'b'), priorSinceMs: 1 }), record: recordOf() },
  { self: 'b', copy: copyOf({ role: 'receiving' }), record: recordOf({ phase: 'draining', target: 'b' }) },
  { self: 'b', copy: PREPARED, record: recordOf({ phase: 'draining', target: 'b' }) },
  {
    self: 'b',
    copy: copyOf({ role: 'prior', term: term(2, 'b'), priorSinceMs: 1 }),
    record: recordOf({ phase: 'draining', target: 'b' }),
  },
  { self: 'b', copy: PREPARED, record: null, fences: { [ID]: { n: 3, verdict: 'refused' } } },
];

/** The promise about which questions are asked; others would differ in the number alone. */
const PROMISED = 3;

interface Node {
  readonly state: CopyState;
  /** Asked for and not yet ended. */
  readonly pending: readonly Effect[];
}

export interface Closure {
  readonly states: number;
  readonly steps: number;
  /** The bound was met before everything was seen. */
  readonly cut: boolean;
}

export function explore(onStep: (taken: Taken) => void, { termMax = 5, statesMax = 50_000 } = {}): Closure {
  const seen = new Set<string>();
  let queue: Node[] = [];
  let steps = 0;
  const add = (node: Node, into: Node[]): void => {
    if (termOf(node.state) > termMax) return;
    const key = keyOf(node);
    if (seen.has(key)) return;
    seen.add(key);
    into.push(node);
  };
  for (const from of STARTS) add({ state: start(from), pending: [] }, queue);
  add({ state: serving(), pending: [] }, queue);
  while (queue.length > 0) {
    const next: Node[] = [];
    for (const node of queue) {
      if (seen.size >= statesMax) return { states: seen.size, steps, cut: true };
      for (const { event, ends } of eventsOf(node)) {
        const buried = event.on === 'record' ? event.buried : node.state.buried;
        const before: CopyState = { ...node.state, buried };
        const { state, effects } = step(before, event, 100_000);
        steps++;
        onStep({ before, event, after: state, effects });
        const pending = node.pending.filter((effect) => effect !== ends);
        add(canonical({ state, pending: [...pending, ...effects.filter(lasts)] }), next);
      }
    }
    queue = next;
  }
  return { states: seen.size, steps, cut: false };
}

function serving(): CopyState {
  const opened = copyOf({ term: term(4) });
  const events: readonly Event[] = [
    { on: 'open' },
    { on: 'persisted', copy: opened },
    { on: 'store-opened', term: opened.term },
    { on: 'published', result: { ok: true, value: { record: recordOf({ term: opened.term }), tag: 'u' } } },
  ];
  return run(start({ copy: copyOf(), record: recordOf() }), ...events).state;
}

/** Effects whose good end needs to know what was asked for. */
function lasts(effect: Effect): boolean {
  if (effect.do === 'store-fence') return effect.fence.verdict === 'adopted';
  return [
    'persist',
    'create-copy',
    'open-store',
    'cas',
    'publish',
    'move-away',
    'pull',
    'pull-final',
    'follow',
  ].includes(effect.do);
}

interface Next {
  readonly event: Event;
  readonly ends: Effect | null;
}

function eventsOf({ state, pending }: Node): Next[] {
  const moving = pending.find((effect) => effect.do !== 'publish') ?? null;
  const asked = probesOf(state).filter((event) => event.on !== 'refuse-asked' || event.n === PROMISED);
  const events: Next[] = asked.map((event) => ({ event, ends: endsPhase(event) ? moving : null }));
  for (const effect of pending) for (const event of endsOf(state, effect)) events.push({ event, ends: effect });
  for (const [id, fence] of Object.entries(state.fences)) {
    if (fence.verdict !== 'refused') continue;
    // Beside whatever else goes on: for the node that asked, or for the one that has to be told.
    events.push({ event: { on: 'fence-stored', id, fence, request: 'probe', tell: null }, ends: null });
    events.push({ event: { on: 'fence-stored', id, fence, request: null, tell: 'a' }, ends: null });
  }
  const records = recordsAbout(state);
  for (const record of records) {
    const buried = record?.phase === 'deleted' && record.term.n > 0 && record.id === state.copy?.id;
    // What was once known is never nothing again.
    if (record) events.push({ event: { on: 'record', record, tag: 't', behind: false, buried }, ends: null });
    for (const event of readings(state, record && { record, tag: 't' })) events.push({ event, ends: moving });
  }
  if (state.record) {
    const { record, buried } = state;
    events.push({ event: { on: 'record', record, tag: null, behind: true, buried }, ends: null });
  }
  return events;
}

function endsPhase(event: Event): boolean {
  return (
    !('request' in event) &&
    ![
      'tick',
      'open',
      'close',
      'pull',
      'follow',
      'retire',
      'seize',
      'accept-disk',
      'told-released',
      'told-refused',
    ].includes(event.on)
  );
}

/** Whatever the coordinator may hold, where the phase asks it. */
function readings({ phase }: CopyState, tagged: TaggedRecord | null): Event[] {
  const lost: Event = { on: 'cas-done', result: { ok: false, current: tagged } };
  const ground = 'ground' in phase ? phase.ground : 'g';
  const read: Event = { on: 'record-read', tagged, ground, complete: true };
  if ('waiting' in phase && phase.waiting) return [];
  switch (phase.at) {
    case 'checking':
    case 'resolving':
    case 'confirming':
      return [read, { ...read, complete: false }, { ...read, ground: 'another' }];
    case 'verifying':
      return [read];
    case 'claiming':
    case 'announcing':
    case 'registering':
      return [lost];
    case 'committing':
    case 'reclaiming':
    case 'seizing':
    case 'burying':
      return [read, lost];
    default:
      return [];
  }
}

function recordsAbout({ self, copy }: CopyState): (OwnershipRecord | null)[] {
  const n = copy?.term.n ?? 3;
  const owner = self === 'a' ? 'b' : 'a';
  const mine = recordOf({ owner: self, term: term(n, self) });
  const theirs = recordOf({ owner, term: term(n, owner) });
  return [
    null,
    mine,
    { ...mine, phase: 'draining', target: owner },
    { ...mine, phase: 'deleted' },
    { ...mine, phase: 'deleted', term: term(0, self) },
    theirs,
    { ...theirs, term: term(n + 1, owner) },
    { ...theirs, phase: 'draining', target: self },
    { ...theirs, phase: 'copying', target: self },
    { ...theirs, phase: 'copying', target: 'c' },
    recordOf({ id: OTHER, owner: 'c', term: term(n + 1, 'c') }),
    recordOf({ id: OTHER, owner: 'c', term: term(Math.max(1, n - 1), 'c') }),
    recordOf({ id: OTHER, owner: 'c', phase: 'deleted', term: term(Math.max(1, n - 1), 'c') }),
  ];
}

function endsOf(state: CopyState, effect: Effect): Event[] {
  switch (effect.do) {
    case 'persist': {
      const failure = { code: 'STORAGE_UNAVAILABLE', message: '' } as const;
      return [
        { on: 'persisted', copy: effect.copy },
        { on: 'persist-failed', failure },
        // It failed and got there: the reading that follows finds it.
        ...(state.phase.at === 'unsure' ? [{ on: 'reloaded', copy: effect.copy } as const] : []),
      ];
    }
    case 'create-copy':
      return [{ on: 'copy-created', copy: { ...effect.copy, id: ID } }];
    case 'open-store':
      return [{ on: 'store-opened', term: effect.term }];
    case 'cas':
      return [{ on: 'cas-done', result: { ok: true, value: { record: effect.next, tag: 'u' } } }];
    case 'publish':
      return [
        { on: 'published', result: null },
        { on: 'published', result: { ok: true, value: { record: effect.next, tag: 'u' } } },
      ];
    case 'store-fence':
      return [{ on: 'fence-stored', id: effect.id, fence: effect.fence, request: effect.request, tell: effect.tell }];
    case 'move-away':
      return [{ on: 'moved-away' }];
    case 'pull':
    case 'follow':
    case 'pull-final': {
      const { copy } = state;
      const received: Copy = copyOf({ role: 'receiving', id: effect.id });
      return [{ on: 'pulled', run: effect.run, copy: copy?.id === effect.id ? copy : received }];
    }
    default:
      return [];
  }
}

// --- one state for many ---------------------------------------------------------------------------------------------

function canonical({ state, pending }: Node): Node {
  const { phase } = state;
  const current = 'run' in phase ? phase.run : state.run;
  const run = current === state.run ? 1 : 2;
  const same: CopyState['phase'] = 'run' in phase ? { ...phase, run: 1 } : phase;
  // The reading after a failed write still knows what was to be written; anything else in doubt is forgotten.
  const keeps = pending.filter((effect) => effect.do === 'publish' || isAwaited(state, effect));
  const kept = keeps.map((effect) => ('run' in effect ? { ...effect, run: 1 } : effect));
  return { state: { ...state, run, phase: capped(same), contactMs: 0, drainSinceMs: null }, pending: kept };
}

function isAwaited({ phase }: CopyState, effect: Effect): boolean {
  if (phase.at === 'idle' || ('waiting' in phase && phase.waiting && phase.at !== 'unsure')) return false;
  return phase.at !== 'unsure' || effect.do === 'persist';
}

/** Counters of attempts matter only up to their limit. */
function capped(phase: CopyState['phase']): CopyState['phase'] {
  if ('tries' in phase && phase.at !== 'finishing') return { ...phase, tries: phase.tries > 5 ? 6 : 1 };
  if ('asks' in phase) return { ...phase, asks: phase.asks % 5 === 0 ? 5 : 4 };
  return phase;
}

function keyOf({ state, pending }: Node): string {
  return JSON.stringify([state, pending]);
}

function termOf({ copy, fences, record }: CopyState): number {
  return Math.max(copy?.term.n ?? 0, record?.term.n ?? 0, ...Object.values(fences).map((fence) => fence.n));
}
