// Formats: every version ever released is read as it was written; a newer one is refused by name.
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '../../src/common/lmdb.ts';
import { RecordReader } from '../../src/store/bytes.ts';
import { FORMAT_VERSION, TABLES } from '../../src/store/codec.ts';
import { fanOutFolders } from '../../src/store/ids.ts';
import { indexPath } from '../../src/store/index.ts';
import { openStore } from '../../src/store/store.ts';
import type { Store } from '../../src/store/types.ts';
import { bytesOf, dataFiles, get, md5, put, TERM } from './fixture.ts';
import { describeStore } from './fixtures/describe.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const NEWER = { n: 8, node: 'node-b' };

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'zring-store-format-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

/** A copy to work on; the repository keeps no empty folders. */
async function copyOf(version: string, name: string): Promise<string> {
  const folder = join(scratch, name);
  await cp(join(FIXTURES, version), folder, { recursive: true });
  for (const path of fanOutFolders()) await mkdir(join(folder, path), { recursive: true });
  return folder;
}

async function metaRow(folder: string, name: string): Promise<Buffer> {
  const database = await openDatabase(indexPath(folder), { tables: TABLES, alone: true, readonly: true });
  const row = database.get('meta', Buffer.from(name)) ?? assert.fail(`no ${name}`);
  await database.close();
  return row;
}

async function formatOf(folder: string): Promise<number> {
  return JSON.parse((await metaRow(folder, 'format')).toString()).format;
}

/** As format 1 wrote and read it, to its end. */
function assertFirstState(row: Buffer): void {
  const record = new RecordReader(row, 'the state');
  record.version(1);
  record.number();
  assert.match(record.text(), /^\d+@/);
  for (let n = 0; n < 3; n++) record.number();
  record.end();
}

function versionsOf(store: Store, key: string): string[] {
  const { versions } = store.listVersions({ prefix: key, delimiter: '', afterKey: '', limit: 100 });
  return versions.filter(({ entry }) => entry.key === key).map(({ entry }) => entry.etag);
}

describe('the golden fixture of', async () => {
  const versions = (await readdir(FIXTURES)).filter((name) => /^v\d+$/.test(name));
  it('every version up to this one is there', () => {
    assert.deepEqual(versions.sort(), Array.from({ length: FORMAT_VERSION }, (_, i) => `v${i + 1}`).sort());
  });

  for (const version of versions) {
    it(`${version} answers as it did when it was written, read-only and for writing`, async () => {
      const folder = await copyOf(version, `${version}-read`);
      const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'));
      for (const options of [{ readonly: true }, { term: NEWER, id: 'golden-fixture' }]) {
        const store = await openStore(folder, options);
        assert.deepEqual(JSON.parse(JSON.stringify(await describeStore(store, expected.uploads))), expected);
        const { damaged } = await store.verify();
        assert.deepEqual(damaged, []);
        await store.close();
      }
    });

    it(`${version} can be written on: what waited for deletion goes, all else stays`, async () => {
      const folder = await copyOf(version, `${version}-write`);
      await assert.rejects(openStore(folder, { term: TERM }), { code: 'TERM_REFUSED' });
      const store = await openStore(folder, { term: NEWER });
      const before = await dataFiles(folder);
      await store.sweepNow();
      assert.equal((await dataFiles(folder)).length, before.length - 1);
      const { sequence } = store.stats();
      assert.equal((await put(store, 'new', bytesOf(50_000))).sequence, sequence + 1);
      await store.remove({ key: 'file/one block' });
      await store.sweepNow();
      assert.ok((await get(store, 'file/copy'))?.equals(bytesOf(3000, 3)));
      assert.deepEqual((await store.verify()).damaged, []);
      await store.close();
    });

    it(`${version} keeps its format, for earlier releases, until versioning is enabled`, async () => {
      const folder = await copyOf(version, `${version}-raise`);
      const old = Number(version.slice(1));
      await (await openStore(folder, { readonly: true })).close();
      const unversioned = await openStore(folder, { term: NEWER });
      await put(unversioned, 'more', 'x');
      await unversioned.annotate({ key: 'more', change: () => ({ tag: 1 }) });
      await unversioned.close();
      assert.equal(await formatOf(folder), old);
      if (old === 1) assertFirstState(await metaRow(folder, 'state'));
      const store = await openStore(folder, { term: NEWER });
      await store.setVersioning('enabled');
      await put(store, 'inline', 'a new version');
      assert.deepEqual(versionsOf(store, 'inline'), [md5('a new version'), md5('a small body')]);
      assert.equal(store.version('inline', null)?.etag, md5('a small body'));
      assert.deepEqual((await store.verify()).damaged, []);
      await store.close();
      assert.equal(await formatOf(folder), FORMAT_VERSION);
    });
  }
});

describe('a newer format is refused by name:', () => {
  async function tampered(name: string, table: (typeof TABLES)[number], key: string, value: (old: Buffer) => Buffer) {
    const folder = await copyOf('v1', name);
    const database = await openDatabase(indexPath(folder), { tables: TABLES, alone: true });
    await database.transact((transaction) => {
      const old = transaction.get(table, Buffer.from(key)) ?? assert.fail(`no ${key}`);
      transaction.put(table, Buffer.from(key), value(old));
    });
    await database.close();
    return folder;
  }

  it('the store', async () => {
    const folder = await tampered('newer-store', 'meta', 'format', (old) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(old.toString()), format: FORMAT_VERSION + 1, more: true })),
    );
    for (const options of [{ readonly: true }, { term: NEWER }]) {
      await assert.rejects(openStore(folder, options), { code: 'VERSION_UNSUPPORTED' });
    }
  });

  it('a record', async () => {
    const folder = await tampered('newer-record', 'objects', 'inline', (old) =>
      Buffer.concat([Buffer.of(2), old.subarray(1)]),
    );
    const store = await openStore(folder, { term: NEWER });
    assert.throws(() => store.head('inline'), { code: 'VERSION_UNSUPPORTED' });
    await assert.rejects(put(store, 'inline', 'x'), { code: 'VERSION_UNSUPPORTED' });
    assert.ok(store.head('empty'));
    await store.close();
  });

  it('and a record that is cut off is damage', async () => {
    const folder = await tampered('cut', 'objects', 'inline', (old) => old.subarray(0, old.length - 3));
    const store = await openStore(folder, { readonly: true });
    assert.throws(() => store.head('inline'), { code: 'STORAGE_CORRUPT' });
    await store.close();
  });
});
