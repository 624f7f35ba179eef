// The operations of the ownership machine as preconditions and postconditions, checked on single steps: what must be true
// before an effect is asked for, whose word it rests on, and what a crash right after leaves. Pure and quick, so that every
// step of every walk and of every simulated node can be checked. It knows the vocabulary of state.ts and nothing of how
// the transitions come to their decisions.
import { isDeepStrictEqual } from 'node:util';
import type { OwnershipRecord, TaggedRecord } from '../../../src/cluster/record.ts';
import { compareTerms } from '../../../src/common/term.ts';
import { isQuiet } from '../../../src/ownership/gate-state.ts';
import { publicationOf } from '../../../src/ownership/publication.ts';
import type { Copy, CopyState, Effect, Event, Fence, Phase } from '../../../src/ownership/state.ts';
import { recover, step } from '../../../src/ownership/transitions.ts';

interface Taken {
  readonly before: CopyState;
  readonly event: Event;
  readonly after: CopyState;
  readonly effects: readonly Effect[];
}

type Do<K extends Effect['do']> = Effect & { do: K };

/** Throws when this step breaks a condition; the message names it and shows the step. */
export function checkStep(before: CopyState, event: Event, after: CopyState, effects: readonly Effect[]): void {
  const taken: Taken = { before, event, after, effects };
  checkState(after, taken);
  checkChange(taken);
  checkFlow(taken);
  for (const effect of effects) checkEffect(taken, effect);
  if (
    before.copy !== after.copy ||
    before.fences !== after.fences ||
    effects.some(({ do: what }) => what === 'persist')
  )
    checkCrash(taken);
}

function must(condition: boolean, what: string, { before, event, after, effects }: Taken): asserts condition {
  if (condition) return;
  const shown = JSON.stringify({ before, event, after, effects }, null, 1);
  throw new Error(`condition broken at ${before.self}: ${what}\n${shown}`);
}

// --- every state ---------------------------------------------------------------------------------------------------

function checkState(state: CopyState, taken: Taken): void {
  const { copy, openTerm, self } = state;
  if (openTerm) {
    must(copy?.role === 'owner', 'a store is open at an owner only', taken);
    must(copy.promise === null, 'what is promised is closed', taken);
    must(same(copy.term, openTerm), 'a store is open under the term of its copy', taken);
    must(openTerm.node === self, 'a node opens under terms of its own', taken);
  }
  if (!copy) return;
  must(
    (copy.role === 'prepared') === (copy.source !== null),
    'prepared names what it rests on, nothing else does',
    taken,
  );
  if (copy.source) must(compareTerms(copy.term, copy.source.term) > 0, 'a prepared term is above the promised', taken);
  if (copy.promise) {
    must(copy.role === 'owner' && !copy.deleting, 'only an owner that stays promises', taken);
    must(same(copy.promise.term, copy.term), 'the promise is of the term of its copy', taken);
    must(copy.promise.to !== self && copy.promise.guid !== '', 'a promise is to another, with its proof', taken);
  }
  if (copy.deleting) must(copy.role === 'owner', 'only an owner removes', taken);
}

// --- every change --------------------------------------------------------------------------------------------------

const BRINGS_COPY: readonly Event['on'][] = [
  'persisted',
  'reloaded',
  'copy-created',
  'pulled',
  'pull-failed',
  'moved-away',
];

function checkChange(taken: Taken): void {
  const { before, event, after } = taken;
  if (before.copy !== after.copy) {
    must(BRINGS_COPY.includes(event.on), 'the copy is what the disk says', taken);
    const pulled = event.on === 'pulled' || event.on === 'pull-failed';
    if (pulled) {
      for (const copy of [before.copy, after.copy])
        must(!copy || copy.role === 'receiving' || copy.role === 'prior', 'a pull touches no other role', taken);
    } else if (before.copy && after.copy?.id === before.copy.id) {
      must(compareTerms(after.copy.term, before.copy.term) >= 0, 'I4: the term of a copy does not go down', taken);
    }
  }
  if (before.fences !== after.fences) checkFences(before.fences, after.fences, taken);
  if (after.openTerm && !before.openTerm) must(event.on === 'store-opened', 'open means opened', taken);
  if (before.openTerm && !after.openTerm) {
    const closes = event.on === 'store-closed' || event.on === 'sealed' || event.on === 'seal-failed';
    must(closes, 'closed means closed', taken);
  }
}

