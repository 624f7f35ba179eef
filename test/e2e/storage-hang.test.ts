// A storage that hangs (the zfs-fuse daemon of one node is stopped), with real processes: its buckets are answered with 503
// that says why, at every node; everything else goes on; and it is served again by itself when the storage answers.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

interface Outcome {
  readonly status: number;
  readonly text: string;
}

async function outcome(work: Promise<{ $metadata: { httpStatusCode?: number } }>): Promise<Outcome> {
  try {
    return { status: (await work).$metadata.httpStatusCode ?? 0, text: '' };
  } catch (error) {
    const { message, $metadata } = error as { message?: string; $metadata?: { httpStatusCode?: number } };
    return { status: $metadata?.httpStatusCode ?? 0, text: message ?? '' };
  }
}

async function bucketsOf(cluster: TestCluster): Promise<Map<string, string>> {
  const owned = new Map<string, string>();
  for (let i = 0; owned.size < 2; i++) {
    await cluster.client('a').send(new CreateBucketCommand({ Bucket: `bucket-${i}` }));
    for (const { dataset, owner } of await cluster.datasets('a')) if (!owned.has(owner)) owned.set(owner, dataset);
  }
  return owned;
}

/** By parent, not by command line: that of a process which waits for its storage cannot always be read. */
async function childrenOf(pid: number): Promise<number> {
  let count = 0;
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'latin1').catch(() => '');
    if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid) count++;
  }
  return count;
}

const faultOf = async (cluster: TestCluster, asked: string) =>
  (await cluster.status(asked)).nodes.find(({ id }) => id === 'a')?.storageFault ?? null;

describe('a storage that hangs', part('redis-server', 'zfs-fuse'), () => {
  test('is noticed, fenced and told of; the rest of the node goes on, and all of it when the storage answers', async () => {
    const cluster = await startCluster({ storage: 'zfs', nodes: 2, poolMiB: 256 });
    const daemon = cluster.node('a').namespace;
    try {
      const [a, b] = [cluster.client('a'), cluster.client('b')];
      const owned = await bucketsOf(cluster);
      const [Hung, Well] = [owned.get('a') ?? '', owned.get('b') ?? ''];
      for (const Bucket of [Hung, Well]) await a.send(new PutObjectCommand({ Bucket, Key: 'before', Body: 'kept' }));
      const put = (client: typeof a, Bucket: string, Key: string) =>
        outcome(client.send(new PutObjectCommand({ Bucket, Key, Body: Key })));

      daemon?.signalDaemon('SIGSTOP');
      // In flight while nobody knows yet: neither is acknowledged, and both end.
      const inFlight = [put(a, Hung, 'in-flight-a'), put(b, Hung, 'in-flight-b')];
      await cluster.until(
        () => faultOf(cluster, 'a'),
        (fault) => fault !== null,
        'the node to notice',
      );
      for (const { status } of await Promise.all(inFlight)) assert.notEqual(status, 200);
      assert.match((await faultOf(cluster, 'a')) ?? '', /has not answered for \d+ s/);
      await cluster.until(
        () => faultOf(cluster, 'b'),
        (fault) => fault !== null,
        'the other node to hear of it',
      );

      for (const client of [a, b]) {
        for (const answer of [
          await put(client, Hung, 'x'),
          await outcome(client.send(new GetObjectCommand({ Bucket: Hung, Key: 'before' }))),
          await outcome(client.send(new ListObjectsV2Command({ Bucket: Hung }))),
        ]) {
          assert.equal(answer.status, 503, answer.text);
          assert.match(answer.text, /tanka\/zring/);
        }
        assert.deepEqual(await put(client, Well, 'meanwhile'), { status: 200, text: '' });
      }
      const metrics = await (await fetch(`http://127.0.0.1:${cluster.node('a').adminPort}/metrics`)).text();
      assert.match(metrics, /^zring_storage_healthy 0$/m);
      assert.match(metrics, /^zring_storage_waiting_seconds [1-9]/m);
      for (let i = 0; i < 200; i++) await put(b, Hung, `refused-${i}`);
      const children = await childrenOf(cluster.pid('a'));
      assert.ok(children <= 16, `${children} processes wait for the storage`);

      const pid = cluster.pid('a');
      daemon?.signalDaemon('SIGCONT');
      await cluster.until(
        () => faultOf(cluster, 'a'),
        (fault) => fault === null,
        'the storage to answer',
      );
      for (const client of [b, a]) {
        const read = await client.send(new GetObjectCommand({ Bucket: Hung, Key: 'before' }));
        assert.equal(await read.Body?.transformToString(), 'kept');
      }
      assert.deepEqual(await put(b, Hung, 'after'), { status: 200, text: '' });
      const listed = await a.send(new ListObjectsV2Command({ Bucket: Hung }));
      const keys = (listed.Contents ?? []).map(({ Key }) => Key ?? '');
      assert.deepEqual(
        keys.filter((key) => !key.startsWith('in-flight')),
        ['after', 'before'],
      );
      assert.equal(cluster.pid('a'), pid);
      assert.match(await cluster.log('a'), /the storage does not answer[\s\S]*the storage answers again/);
    } catch (error) {
      process.stderr.write((await cluster.log('a')).slice(-3000));
      throw error;
    } finally {
      daemon?.signalDaemon('SIGCONT');
      await cluster.close();
    }
  });
});
