// Short stories that walks and closure tell too seldom; each of their steps is a row of the page. Data.
import { type Copy, type Event, MACHINE_LIMITS } from '../../../src/ownership/state.ts';
import { copyOf, ID, lost, PREPARED, PROMISE, read, recordOf, type Start, term, wrote } from '../words.ts';

const prior = copyOf({ role: 'prior', term: term(2, 'b'), priorSinceMs: 1 });
const cloned = copyOf({ role: 'creating', origin: 'source@then' });
const received = copyOf({ role: 'receiving' });
const claimed = recordOf({ phase: 'copying', target: 'b' });
const draining = recordOf({ phase: 'draining', target: 'b' });
const asked: readonly Event[] = [{ on: 'pull' }, { on: 'pulled', run: 1, copy: prior }];
const busy: Event = { on: 'drain-refused', failure: { code: 'DATASET_BUSY', message: '' } };
const failed: Event & { on: 'pull-failed' } = {
  on: 'pull-failed',
  run: 1,
  copy: prior,
  failure: { code: 'NODE_UNREACHABLE', message: '' },
};
const tries = (copy: Copy | null, last = copy): readonly Event[] =>
  Array.from({ length: MACHINE_LIMITS.finalTriesMax }, (_, i) => {
    const left = i === MACHINE_LIMITS.finalTriesMax - 1 ? last : copy;
    return [{ ...failed, copy: left }, { on: 'tick' } as const];
  }).flat();
const unanswered: Event & { on: 'refuse-failed' } = {
  on: 'refuse-failed',
  failure: { code: 'NODE_UNREACHABLE', message: '' },
};
const answered: Event = { on: 'drain-answered', promise: PROMISE };
const elsewhere: Event & { on: 'record' } = {
  on: 'record',
  record: recordOf({ owner: 'c', term: term(9, 'c') }),
  tag: 'x',
  behind: false,
  buried: false,
};
const deposed: Event = {
  on: 'published',
  result: { ok: false, current: { record: recordOf({ owner: 'c', term: term(9, 'c') }), tag: 'x' } },
};
const opened = copyOf({ term: term(4) });
const back: Start = { self: 'b', copy: prior, record: draining };

const BEYOND = { owner: 'c', term: term(9, 'c') };

