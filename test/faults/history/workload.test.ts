// The load over a real cluster: three nodes, one killed, one that stands still; it goes on meanwhile, and what it saw is
// linearizable.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { ACCESS_KEY, SECRET_KEY, startCluster } from '../../support/cluster.ts';
import { part } from '../../support/parts.ts';
import { checkHistory, finalReads, openRecorder, readHistory, startWorkload, type Workload } from './index.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1_000_000);
/** Answered between one fault and the next. */
const STEP = Number(process.env.ZRING_TEST_STEP ?? 200);

describe('the load of the fault harness', part('redis-server'), () => {
  test(`goes on with a node killed and with one stopped, and its history is right, seed ${SEED}`, async () => {
    const cluster = await startCluster({ storage: 'dir', lease: '2s' });
    const folder = await mkdtemp(join(tmpdir(), 'zring-history-'));
    const recorder = openRecorder(join(folder, 'history.jsonl'));
    let load: Workload | null = null;
    try {
      const buckets = ['load-a', 'load-b', 'load-c', 'load-d', 'load-e'];
      for (const Bucket of buckets) await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
      const options = {
        endpoints: () => cluster.nodes.map(({ id, endpoint }) => ({ node: id, url: endpoint })),
        credentials: { accessKey: ACCESS_KEY, secretKey: SECRET_KEY },
        buckets,
        seed: SEED,
        clients: 12,
        record: recorder.record,
        deletingBuckets: true,
        uploadHoldMs: 1000,
      };
      load = startWorkload(options);
      const { stats } = load;
      const more = async (what: string) => {
        const goal = stats.ok + STEP;
        await cluster.until(
          async () => stats.ok,
          (ok) => ok >= goal,
          `${STEP} answers ${what}`,
        );
      };
      await more('from all nodes');
      await cluster.kill('b');
      await more('with a node killed');
      await cluster.start('b');
      process.kill(cluster.pid('c'), 'SIGSTOP');
      await more('with a node stopped');
      process.kill(cluster.pid('c'), 'SIGCONT');
      await more('from all nodes again');
      await load.stop();
      await finalReads(options);
      await recorder.close();

      const checked = checkHistory(recorder.operations);
      assert.deepEqual(checked.violations, [], `seed ${SEED}`);
      assert.equal(checked.operations, recorder.operations.length);
      assert.deepEqual(await readHistory(join(folder, 'history.jsonl')), recorder.operations);
      assert.equal(stats.invoked, stats.ok + stats.failed + stats.unknown, 'every attempt has one outcome');
      // Whatever was touched was read in the end.
      const name = (bucket: string, key: string | null) => `${bucket}/${key}`;
      const final = recorder.operations.filter((one) => one.final && one.key !== null);
      const read = new Set(final.map(({ bucket, key }) => name(bucket, key)));
      for (const { bucket, key } of recorder.operations) if (key !== null) assert.ok(read.has(name(bucket, key)));
      for (const bucket of buckets)
        assert.ok(recorder.operations.some((one) => one.final && one.kind === 'list' && one.bucket === bucket));
      const nodes = new Set(recorder.operations.filter(({ outcome }) => outcome === 'ok').map(({ node }) => node));
      assert.deepEqual([...nodes].sort(), ['a', 'b', 'c']);
    } finally {
      await load?.stop();
      await cluster.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
