// Damage from the disk to the client: an object whose file is damaged is never sent as if it were whole, is repaired from the
// copy of a former owner, and is then whole again; and what `zring scrub` says, through any node.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { CreateBucketCommand, DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { BucketScrub } from '../../src/admin/bucket-scrubs.ts';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const Bucket = 'mended';
const MIB = 1 << 20;

describe('damage and repair', part('redis-server'), () => {
  let cluster: TestCluster;
  let owner = '';
  let other = '';
  const bodies = new Map<string, Buffer>();

  const zring = async (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
    run(process.execPath, [...programArguments(), ...args, '--config', cluster.configPath]).then(
      ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
      ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
    );

  async function put(Key: string, bytes: number): Promise<void> {
    const Body = randomBytes(bytes);
    await cluster.client('a').send(new PutObjectCommand({ Bucket, Key, Body }));
    bodies.set(Key, Body);
  }

  /** null = the answer broke off, or was an error. */
  async function get(node: string, Key: string): Promise<Buffer | null> {
    try {
      const { Body } = await cluster.client(node, { maxAttempts: 1 }).send(new GetObjectCommand({ Bucket, Key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    } catch {
      return null;
    }
  }

  /** The data file at the owner with exactly so many bytes. */
  async function fileOf(bytes: number): Promise<string> {
    const data = join(cluster.folder, owner, 'root', Bucket, 'data');
    for (const fan of await readdir(data)) {
      for (const name of await readdir(join(data, fan))) {
        const path = join(data, fan, name);
        if ((await stat(path)).size === bytes) return path;
      }
    }
    return assert.fail(`no file of ${bytes} bytes`);
  }

  async function damage(bytes: number, at: number): Promise<void> {
    const file = await open(await fileOf(bytes), 'r+');
    await file.write(Buffer.from('damaged by the test'), 0, null, at);
    await file.close();
  }

  before(async () => {
    cluster = await startCluster({ storage: 'dir' });
    // So that it is known who has what.
    await cluster.edit((file) => Object.assign(file.cluster, { copies: 1 }));
    await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
    const at = async () => (await cluster.datasets('a')).find(({ dataset }) => dataset === Bucket);
    await put('large', 3 * MIB + 1);
    await put('middle', 100_001);
    await put('gone', 100_002);
    const from = (await at())?.owner ?? '';
    [owner = '', other = ''] = cluster.nodes.map(({ id }) => id).filter((id) => id !== from);
    assert.equal((await zring('move', Bucket, '--to', owner)).code, 0);
    await cluster.until(at, (record) => record?.owner === owner && record.phase === 'stable', 'the move');
  });
  after(() => cluster?.close());

  it('a GET of a damaged object breaks off, through every node, and gets it whole a moment later', async () => {
    await damage(3 * MIB + 1, 2 * MIB + 500);
    assert.equal(await get(owner, 'large'), null, 'never a complete wrong answer');
    const whole = await cluster.until(
      () => get(other, 'large'),
      (body) => body !== null,
      'the repair',
    );
    assert.ok(whole?.equals(bodies.get('large') ?? Buffer.alloc(0)));
    const metrics = await (await fetch(`http://127.0.0.1:${cluster.node(owner).adminPort}/metrics`)).text();
    assert.match(metrics, /^zring_blobs_damaged_total 1$/m);
    assert.match(metrics, /^zring_blobs_repaired_total 1$/m);
    assert.match(metrics, /^zring_repair_failures_total 0$/m);
    assert.match(metrics, /^zring_store_corruptions_total [1-9]/m);
  });

  it('zring scrub finds and repairs what nobody has read, and exits 1 for what nobody else has', async () => {
    const clean = await zring('scrub', Bucket, '--node', other);
    assert.deepEqual([clean.code, clean.err], [0, '']);
    assert.match(clean.out, /on node [abc] has read all: 3 of 3 files[\s\S]*all sound/);

    await damage(100_001, 7);
    await rm(await fileOf(100_002));
    await put('alone', 100_003);
    await damage(100_003, 99_000);
    const { code, out, err } = await zring('scrub', Bucket, '--json', '--node', other);
    assert.equal(code, 1, err);
    const { node, scrub } = JSON.parse(out) as BucketScrub;
    assert.deepEqual([node, scrub?.state, scrub?.damaged, scrub?.repaired], [owner, 'done', 3, 2]);
    const [first] = scrub?.faults ?? [];
    assert.deepEqual([first?.key, first?.repaired], ['alone', false]);
    for (const key of ['middle', 'gone']) {
      assert.ok((await get(other, key))?.equals(bodies.get(key) ?? Buffer.alloc(0)), key);
    }
    assert.equal(await get(owner, 'alone'), null);
    const table = await zring('scrub', Bucket);
    assert.equal(table.code, 1);
    assert.match(table.out, /DAMAGED +alone +.*no other node has it whole/);
    await cluster.client('a').send(new DeleteObjectCommand({ Bucket, Key: 'alone' }));
    assert.equal((await zring('scrub', Bucket)).code, 0);
  });

  it('Ctrl-C leaves a scrub running, --stop ends it, and a restart of its node is said', async () => {
    // At 64 MiB/s it takes some seconds.
    for (const n of [1, 2, 3, 4, 5, 6]) await put(`big-${n}`, 48 * MIB);
    const words = [...programArguments(), 'scrub', Bucket, '--node', other, '--config', cluster.configPath];
    const watch = (): { child: ReturnType<typeof spawn>; said: () => string; exit: Promise<unknown[]> } => {
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
      let text = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      return { child, said: () => text, exit: once(child, 'exit') };
    };
    const shown = async () => (await cluster.admin(other, `/scrubs/${Bucket}`)) as BucketScrub;
    const isRunning = ({ scrub }: BucketScrub) => scrub?.state === 'running';

    const first = watch();
    await cluster.until(shown, isRunning, 'the scrub');
    first.child.kill('SIGINT');
    assert.deepEqual(await first.exit, [130, null]);
    assert.match(first.said(), new RegExp(`goes on at node ${owner}; stop it with: zring scrub ${Bucket} --stop`));
    assert.ok(isRunning(await shown()));
    const stopped = await zring('scrub', Bucket, '--stop');
    assert.equal(stopped.code, 0, stopped.err);
    assert.match(stopped.out, /was stopped/);

    const second = watch();
    await cluster.until(shown, isRunning, 'the scrub');
    await cluster.kill(owner);
    await cluster.start(owner);
    assert.deepEqual(await second.exit, [1, null]);
    assert.match(second.said(), /did not come to its end.*start it again/);
    assert.match((await zring('scrub', Bucket, '--stop')).out, /none is remembered/);
  });
});
