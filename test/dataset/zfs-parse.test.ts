import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  mountSources,
  ownProperties,
  parseGet,
  parsePoolProperties,
  parseSendEstimate,
} from '../../src/dataset/zfs-parse.ts';
import { ourTags, snapshotsIn } from '../../src/dataset/zfs-snapshots.ts';

const lines = (...rows: string[][]) => `${rows.map((row) => row.join('\t')).join('\n')}\n`;

describe('zfs get', () => {
  it('is read with tabs in foreign values, and nothing that such a value adds on a line of its own', () => {
    const table = parseGet(
      lines(
        ['p/a', 'zring:id', 'local', 'one'],
        ['p/a', 'com.other:note', 'local', 'a\tb\nforged'],
        ['p/a', 'zring:id', 'local', 'forged'],
      ),
    );
    assert.equal(table.get('p/a')?.get('zring:id')?.value, 'one');
    assert.equal(table.get('p/a')?.get('com.other:note')?.value, 'a\tb');
  });

  it('gives our properties of this very dataset only', () => {
    const table = parseGet(
      lines(
        ['p/a', 'zring:id', 'inherited from p', 'parent'],
        ['p/a', 'zring:term', 'received', '9@z'],
        ['p/a', 'zring:role', 'local', 'owner'],
        ['p/a', 'other:role', 'local', 'x'],
      ),
    );
    assert.deepEqual(ownProperties(table.get('p/a') ?? new Map()), { role: 'owner' });
  });
});

describe('snapshots', () => {
  const table = parseGet(
    lines(
      ['p/a', 'guid', '-', '1'],
      ['p/a', 'createtxg', '-', '4'],
      ['p/a@later', 'guid', '-', '18446744073709551615'],
      ['p/a@later', 'createtxg', '-', '30'],
      ['p/a@later', 'creation', '-', '1700000001'],
      ['p/a@later', 'userrefs', '-', '2'],
      ['p/a@later', 'zring:hold.move-1', 'local', 'on'],
      ['p/a@first', 'guid', '-', '77'],
      ['p/a@first', 'createtxg', '-', '29'],
      ['p/a@first', 'creation', '-', '1700000001'],
      ['p/a@first', 'userrefs', '-', '0'],
      ['p/a@first', 'zring:hold.move-1', 'inherited from p/a', 'on'],
      ['p/a@%recv', 'guid', '-', '5'],
      ['p/ab@other', 'guid', '-', '6'],
    ),
  );

  it('come oldest first by createtxg, with guids whole', () => {
    assert.deepEqual(snapshotsIn(table, 'p/a'), [
      { name: 'first', guid: '77', order: 29, createdMs: 1_700_000_001_000, holds: 0 },
      { name: 'later', guid: '18446744073709551615', order: 30, createdMs: 1_700_000_001_000, holds: 2 },
    ]);
  });

  it('carry the notes of our holds', () => {
    assert.deepEqual([...ourTags(table)], [['p/a@later', ['move-1']]]);
  });
});

it('pool properties and estimates are read', () => {
  const values = parsePoolProperties('size\t503316480\nfeature@bookmarks\tenabled\nreadonly\toff\n');
  assert.equal(values.get('feature@bookmarks'), 'enabled');
  assert.equal(parseSendEstimate('full\tt/r/a@s1\t326080\nsize\t326080\n'), 326_080);
  assert.equal(parseSendEstimate('usage: …'), null);
});

it('mounts are found by path, escapes undone, the last one on top', () => {
  const mounts = 'tank/a\\040b /tank/a\\040b zfs rw 0 0\nother /x zfs rw 0 0\ntmpfs /tank/a\\040b tmpfs rw 0 0\n';
  assert.deepEqual(mountSources(mounts, '/tank/a b'), ['tank/a b', 'tmpfs']);
});
