// `zring import` and `zring export`: a tree there and back, repeated with nothing to do, and resumed after being killed.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { programArguments, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MIB = 1024 * 1024;

interface Report {
  readonly code: number | null;
  readonly summary: { done: number; skipped: number; failed: number; bytes: number; failures: { subject: string }[] };
}

describe('import and export', part('redis-server'), () => {
  let cluster: TestCluster;
  let work: string;

  before(async () => {
    cluster = await startCluster({ storage: 'dir' });
    work = await mkdtemp(join(tmpdir(), 'zring-import-'));
  });
  after(async () => {
    await cluster?.close();
    await rm(work, { recursive: true, force: true });
  });

  function start(...args: string[]): ChildProcess {
    return spawn(process.execPath, [...programArguments(), ...args, '--config', cluster.configPath, '--json'], {
      cwd: ROOT,
    });
  }
  async function zring(...args: string[]): Promise<Report> {
    const child = start(...args);
    let [output, errors] = ['', ''];
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (errors += chunk));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.notEqual(output, '', errors);
    return { code, summary: JSON.parse(output) };
  }

  test('a bucket that is not there ends the export', async () => {
    const child = start('export', 'no-such-bucket', join(work, 'nothing'));
    let errors = '';
    child.stderr?.on('data', (chunk) => (errors += chunk));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 1);
    assert.match(errors, /NoSuchBucket/);
  });

  test('a tree there and back, and again with nothing to do', async () => {
    const tree = join(work, 'tree');
    await mkdir(join(tree, 'deep/er'), { recursive: true });
    const files = new Map([
      ['empty', Buffer.alloc(0)],
      ['deep/ü +%&', randomBytes(10_000)],
      ['deep/er/large', randomBytes(70 * MIB)],
    ]);
    for (const [name, content] of files) await writeFile(join(tree, name), content);
    const first = await zring('import', tree, 'tree-bucket');
    assert.deepEqual([first.code, first.summary.done, first.summary.failed], [0, 3, 0]);
    const second = await zring('import', tree, 'tree-bucket');
    assert.deepEqual([second.code, second.summary.done, second.summary.skipped, second.summary.bytes], [0, 0, 3, 0]);
    await appendFile(join(tree, 'empty'), 'x');
    assert.equal((await zring('import', tree, 'tree-bucket')).summary.done, 1, 'a changed file is copied again');

    const out = join(work, 'out');
    assert.equal((await zring('export', 'tree-bucket', out)).summary.done, 3);
    for (const [name, content] of files) {
      const expected = name === 'empty' ? Buffer.from('x') : content;
      assert.ok((await readFile(join(out, name))).equals(expected), name);
    }
    const again = await zring('export', 'tree-bucket', out);
    assert.deepEqual([again.summary.done, again.summary.skipped, again.summary.bytes], [0, 3, 0]);
    assert.deepEqual((await readdir(out)).sort(), ['deep', 'empty'], 'no partial files are left');
  });

  test('an import that was killed goes on with the parts that are there', async () => {
    const tree = join(work, 'killed');
    await mkdir(tree);
    const content = randomBytes(200 * MIB);
    await writeFile(join(tree, 'big'), content);
    const s3 = cluster.client('a');
    await s3.send(new CreateBucketCommand({ Bucket: 'killed-bucket' }));
    const child = start('import', tree, 'killed-bucket');
    const exited = once(child, 'exit');
    await cluster.until(
      async () => {
        const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket: 'killed-bucket' }));
        const upload = Uploads?.[0];
        if (!upload) return 0;
        const parts = await s3.send(
          new ListPartsCommand({ Bucket: 'killed-bucket', Key: 'big', UploadId: upload.UploadId }),
        );
        return parts.Parts?.length ?? 0;
      },
      (parts) => parts > 0,
      'the first part',
    );
    child.kill('SIGKILL');
    await exited;
    const resumed = await zring('import', tree, 'killed-bucket');
    assert.equal(resumed.code, 0);
    assert.ok(resumed.summary.bytes <= content.length - 64 * MIB, `${resumed.summary.bytes} bytes were sent again`);
    assert.equal((await zring('export', 'killed-bucket', join(work, 'killed-out'))).code, 0);
    assert.ok((await readFile(join(work, 'killed-out', 'big'))).equals(content));
  });

  test('what cannot be a file, or is none, is named and fails the command', async () => {
    const s3 = cluster.client('b');
    await s3.send(new CreateBucketCommand({ Bucket: 'odd-keys' }));
    for (const Key of ['fine', '../outside', 'a//b', 'folder/']) {
      await s3.send(new PutObjectCommand({ Bucket: 'odd-keys', Key, Body: 'x' }));
    }
    const report = await zring('export', 'odd-keys', join(work, 'odd', 'inner'));
    assert.deepEqual([report.code, report.summary.done], [1, 1]);
    assert.deepEqual(report.summary.failures.map(({ subject }) => subject).sort(), ['../outside', 'a//b', 'folder/']);
    assert.deepEqual(await readdir(join(work, 'odd')), ['inner'], 'nothing was written outside the folder');

    await mkdir(join(work, 'links'));
    await symlink('/etc/hostname', join(work, 'links', 'link'));
    assert.equal((await zring('import', join(work, 'links'), 'odd-keys')).code, 1);
  });
});