function checkFences(
  before: Readonly<Record<string, Fence>>,
  after: Readonly<Record<string, Fence>>,
  taken: Taken,
): void {
  for (const id of Object.keys(before)) {
    const [was, is] = [before[id], after[id]];
    must(was !== undefined && is !== undefined && is.n >= was.n, 'a fence does not go down', taken);
    if (is.n === was.n) must(is.verdict === was.verdict, 'a decided promise stays decided', taken);
  }
}

/** Effects after which the machine waits for a completion that moves the phase. */
const MOVING: readonly Effect['do'][] = [
  'persist',
  'reload',
  'create-copy',
  'open-store',
  'close-store',
  'probe-empty',
  'seal',
  'fence',
  'move-away',
  'read-record',
  'cas',
  'remember',
  'pull',
  'pull-final',
  'follow',
  'ask-drain',
  'ask-refuse',
];

function checkFlow(taken: Taken): void {
  const { before, after, effects } = taken;
  const moving = effects.filter((effect) => MOVING.includes(effect.do) || isAdoption(effect));
  const discards = moving.length === 2 && moving[0]?.do === 'remember' && moving[1]?.do === 'move-away';
  must(moving.length <= 1 || discards, 'one effect that moves the phase at a time', taken);
  const rests = after.phase.at === 'idle' || ('waiting' in after.phase && after.phase.waiting);
  if (moving.length > 0) must(!rests, 'whoever asks for an effect waits for it', taken);
  else if (!rests) must(before.phase.at === after.phase.at, 'nobody waits for what was not asked for', taken);
}

function isAdoption(effect: Effect): boolean {
  return effect.do === 'store-fence' && effect.fence.verdict === 'adopted';
}

// --- every effect --------------------------------------------------------------------------------------------------

function checkEffect(taken: Taken, effect: Effect): void {
  switch (effect.do) {
    case 'persist':
      checkPersist(taken, effect);
      return;
    case 'open-store':
      checkOpen(taken, effect);
      return;
    case 'store-fence':
      checkStoreFence(taken, effect);
      return;
    case 'cas':
      checkCas(taken, effect);
      return;
    case 'publish':
      checkPublish(taken, effect);
      return;
    case 'move-away':
      checkMoveAway(taken, effect);
      return;
    case 'seal':
      checkSeal(taken, effect);
      return;
    case 'tell':
      checkTell(taken, effect);
      return;
    case 'answer':
      checkAnswer(taken, effect);
      return;
    case 'pull':
    case 'follow':
    case 'pull-final': {
      const role = taken.after.copy?.role;
      must(
        role === undefined || role === 'receiving' || role === 'prior',
        'nothing is pulled onto another role',
        taken,
      );
      // Asked again by a tick it may have been refused meanwhile; then its end is not taken up (`preparing`).
      if (effect.do === 'pull-final' && taken.event.on === 'drain-answered')
        must(undecided(taken.after, effect.id, effect.source.term.n), 'a refused promise is not taken up', taken);
      return;
    }
    case 'create-copy': {
      const { event, after } = taken;
      must(event.on === 'record-read' && event.complete, 'nothing is made on unsure ground', taken);
      const free = !recordIn(event) || recordIn(event)?.phase === 'deleted';
      must(after.copy === null && free, 'nothing is made over another', taken);
      must(effect.copy.role === 'creating', 'what is made is not in use', taken);
      const floor = Math.max(recordIn(event)?.term.n ?? 0, taken.before.record?.term.n ?? 0);
      must(effect.copy.term.n > floor, "I4: above the name's former terms", taken);
      return;
    }
    case 'read-record': {
      const isMadeAway = taken.after.copy?.origin !== undefined && taken.after.phase.at === 'confirming';
      must((effect.settled === true) === isMadeAway, 'what is made away from its home is known there first', taken);
      return;
    }
    case 'ask-refuse':
      must(taken.after.copy?.promise?.to === effect.to, 'only the node of the promise is asked', taken);
      return;
    default:
  }
}

function checkOpen(taken: Taken, { id, term }: Do<'open-store'>): void {
  const { before, event, after } = taken;
  const { copy } = after;
  must(copy?.role === 'owner' && copy.id === id && same(copy.term, term), 'opened at the term on the disk', taken);
  must(!copy.promise && !copy.deleting && before.openTerm === null, 'I1: nothing promised is opened', taken);
  const raised = event.on === 'persisted' && before.phase.at === 'raising';
  if (raised) must((before.fences[id]?.n ?? 0) < term.n, 'I1: above every promise decided here', taken);
  must(raised || (event.on === 'open' && before.fresh), 'I4: a term is used once', taken);
}

