// The durable table file: order, atomic groups, strict opening, and that damage is an error and never a crash.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openDurableMap } from '../../src/common/durable-map.ts';
import { createDatabase, type Database, openDatabase } from '../../src/common/lmdb.ts';
import { doorOf } from '../../src/common/lmdb-door.ts';

type Table = 'a' | 'b';
const TABLES: readonly Table[] = ['a', 'b'];
const bytes = (text: string): Buffer => Buffer.from(text);
const lockOf = (path: string): string => {
  const { dev, ino } = statSync(path, { bigint: true });
  return doorOf(path, `${dev}:${ino}`).lock;
};
const reopen = (path: string): Promise<Database<Table>> => openDatabase(path, { tables: TABLES, alone: true });

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zring-lmdb-'));
  path = join(folder, 'index');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function filled(count: number): Promise<void> {
  const database = await createDatabase(path, { tables: TABLES });
  await database.transact((transaction) => {
    for (let i = 0; i < count; i++) transaction.put('a', bytes(`key ${i}`), Buffer.alloc(200, i));
    transaction.put('b', bytes('big'), Buffer.alloc(100_000, 7));
  });
  await database.close();
}

function keys(database: Database<Table>, start: string, end?: string): string[] {
  const range = database.range(
    'a',
    end === undefined ? { start: bytes(start) } : { start: bytes(start), end: bytes(end) },
  );
  return [...range].map(({ key }) => key.toString('latin1'));
}

describe('tables', () => {
  it('keep bytes in byte order, values apart, and find them again after reopening', async () => {
    let database = await createDatabase(path, { tables: TABLES });
    const names = ['b', '\0', '\x01', 'a', 'a\0', 'é', 'zz', '\u{10348}', 'z'];
    await database.transact((transaction) => {
      for (const name of names) transaction.put('a', bytes(name), bytes(`value of ${name}`));
      transaction.put('b', bytes('a'), bytes('other'));
    });
    await database.close();
    database = await reopen(path);
    const expected = names.map(bytes).sort(Buffer.compare);
    assert.deepEqual(
      [...database.range('a', { start: Buffer.alloc(0) })].map(({ key }) => key),
      expected,
    );
    assert.equal(database.get('a', bytes('é'))?.toString(), 'value of é');
    assert.equal(database.get('b', bytes('a'))?.toString(), 'other');
    assert.equal(database.get('b', bytes('b')), undefined);
    assert.deepEqual(keys(database, 'a', 'zz'), ['a', 'a\0', 'b', 'z']);
    await database.close();
  });

  it('give values that stay what they were when the map changes below them', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    await database.transact((transaction) => transaction.put('a', bytes('k'), Buffer.alloc(50_000, 1)));
    const value = database.get('a', bytes('k'));
    const [entry] = database.range('a', { start: bytes('k') });
    for (let i = 2; i < 9; i++) {
      await database.transact((transaction) => transaction.put('a', bytes('k'), Buffer.alloc(50_000, i)));
    }
    assert.ok(value?.equals(Buffer.alloc(50_000, 1)));
    assert.ok(entry?.value.equals(Buffer.alloc(50_000, 1)));
    await database.close();
  });

  it('are walked backwards from an exclusive end down to an inclusive start', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    await database.transact((transaction) => {
      for (const name of ['a', 'b', 'b\0', 'c', 'd']) transaction.put('a', bytes(name), bytes(name));
    });
    const back = (start: string, end: string) =>
      [...database.range('a', { start: bytes(start), end: bytes(end), reverse: true })].map(({ key }) =>
        key.toString(),
      );
    assert.deepEqual(back('b', 'd'), ['c', 'b\0', 'b']);
    assert.deepEqual(back('', 'b\0'), ['b', 'a']);
    assert.deepEqual(back('aa', 'bb'), ['b\0', 'b']);
    assert.deepEqual(back('b\0', 'zz'), ['d', 'c', 'b\0']);
    assert.deepEqual(back('e', 'zz'), []);
    assert.deepEqual(back('', 'a'), []);
    assert.deepEqual(back('c', 'b'), []);
    await database.close();
  });

  it('of a later release read as empty, until they are added for good', async () => {
    await filled(10);
    const withLater = (readonly: boolean) =>
      openDatabase<Table | 'later'>(path, { tables: TABLES, laterTables: ['later'], alone: true, readonly });
    let database = await withLater(true);
    assert.equal(database.get('later', bytes('k')), undefined);
    assert.deepEqual([...database.range('later', { start: bytes('k') })], []);
    await database.close();
    database = await withLater(false);
    assert.equal(database.get('later', bytes('k')), undefined);
    database.addTables();
    await database.transact((transaction) => transaction.put('later', bytes('k'), bytes('v')));
    await database.close();
    database = await withLater(true);
    assert.equal(database.get('later', bytes('k'))?.toString(), 'v');
    assert.equal([...database.range('a', { start: bytes('') })].length, 10);
    await database.close();
    const older = await reopen(path);
    assert.equal(keys(older, '').length, 10);
    await older.close();
  });

  it('grow beyond the first map', async () => {
    let database = await createDatabase(path, { tables: TABLES, mapBytes: 1 << 20 });
    for (let i = 0; i < 40; i++) {
      await database.transact((transaction) => transaction.put('a', bytes(`k${i}`), Buffer.alloc(200_000, i)));
    }
    assert.ok(database.get('a', bytes('k3'))?.equals(Buffer.alloc(200_000, 3)));
    await database.close();
    database = await reopen(path);
    assert.ok(database.get('a', bytes('k39'))?.equals(Buffer.alloc(200_000, 39)));
    await database.close();
  });
});

