import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byWorth, formatReplica, formatTaken, formatTakeover, speaksAgainst } from '../../src/cli/takeover.ts';
import type { SuccessionReport } from '../../src/ownership/replicas/succession.ts';
import type { TakeoverReport } from '../../src/ownership/takeover.ts';

const report: TakeoverReport = {
  kind: 'promise' as const,
  dataset: 'photos',
  node: 'a',
  promisedTo: 'b',
  term: '3@a',
  recordOwner: 'b',
  recordTerm: '4@b',
  loss: 'certain',
  refused: null,
};

test('zring takeover: where it stands, what the record says, what is lost, and what to do', () => {
  const lines = formatTakeover(report).split('\n');
  assert.match(lines[0] ?? '', /^photos was promised to node b \(term 3@a\); node a has the copy/);
  assert.equal(lines[1], 'The record says: b, at term 4@b.');
  assert.match(lines[2] ?? '', /^b has taken it over: every write .* is lost\.$/);
  assert.match(lines.at(-1) ?? '', /zring takeover photos --accept-loss$/);
});

test('zring takeover: the three kinds of loss are told apart, and a missing record is named', () => {
  const none = formatTakeover({ ...report, recordOwner: 'a', recordTerm: '3@a', loss: 'none' });
  assert.match(none, /b never took it over: .* nothing is lost\./);
  const possible = formatTakeover({ ...report, recordOwner: null, recordTerm: null, loss: 'possible' });
  assert.match(possible, /There is no record of it\.\n.*is not known\./);
});

test('zring takeover: why it cannot be now, instead of how', () => {
  const text = formatTakeover({ ...report, refused: 'node b is alive' });
  assert.match(text, /It cannot be taken back now: node b is alive\.$/);
  assert.doesNotMatch(text, /--accept-loss/);
});

test('zring takeover says what it did', () => {
  assert.match(
    formatTaken(report),
    /^photos is served by node a again; a copy on b that comes back is set aside\nb has taken it over/,
  );
});

const replica: SuccessionReport = {
  kind: 'replica',
  dataset: 'photos',
  node: 'c',
  owner: 'a',
  term: '3@a',
  snapshot: 'zring-copy-1',
  snapshotMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  currentMs: null,
  refused: null,
};
const NOW_MS = replica.snapshotMs + 90_000;

test('zring takeover of a replica: how new it is, what is lost, and what to do', () => {
  const lines = formatReplica(replica, NOW_MS).split('\n');
  assert.equal(lines[0], 'photos is owned by node a (term 3@a); node c has a replica of it.');
  assert.match(lines[1] ?? '', /everything until 2026-01-02T03:04:05Z \(.* ago\)\.$/);
  assert.match(lines[2] ?? '', /^Lost is every write and deletion that a acknowledged since then\.$/);
  assert.match(lines.at(-1) ?? '', /zring takeover photos --accept-loss$/);
  const known = formatReplica({ ...replica, currentMs: replica.snapshotMs + 60_000 }, NOW_MS);
  assert.match(known, /Until 2026-01-02T03:05:05Z nothing was written after it\. Lost is what a acknowledged since\./);
  assert.match(formatReplica({ ...replica, owner: null, term: null }, NOW_MS), /a node that nobody remembers/);
  const refused = formatReplica({ ...replica, refused: 'node a is alive' }, NOW_MS);
  assert.match(refused, /It cannot be taken over now: node a is alive\.$/);
  assert.match(formatTaken(replica), /^photos is served by node c, as of 2026-01-02T03:04:05Z; a copy on a that/);
});

test('zring takeover proposes what can be served, lacks least and is newest', () => {
  const older = { ...replica, node: 'older', snapshotMs: replica.snapshotMs - 1 };
  const sure = { ...replica, node: 'sure', currentMs: replica.snapshotMs + 1 };
  const promise = { ...report, node: 'promise', loss: 'none' as const };
  const lossy = { ...report, node: 'lossy' };
  const refused = { ...replica, node: 'refused', refused: 'not now', currentMs: NOW_MS };
  const order = [refused, lossy, older, replica, sure, promise].sort(byWorth).map(({ node }) => node);
  assert.deepEqual(order, ['promise', 'sure', 'c', 'older', 'lossy', 'refused']);
});

test('zring takeover heeds what other replicas know of the owner', () => {
  const other = { ...replica, node: 'd' };
  assert.equal(speaksAgainst(replica, other), false);
  assert.equal(speaksAgainst(replica, { ...other, refused: 'its owner, node a, answers' }), true);
  assert.equal(speaksAgainst(replica, { ...report, refused: 'node b is alive' }), false, 'that is about another node');
});