function checkPersist(taken: Taken, { copy }: Do<'persist'>): void {
  const { before, event, after } = taken;
  // A pull may have brought another dataset of the name; what it replaced is set aside by then.
  const was = event.on === 'pulled' ? after.copy : (before.copy ?? after.copy);
  must(was !== null && was.id === copy.id, 'only the copy that stands there is written', taken);
  must(compareTerms(copy.term, was.term) >= 0, 'I4: a term on the disk does not go down', taken);
  const check = PERSISTS[after.phase.at];
  must(check !== undefined, `nothing is written while ${after.phase.at}`, taken);
  check(taken, was, copy);
  checkState({ ...after, copy, openTerm: null }, taken);
}

type PersistCheck = (taken: Taken, was: Copy, copy: Copy) => void;

const PERSISTS: { readonly [at in Phase['at']]?: PersistCheck } = {
  raising(taken, was, copy) {
    const { after } = taken;
    must(was.role === 'owner' && !was.promise && !was.deleting, 'I1: only a free owner takes a term', taken);
    must(after.openTerm === null, 'a term is taken with the store closed', taken);
    must(copy.term.n > was.term.n && copy.term.node === after.self, 'I4: a new term of its own', taken);
    const known = after.record?.id === copy.id ? after.record.term.n : 0;
    must(copy.term.n > known, 'I4: above the record', taken);
    must(changes(was, copy, 'term'), 'and nothing else', taken);
  },
  promising(taken, was, copy) {
    const { before, event, after } = taken;
    must(event.on === 'sealed' && before.phase.at === 'sealing', 'I2: promised is what was sealed', taken);
    must(after.openTerm === null, 'I1: promised with the store closed', taken);
    must(
      copy.promise?.guid === event.guid && copy.promise.to === before.phase.from,
      'to whom it was sealed for',
      taken,
    );
    must(was.promise === null && changes(was, copy, 'promise'), 'one promise at a time', taken);
  },
  resuming(taken, was, copy) {
    const { event, after } = taken;
    if (event.on === 'accept-disk') {
      must(after.openTerm === null, 'raised with the store closed', taken);
      return;
    }
    const record = recordIn(event);
    must(
      event.on === 'cas-done' && event.result.ok && record !== null,
      'the record first, then the promise goes',
      taken,
    );
    must(record.owner === after.self && record.id === copy.id && same(record.term, copy.term), 'as committed', taken);
    must(was.promise !== null && copy.term.n > was.promise.term.n + 1, 'I1: above the term that was refused', taken);
    must(changes(was, copy, 'term', 'promise'), 'and nothing else', taken);
  },
  releasing(taken, was, copy) {
    const { event } = taken;
    const asked = event.on === 'refuse-answered' && event.verdict === 'taken';
    const told = event.on === 'told-released' && event.n === was.promise?.term.n && event.from === was.promise.to;
    must(was.promise !== null && (asked || told), 'let go on the word of the node of the promise', taken);
    must(copy.role === 'prior' && copy.promise === null, 'kept for the way back', taken);
  },
  settling(taken, was, copy) {
    const { before, event } = taken;
    const record = recordIn(event);
    must(was.role === 'creating' && copy.role === 'owner' && changes(was, copy, 'role'), 'creating ends so', taken);
    must(event.on === 'record-read' && event.complete && before.phase.at === 'confirming', 'on sure ground', taken);
    must(event.ground === before.phase.ground, 'the ground is what it was', taken);
    must(record?.id === copy.id && record.phase !== 'deleted', 'and registered', taken);
  },
  marking(taken, was, copy) {
    const { event } = taken;
    must(event.on === 'emptiness' && event.empty && event.failure === null, 'removed is what was proven empty', taken);
    must(was.role === 'owner' && !was.promise && changes(was, copy, 'deleting'), 'by its owner', taken);
  },
  unmarking(taken, was, copy) {
    const { before, event } = taken;
    const record = recordIn(event);
    const untouched = event.on === 'coordinator-failed' && event.failure.code === 'COORDINATOR_UNAVAILABLE';
    const served = record?.id === was.id && record.owner !== before.self && compareTerms(record.term, was.term) > 0;
    must(before.phase.at === 'burying' && (untouched || served), 'a removal is not taken back on a guess', taken);
    if (untouched) must(before.phase.request !== null, 'nor after an unknown outcome', taken);
    must(was.deleting && !copy.deleting && changes(was, copy, 'deleting'), 'and nothing else', taken);
  },
  preparing(taken, was, copy) {
    const { before, event } = taken;
    must(event.on === 'pulled' && before.phase.at === 'finishing', 'I2: prepared is what was pulled to the end', taken);
    must(isDeepStrictEqual(copy.source, before.phase.source), 'I2: up to the promised snapshot', taken);
    must(was.role === 'receiving' || was.role === 'prior', 'onto a copy that nobody writes', taken);
    must(undecided(before, copy.id, before.phase.source.term.n), 'I1: a refused promise is not taken up', taken);
    must(copy.term.node === before.self, 'I4: a term of its own', taken);
  },
  assuming(taken, was, copy) {
    const { event } = taken;
    must(event.on === 'fence-stored' && event.fence.verdict === 'adopted', 'I1: adopted on the disk first', taken);
    must(was.role === 'prepared' && event.fence.n === was.source?.term.n, 'this promise', taken);
    must(copy.role === 'owner' && changes(was, copy, 'role', 'source'), 'at the prepared term', taken);
  },
  seized(taken, was, copy) {
    const { before, event, after } = taken;
    const record = recordIn(event);
    must(event.on === 'cas-done' && event.result.ok && record !== null, 'I1: the record first', taken);
    must(record.owner === after.self && record.id === copy.id && same(record.term, copy.term), 'as committed', taken);
    must(was.role === 'receiving' || was.role === 'prior', 'a replica takes over', taken);
    must(before.phase.at === 'seizing' && before.phase.id === copy.id, "on an operator's word", taken);
    must(copy.role === 'owner' && copy.promise === null && copy.priorSinceMs === null, 'as its free owner', taken);
  },
  demoting(taken, was, copy) {
    if (taken.event.on === 'accept-disk') return;
    must(was.role === 'prepared' && copy.role === 'receiving', 'only what is prepared is set back', taken);
    const record = recordIn(taken.event);
    const givenUp = record?.id === was.id && record.owner !== taken.after.self && record.term.n > was.term.n;
    must(givenUp || !undecided(taken.after, was.id, was.source?.term.n ?? 0), 'when its promise was refused', taken);
  },
};

