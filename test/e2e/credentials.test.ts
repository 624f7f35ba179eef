// Kept credentials with real nodes, real Redis and the command line: added through one node they work on all, over an
// outage and restarts; removed ones work nowhere, also after the coordinator was flushed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { CreateBucketCommand, ListBucketsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const KEY = 'credential-key-of-the-cluster-tests-0123456789';

interface Pair {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** The command line as a person uses it. */
async function zring(
  cluster: TestCluster,
  words: readonly string[],
  stdin = '',
): Promise<{ code: number; out: string }> {
  const args = [...programArguments(), ...words, '--config', cluster.configPath];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    out += chunk;
  });
  child.stdin.end(stdin);
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)));
  return { code, out };
}

async function good(cluster: TestCluster, words: readonly string[], stdin = ''): Promise<string> {
  const { code, out } = await zring(cluster, words, stdin);
  assert.equal(code, 0, out);
  return out;
}

describe('kept credentials', part('redis-server'), () => {
  test('the life of a credential', async () => {
    const cluster = await startCluster({ storage: 'dir', nodes: 3 });
    const clients: S3Client[] = [];
    const clientOf = (id: string, { accessKey, secretKey }: Pair) => {
      const client = new S3Client({
        endpoint: cluster.node(id).endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
        maxAttempts: 1,
      });
      clients.push(client);
      return client;
    };
    /** 'ok', or the S3 code with which the node refuses this pair. */
    const answerOf = async (id: string, pair: Pair): Promise<string> => {
      try {
        await clientOf(id, pair).send(new ListBucketsCommand({}));
        return 'ok';
      } catch (error) {
        return (error as Error).name;
      }
    };
    const everywhere = (pair: Pair, wanted: string) =>
      cluster.until(
        () => Promise.all(cluster.nodes.map(({ id }) => answerOf(id, pair))),
        (answers) => answers.every((answer) => answer === wanted),
        `${wanted} everywhere`,
      );
    try {
      const refused = await zring(cluster, ['credential', 'add', 'early']);
      assert.equal(refused.code, 1);
      assert.match(refused.out, /credentialKey is not set.*\[CREDENTIAL_KEY_MISSING\]/);
      await cluster.edit((file) => {
        file.cluster.credentialKey = KEY;
      });
      await cluster.until(
        () => Promise.all(cluster.nodes.map(({ id }) => cluster.admin(id, '/credentials'))),
        (lists) => lists.every((list) => (list as { keyId: string | null }).keyId !== null),
        'the key on every node',
      );

      // Added through a; the secret is shown once, and works on all.
      const added = JSON.parse(
        await good(cluster, ['credential', 'add', 'maker', '--allow', '*:create', '--node', 'a', '--json']),
      ) as Pair;
      assert.match(added.accessKey, /^[A-Z2-7]{20}$/);
      assert.match(added.secretKey, /^[A-Za-z0-9_-]{40}$/);
      await everywhere(added, 'ok');
      assert.equal(await answerOf('b', { ...added, secretKey: 'wrong-secret' }), 'SignatureDoesNotMatch');
      const given = { accessKey: 'GIVEN', secretKey: 'a-secret-of-my-own' };
      const said = await good(
        cluster,
        [
          'credential',
          'add',
          'mine',
          '--access-key',
          'GIVEN',
          '--allow',
          'shared-*:read,shared-*:write',
          '--secret-file',
          '-',
        ],
        `${given.secretKey}\n`,
      );
      assert.ok(!said.includes(given.secretKey), 'a secret that came from elsewhere is not shown');
      await everywhere(given, 'ok');

      // It owns what it makes, on whichever node, and sees nobody else's.
      await cluster.client('a').send(new CreateBucketCommand({ Bucket: 'of-the-admin' }));
      await clientOf('b', added).send(new CreateBucketCommand({ Bucket: 'of-the-maker' }));
      for (const { id } of cluster.nodes) {
        await clientOf(id, added).send(new PutObjectCommand({ Bucket: 'of-the-maker', Key: id, Body: 'x' }));
        const seen = await cluster.until(
          () => clientOf(id, added).send(new ListBucketsCommand({})),
          ({ Buckets }) => (Buckets?.length ?? 0) > 0,
          'the bucket in the list',
        );
        assert.deepEqual(
          seen.Buckets?.map(({ Name }) => Name),
          ['of-the-maker'],
        );
      }

      // Neither the coordinator nor the command line's answers give a secret away.
      const stored = await cluster.redis?.command('HGETALL', '{zring:test}:credentials');
      assert.ok(stored?.includes(added.accessKey));
      const listed = await good(cluster, ['credential', 'list', '--json']);
      const shown = await good(cluster, ['credential', 'show', 'maker', '--json']);
      for (const text of [stored ?? '', listed, shown]) {
        for (const secret of [added.secretKey, given.secretKey, KEY]) assert.ok(!text.includes(secret));
      }

      // Rotated: both, then one.
      const rotated = JSON.parse(await good(cluster, ['credential', 'rotate', 'maker', '--json'])) as Pair;
      assert.equal(rotated.accessKey, added.accessKey);
      await everywhere(rotated, 'ok');
      await everywhere(added, 'ok');
      await good(cluster, ['credential', 'rotate', 'maker', '--finish']);
      await everywhere(added, 'SignatureDoesNotMatch');
      await everywhere(rotated, 'ok');

      // The coordinator away: all goes on, also on a node that starts; a change waits.
      await cluster.redis?.kill();
      await cluster.until(
        () => cluster.status('a'),
        ({ coordinator }) => !coordinator.available,
        'the outage to be seen',
      );
      await cluster.kill('c');
      await cluster.start('c');
      await everywhere(rotated, 'ok');
      const late = await zring(cluster, ['credential', 'remove', 'mine']);
      assert.match(late.out, /\[COORDINATOR_UNAVAILABLE\]/);
      await everywhere(given, 'ok');
      await cluster.redis?.start();
      await cluster.until(
        () => Promise.all(cluster.nodes.map(({ id }) => cluster.status(id))),
        (all) => all.every(({ coordinator }) => coordinator.available),
        'the coordinator to be back',
      );

      // Disabled, enabled, removed: everywhere; and what is removed is not brought back by a flush or a node that slept.
      await good(cluster, ['credential', 'disable', 'maker']);
      await everywhere(rotated, 'InvalidAccessKeyId');
      await good(cluster, ['credential', 'enable', 'maker', '--node', 'b']);
      await everywhere(rotated, 'ok');
      await cluster.stop('c');
      await good(cluster, ['credential', 'remove', 'GIVEN', '--node', 'a']);
      await cluster.redis?.command('FLUSHALL');
      await cluster.start('c');
      await everywhere(given, 'InvalidAccessKeyId');
      await everywhere(rotated, 'ok');
      await cluster.until(
        async () => (await cluster.redis?.command('HKEYS', '{zring:test}:credentials')) ?? '',
        (keys) => keys.includes('GIVEN') && keys.includes(added.accessKey),
        'the coordinator to be filled again, tombstone included',
      );
      const again = await zring(cluster, ['credential', 'show', 'GIVEN']);
      assert.match(again.out, /\[CREDENTIAL_MISSING\]/);

      for (const { id } of cluster.nodes) {
        const log = await cluster.log(id);
        for (const secret of [added.secretKey, rotated.secretKey, given.secretKey, KEY])
          assert.ok(!log.includes(secret));
      }
    } catch (error) {
      for (const { id } of cluster.nodes) process.stderr.write(`--- ${id}\n${(await cluster.log(id)).slice(-3000)}\n`);
      throw error;
    } finally {
      for (const client of clients) client.destroy();
      await cluster.close();
    }
  });
});
