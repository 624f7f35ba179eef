// The tables of pure functions in docs/OWNERSHIP-TABLES.md, against those functions: every combination of the words in a
// table's columns is asked, the first row that fits must have the answer, and every row must be the first for something.
import assert from 'node:assert/strict';
import test from 'node:test';
import { type ClusterMap, checkMap } from '../../src/cluster/map.ts';
import { type MapInput, planMapChange } from '../../src/cluster/map-change.ts';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import { type Catalog, EMPTY_CATALOG, judgeContinuity, learnAll, presence } from '../../src/ownership/catalog.ts';
import { gateOf, mayCommit } from '../../src/ownership/gate-state.ts';
import { NodeLease } from '../../src/ownership/lease.ts';
import { planPublication } from '../../src/ownership/publication.ts';
import type { Copy, CopyState, Phase } from '../../src/ownership/state.ts';
import { tablesOfPage, words } from './page.ts';
import { copyOf, ID, OTHER, PREPARED, PROMISE, recordOf, start, term } from './words.ts';

type Facts = Readonly<Record<string, string>>;

/** `columns` may hold lists of words when `lists`; else a cell is one phrase, commas and all. */
function check(
  heading: string,
  inputs: Readonly<Record<string, readonly string[]>>,
  ask: (facts: Facts) => Facts | null,
) {
  const table = tablesOfPage().find((candidate) => candidate.heading === heading);
  assert(table, heading);
  const names = Object.keys(inputs);
  const cell = (row: readonly string[], column: string) => row[table.columns.indexOf(column)] ?? '';
  for (const row of table.rows) {
    for (const name of names) {
      const said = choices(cell(row, name), inputs[name] ?? []);
      for (const word of said) assert(inputs[name]?.includes(word), `${heading}: nothing is known of ${name} ${word}`);
    }
  }
  const used = new Set<number>();
  for (const facts of combinations(inputs)) {
    const answer = ask(facts);
    if (!answer) continue;
    const index = table.rows.findIndex((row) =>
      names.every((name) => choices(cell(row, name), inputs[name] ?? []).includes(facts[name] ?? '')),
    );
    const row: readonly string[] | undefined = table.rows[index];
    assert(row, `${heading}: no row for ${JSON.stringify(facts)} → ${JSON.stringify(answer)}`);
    used.add(index);
    for (const [column, value] of Object.entries(answer))
      assert.equal(cell(row, column), value, `${heading}: ${JSON.stringify(facts)}, ${column}`);
  }
  const idle = table.rows.filter((_, index) => !used.has(index)).map((row) => row.join(' | '));
  assert.deepEqual(idle, [], `${heading}: rows that are never the first to fit`);
}

function choices(cell: string, all: readonly string[]): readonly string[] {
  if (cell === 'any') return all;
  return all.includes(cell) ? [cell] : words(cell);
}

function combinations(inputs: Readonly<Record<string, readonly string[]>>): Facts[] {
  let found: Facts[] = [{}];
  for (const [name, values] of Object.entries(inputs))
    found = found.flatMap((facts) => values.map((value) => ({ ...facts, [name]: value })));
  return found;
}

const promised = copyOf({ promise: PROMISE });

const RECORDS: Readonly<Record<string, OwnershipRecord | null>> = {
  nothing: null,
  'void of any id': recordOf({ phase: 'deleted', term: term(0) }),
  tombstone: recordOf({ phase: 'deleted' }),
  'another id, lower': recordOf({ id: OTHER, owner: 'b', term: term(2, 'b') }),
  'another id, as high': recordOf({ id: OTHER, owner: 'b', term: term(3, 'b') }),
  'another id, higher': recordOf({ id: OTHER, owner: 'b', term: term(4, 'b') }),
  'mine, lower': recordOf({ term: term(2) }),
  'mine, as high': recordOf(),
  'mine, as high, draining': recordOf({ phase: 'draining', target: 'b' }),
  'mine, higher': recordOf({ term: term(5) }),
  'another owner, lower': recordOf({ owner: 'b', term: term(2, 'b') }),
  'another owner, higher': recordOf({ owner: 'b', term: term(4, 'b') }),
};

