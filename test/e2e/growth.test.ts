// Growth under load: 3 → 4 nodes and back to 3 while writers and readers run on 50 buckets. Without replicas, so that what is
// received is what moves.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { createRing } from '../../src/cluster/ring.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { type Load, startLoad } from '../support/load.ts';
import { part } from '../support/parts.ts';

const BUCKETS = Array.from({ length: 50 }, (_, i) => `growth-${String(i).padStart(2, '0')}`);

/** What lies in each bucket before the growth: increments are small against it, full streams are not. */
const AT_REST_BYTES = 4 * 1024 * 1024;

/** One snapshot stream, as the new owner logs it. */
interface Received {
  readonly dataset: string;
  readonly bytes: number;
  readonly incremental: boolean;
}

for (const storage of ['dir', 'zfs'] as const) {
  const parts = storage === 'zfs' ? part('zfs-fuse', 'redis-server') : part('redis-server');
  describe(`growth under load on ${storage}`, parts, () => {
    test('3 to 4 nodes and back: nothing lost, only retryable refusals, what the ring says moves', async () => {
      const seed = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1_000_000);
      const settings = { rebalance: { mode: 'background', concurrency: 2 } };
      const cluster = await startCluster({ storage, settings, copies: 1 });
      let load: Load | null = null;
      try {
        const first = cluster.client('a');
        for (const Bucket of BUCKETS) {
          await first.send(new CreateBucketCommand({ Bucket }));
          await first.send(new PutObjectCommand({ Bucket, Key: 'at rest', Body: randomBytes(AT_REST_BYTES) }));
        }
        const clients = new Map(cluster.nodes.map(({ id }) => [id, cluster.client(id)]));
        load = startLoad({
          clients: () => [...clients.values()],
          buckets: BUCKETS,
          writers: 6,
          readers: 6,
          pauseMs: 10,
          seed,
        });
        await load.moreWrites(300);

        const d = await cluster.prepareNode('d');
        await cluster.edit((file) => void file.nodes.push(cluster.entry(d)));
        await cluster.start('d');
        clients.set('d', cluster.client('d'));
        await settled(cluster, 'a');
        const homes = homesOf(cluster, ['a', 'b', 'c', 'd']);
        const expected = BUCKETS.filter((bucket) => homes.get(bucket) === 'd');
        assert.ok(expected.length > 0, 'the ring gives node d something');
        assert.deepEqual(await ownedBy(cluster, 'd'), expected, 'exactly what the ring says has moved');
        await load.moreWrites(200);

        const drained = Date.now();
        await cluster.edit((file) => {
          for (const entry of file.nodes) if (entry.id === 'd') entry.state = 'draining';
        });
        await settled(cluster, 'a');
        assert.deepEqual(await ownedBy(cluster, 'd'), [], 'the draining node is empty');
        await load.moreWrites(100);
        clients.delete('d');
        await cluster.edit((file) => {
          file.nodes = file.nodes.filter(({ id }) => id !== 'd');
        });
        await cluster.until(
          () => cluster.status('a'),
          ({ nodes }) => nodes.length === 3,
          'a map of three nodes',
        );
        await cluster.stop('d');
        await load.moreWrites(100);
        await load.stop();

        const counts = load.counts();
        assert.deepEqual(counts.faults, [], `seed ${seed}: no fault but retryable 503`);
        const wrong = await load.verify(cluster.client('b'));
        assert.deepEqual(
          wrong,
          [],
          `seed ${seed}: ${counts.writes} acknowledged writes are there with the right bytes`,
        );
        const sizes = load.bytesByBucket();
        const back = (await Promise.all(['a', 'b', 'c'].map((id) => received(cluster, id, drained)))).flat();
        assert.deepEqual([...new Set(back.map(({ dataset }) => dataset))].sort(), expected, 'what moved back');
        for (const dataset of expected) {
          const streams = back.filter((stream) => stream.dataset === dataset);
          assert.ok(
            streams.every(({ incremental }) => incremental),
            `${dataset} moved back by increments`,
          );
          const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0);
          const size = AT_REST_BYTES + (sizes.get(dataset) ?? 0);
          assert.ok(bytes < size, `${dataset}: ${bytes} bytes moved of ${size}`);
        }
      } catch (error) {
        for (const { id } of cluster.nodes)
          process.stderr.write(`--- ${id}\n${(await cluster.log(id)).slice(-3000)}\n`);
        throw error;
      } finally {
        await load?.stop();
        await cluster.close();
      }
    });
  });
}

/** Every dataset is stable at its home, as this node sees it. */
async function settled(cluster: TestCluster, id: string): Promise<void> {
  const { revision } = await fileRevision(cluster);
  await cluster.until(
    () => cluster.status(id),
    (status) => status.revision === revision,
    `revision ${revision} on ${id}`,
  );
  await cluster.until(
    () => cluster.datasets(id),
    (list) => list.every(({ owner, home, phase }) => owner === home && phase === 'stable'),
    'every dataset at its home',
  );
}

async function fileRevision(cluster: TestCluster): Promise<{ revision: number }> {
  const { loadConfig } = await import('../../src/config/load.ts');
  return loadConfig(cluster.configPath, process.env).cluster;
}

function homesOf(cluster: TestCluster, ids: readonly string[]): Map<string, string> {
  const nodes = ids.map((id) => ({ ...cluster.entry(cluster.node(id)), state: 'up' as const }));
  const ring = createRing({ nodes });
  return new Map(BUCKETS.map((bucket) => [bucket, ring.home(bucket)]));
}

async function ownedBy(cluster: TestCluster, id: string): Promise<string[]> {
  const list = await cluster.datasets('a');
  return list
    .filter(({ owner }) => owner === id)
    .map(({ dataset }) => dataset)
    .sort();
}

async function received(cluster: TestCluster, id: string, sinceMs: number): Promise<Received[]> {
  const lines = (await cluster.log(id)).split('\n').filter((line) => line.includes('"snapshot received"'));
  return lines
    .map((line) => JSON.parse(line) as Received & { time: string })
    .filter(({ time }) => Date.parse(time) >= sinceMs);
}
