import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTaken, formatTakeover } from '../../src/cli/takeover.ts';
import type { TakeoverReport } from '../../src/ownership/takeover.ts';

const report: TakeoverReport = {
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