export const SCRIPTS: readonly (readonly [Start, readonly Event[]])[] = [
  // A pull that was given up ends later, and leaves what it received.
  [
    { self: 'b', record: recordOf() },
    [
      { on: 'pull' },
      wrote(recordOf({ phase: 'copying', target: 'b' })),
      { on: 'cancel-pull' },
      { on: 'pulled', run: 1, copy: received },
    ],
  ],
  // The same, when the next one runs already.
  [
    { self: 'b', record: recordOf() },
    [
      { on: 'pull' },
      wrote(recordOf({ phase: 'copying', target: 'b' })),
      { on: 'cancel-pull' },
      { on: 'pull' },
      { on: 'pulled', run: 1, copy: received },
    ],
  ],
  // The same, onto what was a prior copy.
  [
    { self: 'b', copy: prior, record: recordOf() },
    [
      { on: 'pull' },
      wrote(recordOf({ phase: 'copying', target: 'b' })),
      { on: 'cancel-pull' },
      { on: 'pulled', run: 1, copy: received },
    ],
  ],
  // A pull fails after it has received something.
  [
    { self: 'b', record: recordOf() },
    [{ on: 'pull' }, wrote(recordOf({ phase: 'copying', target: 'b' })), { ...failed, copy: received }],
  ],
  // The way back, onto a prior copy: refused before; long decided; busy for long; given to another; cut at the end.
  [{ ...back, fences: { [ID]: { n: 3, verdict: 'refused' } } }, [...asked, answered]],
  [{ ...back, fences: { [ID]: { n: 9, verdict: 'adopted' } } }, [...asked, answered]],
  [
    { ...back, copy: received, fences: { [ID]: { n: 9, verdict: 'adopted' } } },
    [{ on: 'pull' }, { on: 'pulled', run: 1, copy: received }, answered],
  ],
  [back, [...asked, ...Array.from({ length: 5 }, () => [busy, { on: 'tick' } as const]).flat()]],
  // The coordinator forgot that it was announced.
  ...[prior, received].map((copy): readonly [Start, readonly Event[]] => [
    { ...back, copy },
    [{ on: 'pull' }, { on: 'pulled', run: 1, copy }, busy, { ...elsewhere, record: claimed }, { on: 'tick' }],
  ]),
  // Claimed by the process before; not the home any more.
  ...[null, prior, received].map((copy): readonly [Start, readonly Event[]] => [
    { self: 'b', copy, record: claimed },
    [{ on: 'cancel-pull' }],
  ]),
  [back, [...asked, busy, elsewhere, { on: 'tick' }]],
  [back, [...asked, answered, ...tries(prior)]],
  [
    { ...back, copy: received },
    [{ on: 'pull' }, { on: 'pulled', run: 1, copy: received }, answered, ...tries(received)],
  ],
  // What stood here was no base for the last increment and was set aside; a full stream came, or came at last, and then failed.
  [back, [...asked, answered, { ...failed, copy: null }, { on: 'tick' }, { ...failed, copy: received }]],
  [back, [...asked, answered, ...tries(null, received)]],
  ...[received, null].map((copy): readonly [Start, readonly Event[]] => [
    back,
    [...asked, answered, { ...failed, copy: null }, { on: 'tick' }, { on: 'pulled', run: 1, copy }],
  ]),
  // A pull that was given up ends later; what stood here had no snapshot in common and was set aside.
  ...[prior, received].map((copy): readonly [Start, readonly Event[]] => [
    { self: 'b', copy, record: recordOf() },
    [
      { on: 'pull' },
      wrote(recordOf({ phase: 'copying', target: 'b' })),
      { on: 'cancel-pull' },
      { ...failed, copy: null },
    ],
  ]),
  // The node of the promise has handed the dataset on and left the map.
  [
    { copy: copyOf({ promise: PROMISE }), record: recordOf({ owner: 'c', term: term(9, 'c') }) },
    [{ on: 'tick' }, { ...unanswered, left: true }],
  ],
  // The node of the promise came back without its disk, after it had handed the dataset on.
  [
    { copy: copyOf({ promise: PROMISE }), record: recordOf({ phase: 'draining', target: 'b' }) },
    [{ on: 'told-refused', from: 'b', id: ID, n: 3 }, read(recordOf({ owner: 'c', term: term(9, 'c') }))],
  ],
  // Adopted, and then an operator gave up the owner before this node heard of itself.
  ...[lost(recordOf(BEYOND)), read(recordOf(BEYOND))].map((event): readonly [Start, readonly Event[]] => [
    { self: 'b', copy: PREPARED, record: draining, fences: { [ID]: { n: 3, verdict: 'adopted' } } },
    [
      { on: 'tick' },
      ...(event.on === 'cas-done' ? [read(draining)] : []),
      event,
      { on: 'persisted', copy: { ...PREPARED, role: 'receiving', source: null } },
    ],
  ]),
  // A replica becomes the home, or is not wanted any more, while it follows.
  ...[null, prior, received].flatMap((copy): (readonly [Start, readonly Event[]])[] => {
    const replica: Start = { self: 'b', copy, record: recordOf() };
    const [again, claims]: [Event, Event] = [
      { on: 'pull' },
      { on: 'record', record: claimed, tag: 't', behind: false, buried: false },
    ];
    const forgotten: Event = { on: 'record', record: recordOf(), tag: null, behind: true, buried: false };
    return [
      [replica, [{ on: 'follow' }, again]],
      [replica, [{ on: 'follow' }, claims, again, { ...failed, copy: null }]],
      [replica, [{ on: 'follow' }, again, { ...failed, copy: null }]],
      [replica, [{ on: 'follow' }, claims, again, { ...failed, copy: received }]],
      [replica, [{ on: 'follow' }, again, { ...failed, copy: received }]],
      [replica, [{ on: 'follow' }, forgotten, again]],
      [replica, [{ on: 'follow' }, { on: 'cancel-pull' }]],
    ];
  }),
  // A replica takes the place of a lost owner, after it has lost a race; or finds another there; or was cut short before.
  ...[prior, received].flatMap((copy): (readonly [Start, readonly Event[]])[] => {
    const seize: Event = { on: 'seize', id: ID, owner: 'a' };
    const taken = recordOf({ owner: 'b', term: term(1_000_004, 'b') });
    const lost: Event = { on: 'cas-done', result: { ok: false, current: { record: recordOf(), tag: 'y' } } };
    const replica: Start = { self: 'b', copy, record: recordOf() };
    const written: Event = { on: 'persisted', copy: copyOf({ term: taken.term }) };
    return [
      [replica, [seize, read(recordOf()), lost, read(recordOf()), wrote(taken), written]],
      [replica, [seize, read(recordOf()), wrote(taken), { on: 'persist-failed', failure: failed.failure }]],
      [replica, [seize, read(recordOf({ owner: 'c', term: term(9, 'c') }))]],
      [
        { ...replica, record: taken },
        [seize, read(taken), wrote(recordOf({ owner: 'b', term: term(2_000_005, 'b') }))],
      ],
    ];
  }),
  // A clone, made and found half made.
  [
    {},
    [
      { on: 'create', request: 'r', id: ID, createdMs: 1, creator: null, origin: 'source@then' },
      read(null),
      { on: 'copy-created', copy: cloned },
      wrote(recordOf({ pin: 'a' })),
      read(recordOf({ pin: 'a' })),
      { on: 'persisted', copy: { ...cloned, role: 'owner' } },
    ],
  ],
  [{ copy: cloned }, [{ on: 'tick' }, read(null), lost(recordOf({ pin: 'a' }))]],
  // Publishing, an owner hears that it is one no more.
  [{ copy: copyOf(), record: recordOf({ term: term(2) }) }, [{ on: 'tick' }, deposed]],
  [
    { copy: copyOf(), record: recordOf() },
    [{ on: 'open' }, { on: 'persisted', copy: opened }, { on: 'store-opened', term: opened.term }, deposed],
  ],
];
