// s3fs: a bucket mounted as a folder, in a mount namespace of its own that ends with the process; this side looks into
// it through /proc.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, DeleteBucketCommand, GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { ACCESS_KEY, SECRET_KEY } from '../../support/cluster.ts';
import { program } from '../../support/parts.ts';
import { assertLarge, LARGE, md5, type Place, run, SMALL, type Subject } from './subject.ts';

export async function s3fsSession(subject: Subject): Promise<void> {
  const place = await subject.place('s3fs');
  await place.sdk.send(new CreateBucketCommand({ Bucket: place.bucket }));
  await place.created();
  const home = await subject.folder('s3fs');
  await mkdir(join(home, 'mnt'));
  await writeFile(join(home, 'passwd'), `${ACCESS_KEY}:${SECRET_KEY}\n`, { mode: 0o600 });

  const first = await mount(subject, place, home);
  try {
    await mkdir(join(first.folder, 'dir with ü'));
    await writeFile(join(first.folder, 'dir with ü/small +.txt'), SMALL);
    await writeFile(join(first.folder, 'large.bin'), LARGE);
    await assertLarge(join(first.folder, 'large.bin'));
    // A rename is a copy, of parts where the object is large, and a deletion.
    await rename(join(first.folder, 'large.bin'), join(first.folder, 'renamed.bin'));
    const file = await open(join(first.folder, 'renamed.bin'), 'r+');
    await file.write(Buffer.from('patched'), 0, 7, 6_000_000);
    await file.close();
    await truncate(join(first.folder, 'dir with ü/small +.txt'), 5);
  } finally {
    await first.unmount();
  }

  const patched = Buffer.from(LARGE);
  patched.write('patched', 6_000_000);
  const answer = await place.sdk.send(new GetObjectCommand({ Bucket: place.bucket, Key: 'renamed.bin' }));
  assert.equal(md5((await answer.Body?.transformToByteArray()) ?? Buffer.alloc(0)), md5(patched));

  const second = await mount(subject, place, home);
  try {
    assert.deepEqual((await readdir(second.folder)).sort(), ['dir with ü', 'renamed.bin']);
    assert.equal((await stat(join(second.folder, 'renamed.bin'))).size, LARGE.length);
    assert.equal(md5(await readFile(join(second.folder, 'renamed.bin'))), md5(patched));
    assert.deepEqual(await readFile(join(second.folder, 'dir with ü/small +.txt')), SMALL.subarray(0, 5));
    await assert.rejects(rmdir(join(second.folder, 'dir with ü')), { code: 'ENOTEMPTY' });
    await rm(join(second.folder, 'dir with ü'), { recursive: true });
    await unlink(join(second.folder, 'renamed.bin'));
  } finally {
    await second.unmount();
  }
  assert.equal((await place.sdk.send(new ListObjectsV2Command({ Bucket: place.bucket }))).KeyCount, 0);
  await place.sdk.send(new DeleteBucketCommand({ Bucket: place.bucket }));
  await place.deleted();
}

async function mount(subject: Subject, place: Place, home: string) {
  const mountPoint = join(home, 'mnt');
  const options = [
    `passwd_file=${join(home, 'passwd')}`,
    `url=${place.endpoint}`,
    'use_path_request_style',
    'endpoint=us-east-1',
    'multipart_size=5',
    'singlepart_copy_limit=5',
    'retries=1',
  ];
  const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...env } = subject.environment(home);
  // Debian's build asks the system whom to trust, and nothing else: in its namespace the system trusts ours alone.
  const trust = join(home, 'trust');
  await mkdir(trust, { recursive: true });
  if (subject.caFile) await copyFile(subject.caFile, join(trust, 'ours.pem'));
  const enter = subject.caFile ? `mount --bind '${trust}' /etc/ssl/certs && exec "$@"` : 'exec "$@"';
  const s3fs = [program('s3fs'), place.bucket, mountPoint, '-f', ...options.flatMap((option) => ['-o', option])];
  const child = spawn(program('unshare'), ['-m', 'sh', '-c', enter, 'sh', ...s3fs], { env });
  const exited = once(child, 'exit');
  let told = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      told += text;
    });
  const mounted = async () =>
    (await readFile(`/proc/${child.pid}/mounts`, 'utf8').catch(() => '')).includes('fuse.s3fs');
  const ready = await subject.cluster.until(
    async () => child.exitCode !== null || (await mounted()),
    (value) => value,
    's3fs to mount',
  );
  const folder = join(`/proc/${child.pid}/root`, mountPoint);
  // The first look waits for its first request, which may end the process.
  const looked = await readdir(folder).catch((error: unknown) => error);
  if (!ready || child.exitCode !== null || !Array.isArray(looked)) {
    child.kill('SIGKILL');
    assert.fail(`${looked}\n${told}`);
  }
  return {
    folder,
    async unmount() {
      try {
        await run(program('nsenter'), ['-t', String(child.pid), '-m', program('umount'), mountPoint]);
        const [code] = await exited;
        assert.equal(code, 0, told);
      } catch (error) {
        child.kill('SIGKILL');
        throw new Error(`s3fs did not unmount: ${told}`, { cause: error });
      }
    },
  };
}
