// rclone: sync, check, and the old versions of a bucket.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { program } from '../../support/parts.ts';
import { assertLarge, LARGE, type Place, readTree, run, type Subject } from './subject.ts';

export async function rcloneSession(subject: Subject): Promise<void> {
  const place = await subject.place('rclone');
  const home = await subject.folder('rclone');
  const rclone = rcloneAt(subject, place, home);
  const there = `z:${place.bucket}`;

  await rclone('mkdir', there);
  await place.created();
  await rclone('sync', subject.tree, `${there}/tree`);
  await rclone('check', subject.tree, `${there}/tree`);
  // Compares the bytes instead of the sums that a listing tells.
  await rclone('check', '--download', subject.tree, `${there}/tree`);
  const again = await rclone('sync', subject.tree, `${there}/tree`, '-v', '--stats-one-line');
  assert.doesNotMatch(again.stderr, /Copied \(/, 'nothing to do the second time');
  await rclone('copyto', subject.files.large, `${there}/dir with ü/large.bin`);
  await rclone('copyto', `${there}/dir with ü/large.bin`, join(home, 'large'));
  await assertLarge(join(home, 'large'));
  const range = await run(
    program('rclone'),
    ['cat', '--offset', '6291450', '--count', '12', `${there}/dir with ü/large.bin`],
    {
      env: environment(subject, place, home),
      encoding: 'buffer',
    },
  );
  assert.deepEqual(range.stdout, LARGE.subarray(6291450, 6291462));
  await rclone('copyto', `${there}/dir with ü/large.bin`, `${there}/copy.bin`);
  await rclone('moveto', `${there}/copy.bin`, `${there}/moved.bin`);
  assert.match((await rclone('lsf', '-R', there)).stdout, /^dir with ü\/large\.bin$[\s\S]*^moved\.bin$/m);
  await rclone('sync', `${there}/tree`, join(home, 'down'));
  assert.deepEqual(await readTree(join(home, 'down')), await readTree(subject.tree));
  await rclone('deletefile', `${there}/moved.bin`);
  await rclone('purge', there);
  assert.doesNotMatch((await rclone('lsd', 'z:')).stdout, new RegExp(place.bucket));
  await place.deleted();
}

export async function rcloneVersions(subject: Subject): Promise<void> {
  const place = await subject.place('rclone-versions');
  const home = await subject.folder('rclone-versions');
  const rclone = rcloneAt(subject, place, home);
  const there = `z:${place.bucket}`;
  await rclone('mkdir', there);
  await place.created();
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await place.sdk.send(new PutBucketVersioningCommand({ Bucket: place.bucket, VersioningConfiguration }));
  for (const text of ['first', 'second of another size']) {
    await writeFile(join(home, 'file.txt'), text);
    await rclone('copyto', join(home, 'file.txt'), `${there}/file.txt`);
  }
  const names = (await rclone('lsf', '--s3-versions', there)).stdout.trim().split('\n');
  assert.equal(names.length, 2);
  const old = names.find((name) => name !== 'file.txt') ?? '';
  assert.match(old, /^file-v\d{4}-\d\d-\d\d-\d{6}-\d{3}\.txt$/);
  assert.equal((await rclone('cat', '--s3-versions', `${there}/${old}`)).stdout, 'first');
  await rclone('delete', there);
  assert.equal((await rclone('lsf', there)).stdout, '');
  await rclone('backend', 'cleanup-hidden', there);
  await rclone('rmdir', there);
  await place.deleted();
}

function rcloneAt(subject: Subject, place: Place, home: string) {
  return (...words: string[]) => run(program('rclone'), words, { env: environment(subject, place, home) });
}

function environment(subject: Subject, place: Place, home: string): NodeJS.ProcessEnv {
  // It takes the authority its own way, and stumbles over the variable of the AWS SDKs.
  const { AWS_CA_BUNDLE: _, ...inherited } = subject.environment(home);
  return {
    ...inherited,
    ...(subject.caFile && { RCLONE_CA_CERT: subject.caFile }),
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_Z_TYPE: 's3',
    RCLONE_CONFIG_Z_PROVIDER: 'Other',
    RCLONE_CONFIG_Z_ENV_AUTH: 'true',
    RCLONE_CONFIG_Z_REGION: 'us-east-1',
    RCLONE_CONFIG_Z_ENDPOINT: place.endpoint,
    RCLONE_CONFIG_Z_UPLOAD_CUTOFF: '6Mi',
    RCLONE_CONFIG_Z_CHUNK_SIZE: '6Mi',
    RCLONE_CONFIG_Z_COPY_CUTOFF: '6Mi',
    RCLONE_RETRIES: '1',
    RCLONE_LOW_LEVEL_RETRIES: '1',
  };
}
