// What verify finds wrong with versions: bodies of noncurrent ones, and rows that do not fit together.
import assert from 'node:assert/strict';
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openDatabase, type Transaction } from '../../src/common/lmdb.ts';
import { decodeObject, encodeObject, TABLES, type Table, VERSION_TABLES } from '../../src/store/codec.ts';
import { dataPath } from '../../src/store/ids.ts';
import { indexPath } from '../../src/store/index.ts';
import type { LocalStore } from '../../src/store/store.ts';
import type { ObjectEntry } from '../../src/store/types.ts';
import { versionKey } from '../../src/store/version-keys.ts';
import { encodeNull } from '../../src/store/version-reads.ts';
import { bytesOf, put, StoreFixture } from './fixture.ts';

let fixture: StoreFixture;
let store: LocalStore;
let older: ObjectEntry;
let first: ObjectEntry;
beforeEach(async () => {
  fixture = await StoreFixture.make();
  store = fixture.store;
  first = await put(store, 'k', bytesOf(100));
  await store.setVersioning('enabled');
  older = await put(store, 'k', bytesOf(2_500_000));
  await put(store, 'k', 'current');
  await put(store, 'marked', 'below');
  await store.remove({ key: 'marked' });
});
afterEach(() => fixture.remove());

async function found(): Promise<{ key: string; reason: string }[]> {
  return [...(await store.verify()).damaged];
}

async function tamper(change: (transaction: Transaction<Table>) => void): Promise<string[]> {
  await store.close();
  const tables = [...TABLES, ...VERSION_TABLES];
  const database = await openDatabase<Table>(indexPath(fixture.folder), { tables, alone: true });
  await database.transact(change);
  await database.close();
  store = await fixture.reopen();
  return (await found()).map(({ key, reason }) => `${key}: ${reason}`);
}

describe('verify finds', () => {
  it('nothing in a sound store, and counts the versions', async () => {
    const result = await store.verify();
    assert.deepEqual(result.damaged, []);
    assert.deepEqual([result.objects, result.versions], [1, 4]);
  });

  it('a changed byte, and a missing file, of a version that is not current', async () => {
    const path = join(fixture.folder, dataPath(older.blobs[0]?.id ?? ''));
    const body = await readFile(path);
    body[1_500_000] = (body[1_500_000] ?? 0) ^ 1;
    await writeFile(path, body);
    const name = `k (version ${older.versionId})`;
    assert.deepEqual(
      (await found()).map(({ key }) => key),
      [name],
    );
    await unlink(path);
    assert.ok((await found()).some(({ key }) => key === name));
    assert.equal((await store.remove({ key: 'k', version: older.versionId })).removed?.sequence, older.sequence);
    assert.deepEqual(await found(), []);
  });

  it('a null version that is not noted, or noted and not there', async () => {
    const one = await tamper((transaction) => transaction.remove('nulls', Buffer.from('k')));
    assert.deepEqual(one, ['k: the null version is not noted as such']);
    const two = await tamper((transaction) => {
      transaction.put('nulls', Buffer.from('k'), encodeNull(first.sequence));
      transaction.put('nulls', Buffer.from('marked'), encodeNull(3));
    });
    assert.deepEqual(two, ['marked: a null version is noted that is not there']);
  });

  it('an object that should be current', async () => {
    const marker = store.latest('marked') ?? assert.fail();
    const damage = await tamper((transaction) => transaction.remove('versions', versionKey('marked', marker.sequence)));
    assert.match(
      damage.join('\n'),
      /marked \(version \w+\): the latest version is neither current nor a delete marker/,
    );
    assert.match(damage.join('\n'), /the index counts 4 versions, there are 3/);
  });

  it('rows in a wrong place or table', async () => {
    const current = store.head('k') ?? assert.fail();
    const marker = store.latest('marked') ?? assert.fail();
    const damage = await tamper((transaction) => {
      const row = transaction.get('versions', versionKey('k', older.sequence)) ?? assert.fail();
      transaction.put('versions', versionKey('k', current.sequence + 100), row);
      transaction.put('objects', Buffer.from('marker'), encodeObject({ ...marker, key: 'marker' }));
    });
    const text = damage.join('\n');
    assert.match(text, /^marker .*: a delete marker stands among the current objects|marker: a delete marker stands/m);
    assert.match(text, /it stands in a wrong place/);
  });

  it('a record that cannot be read, and goes on behind it', async () => {
    const damage = await tamper((transaction) => {
      const key = versionKey('k', older.sequence);
      const row = transaction.get('versions', key) ?? assert.fail();
      assert.equal(decodeObject('k', row, () => []).sequence, older.sequence);
      transaction.put('versions', key, row.subarray(0, row.length - 4));
    });
    assert.ok(damage.some((line) => line.startsWith('versions k') && line.includes('is damaged')));
    assert.throws(() => store.version('k', older.versionId), { code: 'STORAGE_CORRUPT' });
    assert.ok(store.head('k'));
  });
});
