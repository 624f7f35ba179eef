import assert from 'node:assert/strict';
import test from 'node:test';
import { parseSnapshotChange } from '../../src/admin/bucket-snapshots.ts';
import { formatRollback, formatSnapshots } from '../../src/cli/snapshot.ts';

test('snapshots are printed with their times, and by whom they were made', () => {
  const snapshots = [
    { name: 'first', guid: '1', createdMs: Date.UTC(2026, 0, 2, 3, 4, 5), kept: true },
    { name: 'by-hand', guid: '2', createdMs: Date.UTC(2026, 0, 3), kept: false },
  ];
  const text = formatSnapshots({ bucket: 'photos', node: 'b', snapshots });
  const [head, columns, first, second] = text.split('\n');
  assert.match(head ?? '', /photos.*node b/);
  assert.deepEqual(
    columns?.split(/\s{2,}/).map((word) => word.trim()),
    ['NAME', 'TAKEN', 'MADE BY'],
  );
  assert.match(first ?? '', /^first\s+2026-01-02T03:04:05.000Z\s+zring/);
  assert.match(second ?? '', /^by-hand\s+2026-01-03T00:00:00.000Z\s+the storage/);
  assert.match(formatSnapshots({ bucket: 'photos', node: 'b', snapshots: [] }), /no snapshots/);
});

test('a change is one of two verbs; only what is made may be without a name', () => {
  assert.deepEqual(parseSnapshotChange({ verb: 'create' }), { verb: 'create', name: null });
  assert.deepEqual(parseSnapshotChange({ verb: 'create', name: 'x' }), { verb: 'create', name: 'x' });
  assert.deepEqual(parseSnapshotChange({ verb: 'destroy', name: 'x' }), { verb: 'destroy', name: 'x' });
  for (const acceptLoss of [undefined, 'yes', 1, false]) {
    const asked = { verb: 'rollback', name: 'x', acceptLoss };
    assert.deepEqual(parseSnapshotChange(asked), { verb: 'rollback', name: 'x', acceptLoss: false });
  }
  assert.equal(parseSnapshotChange({ verb: 'rollback', name: 'x', acceptLoss: true }).acceptLoss, true);
  const clone = { verb: 'clone', name: 'x', target: 'y' };
  assert.deepEqual(parseSnapshotChange(clone), clone);
  for (const wrong of [null, 1, {}, { verb: 'destroy' }, { verb: 'rollback' }, { verb: 'create', name: 1 }]) {
    assert.throws(() => parseSnapshotChange(wrong), { code: 'CONFIG_REFUSED' }, JSON.stringify(wrong));
  }
});

test('what going back gives up is said before and after', () => {
  const report = { snapshot: 'first', createdMs: Date.UTC(2026, 0, 2), later: ['second', 'third'] };
  assert.match(formatRollback('photos', report, false), /gives up everything written since.*second, third/);
  assert.match(formatRollback('photos', { ...report, later: [] }, true), /as it was in first \(2026-01-02.*since$/);
});