describe('transact', () => {
  it('writes nothing of a writer that throws, and all of the others in the same group', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) =>
        database.transact((transaction) => {
          transaction.put('a', bytes(`first ${i}`), bytes('x'));
          transaction.put('b', bytes(`second ${i}`), bytes('x'));
          if (i % 7 === 3) throw new Error(`refused ${i}`);
          return i;
        }),
      ),
    );
    for (const [i, outcome] of outcomes.entries()) {
      const refused = i % 7 === 3;
      assert.equal(outcome.status, refused ? 'rejected' : 'fulfilled');
      assert.equal(database.get('a', bytes(`first ${i}`)) === undefined, refused);
      assert.equal(database.get('b', bytes(`second ${i}`)) === undefined, refused);
    }
    await database.close();
  });

  it('runs writers one after the other, each seeing those before it', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    const add = (): Promise<number> =>
      database.transact((transaction) => {
        const next = Number(transaction.get('a', bytes('n'))?.toString() ?? 0) + 1;
        transaction.put('a', bytes('n'), bytes(String(next)));
        return next;
      });
    const results = await Promise.all(Array.from({ length: 200 }, add));
    assert.deepEqual(
      results,
      results.map((_, i) => i + 1),
    );
    await database.close();
  });

  it('refuses what LMDB would refuse before anything is written', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    for (const key of [Buffer.alloc(0), Buffer.alloc(5000, 65)]) {
      await assert.rejects(
        database.transact((transaction) => {
          transaction.put('a', bytes('before'), bytes('x'));
          transaction.put('a', key, bytes('x'));
        }),
        { code: 'LIMIT_EXCEEDED' },
      );
    }
    assert.equal(database.get('a', bytes('before')), undefined);
    await database.close();
  });

  it('is finished before close resolves, and refused afterwards', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    const writes = Array.from({ length: 20 }, (_, i) =>
      database.transact((transaction) => transaction.put('a', bytes(`k${i}`), bytes('x'))),
    );
    await Promise.all([database.close(), ...writes]);
    assert.throws(() => database.get('a', bytes('k1')), { code: 'STORAGE_UNAVAILABLE' });
    await assert.rejects(
      database.transact(() => {}),
      { code: 'STORAGE_UNAVAILABLE' },
    );
    const again = await reopen(path);
    assert.equal(keys(again, '').length, 20);
    await again.close();
  });
});

describe('opening', () => {
  it('never creates', async () => {
    await assert.rejects(reopen(path), { code: 'MOUNT_INVALID' });
    await assert.rejects(reopen(join(folder, 'no', 'index')), { code: 'MOUNT_INVALID' });
    await assert.rejects(openDurableMap(path), { code: 'MOUNT_INVALID' });
    assert.deepEqual(readdirSync(folder), []);
  });

  it('refuses a second use in this process, and by another one', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    await assert.rejects(reopen(path), { code: 'LOCKED' });
    await assert.rejects(createDatabase(path, { tables: TABLES }), { code: 'DATASET_ALREADY_EXISTS' });
    const code = `import { openDatabase } from ${JSON.stringify(new URL('../../src/common/lmdb.ts', import.meta.url).href)};
      openDatabase(${JSON.stringify(path)}, { tables: ['a'], alone: true }).then(() => 'opened', (e) => e.code).then(console.log)`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code]);
    let output = '';
    for await (const chunk of child.stdout) output += chunk;
    if (process.platform === 'linux') assert.equal(output.trim(), 'LOCKED');
    await database.close();
    await (await reopen(path)).close();
  });

  it('by many at once gives one of them a file whose lock stays', async () => {
    await filled(10);
    await rm(`${path}-clean`);
    const openings = await Promise.allSettled(Array.from({ length: 8 }, () => reopen(path)));
    const opened = openings.flatMap((opening) => (opening.status === 'fulfilled' ? [opening.value] : []));
    assert.equal(opened.length, 1);
    assert.ok(existsSync(lockOf(path)));
    await opened[0]?.close();
    await (await reopen(path)).close();
  });

  it('that fails can be tried again', async () => {
    await filled(10);
    const wrong = openDatabase(path, { tables: ['a', 'missing'], alone: true });
    await assert.rejects(wrong, { code: 'STORAGE_CORRUPT' });
    await (await reopen(path)).close();
  });

  it('removes a lock file that came from elsewhere', async () => {
    await filled(10);
    await writeFile(`${path}-lock`, Buffer.alloc(8272, 0xff));
    const database = await reopen(path);
    assert.equal(keys(database, '').length, 10);
    await database.close();
    assert.ok(!existsSync(`${path}-lock`));
  });

  it('leaves no descriptor and no lock behind', async () => {
    await filled(10);
    const count = (): number => readdirSync('/proc/self/fd').length;
    await (await reopen(path)).close();
    const before = count();
    for (let i = 0; i < 20; i++) await (await reopen(path)).close();
    assert.equal(count(), before);
    assert.deepEqual(readdirSync(folder).sort(), ['index', 'index-clean']);
  });

  it('reads without changing anything when asked for readonly', async () => {
    await filled(10);
    const database = await openDatabase(path, { tables: TABLES, alone: true, readonly: true });
    assert.equal(keys(database, '').length, 10);
    await assert.rejects(
      database.transact(() => {}),
      { code: 'STORAGE_UNAVAILABLE' },
    );
    await database.close();
  });
});

