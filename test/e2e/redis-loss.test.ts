// Redis stopped for many lease lengths, and flushed once, under load: reads and writes of existing buckets go on, only
// what needs a new record waits, and afterwards nothing has gone back.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CreateBucketCommand, DeleteBucketCommand, HeadBucketCommand } from '@aws-sdk/client-s3';
import type { DatasetStatus } from '../../src/admin/types.ts';
import { parseTerm } from '../../src/common/term.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { isRetryable, type Load, startLoad } from '../support/load.ts';
import { part } from '../support/parts.ts';

/** 30 lease lengths of 10 s in full (ZRING_TEST_LONG=1), 30 of 2 s otherwise: the rule counts leases, not minutes. */
const LONG = process.env.ZRING_TEST_LONG === '1';
const LEASE = LONG ? '10s' : '2s';
const OUTAGE_MS = LONG ? 300_000 : 60_000;
const BUCKETS = ['loss-a', 'loss-b', 'loss-c', 'loss-d', 'loss-e', 'loss-f'];

describe('Redis lost under load', part('redis-server'), () => {
  test('stopped for 30 lease lengths, then flushed', async () => {
    const cluster = await startCluster({ storage: 'dir', lease: LEASE });
    let load: Load | null = null;
    try {
      for (const Bucket of [...BUCKETS, 'loss-empty'])
        await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
      const clients = cluster.nodes.map(({ id }) => cluster.client(id));
      load = startLoad({
        clients: () => clients,
        buckets: BUCKETS,
        writers: 3,
        readers: 3,
        pauseMs: 20,
        seed: 7,
      });
      await load.moreWrites(50);
      const before = await snapshotOf(cluster);

      await cluster.redis?.kill();
      await cluster.until(
        () => cluster.status('a'),
        ({ coordinator }) => !coordinator.available,
        'the outage to be seen',
      );
      const during = load.counts();
      await delay(OUTAGE_MS);
      await load.moreWrites(50);
      assert.equal(load.counts().retryable, during.retryable, 'no request on an existing bucket was refused');
      await assert.rejects(cluster.client('b').send(new CreateBucketCommand({ Bucket: 'loss-new' })), isRetryable);
      await assert.rejects(cluster.client('b').send(new DeleteBucketCommand({ Bucket: 'loss-empty' })), isRetryable);
      await assert.rejects(cluster.client('c').send(new HeadBucketCommand({ Bucket: 'loss-new' })), (error) => {
        return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode !== 200;
      });
      await cluster.redis?.start();
      await recovered(cluster);
      assert.deepEqual(regressions(before, await snapshotOf(cluster)), []);
      await cluster.client('b').send(new CreateBucketCommand({ Bucket: 'loss-new' }));
      await load.moreWrites(20);

      const flushed = await snapshotOf(cluster);
      const { incarnation } = (await cluster.status('a')).coordinator;
      await cluster.redis?.command('FLUSHALL');
      await load.moreWrites(50);
      await recovered(cluster, incarnation);
      assert.deepEqual(regressions(flushed, await snapshotOf(cluster)), [], 'nothing went back after the flush');
      await cluster.client('c').send(new CreateBucketCommand({ Bucket: 'loss-after' }));
      await load.moreWrites(20);
      await load.stop();

      const counts = load.counts();
      assert.deepEqual(counts.faults, []);
      assert.equal(counts.retryable, 0, 'not one read or write failed in all this');
      assert.deepEqual(await load.verify(cluster.client('a')), []);
    } catch (error) {
      for (const { id } of cluster.nodes) process.stderr.write(`--- ${id}\n${(await cluster.log(id)).slice(-3000)}\n`);
      throw error;
    } finally {
      await load?.stop();
      await cluster.close();
    }
  });
});

interface Snapshot {
  readonly epoch: number;
  readonly datasets: readonly DatasetStatus[];
}

async function snapshotOf(cluster: TestCluster): Promise<Snapshot> {
  const { epoch } = await cluster.status('a');
  return { epoch, datasets: await cluster.datasets('a') };
}

/** Every node sees the coordinator, and a catalog that is complete again: in another incarnation, once one was lost. */
async function recovered(cluster: TestCluster, lost?: string): Promise<void> {
  for (const { id } of cluster.nodes) {
    await cluster.until(
      () => cluster.status(id),
      ({ coordinator, ready }) =>
        coordinator.available && coordinator.complete && coordinator.incarnation !== lost && ready.ready,
      `node ${id} to have recovered`,
    );
  }
}

function regressions(before: Snapshot, now: Snapshot): string[] {
  const faults: string[] = [];
  if (now.epoch < before.epoch) faults.push(`epoch ${before.epoch} -> ${now.epoch}`);
  for (const old of before.datasets) {
    const current = now.datasets.find(({ dataset }) => dataset === old.dataset);
    if (!current) faults.push(`${old.dataset} is gone`);
    else if (current.id !== old.id) faults.push(`${old.dataset} has another id`);
    else if ((parseTerm(current.term)?.n ?? 0) < (parseTerm(old.term)?.n ?? 0)) {
      faults.push(`${old.dataset}: term ${old.term} -> ${current.term}`);
    }
  }
  return faults;
}
