// The contract of DatasetDriver, run over every implementation. A harness brings two separate storage roots (streams go
// from one to the other) and what only the implementation's owner can do: foreign datasets, counting started processes.
import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { type ErrorCode, isZringError } from '../../../src/common/errors.ts';
import type { DatasetDriver } from '../../../src/dataset/driver.ts';
import { bytesOf, collect, readStore, removeData, streamOf, writeStore, writeSynced } from './content.ts';

export interface ContractHarness {
  readonly a: DatasetDriver;
  readonly b: DatasetDriver;
  /** A second driver on the root of `a`, as after a restart. */
  reopenA(): Promise<DatasetDriver>;
  /** A dataset below the root of `a` that is not zring's; resolves with its folder. */
  makeForeign(name: string): Promise<string>;
  /** Processes started so far; null when the implementation starts none. */
  started(): number | null;
  /** How many offsets the cut and damage tables try. */
  readonly offsets: number;
  stop(): Promise<void>;
}

const rejects = (promise: Promise<unknown>, code: ErrorCode) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(isZringError(error, code), `want ${code}, got ${error instanceof Error ? error.stack : error}`);
    return true;
  });

const HOSTILE_NAMES = [
  '',
  'a',
  'ab',
  '-r',
  '-rf',
  '--help',
  '.',
  '..',
  '../x',
  '/etc',
  'a/b',
  'a@b',
  'a#b',
  'a%b',
  'abc ',
  ' abc',
  'a b c',
  'abc\n',
  'abc\0x',
  'Abc',
  'abc;ls',
  '$(id)',
  'a..b',
  'abc.',
  'x'.repeat(64),
  '_',
  '__x',
  '_zring',
  '_a/b',
  '_a@b',
  '_..',
  `_${'x'.repeat(200)}`,
  '.zring-root',
];

