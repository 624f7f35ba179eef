// TLS on every listener, mutual between the nodes: S3 through a hop (SDKs frame bodies with trailers over TLS only), a
// move, the CLI, and a certificate that another authority signed kept out.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { certificateFolder } from '../routing/certificates.ts';
import { programArguments, startCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('a cluster on TLS', part('redis-server', 'openssl'), () => {
  test('objects through a hop, a move, the CLI; strangers stay out of the peer listener', async () => {
    const certificates = await certificateFolder();
    const authority = await certificates.authority('ours');
    const cluster = await startCluster({ storage: 'dir', tls: await authority.issue('node') });
    try {
      const body = randomBytes(3 * 1024 * 1024);
      await cluster.client('a').send(new CreateBucketCommand({ Bucket: 'secure' }));
      const owner = (await cluster.datasets('a')).find(({ dataset }) => dataset === 'secure')?.owner;
      const others = cluster.nodes.filter(({ id }) => id !== owner).map(({ id }) => id);
      const [entry = '', target = ''] = others;
      await cluster.client(entry).send(new PutObjectCommand({ Bucket: 'secure', Key: 'key', Body: body }));
      const cli = [...programArguments(), 'move', 'secure', '--to', target, '--config', cluster.configPath];
      await run(process.execPath, cli, { cwd: ROOT });
      await cluster.until(
        () => cluster.datasets(entry),
        (list) => list.some(({ dataset, owner: now }) => dataset === 'secure' && now === target),
        'the move',
      );
      const answer = await cluster
        .client(entry, { maxAttempts: 5 })
        .send(new GetObjectCommand({ Bucket: 'secure', Key: 'key' }));
      assert.ok(Buffer.from((await answer.Body?.transformToByteArray()) ?? []).equals(body));

      assert.equal(((await cluster.admin(entry, `/nodes/${target}/status`)) as { node: string }).node, target);
      const stranger = await (await certificates.authority('theirs')).issue('stranger');
      const port = cluster.node(entry).peerPort;
      const refused = (files: { certFile: string; keyFile: string } | null) =>
        new Promise<boolean>((resolve) => {
          const socket = connect({
            port,
            host: '127.0.0.1',
            ca: readFileSync(authority.caFile),
            ...(files && { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) }),
          });
          socket.once('error', () => resolve(true));
          socket.once('close', () => resolve(true));
          socket.once('data', () => resolve(false));
          socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
        });
      assert.equal(await refused(stranger), true, 'a certificate of another authority');
      assert.equal(await refused(null), true, 'no certificate');
      assert.equal(await refused(await authority.issue('friend')), false, 'one of ours gets an answer');
    } finally {
      await cluster.close();
      await certificates.remove();
    }
  });
});
