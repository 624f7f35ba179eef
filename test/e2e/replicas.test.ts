// A bucket outlives the node that owned it: real nodes with Redis, an owner that is killed for good, an operator who says so,
// and clients that go on through the other nodes. On `dir` and on ZFS.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import type { DatasetExplanation } from '../../src/ownership/status.ts';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const Bucket = 'outlives';

for (const storage of ['dir', 'zfs'] as const) {
  const parts = storage === 'zfs' ? part('zfs-fuse', 'redis-server') : part('redis-server');
  describe(`an owner is lost for good, on ${storage}`, parts, () => {
    let cluster: TestCluster;
    let owner = '';
    let other = '';
    const body = randomBytes(3_000_001);

    const zring = async (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
      run(process.execPath, [...programArguments(), ...args, '--config', cluster.configPath]).then(
        ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
        ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
      );
    const here = async (node: string) => {
      const { here: copy } = (await cluster.admin(node, `/explain/${Bucket}`)) as DatasetExplanation;
      return copy;
    };
    const get = async (node: string, Key: string): Promise<Buffer> => {
      const { Body } = await cluster.client(node).send(new GetObjectCommand({ Bucket, Key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    };

    before(async () => {
      cluster = await startCluster({ storage, settings: { replication: { every: '1s' } } });
      const client = cluster.client('a');
      await client.send(new CreateBucketCommand({ Bucket }));
      await client.send(new PutObjectCommand({ Bucket, Key: 'large', Body: body }));
      for (let i = 0; i < 20; i++) await client.send(new PutObjectCommand({ Bucket, Key: `small-${i}`, Body: `${i}` }));
      const known = async () => (await cluster.datasets('a')).find(({ dataset }) => dataset === Bucket)?.owner;
      owner = (await cluster.until(known, (node) => node !== undefined, 'its record')) ?? '';
      other = cluster.nodes.map(({ id }) => id).find((id) => id !== owner) ?? '';
    });
    after(() => cluster?.close());

    it('a replica follows, and the status says so', async () => {
      await cluster.until(
        () => here(owner),
        (copy) => copy?.replicas.length === 1 && copy.replicas.every(({ isCurrent }) => isCurrent),
        'a current replica',
      );
      await cluster.until(
        () => zring('status', '--node', owner),
        ({ out }) => /replicas: 1, all current/.test(out),
        'the status',
      );
      const metrics = await (await fetch(`http://127.0.0.1:${cluster.node(owner).adminPort}/metrics`)).text();
      assert.match(metrics, /^zring_replicas_count\{state="current"\} 1$/m);
    });

    it('while the owner lives, nobody takes over', async () => {
      const asked = await zring('takeover', Bucket, '--accept-loss');
      assert.equal(asked.code, 1);
      assert.match(asked.err, new RegExp(`node ${owner}, is alive`));
    });

    it('killed for good: 503 until somebody says so, then all that was replicated, and writes go on', async () => {
      await cluster.kill(owner);
      const gone = await cluster
        .client(other, { maxAttempts: 1 })
        .send(new GetObjectCommand({ Bucket, Key: 'large' }))
        .then(
          () => 200,
          (error) => error.$metadata?.httpStatusCode,
        );
      assert.equal(gone, 503, 'never 404');
      const report = await cluster.until(
        () => zring('takeover', Bucket),
        ({ out }) => /zring takeover outlives --accept-loss$/m.test(out),
        'the end of its lease',
      );
      assert.equal(report.code, 1, 'nothing was changed');
      assert.match(report.out, new RegExp(`owned by node ${owner} .*It has everything until`, 's'));
      const taken = await zring('takeover', Bucket, '--accept-loss');
      assert.equal(taken.code, 0, taken.err);
      assert.ok((await get(other, 'large')).equals(body));
      const listed = await cluster.client(other).send(new ListObjectsV2Command({ Bucket }));
      assert.equal(listed.KeyCount, 21);
      await cluster.client(other).send(new PutObjectCommand({ Bucket, Key: 'after', Body: 'written since' }));
    });

    it('the lost node comes back: its copy is set aside, and it is a replica', async () => {
      await cluster.start(owner);
      await cluster.until(
        () => here(owner),
        (copy) => copy?.role === 'receiving' || copy?.role === 'owner',
        'its copy',
      );
      assert.equal((await get(owner, 'after')).toString(), 'written since');
      // It is the home, so the bucket may have moved back by now.
      await cluster.until(
        () => Promise.all(cluster.nodes.map(({ id }) => here(id))),
        (copies) =>
          copies.some((copy) => copy?.role === 'owner' && copy.replicas.every(({ isCurrent }) => isCurrent)) &&
          copies.filter((copy) => copy !== null).length === 2,
        'an owner and a current replica again',
      );
    });
  });
}