function checkStoreFence(taken: Taken, { id, fence }: Do<'store-fence'>): void {
  const { before, event, after } = taken;
  const { copy } = after;
  const known = before.fences[id];
  must(!known || known.n <= fence.n, 'a fence does not go down', taken);
  if (known?.n === fence.n) must(known.verdict === fence.verdict, 'a decided promise stays decided', taken);
  if (fence.verdict === 'refused') {
    const held = copy?.role === 'prepared' && copy.id === id && copy.source?.term.n === fence.n;
    const again = known?.n === fence.n;
    const record = recordIn(event);
    const givenUp =
      record?.id === id && record.owner !== after.self && compareTerms(record.term, copy?.term ?? record.term) > 0;
    if (event.on !== 'accept-disk') must(!held || again || givenUp, 'I1: what is prepared is not refused', taken);
    must(after.fences[id]?.n === fence.n && after.fences[id]?.verdict === 'refused', 'meant is binding at once', taken);
    return;
  }
  const record = recordIn(event);
  must(copy?.role === 'prepared' && copy.source?.term.n === fence.n, 'adopted is what is prepared', taken);
  must(record?.id === id && record.owner === after.self && same(record.term, copy.term), 'I1: after its commit', taken);
}

function checkCas(taken: Taken, { next }: Do<'cas'>): void {
  const { event, after } = taken;
  const { copy, self, record, phase } = after;
  must(next.inSync.includes(next.owner), 'an owner is in sync with itself', taken);
  switch (phase.at) {
    case 'claiming':
    case 'announcing':
      must(next.target === self && next.owner !== self, 'a claim of another node’s dataset', taken);
      must(next.phase === (phase.at === 'claiming' ? 'copying' : 'draining'), `a claim while ${phase.at}`, taken);
      must(next.id === record?.id && same(next.term, record.term), 'a claim moves nothing else', taken);
      return;
    case 'registering': {
      must(
        copy?.role === 'creating' && next.id === copy.id && next.phase !== 'deleted',
        'registered is what was made',
        taken,
      );
      const again = event.on === 'record-read' && next === event.tagged?.record;
      must(again || next.pin === (copy.origin === undefined ? null : self), 'a clone stays where it is', taken);
      must(again || (next.owner === self && same(next.term, copy.term)), 'as it was made, or as it stands', taken);
      return;
    }
    case 'burying': {
      must(
        copy?.deleting === true && next.id === copy.id && next.phase === 'deleted',
        'buried is what is marked',
        taken,
      );
      must(compareTerms(next.term, copy.term) >= 0, 'I4: at its term', taken);
      const current = recordIn(event);
      const free = !current || current.id === copy.id || current.term.n < copy.term.n;
      must(free, 'I3: the next dataset of the name is not buried', taken);
      return;
    }
    case 'committing':
      must(
        copy?.role === 'prepared' && next.id === copy.id && next.owner === self,
        'committed is what is prepared',
        taken,
      );
      must(same(next.term, copy.term) && next.phase === 'stable', 'I4: at the prepared term', taken);
      must(undecided(after, copy.id, copy.source?.term.n ?? 0), 'I1: a refused promise is not taken up', taken);
      return;
    case 'seizing': {
      const current = recordIn(event);
      const known = current ?? record;
      must(copy?.role === 'receiving' || copy?.role === 'prior', 'a replica takes over', taken);
      must(next.id === copy.id && next.owner === self && phase.id === copy.id, 'its own dataset', taken);
      must(next.phase === 'stable' && next.term.node === self, 'I4: a term of its own', taken);
      must(next.term.n > Math.max(copy.term.n, known?.term.n ?? 0) + 1, 'I4: far above all that is known', taken);
      const given = !current || current.owner === phase.owner || current.owner === self;
      must(given && current?.phase !== 'deleted', 'I1: only from the owner that was given up', taken);
      return;
    }
    case 'reclaiming':
      must(copy?.promise != null && next.id === copy.id && next.owner === self, 'resumed is what was promised', taken);
      must(next.term.n > copy.promise.term.n + 1 && next.term.node === self, 'I1: above the refused term', taken);
      return;
    default:
      must(false, `nothing is committed while ${phase.at}`, taken);
  }
}

