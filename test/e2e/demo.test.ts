// `zring demo`: a working cluster from nothing, a fourth node by editing the file, Ctrl-C, and the data found again.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { parseDocument } from 'yaml';
import type { ClusterStatus } from '../../src/admin/types.ts';
import { connectAdmin } from '../../src/cli/admin-client.ts';
import { isFree } from '../../src/cli/demo-files.ts';
import { programArguments } from '../support/cluster.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let blocker: Server | null = null;
const children: ChildProcess[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zring-demo-'));
  // A busy port 9000: the demo must choose another one and keep it.
  if (await isFree(9000)) {
    blocker = createServer().listen(9000, '127.0.0.1');
    await once(blocker, 'listening');
  }
});

after(async () => {
  blocker?.close();
  for (const child of children) child.kill('SIGTERM');
  await rm(folder, { recursive: true, force: true });
});

interface Demo {
  readonly child: ChildProcess;
  readonly output: () => string;
  says(pattern: RegExp): Promise<RegExpExecArray>;
  stop(): Promise<number | null>;
}

function startDemo(dir = join(folder, 'demo'), ...options: string[]): Demo {
  const args = [...programArguments(), 'demo', '--dir', dir, ...options];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
  return {
    child,
    output: () => text,
    async says(pattern) {
      for (;;) {
        const match = pattern.exec(text);
        if (match) return match;
        if (child.exitCode !== null) throw new Error(`the demo ended: ${text}`);
        await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      }
    },
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGINT');
      const [code] = (await exited) as [number | null];
      return code;
    },
  };
}

/** Waits until the map has the node as draining, and it owns nothing. */
async function untilEmpty(configPath: string, id: string): Promise<void> {
  const admin = connectAdmin({ config: configPath });
  for (;;) {
    const { nodes } = (await admin.get('/status')) as ClusterStatus;
    const node = nodes.find((candidate) => candidate.id === id);
    if (node?.state === 'draining' && node.datasets === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A client made from the line that the demo prints for pasting. */
function clientOf(exported: string, endpoint?: string): S3Client {
  const value = (name: string) => new RegExp(`${name}=(\\S+)`).exec(exported)?.[1] ?? '';
  return new S3Client({
    endpoint: endpoint ?? value('AWS_ENDPOINT_URL'),
    region: value('AWS_REGION'),
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: value('AWS_ACCESS_KEY_ID'), secretAccessKey: value('AWS_SECRET_ACCESS_KEY') },
  });
}

test('demo: start, use, grow by editing the file, stop, start again', async () => {
  const first = startDemo();
  const [line] = await first.says(/export AWS_ENDPOINT_URL=.*/);
  assert.match(first.output(), /aws --endpoint-url http:\/\/127\.0\.0\.1:\d+ s3 mb s3:\/\//);
  assert.doesNotMatch(line, /127\.0\.0\.1:9000/, 'the busy port was passed over');
  for (const name of ['cluster', 'admin', 'credentials']) {
    assert.equal((await stat(join(folder, 'demo', 'secrets', name))).mode & 0o777, 0o600, `mode of ${name}`);
  }
  const s3 = clientOf(line);
  for (let i = 0; i < 12; i += 1) {
    await s3.send(new CreateBucketCommand({ Bucket: `demo-${i}` }));
    await s3.send(new PutObjectCommand({ Bucket: `demo-${i}`, Key: 'key', Body: `value ${i}` }));
  }

  const path = join(folder, 'demo', 'zring.yaml');
  const document = parseDocument(await readFile(path, 'utf8'));
  const file = document.toJS() as { nodes: { s3: string }[] };
  const port = Number(/:(\d+)$/.exec(file.nodes[2]?.s3 ?? '')?.[1]) + 10;
  document.setIn(['cluster', 'revision'], 2);
  const fourth = document.createNode({
    id: 'd',
    zone: 'rack4',
    weight: 1,
    storage: 'dir:./data/d',
    s3: `127.0.0.1:${port}`,
    peer: `127.0.0.1:${port + 1}`,
    admin: `127.0.0.1:${port + 2}`,
  });
  document.addIn(['nodes'], fourth);
  await writeFile(path, document.toString());
  await first.says(/node d is ready/);
  const viaFourth = clientOf(line, `http://127.0.0.1:${port}`);
  assert.equal((await viaFourth.send(new ListBucketsCommand({}))).Buckets?.length, 12);

  const twice = startDemo();
  await once(twice.child, 'close');
  assert.match(twice.output(), new RegExp(`is running already \\(process ${first.child.pid}\\).*\\[LOCKED\\]`));

  document.setIn(['cluster', 'revision'], 3);
  document.setIn(['nodes', 3, 'state'], 'draining');
  await writeFile(path, document.toString());
  await untilEmpty(path, 'd');
  document.setIn(['cluster', 'revision'], 4);
  document.deleteIn(['nodes', 3]);
  await writeFile(path, document.toString());
  await first.says(/node d has left the cluster and is stopped/);
  assert.equal(await first.stop(), 0, first.output());

  const second = startDemo();
  const [again] = await second.says(/export AWS_ENDPOINT_URL=.*/);
  assert.equal(again, line, 'ports and secrets are kept');
  for (let i = 0; i < 12; i += 1) {
    const answer = await s3.send(new GetObjectCommand({ Bucket: `demo-${i}`, Key: 'key' }));
    assert.equal(await answer.Body?.transformToString(), `value ${i}`);
  }
  assert.equal(await second.stop(), 0);
  s3.destroy();
  viaFourth.destroy();
});

test('demo: what it cannot use is refused with words', async () => {
  for (const [args, words] of [
    [['--nodes', '0'], /--nodes takes a whole number/],
    [['--nodes', 'many'], /--nodes takes a whole number/],
    [['--storage', 'zfs'], /zfs:DATASET/],
    [['--noodes', '3'], /unknown option --noodes/],
  ] as const) {
    const child = spawn(process.execPath, [...programArguments(), 'demo', '--dir', join(folder, 'bad'), ...args], {
      cwd: ROOT,
    });
    let text = '';
    child.stderr.on('data', (chunk) => (text += chunk));
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 1);
    assert.match(text, words);
  }
});

test('demo: what cannot work leaves no configuration behind; a node that cannot start says why', async () => {
  const run = (...args: string[]) => startDemo(join(folder, 'odd'), ...args);
  const refused = run('--redis', 'nonsense');
  const [code] = (await once(refused.child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(refused.output(), /neither a Redis URL/);

  const taken = run('--nodes', '1');
  await taken.says(/export AWS/);
  assert.equal(await taken.stop(), 0);
  // A root of another cluster is refused by its node.
  const path = join(folder, 'odd', 'zring.yaml');
  await writeFile(path, (await readFile(path, 'utf8')).replace('name: demo', 'name: other'));
  const broken = run('--nodes', '5');
  await broken.says(/--nodes is for new demos/);
  await broken.says(/node a stopped \(.*belongs to cluster demo.*\); starting it again/);
  assert.equal(await broken.stop(), 0);
});

test('demo: two that start together take different ports', async () => {
  const both = ['one', 'two'].map((name) => startDemo(join(folder, name), '--nodes', '1'));
  const urls = await Promise.all(both.map(async (demo) => (await demo.says(/AWS_ENDPOINT_URL=(\S+)/))[1]));
  assert.notEqual(urls[0], urls[1]);
  for (const demo of both) assert.equal(await demo.stop(), 0, demo.output());
  for (const demo of both) assert.doesNotMatch(demo.output(), /starting it again/);
});
