// A node's storage put back to an older copy, over real processes: its buckets are 503 through every node, never 404; the
// operator's two verbs say what is lost and give it up.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { DiskReport } from '../../src/ownership/disk-acceptance.ts';
import { programArguments, startCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEASE = '2s';

describe('a node on an old copy of its disk', part('redis-server'), () => {
  test('503 through every node, until the operator accepts the loss', async (t) => {
    const cluster = await startCluster({ storage: 'dir', nodes: 2, lease: LEASE });
    t.after(() => cluster.close());
    const s3 = cluster.client('b');
    const Bucket = await bucketOf(cluster, 'a');
    const elsewhere = await bucketOf(cluster, 'b');
    const put = (Key: string) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const statusOf = (id: string, Key: string) =>
      cluster
        .client(id)
        .send(new GetObjectCommand({ Bucket, Key }))
        .then(
          () => 200,
          (error: { $metadata?: { httpStatusCode?: number } }) => error.$metadata?.httpStatusCode,
        );
    await put('before');
    await cluster.kill('a');
    const root = join(cluster.folder, 'a');
    await copyFolder(root, `${root}-old`);
    await cluster.start('a');
    await put('after');
    await cluster.kill('a');
    await rm(root, { recursive: true });
    await copyFolder(`${root}-old`, root);

    const ready = cluster.start('a');
    const report = await cluster.until(
      () => cluster.admin('a', '/disk').catch(() => null) as Promise<DiskReport | null>,
      (answer) => answer?.refused?.why === 'went-back',
      'the disk is recognised',
    );
    assert.equal(report?.datasets.find(({ dataset }) => dataset === Bucket)?.outcome, 'accepted');
    for (const id of ['a', 'b']) {
      assert.deepEqual([await statusOf(id, 'before'), await statusOf(id, 'after')], [503, 503], id);
    }
    await cluster.client('a').send(new PutObjectCommand({ Bucket: elsewhere, Key: 'k', Body: 'through the old one' }));

    const zring = (...words: string[]) => run([...words, '--config', cluster.configPath]);
    const shown = await zring('disk', 'show', 'a');
    assert.match(shown.stdout, new RegExp(`older than what it said.*\\n[^]*\\n${Bucket} +\\d+@a +\\d+@a of a +served`));
    const warned = await zring('disk', 'accept', 'a');
    assert.deepEqual([warned.code, await statusOf('b', 'before')], [1, 503], 'nothing is given up without the word');
    // The lease of the process that was killed runs on for a while.
    await cluster.until(
      () => zring('disk', 'accept', 'a', '--accept-loss'),
      ({ code, stderr }) => code === 0 || !stderr.includes('NODE_ID_TAKEN'),
      'accepted',
    );
    await ready;
    assert.deepEqual([await statusOf('a', 'before'), await statusOf('b', 'after')], [200, 404]);
    await put('again');
    assert.equal((await zring('disk', 'show', 'a')).stdout, 'nothing speaks against the disk of node a\n');
  });
});

type Cluster = Awaited<ReturnType<typeof startCluster>>;

/** A new bucket that the node owns. */
async function bucketOf(cluster: Cluster, node: string): Promise<string> {
  for (let i = 0; ; i += 1) {
    const Bucket = `old-disk-${node}-${i}`;
    await cluster.client('b').send(new CreateBucketCommand({ Bucket }));
    const made = (await cluster.datasets(node)).find(({ dataset }) => dataset === Bucket);
    if (made?.owner === node) return Bucket;
  }
}

/** Without the socket of its lock, as an image would be of use. */
function copyFolder(from: string, to: string): Promise<void> {
  return cp(from, to, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
}

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...programArguments(), ...args], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}
