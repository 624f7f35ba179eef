// Lifecycle in node processes: rules that are put through another node are carried out by the owner, by the new owner
// after a move, and by an owner that was killed once it is back.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  CreateBucketCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { DatasetStatus } from '../../src/admin/types.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';

const Bucket = 'lifecycle';

describe('lifecycle in a cluster', () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({
      storage: 'dir',
      coordinator: 'embedded',
      nodes: 2,
      settings: { defaults: { lifecycleDay: '1s' } },
    });
  });
  after(() => cluster?.close());

  const other = (node: string) => (node === 'a' ? 'b' : 'a');

  async function place(): Promise<DatasetStatus> {
    const found = (await cluster.datasets('a')).find(({ dataset }) => dataset === Bucket);
    assert(found);
    return found;
  }

  const put = (node: string, Key: string) =>
    cluster.client(node).send(new PutObjectCommand({ Bucket, Key, Body: Key }));

  function gone(node: string): Promise<unknown> {
    const read = async () => {
      const { Contents } = await cluster.client(node, { maxAttempts: 10 }).send(new ListObjectsV2Command({ Bucket }));
      return Contents?.map(({ Key }) => Key) ?? [];
    };
    return cluster.until(read, (keys) => keys.length === 1 && keys[0] === 'keep', 'only `keep` is left');
  }

  test('rules are carried out by whoever owns the bucket', async () => {
    await cluster.client('a').send(new CreateBucketCommand({ Bucket }));
    const { owner } = await place();
    const entry = other(owner);
    await put(entry, 'keep');
    await put(entry, 'old/1');
    const Rules = [{ ID: 'r', Prefix: 'old/', Status: 'Enabled' as const, Expiration: { Days: 1 } }];
    await cluster
      .client(entry)
      .send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
    await gone(entry);
    const explained = (await cluster.admin(owner, `/explain/${Bucket}`)) as { lifecycle: { rules: boolean } };
    assert.equal(explained.lifecycle.rules, true);

    await cluster.admin(owner, '/move', { dataset: Bucket, to: entry });
    await cluster.until(place, (now) => now.owner === entry, 'moved');
    await put(owner, 'old/2');
    await gone(owner);

    await put(owner, 'old/3');
    await cluster.kill(entry);
    await cluster.start(entry);
    await gone(owner);
  });
});
