import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAccepted, formatDisk } from '../../src/cli/disk.ts';
import type { DiskReport } from '../../src/ownership/disk-acceptance.ts';

const clean: DiskReport = { node: 'a', refused: null, reason: null, datasets: [], missing: [], unheard: [] };
const old: DiskReport = {
  node: 'a',
  refused: { why: 'went-back', known: { id: '0'.repeat(32), mark: '9-00000000000000ff' } },
  reason: 'the disk of node a is older than what it said',
  datasets: [
    { dataset: 'photos', role: 'owner', term: '3@a', recordTerm: '5@a', recordOwner: 'a', outcome: 'accepted' },
    { dataset: 'videos', role: 'owner', term: '3@a', recordTerm: '4@b', recordOwner: 'b', outcome: 'set-aside' },
    { dataset: 'young', role: 'owner', term: '1@a', recordTerm: null, recordOwner: null, outcome: 'accepted' },
  ],
  missing: ['letters'],
  unheard: ['c'],
};

test('zring disk show: nothing to say', () => {
  assert.equal(formatDisk(clean), 'nothing speaks against the disk of node a');
});

test('zring disk show: record against copy, what is missing, who was not heard, and what to do', () => {
  const text = formatDisk(old);
  assert.match(text, /^the disk of node a is older than what it said\n/);
  assert.match(text, /\nphotos +3@a +5@a of a +served as it is/);
  assert.match(text, /\nvideos +3@a +4@b of b +set aside/);
  assert.match(text, /\nyoung +1@a +- +served as it is/);
  assert.match(text, /though the records name node a .*:\n {2}letters\n/);
  assert.match(text, /not heard .*: c\n/);
  assert.match(
    text,
    /\nWhile this stands, node a serves nothing of its own: 503\.\n.*zring disk accept a --accept-loss$/,
  );
});

test('zring disk show: one old copy on a disk that is not refused', () => {
  assert.match(formatDisk({ ...old, refused: null, reason: null }), /node a serves none of these: 503/);
});

test('zring disk accept says what it did', () => {
  assert.match(
    formatAccepted(old),
    /^the disk of node a is accepted; .*\n\nBUCKET +COPY +RECORD +WHEN ACCEPTED\nphotos /,
  );
  assert.equal(formatAccepted(clean), 'nothing spoke against the disk of node a');
});