function checkPublish(taken: Taken, { next }: Do<'publish'>): void {
  const { before, after } = taken;
  const { copy, self } = after;
  const takesBack = copy?.role === 'creating';
  must(takesBack || !before.publishing, 'one publication at a time', taken);
  if (copy?.role === 'owner') {
    must(
      next.id === copy.id && next.owner === self && same(next.term, copy.term),
      'published is what stands here',
      taken,
    );
    must(next.phase !== 'deleted', 'and lives', taken);
    if (copy.promise) must(next.target === copy.promise.to && next.phase === 'draining', 'with its promise', taken);
  } else if (copy?.role === 'creating') {
    must(next.id === copy.id && next.phase === 'deleted' && next.term.n < copy.term.n, 'taken back, below it', taken);
  } else {
    must(next.id === after.record?.id && next.owner === after.record.owner, 'a claim is taken back', taken);
    must(next.phase === 'stable' && after.record.target === self, 'its own', taken);
  }
}

function checkMoveAway(taken: Taken, { copy, how }: Do<'move-away'>): void {
  const { before, event, after } = taken;
  must(after.openTerm === null, 'renamed with the store closed', taken);
  must(copy === after.copy, 'the copy that stands there', taken);
  if (how === 'deposed') {
    must(copy.role === 'owner' && !copy.deleting, 'set aside is an owner', taken);
    return;
  }
  if (copy.role === 'owner') {
    const known = before.buried || event.on === 'remembered' || event.on === 'store-closed';
    must(copy.deleting && known, 'destroyed is what has its tombstone', taken);
    return;
  }
  must(copy.role !== 'prepared', 'what may be the only copy is not destroyed', taken);
  if (copy.role === 'creating') return;
  must(event.on === 'retire' || before.buried, 'destroyed is what others hold, or nobody needs', taken);
}