describe('a damaged file is STORAGE_CORRUPT, not a crash', () => {
  const cases: Readonly<Record<string, (path: string) => Promise<void>>> = {
    'truncated to half': async (file) => truncate(file, Math.floor((await stat(file)).size / 2)),
    'truncated inside a page': async (file) => truncate(file, (await stat(file)).size - 5000),
    'only the meta pages left': (file) => truncate(file, 16384),
    empty: (file) => truncate(file, 0),
    'something else': (file) => writeFile(file, Buffer.alloc(100_000, 'no index ')),
    'pages overwritten': async (file) => {
      const handle = await open(file, 'r+');
      for (let at = 16384; at < (await handle.stat()).size; at += 8192) await handle.write(Buffer.alloc(64), 0, 64, at);
      await handle.close();
      await rm(`${file}-clean`);
    },
  };
  for (const [name, damage] of Object.entries(cases)) {
    it(name, async () => {
      await filled(2000);
      await damage(path);
      await assert.rejects(reopen(path), { code: 'STORAGE_CORRUPT' });
      await assert.rejects(openDatabase(path, { tables: TABLES, alone: true, readonly: true }), {
        code: 'STORAGE_CORRUPT',
      });
    });
  }

  it('and a sound file passes the same check, before and after many changes', async () => {
    const database = await createDatabase(path, { tables: TABLES });
    const seed = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1e9);
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state % below;
    };
    for (let round = 0; round < 40; round++) {
      await database.transact((transaction) => {
        for (let i = 0; i < 60; i++) {
          const key = bytes(`key ${random(3000)}`);
          if (random(3) === 0) transaction.remove('a', key);
          else transaction.put('a', key, Buffer.alloc(random(2) ? random(300) : random(30_000)));
        }
      });
      const copy = join(folder, `copy-${round}`);
      await database.copyTo(copy);
      const opened = await openDatabase(copy, { tables: TABLES, alone: true, check: 'always' });
      assert.deepEqual(keys(opened, ''), keys(database, ''), `seed ${seed}`);
      await opened.close();
      await rm(copy);
    }
    await database.close();
  });

  it('a marker of an older stop does not vouch for a changed file', async () => {
    await filled(2000);
    const marker = await readFile(`${path}-clean`);
    const database = await reopen(path);
    await database.transact((transaction) => transaction.put('a', bytes('new'), bytes('x')));
    await copyFile(path, join(folder, 'crashed'));
    await database.close();
    const crashed = join(folder, 'crashed');
    await writeFile(`${crashed}-clean`, marker);
    const handle = await open(crashed, 'r+');
    const { size } = await handle.stat();
    for (let at = 16384; at < size; at += 8192) await handle.write(Buffer.alloc(64), 0, 64, at);
    await handle.close();
    await assert.rejects(reopen(crashed), { code: 'STORAGE_CORRUPT' });
  });
});

describe('durable map', () => {
  it('keeps strings over reopening, lists by prefix, removes', async () => {
    let map = await openDurableMap(path, { create: true });
    await map.commit(
      new Map([
        ['node/a', '1'],
        ['node/b', '2'],
        ['nodes', '3'],
        ['näme', 'ü'],
      ]),
    );
    await map.commit([
      { key: 'node/a', value: null },
      { key: 'node/c', value: '' },
    ]);
    await map.close();
    map = await openDurableMap(path, { create: true });
    assert.deepEqual(
      [...map.entries('node/')],
      [
        ['node/b', '2'],
        ['node/c', ''],
      ],
    );
    assert.equal(map.get('näme'), 'ü');
    assert.equal(map.get('node/a'), undefined);
    assert.equal([...map.entries('')].length, 4);
    await map.close();
  });
});
