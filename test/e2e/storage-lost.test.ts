// A storage that goes away and comes back beneath a living node (its zfs-fuse daemon dies and is started again), with real
// processes: the node says so, answers nothing wrong meanwhile, ends itself, and serves everything when it is started again.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { startCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const BODIES = new Map([
  ['small', Buffer.from('kept')],
  ['large', Buffer.alloc(300_000, 'kept ')],
]);

describe('a storage that is taken away beneath a node', part('redis-server', 'zfs-fuse'), () => {
  test('ends the node, which serves it all when it is started again; nothing wrong is said meanwhile', async () => {
    const cluster = await startCluster({ storage: 'zfs', nodes: 1, poolMiB: 256 });
    const { namespace } = cluster.node('a');
    try {
      const a = cluster.client('a');
      const Bucket = 'kept';
      await a.send(new CreateBucketCommand({ Bucket }));
      for (const [Key, Body] of BODIES) await a.send(new PutObjectCommand({ Bucket, Key, Body }));
      const read = async (Key: string): Promise<Buffer> => {
        const { Body } = await a.send(new GetObjectCommand({ Bucket, Key }));
        return Buffer.from((await Body?.transformToByteArray()) ?? []);
      };

      let over = false;
      const said: number[] = [];
      const reading = (async () => {
        while (!over) {
          for (const [key, body] of BODIES) {
            try {
              assert.deepEqual(await read(key), body);
              said.push(200);
            } catch (error) {
              if (error instanceof assert.AssertionError) throw error;
              said.push((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0);
            }
          }
        }
      })();
      await namespace?.kill9Daemon();
      await namespace?.restartDaemon();
      assert.equal(await cluster.ended('a'), 75);
      over = true;
      await reading;
      // 0: no connection, or one that was cut.
      assert.deepEqual(
        said.filter((status) => ![0, 200, 503].includes(status)),
        [],
      );
      assert.match(await cluster.log('a'), /"reason":"[^"]+","msg":"the storage was taken away beneath this node/);

      await cluster.start('a');
      for (const [key, body] of BODIES) assert.deepEqual(await read(key), body);
      await a.send(new PutObjectCommand({ Bucket, Key: 'after', Body: 'after' }));
    } catch (error) {
      process.stderr.write((await cluster.log('a')).slice(-4000));
      throw error;
    } finally {
      await cluster.close();
    }
  });
});