test('the record against an owner’s copy', () => {
  const inputs = { copy: ['owner', 'promised'], id: ['known', 'buried'], record: Object.keys(RECORDS) };
  check('The record against an owner’s copy'.replace('’', "'"), inputs, ({ copy, id, record = '' }) => {
    const here = copy === 'owner' ? copyOf() : promised;
    const current = RECORDS[record] ?? null;
    const others =
      record === 'void of any id' ? { ...recordOf({ id: OTHER, phase: 'deleted', term: term(0) }) } : current;
    const { kind } = planPublication('a', 'd', here, id === 'buried', current);
    assert.equal(planPublication('a', 'd', here, id === 'buried', others).kind, kind, record);
    return { verdict: kind };
  });
});

const STANDINGS: Readonly<Record<string, Copy | null>> = {
  '–': null,
  creating: copyOf({ role: 'creating' }),
  owner: copyOf(),
  promised,
  deleting: copyOf({ deleting: true }),
  receiving: copyOf({ role: 'receiving' }),
  prior: copyOf({ role: 'prior' }),
  prepared: PREPARED,
};

/** Each phase there is: the compiler finds a missing one. */
const PHASES = Object.keys({
  idle: 0,
  unsure: 0,
  raising: 0,
  opening: 0,
  closing: 0,
  verifying: 0,
  sealing: 0,
  promising: 0,
  inquiring: 0,
  reclaiming: 0,
  resuming: 0,
  releasing: 0,
  fencing: 0,
  'moving-away': 0,
  checking: 0,
  making: 0,
  registering: 0,
  resolving: 0,
  confirming: 0,
  settling: 0,
  emptying: 0,
  marking: 0,
  burying: 0,
  unmarking: 0,
  entombing: 0,
  following: 0,
  seizing: 0,
  seized: 0,
  claiming: 0,
  copying: 0,
  announcing: 0,
  asking: 0,
  finishing: 0,
  preparing: 0,
  committing: 0,
  adopting: 0,
  assuming: 0,
  demoting: 0,
} satisfies Record<Phase['at'], number>);

const HEARD: Readonly<Record<string, OwnershipRecord>> = {
  fine: recordOf(),
  deposed: recordOf({ owner: 'c', term: term(4, 'c') }),
  removed: recordOf(),
  conflict: recordOf({ id: OTHER, owner: 'c', term: term(4, 'c') }),
  'went-back': recordOf({ term: term(5) }),
  taken: recordOf({ owner: 'b', term: term(4, 'b') }),
};

test('the gate', () => {
  const inputs = {
    standing: Object.keys(STANDINGS),
    phase: PHASES,
    store: ['open', 'closed'],
    record: Object.keys(HEARD),
  };
  check('The gate', inputs, ({ standing = '', phase, store, record = '' }) => {
    const copy = STANDINGS[standing] ?? null;
    const owner = copy?.role === 'owner';
    // What cannot be: a store open at no owner; a record's word against what is no owner's copy; taking over an own copy.
    if ((store === 'open' || record !== 'fine') && !owner) return null;
    if (owner && ['committing', 'adopting', 'assuming'].includes(phase ?? '')) return null;
    if (copy?.promise ? ['deposed', 'went-back'].includes(record) : record === 'taken') return null;
    const state: CopyState = {
      ...start({ copy, record: HEARD[record] ?? null, buried: record === 'removed' }),
      openTerm: store === 'open' ? term(3) : null,
      phase: { at: phase } as Phase,
    };
    const gate = gateOf(state);
    const said = gate.kind === 'shut' ? `shut, ${gate.reason}` : gate.kind;
    return {
      gate: gate.kind === 'wait' && gate.open ? 'wait, ask to open' : said,
      commits: mayCommit(state, term(3)) ? 'yes' : 'no',
    };
  });
});

