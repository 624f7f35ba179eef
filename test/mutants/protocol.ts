// Mutants of the ownership machine and of what carries it out: terms, promises, the fence, gates, creation, removal.
import { explorer, promises, transitions } from './catchers.ts';
import type { Mutant } from './mutant.ts';

const OPENING = 'every opening takes a term above record, copy and decided promises, on disk before the store opens';
const DRAIN = 'a drain is promised only to the target of a fresh record of this id';
const TURNING = 'a promised owner asks after silence, and turns only on the word of the other side';
const ANSWERS = 'what the other side answers: fence, copy → taken, refused, pending';
const TAKING = 'taking over: prepared, record, fence, owner, in this order; the prepared term is used once';
const WAITING = 'silence and *pending* begin nothing: the owner goes on waiting';
const BINDING = 'a refusal binds from the moment it is meant, while the disk still writes it';
const CREATION = 'creation: nothing without completeness; taken back when the coordinator forgot meanwhile';
const WALKS = 'random walks: handoffs under crashes and lost replies';
const FORGETFUL = 'random walks: with a coordinator that forgets';

export const PROTOCOL_MUTANTS: readonly Mutant[] = [
  // --- terms
  {
    name: 'reuse-a-term-after-a-restart',
    breaks: 'I4: a restarted owner opens under the term that it had, and gives out its sequence numbers again',
    file: 'src/ownership/owner-transitions.ts',
    find: 'if (state.fresh) {',
    replace: 'if (state.copy) {',
    caughtBy: [transitions(OPENING), explorer(WALKS)],
  },
  {
    name: 'raise-above-the-copy-alone',
    breaks: 'I4: the term in the record does not count for the next one',
    file: 'src/ownership/publication.ts',
    find: 'recordOf(state, copy.id)?.term, decided',
    replace: 'decided',
    caughtBy: [promises('the term of a takeover is above the promise, the record, and what was decided here before')],
  },
  {
    name: 'raise-without-the-fence',
    breaks: 'I4: a term that was decided in a promise is taken once more',
    file: 'src/ownership/publication.ts',
    find: 'recordOf(state, copy.id)?.term, decided',
    replace: 'recordOf(state, copy.id)?.term',
    caughtBy: [transitions(OPENING)],
  },
  {
    name: 'open-before-the-term-is-durable',
    breaks: 'I4: writes are acknowledged under a term that a crash takes back',
    file: 'src/ownership/owner-transitions.ts',
    find: "return stay({ ...state, phase: { at: 'raising', term } }, { do: 'persist', copy: { ...copy, term } });",
    replace: `const raised = { ...state, copy: { ...copy, term }, phase: { at: 'opening' as const } };
  return stay(raised, { do: 'open-store', id: copy.id, term });`,
    caughtBy: [transitions(OPENING), explorer(WALKS)],
  },
  {
    name: 'resume-at-the-refused-term',
    breaks: 'I1: a late commit of the refused promise stands above the owner that resumed',
    file: 'src/ownership/owner-transitions.ts',
    find: '      { n: phase.refused + 1, node: state.self },\n',
    replace: '',
    caughtBy: [promises('a resumption takes a term above the one that was refused, also where no record tells of it')],
  },
  {
    name: 'take-over-at-the-promised-term',
    breaks: 'I4: the new owner serves under the number of the old one',
    file: 'src/ownership/pull-transitions.ts',
    find: 'const term = raisedTerm(seen, copy, [source.term]);',
    replace: 'const term = { n: source.term.n, node: state.self };',
    caughtBy: [explorer(WALKS)],
  },
  // --- promises
  {
    name: 'open-while-promised',
    breaks: 'I1: an owner serves what it has promised away',
    file: 'src/ownership/owner-transitions.ts',
    find: 'if (copy.promise || copy.deleting) return stay(state);',
    replace: 'if (copy.deleting) return stay(state);',
    caughtBy: [
      transitions(
        'what does not open: promised, deleting, deposed, of a buried id, another dataset in the record, not an owner',
      ),
    ],
  },
  {
    name: 'promise-to-who-is-not-the-target',
    breaks: 'I1: two nodes that pull may both be promised the dataset, one after the other',
    file: 'src/ownership/owner-transitions.ts',
    find: '    record.target === from &&\n',
    replace: '',
    caughtBy: [transitions(DRAIN)],
  },
  {
    name: 'promise-on-the-cached-record',
    breaks: 'I1: what the coordinator said long ago decides who is promised the dataset',
    file: 'src/ownership/owner-transitions.ts',
    find: `{ ...state, phase: { at: 'verifying', request: event.request, from: event.from } },
    { do: 'read-record' },`,
    replace: `{ ...state, phase: { at: 'sealing', request: event.request, from: event.from } },
    { do: 'seal', id: copy.id, term: copy.term, to: event.from, force: false },`,
    caughtBy: [transitions(DRAIN)],
  },
  {
    name: 'promise-told-to-another-node',
    breaks: 'I1: a promise is handed to a second node as if it were its own',
    file: 'src/ownership/owner-transitions.ts',
    find: 'if (copy.promise.to !== event.from) {',
    replace: 'if (copy.promise.to === null) {',
    caughtBy: [transitions(DRAIN)],
  },
  {
    name: 'answer-before-the-promise-is-durable',
    breaks: 'I1: the owner crashes, forgets what it promised and serves beside the new one',
    file: 'src/ownership/owner-transitions.ts',
    find: "    { do: 'persist', copy: { ...copy, promise } },",
    replace: "    ...answer(phase.request, promise),\n    { do: 'persist', copy: { ...copy, promise } },",
    caughtBy: [transitions(DRAIN)],
  },
  {
    name: 'silence-means-refused',
    breaks: 'I1: an owner takes back what it promised because the other node is not reached',
    file: 'src/ownership/owner-transitions.ts',
    find: "    return stay({ ...state, phase: IDLE }, warn(event.failure));\n  }\n  if (event.on !== 'refuse-answered'",
    replace:
      "    return reclaim({ ...state, phase: IDLE }, copy.promise?.term.n ?? 0);\n  }\n  if (event.on !== 'refuse-answered'",
    caughtBy: [promises(WAITING), explorer(WALKS)],
  },
  {
    name: 'pending-means-refused',
    breaks: 'I1: an owner takes back what the other node is about to adopt',
    file: 'src/ownership/owner-transitions.ts',
    find: "if (event.verdict === 'refused') return reclaim(",
    replace: "if (event.verdict !== 'taken') return reclaim(",
    caughtBy: [promises(WAITING)],
  },
  {
    name: 'anybody-may-refuse',
    breaks: 'I1: the word of a node that was promised nothing sets the owner free',
    file: 'src/ownership/owner-transitions.ts',
    find: 'copy.promise?.to === event.from && copy.promise.term.n === event.n;',
    replace: 'copy.promise?.term.n === event.n;',
    caughtBy: [transitions(TURNING)],
  },
  {
    name: 'clear-the-promise-before-the-record',
    breaks: 'I1: the owner serves again while a commit of the refused term may still overtake it in the record',
    file: 'src/ownership/owner-transitions.ts',
    find: "return stay({ ...seen, phase: { ...phase, term } }, { do: 'cas', tag: tagged?.tag ?? null, next });",
    replace:
      "return stay({ ...seen, phase: { at: 'resuming' } }, { do: 'persist', copy: { ...copy, term: next.term, promise: null } });",
    caughtBy: [transitions(TURNING)],
  },
  // --- the fence
  {
    name: 'adopt-whatever-the-fence-says',
    breaks: 'I1: a promise that was refused is adopted after all, while its owner serves again',
    file: 'src/ownership/pull-transitions.ts',
    find: "return fence.n === n && fence.verdict === 'adopted';",
    replace: 'return fence.n === n;',
    caughtBy: [
      transitions('a refused promise is never adopted: not when answered late, not when found prepared at start'),
      explorer(WALKS),
    ],
  },
  {
    name: 'answer-refused-from-memory',
    breaks: 'I1: a refusal that the disk does not hold yet is passed on, and forgotten in a crash',
    file: 'src/ownership/pull-transitions.ts',
    find: '  // Stored again even if memory says refused',
    replace:
      "  if (fence?.n === n) return stay(state, ...answer(request, 'refused'));\n  // Stored again even if memory says refused",
    caughtBy: [transitions(ANSWERS)],
  },
  {
    name: 'answer-before-the-refusal-is-durable',
    breaks: 'I1: the owner resumes on a refusal that a crash of this node takes back',
    file: 'src/ownership/pull-transitions.ts',
    find: "    { do: 'store-fence', id, fence, request, tell },",
    replace: "    ...answer(request, 'refused'),\n    { do: 'store-fence', id, fence, request: null, tell },",
    caughtBy: [promises(BINDING), transitions(ANSWERS)],
  },
  {
    name: 'a-refusal-binds-late',
    breaks: 'I1: an adoption overtakes the refusal that is being stored',
    file: 'src/ownership/pull-transitions.ts',
    find: '{ ...state, phase, fences: { ...state.fences, [id]: fence } },',
    replace: '{ ...state, phase },',
    caughtBy: [promises(BINDING)],
  },
  {
    name: 'refuse-what-is-prepared',
    breaks: 'I1: a promise is refused while its commit is on the way',
    file: 'src/ownership/pull-transitions.ts',
    find: "return copy?.id === id && copy.role === 'prepared';",
    replace: 'return false;',
    caughtBy: [transitions(ANSWERS), explorer(WALKS)],
  },
  {
    name: 'own-before-the-fence-is-durable',
    breaks: 'I1: an owner whose adoption is not on disk refuses it when it is asked',
    file: 'src/ownership/pull-transitions.ts',
    find: `    { ...state, phase: { at: 'adopting' } },
    { do: 'store-fence', id: copy.id, fence, request: null, tell: null },`,
    replace: `    { ...state, fences: { ...state.fences, [copy.id]: fence }, phase: { at: 'assuming' } },
    { do: 'persist', copy: { ...copy, role: 'owner', source: null } },`,
    caughtBy: [transitions(TAKING), explorer(WALKS)],
  },
  {
    name: 'own-before-the-commit',
    breaks: 'I1: a prepared copy opens although the record was never committed',
    file: 'src/ownership/pull-transitions.ts',
    find: 'return commit({ ...state, copy: event.copy });',
    replace: 'return adopt({ ...state, copy: event.copy }, event.copy);',
    caughtBy: [transitions(TAKING)],
  },
  {
    name: 'commit-over-a-higher-term',
    breaks: 'I1: a prepared copy that slept writes itself over the owner of today',
    file: 'src/ownership/pull-transitions.ts',
    find: 'if (compareTerms(record.term, copy.term) < 0) return commit(seen);',
    replace: 'return commit(seen);',
    caughtBy: [
      transitions(
        'a prepared copy commits over a lost record, over its own lost reply, and refuses under a higher one',
      ),
    ],
  },
  {
    name: 'trust-a-write-that-failed',
    breaks: 'I4: what the disk holds after a failed property write is guessed',
    file: 'src/ownership/transitions.ts',
    find: `    { ...state, phase: { at: 'unsure', waiting: false } },
    { do: 'reload' },
    warn(failure),`,
    replace: '    { ...state, phase: IDLE },\n    warn(failure),',
    caughtBy: [transitions('a failed property write is read back before anything else happens')],
  },
  // --- the gate
  {
    name: 'commit-under-an-older-opening',
    breaks: 'I1: a request that entered under an earlier term commits under a later one',
    file: 'src/ownership/gate-state.ts',
    find: 'if (!openTerm || openTerm.n !== term.n || openTerm.node !== term.node) return false;',
    replace: 'if (!openTerm) return false;',
    caughtBy: [transitions(OPENING)],
  },
  {
    name: 'a-deposed-owner-serves-on',
    breaks: 'I1: a higher term elsewhere does not end the service here',
    file: 'src/ownership/publication.ts',
    find: "return { kind: 'deposed', reason: `owner is ${current.owner} at a higher term` };",
    replace: "return { kind: 'current' };",
    caughtBy: [transitions('deposed: serving stops with the news, the copy is set aside')],
  },
  {
    name: 'two-datasets-of-one-name-are-served',
    breaks: 'I3: a dataset is served although the record names another one of this name',
    file: 'src/ownership/publication.ts',
    find: "return { kind: 'conflict', reason: `the record names another dataset of this name (id ${current.id})` };",
    replace: "return { kind: 'current' };",
    caughtBy: [
      transitions(
        'what does not open: promised, deleting, deposed, of a buried id, another dataset in the record, not an owner',
      ),
    ],
  },
  {
    name: 'destroy-a-deposed-copy',
    breaks: 'what a deposed owner acknowledged is destroyed instead of set aside',
    file: 'src/ownership/owner-transitions.ts',
    find: "copy.deleting ? 'deleted' : 'deposed'",
    replace: "'deleted'",
    caughtBy: [transitions('deposed: serving stops with the news, the copy is set aside')],
  },
  // --- creation and removal
  {
    name: 'create-without-the-second-read',
    breaks: 'I3: a dataset is created in an incarnation that has forgotten another one of its name',
    file: 'src/ownership/life-transitions.ts',
    find: 'return confirm({ ...state, record, tag }, request, ground);',
    replace: `const owned = { ...(state.copy as Copy), role: 'owner' as const };
    return stay({ ...state, record, tag, phase: { at: 'settling', request } }, { do: 'persist', copy: owned });`,
    caughtBy: [transitions(CREATION)],
  },
  {
    name: 'create-on-any-ground',
    breaks: 'I3: the second read is made, and what it says of incarnation and map is ignored',
    file: 'src/ownership/life-transitions.ts',
    find: 'if (event.complete && event.ground === ground) {',
    replace: 'if (current.owner === state.self) {',
    caughtBy: [transitions(CREATION)],
  },
  {
    name: 'create-while-incomplete',
    breaks: 'I3: a dataset is created while another one of its name may be unheard of',
    file: 'src/ownership/life-transitions.ts',
    find: '  if (!event.complete) {\n    const message',
    replace: '  if (event.ground === null) {\n    const message',
    caughtBy: [transitions(CREATION), explorer(FORGETFUL)],
  },
  {
    name: 'create-below-the-tombstone',
    breaks: 'I4: the terms of a name go back when it is made again',
    file: 'src/ownership/life-transitions.ts',
    find: 'const term = nextTerm(state.self, [current?.term, state.record?.term]);',
    replace: 'const term = nextTerm(state.self, []);',
    caughtBy: [transitions(CREATION)],
  },
  {
    name: 'take-back-a-removal-of-unknown-outcome',
    breaks: 'I3: a dataset serves again whose tombstone may be on its way',
    file: 'src/ownership/life-transitions.ts',
    find: "if (event.failure.code === 'COORDINATOR_UNAVAILABLE' && request !== null)",
    replace: 'if (request !== null)',
    caughtBy: [
      transitions('removal: mark, tombstone, remember, answer; an unknown outcome is never taken back'),
      explorer('random walks: with removal and re-creation'),
    ],
  },
  {
    name: 'tombstone-before-the-mark',
    breaks: 'a removal that crashed is taken for a copy deposed by others, and kept for ever',
    file: 'src/ownership/life-transitions.ts',
    find: `    { ...state, phase: { at: 'marking', request } },
    { do: 'persist', copy: { ...state.copy, deleting: true } },
  );`,
    replace: `    { ...bury({ ...state, copy: { ...state.copy, deleting: true } }, request).state },
    ...bury({ ...state, copy: { ...state.copy, deleting: true } }, request).effects,
  );`,
    caughtBy: [transitions('removal: mark, tombstone, remember, answer; an unknown outcome is never taken back')],
  },
];