function checkSeal(taken: Taken, { id, term, to }: Do<'seal'>): void {
  const { before, event, after } = taken;
  const record = recordIn(event);
  must(event.on === 'record-read' && before.phase.at === 'verifying', 'sealed on a fresh reading', taken);
  must(record?.phase === 'draining' && record.target === to && record.id === id, 'for the node it names', taken);
  must(record.owner === after.self && compareTerms(record.term, term) <= 0, 'by the owner it names', taken);
  must(after.copy?.promise === null && !after.copy.deleting, 'free to be handed over', taken);
}

function checkTell(taken: Taken, { what, id, n, to }: Do<'tell'>): void {
  const { before, event } = taken;
  if (what === 'refused') {
    const stored = event.on === 'fence-stored' && event.fence.verdict === 'refused' && event.id === id;
    must(stored && event.fence.n === n && event.tell === to, 'a refusal is told from the disk', taken);
    return;
  }
  must(event.on === 'persisted' && before.phase.at === 'assuming', 'released is told by the owner', taken);
  must(before.copy?.source?.node === to && before.copy.source.term.n === n, 'to whom it took over from', taken);
}

function checkAnswer(taken: Taken, { answer }: Do<'answer'>): void {
  const { event, after } = taken;
  if (!answer.ok) return;
  if (event.on === 'drain') {
    const durable = answer.value === after.copy?.promise && after.copy?.promise?.to === event.from;
    must(durable, 'the promise that is on the disk, to whom it was given', taken);
    return;
  }
  if (event.on === 'refuse-asked') {
    const fence = after.fences[event.id];
    if (answer.value === 'pending') {
      must(undecided(after, event.id, event.n), 'pending is undecided', taken);
      return;
    }
    must(answer.value === 'taken', 'refused is answered from the disk', taken);
    const adopted = fence?.n === event.n && fence.verdict === 'adopted';
    // A third node above the promise: only an adoption leads there, even if this disk has lost it.
    const { record } = after;
    const gone = record?.id === event.id && record.term.n > event.n && record.owner !== event.from;
    must(adopted || (fence?.n ?? 0) > event.n || gone, 'taken is adopted', taken);
    return;
  }
  if (event.on === 'fence-stored') must(event.fence.verdict === 'refused', 'refused is what was stored', taken);
  if (event.on === 'remembered') must(after.copy?.deleting === true, 'removed is what was marked', taken);
}

// --- a crash right after -------------------------------------------------------------------------------------------

/** Whatever of the writes on their way got there: start-up finds a state that is whole, and knows how to go on. */
function checkCrash(taken: Taken): void {
  const { after, effects } = taken;
  const copies = new Set([after.copy]);
  for (const effect of effects) if (effect.do === 'persist') copies.add(effect.copy);
  for (const copy of copies) {
    const { record, tag, behind, buried } = after;
    const found = recover(after.self, after.dataset, copy, after.fences, { record, tag, behind, buried });
    checkState(found, taken);
    if (isQuiet(found)) continue;
    const { state, effects: first } = step(found, { on: 'tick' }, 0);
    must(first.length > 0 || blocked(found), 'start-up goes on with what it finds', taken);
    must(
      !first.some((effect) => effect.do === 'open-store' || effect.do === 'answer'),
      'and asks before it serves',
      taken,
    );
    checkState(state, taken);
  }
}

/** Waits for a decision of the operator. */
function blocked(state: CopyState): boolean {
  const { kind } = publicationOf(state);
  return kind !== 'put' && kind !== 'current' && kind !== 'deposed';
}

// --- words ---------------------------------------------------------------------------------------------------------

function same(a: { n: number; node: string }, b: { n: number; node: string }): boolean {
  return a.n === b.n && a.node === b.node;
}

function undecided(state: CopyState, id: string, n: number): boolean {
  const fence = state.fences[id];
  return !fence || fence.n < n || (fence.n === n && fence.verdict === 'adopted');
}

/** What the coordinator has just said. */
function recordIn(event: Event): OwnershipRecord | null {
  let tagged: TaggedRecord | null = null;
  if (event.on === 'record-read') tagged = event.tagged;
  else if (event.on === 'cas-done') tagged = event.result.ok ? event.result.value : event.result.current;
  return tagged?.record ?? null;
}

/** Nothing but these differs. */
function changes(was: Copy, copy: Copy, ...keys: readonly (keyof Copy)[]): boolean {
  for (const key of Object.keys(copy) as (keyof Copy)[])
    if (!keys.includes(key) && was[key] !== copy[key] && !isDeepStrictEqual(was[key], copy[key])) return false;
  return true;
}