test('is it the same life of the coordinator?', () => {
  const known: Catalog = { ...EMPTY_CATALOG, incarnation: 'i1', counter: 5, left: ['i0'] };
  const lives: Facts = { 'the one known': 'i1', 'one left before': 'i0', 'never seen': 'i9' };
  const inputs = { incarnation: Object.keys(lives), counter: ['lower', 'not lower'] };
  check('Is it the same life of the coordinator?', inputs, ({ incarnation = '', counter }) => {
    const state = { complete: true, reported: [], mapEpoch: 1, incarnation: lives[incarnation] ?? '' };
    return { verdict: judgeContinuity(known, { ...state, counter: counter === 'lower' ? 4 : 5 }).kind };
  });
});

test('what is believed of a record', () => {
  const known: Readonly<Record<string, OwnershipRecord | null>> = {
    nothing: null,
    living: recordOf(),
    tombstone: recordOf({ phase: 'deleted' }),
    void: recordOf({ phase: 'deleted', term: term(0) }),
  };
  const heard: Readonly<Record<string, OwnershipRecord>> = {};
  const put = heard as Record<string, OwnershipRecord>;
  for (const [word, id] of [
    ['same id', ID],
    ['another id', OTHER],
  ] as const) {
    put[`${word}, living, lower`] = recordOf({ id, term: term(2) });
    put[`${word}, living, as high`] = recordOf({ id });
    put[`${word}, living, higher`] = recordOf({ id, term: term(4) });
    put[`${word}, void`] = recordOf({ id, phase: 'deleted', term: term(0) });
  }
  put['same id, tombstone'] = recordOf({ phase: 'deleted' });
  put['another id, buried'] = recordOf({ id: OTHER, term: term(9) });
  put['another id, tombstone, lower'] = recordOf({ id: OTHER, phase: 'deleted', term: term(2) });
  put['another id, tombstone, higher'] = recordOf({ id: OTHER, phase: 'deleted', term: term(4) });
  check('What is believed of a record', { known: Object.keys(known), heard: Object.keys(heard) }, (facts) => {
    const [before, news] = [known[facts.known ?? ''] ?? null, heard[facts.heard ?? '']];
    assert(news);
    const base: Catalog = { ...EMPTY_CATALOG, incarnation: 'i' };
    const first = before ? learnAll(base, [{ record: before, tag: 't1' }]).catalog : base;
    const tombstones = new Set([...first.tombstones, ...(facts.heard === 'another id, buried' ? [OTHER] : [])]);
    const entry = learnAll({ ...first, tombstones }, [{ record: news, tag: 't2' }]).catalog.entries.get('d');
    assert.equal(entry?.tag, 't2');
    assert.equal(entry.record, entry.behind ? before : news);
    return { believed: entry.behind ? 'known, behind' : 'heard' };
  });
});

test('does it exist?', () => {
  const entries: Readonly<Record<string, OwnershipRecord | null>> = {
    nothing: null,
    living: recordOf(),
    tombstone: recordOf({ phase: 'deleted' }),
    void: recordOf({ phase: 'deleted', term: term(0) }),
  };
  const inputs = { known: Object.keys(entries), catalog: ['complete', 'incomplete'], knowledge: ['fresh', 'stale'] };
  check('Does it exist?', inputs, ({ known = '', catalog, knowledge }) => {
    const record = entries[known] ?? null;
    const base: Catalog = { ...EMPTY_CATALOG, incarnation: 'i', complete: catalog === 'complete' };
    const full = record ? learnAll(base, [{ record, tag: 't' }]).catalog : base;
    return { answer: presence(full, 'd', knowledge === 'fresh') };
  });
});

