// Nodes that go: SIGKILL during writes at 50 points, and SIGTERM restarts under load.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { type Load, startLoad } from '../support/load.ts';
import { part } from '../support/parts.ts';

const KILLS = 50;
const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1_000_000);

/** The killed node was the entry, or the owner of what was asked: no answer, or a cut one. Its outcome is unknown. */
function connectionLost(error: unknown): boolean {
  const { code, name, message } = (error ?? {}) as { code?: string; name?: string; message?: string };
  return (
    /^(ECONNREFUSED|ECONNRESET|EPIPE)$/.test(code ?? '') ||
    name === 'TimeoutError' ||
    /socket hang up|aborted/.test(message ?? '')
  );
}

describe('nodes that go', part('redis-server'), () => {
  test(`SIGKILL of a node during writes, ${KILLS} times: everything acknowledged is there, nothing is left over`, async () => {
    const cluster = await startCluster({ storage: 'dir', lease: '2s' });
    let load: Load | null = null;
    try {
      const buckets = ['kill-a', 'kill-b', 'kill-c', 'kill-d'];
      for (const Bucket of buckets) await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
      const clients = cluster.nodes.map(({ id }) => cluster.client(id));
      load = startLoad({
        clients: () => clients,
        buckets,
        writers: 4,
        readers: 2,
        pauseMs: 5,
        seed: SEED,
        tolerate: connectionLost,
      });
      for (let i = 0; i < KILLS; i += 1) {
        await load.moreWrites(5 + ((SEED + i * 7) % 13));
        await delay((SEED * (i + 1)) % 17);
        const id = cluster.nodes[(SEED + i) % cluster.nodes.length]?.id ?? 'a';
        await cluster.kill(id);
        await cluster.start(id);
      }
      await load.moreWrites(20);
      await load.stop();
      const counts = load.counts();
      assert.deepEqual(counts.faults, [], `seed ${SEED}`);
      assert.deepEqual(
        await load.verify(cluster.client('b')),
        [],
        `seed ${SEED}: ${counts.writes} acknowledged writes`,
      );
      assert.deepEqual(await leftovers(cluster), [], `seed ${SEED}: no staging or half-made datasets`);
    } catch (error) {
      for (const { id } of cluster.nodes) process.stderr.write(`--- ${id}\n${(await cluster.log(id)).slice(-3000)}\n`);
      throw error;
    } finally {
      await load?.stop();
      await cluster.close();
    }
  });

  test('SIGTERM restarts of every node under load: nothing but retryable refusals', async () => {
    const cluster = await startCluster({ storage: 'dir', lease: '2s' });
    let load: Load | null = null;
    try {
      const buckets = ['term-a', 'term-b', 'term-c', 'term-d'];
      for (const Bucket of buckets) await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
      const clients = new Map(cluster.nodes.map(({ id }) => [id, cluster.client(id)]));
      load = startLoad({
        clients: () => [...clients.values()],
        buckets,
        writers: 4,
        readers: 4,
        pauseMs: 5,
        seed: SEED,
      });
      for (const { id } of cluster.nodes) {
        await load.moreWrites(50);
        // What a balancer does that asks /ready: no new requests to a node that is going.
        const client = clients.get(id);
        clients.delete(id);
        await delay(200);
        assert.equal(await cluster.stop(id), 0, `node ${id} ends with exit code 0`);
        await load.moreWrites(1);
        await cluster.start(id);
        if (client) clients.set(id, client);
      }
      await load.moreWrites(50);
      await load.stop();
      assert.deepEqual(load.counts().faults, [], `seed ${SEED}`);
      assert.deepEqual(await load.verify(cluster.client('c')), [], `seed ${SEED}`);
    } catch (error) {
      for (const { id } of cluster.nodes) process.stderr.write(`--- ${id}\n${(await cluster.log(id)).slice(-3000)}\n`);
      throw error;
    } finally {
      await load?.stop();
      await cluster.close();
    }
  });
});

async function leftovers(cluster: TestCluster): Promise<string[]> {
  const found: string[] = [];
  for (const node of cluster.nodes) {
    const root = join(cluster.folder, node.id, 'root');
    for (const name of await readdir(root)) {
      if (name.startsWith('_') && name !== '_zring') found.push(`${node.id}/${name}`);
    }
  }
  return found;
}