export function datasetContract(title: string, start: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let h: ContractHarness;
    let count = 0;

    before(async () => {
      h = await start();
    });
    after(async () => {
      await h?.stop();
    });

    const FIRST = { aa1: bytesOf('aa1', 150_000), bb1: bytesOf('bb1', 70_000), bb2: Buffer.alloc(0) };
    const INDEX = bytesOf('index one', 40_000);

    /** A dataset of `a` with some content, mounted and writable. */
    async function make(name = `bucket-${++count}`): Promise<{ name: string; id: string; path: string }> {
      const id = `id-${name}`;
      await h.a.create(name, { id }, (path) => writeStore(path, FIRST, INDEX));
      const { path } = await h.a.open(name, { id, readonly: false });
      return { name, id, path };
    }

    async function change(path: string): Promise<void> {
      await writeStore(path, { aa2: bytesOf('aa2', 90_000) }, bytesOf('index two', 44_000));
      await removeData(path, 'bb1');
    }

    async function streamFrom(name: string, snapshot: string, fromGuid: string | null = null): Promise<Buffer> {
      const sent = await h.a.send(name, { snapshot, fromGuid });
      const bytes = await collect(sent.stream);
      await sent.done;
      return bytes;
    }

    /** First copy of `name`@s1 on `b`, published under the same name, closed. */
    async function replicate(name: string, id: string): Promise<{ guid: string; bytes: Buffer }> {
      const { guid } = await h.a.snapshot(name, 's1');
      const bytes = await streamFrom(name, 's1');
      await h.b.receive(`_recv-${name}`, streamOf(bytes), { incremental: false });
      await h.b.setProperties(`_recv-${name}`, { id });
      await h.b.rename(`_recv-${name}`, name);
      return { guid, bytes };
    }

    async function contentOnB(name: string, id: string): Promise<Record<string, string>> {
      const { path } = await h.b.open(name, { id, readonly: true });
      const content = await readStore(path);
      await h.b.close(name);
      return content;
    }

    const namesOnB = async (name: string) => (await h.b.snapshots(name)).map((snapshot) => snapshot.name);

    describe('create', () => {
      it('runs init in the folder and lists the dataset with its properties', async () => {
        const { name, path } = await make();
        const info = await h.a.get(name);
        assert.deepEqual(info?.properties, { id: `id-${name}` });
        assert.equal(info?.path, path);
        assert.equal(info?.readonly, false);
        assert.deepEqual(Object.keys(await readStore(path)), ['data/aa/aa1', 'data/bb/bb1', 'data/bb/bb2', 'index']);
        assert.ok((await h.a.list()).some((listed) => listed.name === name));
      });

      it('refuses a name that is taken and leaves what has it alone', async () => {
        const { name, path } = await make();
        const before = await readStore(path);
        await rejects(
          h.a.create(name, { id: 'other' }, () => Promise.resolve()),
          'DATASET_ALREADY_EXISTS',
        );
        assert.equal((await h.a.get(name))?.properties.id, `id-${name}`);
        assert.deepEqual(await readStore(path), before);
      });

      it('leaves nothing when init fails', async () => {
        const failing = h.a.create('bucket-failing', { id: 'x' }, async (path) => {
          await writeStore(path, FIRST, INDEX);
          throw new Error('no index today');
        });
        await assert.rejects(failing, /no index today/);
        assert.equal(await h.a.get('bucket-failing'), null);
        await make('bucket-failing');
      });
    });

    describe('properties', () => {
      it('are set, replaced and removed, and are there after a restart', async () => {
        const { name, id } = await make();
        const odd = 'x=1,2; "q" \'s\' $HOME -o \\n {"a":[1]}';
        await h.a.setProperties(name, { term: '12@a', role: 'owner', odd });
        await h.a.setProperties(name, { role: null, term: '13@b' });
        const again = await h.reopenA();
        assert.deepEqual((await again.get(name))?.properties, { id, term: '13@b', odd });
        await again.shutdown();
      });

      it('that could not be read back are refused', async () => {
        const { name } = await make();
        for (const value of ['', 'a\nb', 'a\tb', 'ü', 'x'.repeat(5000)]) {
          await rejects(h.a.setProperties(name, { odd: value }), 'DATASET_NAME_INVALID');
        }
        for (const key of ['', 'A', 'a b', 'a=b', 'a:b', '-o', 'a/b']) {
          await rejects(h.a.setProperties(name, { [key]: 'x' }), 'DATASET_NAME_INVALID');
        }
      });

      it('set at the same time all arrive', async () => {
        const { name } = await make();
        await Promise.all([1, 2, 3, 4, 5].map((n) => h.a.setProperties(name, { [`p${n}`]: `${n}` })));
        const properties = (await h.a.get(name))?.properties;
        assert.deepEqual(
          [1, 2, 3, 4, 5].map((n) => properties?.[`p${n}`]),
          ['1', '2', '3', '4', '5'],
        );
      });
    });

    describe('open and close', () => {
      it('refuses another id and a missing dataset', async () => {
        const { name } = await make();
        await rejects(h.a.open(name, { id: 'other', readonly: false }), 'MOUNT_INVALID');
        await rejects(h.a.open('never-made', { id: 'x', readonly: true }), 'DATASET_NOT_FOUND');
      });

      it('brings the content back after close, which is idempotent', async () => {
        const { name, id, path } = await make();
        const content = await readStore(path);
        await h.a.close(name);
        await h.a.close(name);
        await h.a.close('never-made');
        const opened = await h.a.open(name, { id, readonly: true });
        assert.deepEqual(await readStore(opened.path), content);
      });

      it('does not close under an open file', async () => {
        const { name, id, path } = await make();
        const handle = await fs.open(join(path, 'index'), 'r');
        try {
          await rejects(h.a.close(name), 'DATASET_BUSY');
        } finally {
          await handle.close();
        }
        await h.a.close(name);
        await h.a.open(name, { id, readonly: false });
      });

      it('sets readonly as asked', async () => {
        const { name, id, path } = await make();
        await h.a.setReadonly(name, true);
        assert.equal((await h.a.get(name))?.readonly, true);
        if (h.a.kind === 'zfs') await assert.rejects(writeSynced(join(path, 'x'), INDEX), { code: 'EROFS' });
        await h.a.open(name, { id, readonly: false });
        assert.equal((await h.a.get(name))?.readonly, false);
        await writeSynced(join(path, 'index'), INDEX);
        await h.a.open(name, { id, readonly: true });
        assert.equal((await h.a.get(name))?.readonly, true);
      });

      it('tells the truth about open files under readonly', async () => {
        const { name, path } = await make();
        const handle = await fs.open(join(path, 'index'), 'r+');
        try {
          await h.a.setReadonly(name, true).catch((error: unknown) => {
            if (!isZringError(error, 'DATASET_BUSY')) throw error;
          });
          const write = handle.write(INDEX, 0, 100, 0).then(() => handle.sync());
          if (h.a.capabilities.readonlyFencesOpenFiles) await assert.rejects(write);
          else await write.catch(() => {});
        } finally {
          await handle.close().catch(() => {});
        }
      });
    });

    describe('names', () => {
      it('that are no plain names are refused before anything is started or touched', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 'one');
        const started = h.started();
        const nothing = () => Promise.resolve();
        for (const bad of HOSTILE_NAMES) {
          const calls = [
            h.a.get(bad),
            h.a.create(bad, { id: 'x' }, nothing),
            h.a.open(bad, { id: 'x', readonly: true }),
            h.a.close(bad),
            h.a.setReadonly(bad, true),
            h.a.setProperties(bad, { x: 'y' }),
            h.a.rename(bad, 'fine-name'),
            h.a.rename(name, bad),
            h.a.destroy(bad),
            h.a.snapshot(bad, 's'),
            h.a.snapshots(bad),
            h.a.destroySnapshot(bad, 's'),
            h.a.hold(bad, 's', 't'),
            h.a.release(bad, 's', 't'),
            h.a.send(bad, { snapshot: 's', fromGuid: null }),
            h.a.estimateSend(bad, { snapshot: 's', fromGuid: null }),
            h.a.receive(bad, streamOf(Buffer.alloc(0)), { incremental: false }),
          ];
          for (const call of calls) await rejects(call, 'DATASET_NAME_INVALID');
        }
        for (const bad of ['', '-r', 'a/b', 'a@b', 'a,b', 'a b', 'a%b', '..', '.x', 'a\n', 'x'.repeat(200)]) {
          await rejects(h.a.snapshot(name, bad), 'DATASET_NAME_INVALID');
          await rejects(h.a.destroySnapshot(name, bad), 'DATASET_NAME_INVALID');
          await rejects(h.a.send(name, { snapshot: bad, fromGuid: null }), 'DATASET_NAME_INVALID');
          await rejects(h.a.hold(name, 'one', bad), 'DATASET_NAME_INVALID');
        }
        for (const bad of ['', '0', 'x', '-1', '1 2', '1'.repeat(30)]) {
          await rejects(h.a.send(name, { snapshot: 'one', fromGuid: bad }), 'DATASET_NAME_INVALID');
        }
        assert.equal(h.started(), started);
      });

      it('of a first copy start with an underscore', async () => {
        const started = h.started();
        await rejects(h.b.receive('plain-name', streamOf(INDEX), { incremental: false }), 'DATASET_NAME_INVALID');
        assert.equal(h.started(), started);
      });
    });

    describe('foreign datasets', () => {
      it('below the root are neither listed nor touched', async () => {
        const folder = await h.makeForeign('not-ours');
        await writeSynced(join(folder, 'precious'), INDEX);
        assert.equal(await h.a.get('not-ours'), null);
        assert.ok(!(await h.a.list()).some((info) => info.name === 'not-ours'));
        await rejects(
          h.a.create('not-ours', { id: 'x' }, () => Promise.resolve()),
          'DATASET_ALREADY_EXISTS',
        );
        await rejects(h.a.destroy('not-ours'), 'DATASET_NOT_FOUND');
        await rejects(h.a.setProperties('not-ours', { id: 'x' }), 'DATASET_NOT_FOUND');
        await rejects(h.a.setReadonly('not-ours', true), 'DATASET_NOT_FOUND');
        await rejects(h.a.rename('not-ours', 'ours-now'), 'DATASET_NOT_FOUND');
        await rejects(h.a.open('not-ours', { id: 'x', readonly: true }), 'DATASET_NOT_FOUND');
        await rejects(h.a.snapshot('not-ours', 's'), 'DATASET_NOT_FOUND');
        assert.deepEqual(await fs.readFile(join(folder, 'precious')), INDEX);
      });
    });

    describe('snapshots', () => {
      it('have a guid, an order and a time, the same after a restart', async () => {
        const { name, path } = await make();
        const beforeMs = Date.now();
        const made = [await h.a.snapshot(name, 'z-first')];
        await change(path);
        made.push(await h.a.snapshot(name, 'a-second'), await h.a.snapshot(name, 'm-third'));
        const again = await h.reopenA();
        const listed = await again.snapshots(name);
        await again.shutdown();
        assert.deepEqual(listed, made);
        assert.deepEqual(
          listed.map((snapshot) => snapshot.name),
          ['z-first', 'a-second', 'm-third'],
        );
        assert.equal(new Set(listed.map((snapshot) => snapshot.guid)).size, 3);
        for (const snapshot of listed) {
          assert.match(snapshot.guid, /^[1-9][0-9]{0,19}$/);
          assert.ok(Math.abs(snapshot.createdMs - beforeMs) < 3_600_000, `${snapshot.createdMs}`);
        }
      });

      it('are refused under a taken name, and of what is missing', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 'one');
        await rejects(h.a.snapshot(name, 'one'), 'DATASET_ALREADY_EXISTS');
        await rejects(h.a.snapshot('never-made', 'one'), 'DATASET_NOT_FOUND');
        await rejects(h.a.snapshots('never-made'), 'DATASET_NOT_FOUND');
        await rejects(h.a.send(name, { snapshot: 'two', fromGuid: null }), 'SNAPSHOT_NOT_FOUND');
        await rejects(h.a.send(name, { snapshot: 'one', fromGuid: '12345' }), 'SNAPSHOT_NOT_FOUND');
      });

      it('are kept by every hold until it is released', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 'one');
        await h.a.hold(name, 'one', 'move-1');
        await h.a.hold(name, 'one', 'move-1');
        await h.a.hold(name, 'one', 'copy-2');
        assert.equal((await h.a.snapshots(name))[0]?.holds, 2);
        await rejects(h.a.destroySnapshot(name, 'one'), 'SNAPSHOT_HELD');
        await h.a.release(name, 'one', 'move-1');
        await h.a.release(name, 'one', 'move-1');
        await rejects(h.a.destroySnapshot(name, 'one'), 'SNAPSHOT_HELD');
        await h.a.release(name, 'one', 'copy-2');
        await h.a.destroySnapshot(name, 'one');
        await h.a.destroySnapshot(name, 'one');
        assert.deepEqual(await h.a.snapshots(name), []);
        await rejects(h.a.hold(name, 'one', 'move-1'), 'SNAPSHOT_NOT_FOUND');
      });
    });

    describe('send and receive', () => {
      it('carries a full copy byte for byte, with the same guid', async () => {
        const { name, id, path } = await make();
        const { guid, bytes } = await replicate(name, id);
        const copies = await h.b.snapshots(name);
        assert.deepEqual(
          copies.map((snapshot) => [snapshot.name, snapshot.guid]),
          [['s1', guid]],
        );
        assert.equal((await h.b.get(name))?.readonly, true);
        assert.deepEqual((await h.b.get(name))?.properties, { id });
        assert.deepEqual(await contentOnB(name, id), await readStore(path));
        const estimate = await h.a.estimateSend(name, { snapshot: 's1', fromGuid: null });
        if (estimate !== null) {
          assert.ok(estimate > bytes.length / 2 && estimate < bytes.length * 2, `${estimate} for ${bytes.length}`);
        }
      });

      it('reports the bytes and the snapshot it received', async () => {
        const { name } = await make();
        const sent = await h.a.snapshot(name, 's1');
        const bytes = await streamFrom(name, 's1');
        const received = await h.b.receive(`_recv-${name}`, streamOf(bytes, 7), { incremental: false });
        assert.equal(received.bytes, bytes.length);
        assert.equal(received.snapshot.guid, sent.guid);
        assert.deepEqual(await h.b.snapshots(`_recv-${name}`), [received.snapshot]);
        await h.b.destroy(`_recv-${name}`);
      });

      it('carries increments, smaller than the whole', async () => {
        const { name, id, path } = await make();
        const { guid, bytes } = await replicate(name, id);
        await change(path);
        const second = await h.a.snapshot(name, 's2');
        const step = await streamFrom(name, 's2', guid);
        assert.ok(step.length < bytes.length, `${step.length} of ${bytes.length}`);
        const received = await h.b.receive(name, streamOf(step), { incremental: true });
        assert.equal(received.snapshot.guid, second.guid);
        assert.deepEqual(await contentOnB(name, id), await readStore(path));
        // From the older snapshot to one that leaps over another, to a copy that was looked at in between.
        await writeStore(path, { cc1: bytesOf('cc1', 5000) }, bytesOf('index three', 48_000));
        await h.a.snapshot(name, 's3');
        await writeStore(path, { cc2: bytesOf('cc2', 5000) }, bytesOf('index four', 48_000));
        await h.a.snapshot(name, 's4');
        const leap = await streamFrom(name, 's4', second.guid);
        await h.b.receive(name, streamOf(leap), { incremental: true });
        assert.deepEqual(await contentOnB(name, id), await readStore(path));
        assert.deepEqual(await namesOnB(name), ['s1', 's2', 's4']);
      });

      it('goes back the other way after the copy became the writable one', async () => {
        const { name, id, path } = await make();
        const { guid } = await replicate(name, id);
        await h.a.setReadonly(name, true);
        await h.a.close(name);
        const there = await h.b.open(name, { id, readonly: false });
        await change(there.path);
        const content = await readStore(there.path);
        await h.b.close(name);
        await h.b.snapshot(name, 'back');
        const sent = await h.b.send(name, { snapshot: 'back', fromGuid: guid });
        await h.a.receive(name, sent.stream, { incremental: true });
        await sent.done;
        assert.deepEqual(await readStore((await h.a.open(name, { id, readonly: true })).path), content);
        assert.notEqual(path, '');
      });

      it('refuses a full stream onto something that exists', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        const bytes = await streamFrom(name, 's1');
        await h.b.receive('_recv-taken', streamOf(bytes), { incremental: false });
        await rejects(h.b.receive('_recv-taken', streamOf(bytes), { incremental: false }), 'DATASET_ALREADY_EXISTS');
        assert.equal((await h.b.snapshots('_recv-taken')).length, 1);
        await h.b.destroy('_recv-taken');
      });

      it('refuses an increment for what is missing, and a full stream as an increment', async () => {
        const { name, id, path } = await make();
        const { guid, bytes } = await replicate(name, id);
        await change(path);
        await h.a.snapshot(name, 's2');
        const step = await streamFrom(name, 's2', guid);
        await rejects(h.b.receive('never-made', streamOf(step), { incremental: true }), 'DATASET_NOT_FOUND');
        await rejects(h.b.receive('_recv-step', streamOf(step), { incremental: false }), 'STREAM_INVALID');
        assert.equal(await h.b.get('_recv-step'), null);
        await rejects(h.b.receive(name, streamOf(bytes), { incremental: true }), 'STREAM_INVALID');
        assert.deepEqual(await namesOnB(name), ['s1']);
      });

      it('refuses to overwrite a copy that was written, and keeps both', async () => {
        const { name, id, path } = await make();
        const { guid } = await replicate(name, id);
        const there = await h.b.open(name, { id, readonly: false });
        await writeSynced(join(there.path, 'index'), bytesOf('somebody else', 40_000));
        await h.b.open(name, { id, readonly: true });
        await h.b.close(name);
        const theirs = await contentOnB(name, id);
        await change(path);
        await h.a.snapshot(name, 's2');
        const step = await streamFrom(name, 's2', guid);
        await rejects(h.b.receive(name, streamOf(step), { incremental: true }), 'DATASET_DIVERGED');
        assert.deepEqual(await contentOnB(name, id), theirs);
        assert.deepEqual(await namesOnB(name), ['s1']);
      });

      it('refuses an increment when another snapshot came in between', async () => {
        const { name, id, path } = await make();
        const { guid } = await replicate(name, id);
        await h.b.snapshot(name, 'local');
        await change(path);
        await h.a.snapshot(name, 's2');
        const step = await streamFrom(name, 's2', guid);
        await rejects(h.b.receive(name, streamOf(step), { incremental: true }), 'DATASET_DIVERGED');
        assert.deepEqual(await namesOnB(name), ['s1', 'local']);
      });
    });

    describe('a stream that is cut or damaged', () => {
      /** Spread over the whole, with the ends, where headers and trailers are. */
      function offsetsOf(length: number): number[] {
        const ends = [0, 1, 8, 100, 311, 312, 313, length - 313, length - 312, length - 1];
        const spread = Array.from({ length: h.offsets }, (_, n) => Math.floor(((n + 0.5) * length) / h.offsets));
        return [...new Set([...ends, ...spread])].filter((at) => at >= 0 && at < length).sort((a, b) => a - b);
      }

      it('leaves nothing of a new copy', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        const bytes = await streamFrom(name, 's1');
        for (const at of offsetsOf(bytes.length)) {
          const cut = h.b.receive('_recv-cut', streamOf(bytes.subarray(0, at)), { incremental: false });
          await rejects(cut, 'STREAM_INVALID').catch((cause: unknown) => {
            throw new Error(`cut at ${at} of ${bytes.length}`, { cause });
          });
          assert.equal(await h.b.get('_recv-cut'), null, `cut at ${at}`);
        }
        await h.b.receive('_recv-cut', streamOf(bytes), { incremental: false });
        await h.b.destroy('_recv-cut');
      });

      it('leaves an existing copy as it was', async () => {
        const { name, id, path } = await make();
        const { guid } = await replicate(name, id);
        const old = await contentOnB(name, id);
        await change(path);
        await h.a.snapshot(name, 's2');
        const step = await streamFrom(name, 's2', guid);
        for (const at of offsetsOf(step.length)) {
          const cut = h.b.receive(name, streamOf(step.subarray(0, at)), { incremental: true });
          await rejects(cut, 'STREAM_INVALID').catch((cause: unknown) => {
            throw new Error(`cut at ${at} of ${step.length}`, { cause });
          });
          assert.deepEqual(await namesOnB(name), ['s1'], `cut at ${at}`);
        }
        assert.deepEqual(await contentOnB(name, id), old);
        await h.b.receive(name, streamOf(step), { incremental: true });
        assert.deepEqual(await contentOnB(name, id), await readStore(path));
      });

      it('is found by its checksum', async () => {
        const { name, id, path } = await make();
        const { guid } = await replicate(name, id);
        const old = await contentOnB(name, id);
        await change(path);
        await h.a.snapshot(name, 's2');
        const step = await streamFrom(name, 's2', guid);
        const spread = Array.from({ length: h.offsets }, (_, n) => Math.floor(((n + 0.5) * step.length) / h.offsets));
        for (const at of spread) {
          const damaged = Buffer.from(step);
          damaged[at] = (damaged[at] ?? 0) ^ 0x10;
          const outcome = h.b.receive(name, streamOf(damaged), { incremental: true });
          await assert.rejects(outcome, (error: unknown) => isZringError(error), `flipped at ${at} of ${step.length}`);
          assert.deepEqual(await namesOnB(name), ['s1'], `flipped at ${at}`);
        }
        assert.deepEqual(await contentOnB(name, id), old);
        await h.b.receive(name, streamOf(step), { incremental: true });
      });

      it('that breaks with an error is not taken for its end', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        const bytes = await streamFrom(name, 's1');
        const source = new PassThrough();
        source.write(bytes.subarray(0, bytes.length - 10));
        const outcome = h.b.receive('_recv-broken', source, { incremental: false });
        source.destroy(new Error('connection reset'));
        await rejects(outcome, 'STREAM_INVALID');
        assert.equal(await h.b.get('_recv-broken'), null);
      });
    });

    describe('sending', () => {
      it('keeps its snapshot from being destroyed', async () => {
        const { name, path } = await make();
        await writeStore(path, { dd1: bytesOf('dd1', 6_000_000) }, INDEX);
        await h.a.snapshot(name, 's1');
        const sent = await h.a.send(name, { snapshot: 's1', fromGuid: null });
        await new Promise<void>((resolve) => sent.stream.once('readable', resolve));
        await rejects(h.a.destroySnapshot(name, 's1'), 'DATASET_BUSY');
        const bytes = await collect(sent.stream);
        await sent.done;
        await h.b.receive('_recv-busy', streamOf(bytes), { incremental: false });
        await h.b.destroy('_recv-busy');
        await h.a.destroySnapshot(name, 's1');
      });
    });

    describe('stopping', () => {
      it('a send ends the sender and frees the dataset', async () => {
        const { name, path } = await make();
        await writeStore(path, { dd1: bytesOf('dd1', 3_000_000) }, INDEX);
        await h.a.snapshot(name, 's1');
        const stop = new AbortController();
        const sent = await h.a.send(name, { snapshot: 's1', fromGuid: null, signal: stop.signal });
        sent.stream.on('error', () => {});
        await new Promise<void>((resolve) => sent.stream.once('readable', resolve));
        stop.abort();
        await rejects(sent.done, 'ABORTED');
        await h.a.destroySnapshot(name, 's1');
      });

      it('a reader that goes away ends the sender', async () => {
        const { name, path } = await make();
        await writeStore(path, { dd1: bytesOf('dd1', 3_000_000) }, INDEX);
        await h.a.snapshot(name, 's1');
        const sent = await h.a.send(name, { snapshot: 's1', fromGuid: null });
        await new Promise<void>((resolve) => sent.stream.once('readable', resolve));
        sent.stream.destroy();
        await rejects(sent.done, 'ABORTED');
        await h.a.destroySnapshot(name, 's1');
      });

      it('a receive leaves nothing', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        const bytes = await streamFrom(name, 's1');
        const stop = new AbortController();
        const source = new PassThrough();
        const outcome = h.b.receive('_recv-stopped', source, { incremental: false, signal: stop.signal });
        source.write(bytes.subarray(0, bytes.length / 2), () => stop.abort());
        await rejects(outcome, 'ABORTED');
        assert.equal(await h.b.get('_recv-stopped'), null);
        await h.b.receive('_recv-stopped', streamOf(bytes), { incremental: false });
        await h.b.destroy('_recv-stopped');
      });

      it('before it began starts nothing', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        const signal = AbortSignal.abort();
        const outcome = h.b.receive('_recv-early', streamOf(INDEX), { incremental: false, signal });
        await rejects(outcome, 'ABORTED');
        assert.equal(await h.b.get('_recv-early'), null);
      });
    });

    describe('rename and destroy', () => {
      it('moves content, properties and snapshots', async () => {
        const { name, id, path } = await make();
        const content = await readStore(path);
        const snapshot = await h.a.snapshot(name, 'one');
        await h.a.rename(name, `_aside-${name}`);
        assert.equal(await h.a.get(name), null);
        assert.deepEqual((await h.a.get(`_aside-${name}`))?.properties, { id });
        assert.deepEqual(await h.a.snapshots(`_aside-${name}`), [snapshot]);
        assert.deepEqual(await readStore((await h.a.open(`_aside-${name}`, { id, readonly: true })).path), content);
        await h.a.rename(`_aside-${name}`, name);
        assert.deepEqual(await readStore((await h.a.open(name, { id, readonly: true })).path), content);
      });

      it('refuses a taken name and a missing one', async () => {
        const [one, two] = [await make(), await make()];
        await rejects(h.a.rename(one.name, two.name), 'DATASET_ALREADY_EXISTS');
        await rejects(h.a.rename('never-made', 'never-made-2'), 'DATASET_NOT_FOUND');
        assert.equal((await h.a.get(two.name))?.properties.id, two.id);
      });

      it('does not publish what has no id', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        await h.b.receive('_recv-no-id', streamOf(await streamFrom(name, 's1')), { incremental: false });
        await rejects(h.b.rename('_recv-no-id', 'published'), 'MOUNT_INVALID');
        await h.b.destroy('_recv-no-id');
      });

      it('destroys with snapshots and holds, again without a fault, and nothing else', async () => {
        const [gone, kept] = [await make(), await make()];
        await h.a.snapshot(gone.name, 'one');
        await h.a.snapshot(gone.name, 'two');
        await h.a.hold(gone.name, 'one', 'move-1');
        await h.a.hold(gone.name, 'two', 'move-1');
        await h.a.hold(gone.name, 'two', 'move-2');
        await h.a.destroy(gone.name);
        await h.a.destroy(gone.name);
        assert.equal(await h.a.get(gone.name), null);
        assert.deepEqual((await h.a.get(kept.name))?.properties, { id: kept.id });
        await make(gone.name);
        assert.deepEqual(await h.a.snapshots(gone.name), []);
      });

      it('does not destroy under an open file', async () => {
        const { name, path } = await make();
        const handle = await fs.open(join(path, 'index'), 'r');
        try {
          await rejects(h.a.destroy(name), 'DATASET_BUSY');
          assert.notEqual(await h.a.get(name), null);
        } finally {
          await handle.close();
        }
        await h.a.destroy(name);
      });
    });

    describe('the root', () => {
      it('lists leftovers, but not the state folder', async () => {
        const { name } = await make();
        await h.a.snapshot(name, 's1');
        await h.b.receive('_recv-left', streamOf(await streamFrom(name, 's1')), { incremental: false });
        await h.b.stateFolder();
        const names = (await h.b.list()).map((info) => info.name);
        assert.ok(names.includes('_recv-left'));
        assert.ok(!names.includes('_zring'));
        await h.b.destroy('_recv-left');
      });

      it('keeps node-local state across restarts', async () => {
        const folder = await h.a.stateFolder();
        await writeSynced(join(folder, 'node.json'), INDEX);
        const again = await h.reopenA();
        assert.equal(await again.stateFolder(), folder);
        assert.deepEqual(await fs.readFile(join(folder, 'node.json')), INDEX);
        await again.shutdown();
      });

      it('says how much room there is and how much a dataset takes', async () => {
        const usage = await h.a.usage();
        assert.equal(usage.health, 'ok');
        assert.ok(usage.freeBytes > 0 && usage.freeBytes <= usage.totalBytes, JSON.stringify(usage));
        const { name, path } = await make();
        await writeStore(path, { ee1: bytesOf('ee1', 2_000_000) }, INDEX);
        await h.a.snapshot(name, 's1');
        const before = await h.a.get(name);
        assert.ok(before && before.referencedBytes > 2_000_000 && before.referencedBytes < 3_000_000);
        assert.ok(before.usedBytes >= before.referencedBytes);
        await removeData(path, 'ee1');
        await h.a.snapshot(name, 's2');
        const after = await h.a.get(name);
        assert.ok(after && after.referencedBytes < 1_000_000 && after.usedBytes > 2_000_000, JSON.stringify(after));
      });
    });
  });
}