test('the lease', async () => {
  const leases = ['running', 'run out', 'never had', 'taken'];
  const inputs = { disk: ['fine', 'refused'], lease: leases, 'in sync': ['alone', 'others'] };
  const made = new Map<string, NodeLease>();
  for (const disk of inputs.disk)
    for (const lease of leases) made.set(`${disk} ${lease}`, await leaseThatIs(lease, disk));
  check('The lease', inputs, (facts) => {
    const serves = made
      .get(`${facts.disk} ${facts.lease}`)
      ?.mayServe(facts['in sync'] === 'alone' ? ['a'] : ['a', 'b']);
    return { serves: serves ? 'yes' : 'no' };
  });
});

/** Brought there by what the coordinator answers and by the clock. */
async function leaseThatIs(state: string, disk: string): Promise<NodeLease> {
  let nowMs = 0;
  const chain = { id: 'x', heard: '0', offers: ['1-0'] };
  const refusal = { current: null as unknown };
  const deps = {
    node: 'a',
    instance: 'i',
    disk: {
      get refusal() {
        return refusal.current;
      },
      former: null,
      pending: false,
      next: async () => chain,
      current: () => chain,
      hear() {},
      refuse: async () => {},
    },
    coordinator: {
      acquireLease: async () => (state === 'taken' ? { ok: false, holder: 'other', remainingMs: 5_000 } : { ok: true }),
    },
    clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
    logger: { debug() {}, warn() {}, error() {}, info() {} },
    ttlMs: () => 10_000,
    info: () => ({}),
    onRefused() {},
    onLifted() {},
  };
  const lease = new NodeLease(deps as unknown as ConstructorParameters<typeof NodeLease>[0]);
  if (state !== 'never had') await lease.renew();
  assert.equal(lease.state().taken, state === 'taken');
  if (state === 'running') assert.ok(lease.state().remainingMs > 0);
  if (state === 'run out') nowMs = 10_001;
  if (disk === 'refused') refusal.current = { why: 'went-back', known: { id: 'x', mark: '1-0' } };
  return lease;
}

test('two configurations meet', () => {
  const node = (id: string) => ({
    id,
    zone: id,
    weight: 1,
    state: 'up' as const,
    s3: `${id}:1`,
    peer: `${id}:2`,
    admin: `${id}:3`,
  });
  const input = (revision: number, contentHash: string, nodes: readonly string[]): MapInput => ({
    cluster: 'lab',
    revision,
    contentHash,
    settings: { copies: 1, leaseMs: 10_000 },
    nodes: nodes.map(node),
  });
  const base = checkMap({ ...input(2, 'h2', ['a', 'b']), version: 1, epoch: 5 });
  const held: Readonly<Record<string, ClusterMap | null>> = {
    nothing: null,
    'an older epoch': checkMap({ ...base, epoch: 4 }),
    'the same epoch, another map': checkMap({ ...input(1, 'h1', ['a', 'b']), version: 1, epoch: 5 }),
    'this map': base,
  };
  const revisions: Readonly<Record<string, number>> = { higher: 3, same: 2, lower: 1 };
  const inputs = {
    revision: Object.keys(revisions),
    content: ['same', 'other'],
    'leaves out': ['nobody', 'a holder'],
    'coordinator holds': Object.keys(held),
  };
  check('Two configurations meet', inputs, (facts) => {
    const current = held[facts['coordinator holds'] ?? ''] ?? null;
    const revision = revisions[facts.revision ?? ''] ?? 0;
    const nodes = facts['leaves out'] === 'nobody' ? ['a', 'b'] : ['a'];
    const file = input(revision, facts.content === 'same' ? 'h2' : 'h9', nodes);
    const records = [recordOf({ owner: 'b' })];
    const plan = planMapChange(file, { current, remembered: base, highestEpoch: 5, records, heard: null });
    if (plan.kind === 'commit') {
      assert.ok(plan.map.epoch > 5, 'I4: above everything known');
      assert.equal(plan.map.revision, Math.max(revision, 2), 'I4: a revision never goes back');
    }
    return { plan: plan.kind };
  });
});
