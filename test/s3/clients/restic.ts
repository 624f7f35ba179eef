// restic: a repository in a bucket that it makes itself; what was backed up comes back byte for byte.
import assert from 'node:assert/strict';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteBucketCommand } from '@aws-sdk/client-s3';
import { program } from '../../support/parts.ts';
import { empty } from './sdk.ts';
import { LARGE, readTree, run, type Subject } from './subject.ts';

export async function resticSession(subject: Subject): Promise<void> {
  const place = await subject.place('restic');
  const home = await subject.folder('restic');
  // It takes the authority its own way, and stumbles over the variable of the AWS SDKs.
  const { AWS_CA_BUNDLE: _, ...inherited } = subject.environment(home);
  const env = {
    ...inherited,
    RESTIC_PASSWORD: 'password',
    RESTIC_REPOSITORY: `s3:${place.endpoint}/${place.bucket}/repo`,
  };
  const options = ['--cache-dir', join(home, 'cache'), ...(subject.caFile ? ['--cacert', subject.caFile] : [])];
  const source = join(home, 'source');
  const restic = async (...words: string[]) =>
    (await run(program('restic'), [...options, ...words], { env, cwd: home })).stdout;
  const backup = async () => {
    const lines = (await restic('backup', 'source', '--json')).trim().split('\n');
    return JSON.parse(lines.at(-1) ?? '') as { files_new: number; files_changed: number; files_unmodified: number };
  };
  await cp(subject.tree, source, { recursive: true });
  await writeFile(join(source, 'large.bin'), LARGE);
  const count = Object.keys(await readTree(source)).length;

  await restic('init');
  await place.created();
  assert.equal((await backup()).files_new, count);
  const again = await backup();
  assert.deepEqual([again.files_new, again.files_changed, again.files_unmodified], [0, 0, count]);
  await writeFile(join(source, 'new'), 'one more');
  assert.equal((await backup()).files_new, 1);
  assert.match(await restic('check', '--read-data'), /no errors were found/);
  await rm(join(home, 'cache'), { recursive: true });
  await restic('restore', 'latest', '--target', join(home, 'back'), '--verify');
  assert.deepEqual(await readTree(join(home, 'back/source')), await readTree(source));
  await restic('forget', '--keep-last', '1', '--prune');
  assert.equal(JSON.parse(await restic('snapshots', '--json')).length, 1);
  assert.match(await restic('check'), /no errors were found/);
  await empty(place.sdk, place.bucket);
  await place.sdk.send(new DeleteBucketCommand({ Bucket: place.bucket }));
  await place.deleted();
}
