// s3cmd.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCESS_KEY, SECRET_KEY } from '../../support/cluster.ts';
import { program } from '../../support/parts.ts';
import { assertLarge, LARGE, readTree, run, type Subject } from './subject.ts';

export async function s3cmdSession(subject: Subject): Promise<void> {
  const place = await subject.place('s3cmd');
  const home = await subject.folder('s3cmd');
  await writeFile(join(home, 's3cfg'), '[default]\nmax_retries = 0\n');
  const options = [
    `--config=${join(home, 's3cfg')}`,
    `--access_key=${ACCESS_KEY}`,
    `--secret_key=${SECRET_KEY}`,
    '--region=us-east-1',
    `--host=${place.host}`,
    `--host-bucket=${place.host}`,
    '--multipart-chunk-size-mb=5',
    ...(subject.caFile ? ['--ssl', `--ca-certs=${subject.caFile}`] : ['--no-ssl']),
  ];
  const s3cmd = async (...words: string[]) =>
    (await run(program('s3cmd'), [...options, ...words], { env: subject.environment(home) })).stdout;
  const s3 = `s3://${place.bucket}`;

  await s3cmd('mb', s3);
  await place.created();
  await s3cmd('put', subject.files.small, `${s3}/dir/small.txt`);
  await s3cmd('put', subject.files.large, `${s3}/large.bin`);
  assert.match(await s3cmd('sync', `${subject.tree}/`, `${s3}/tree/`), /upload:/);
  assert.doesNotMatch(
    await s3cmd('sync', `${subject.tree}/`, `${s3}/tree/`),
    /upload:/,
    'nothing to do the second time',
  );
  assert.match(await s3cmd('ls', '--recursive', s3), /dir\/small\.txt[\s\S]*large\.bin[\s\S]*tree\/deep\/file 1\+ü/);
  await s3cmd('sync', `${s3}/tree/`, `${join(home, 'down')}/`);
  assert.deepEqual(await readTree(join(home, 'down')), await readTree(subject.tree));
  // A download that broke off goes on with a range.
  await writeFile(join(home, 'large'), LARGE.subarray(0, 6_000_000));
  await s3cmd('get', '--continue', `${s3}/large.bin`, join(home, 'large'));
  await assertLarge(join(home, 'large'));
  await s3cmd('cp', `${s3}/large.bin`, `${s3}/copy.bin`);
  await s3cmd('mv', `${s3}/copy.bin`, `${s3}/moved.bin`);
  await s3cmd('get', `${s3}/moved.bin`, join(home, 'moved'));
  await assertLarge(join(home, 'moved'));
  assert.match(await s3cmd('info', `${s3}/dir/small.txt`), /MIME type:\s+text\/plain/);
  await s3cmd('del', `${s3}/moved.bin`);
  await s3cmd('del', '--recursive', '--force', s3);
  await s3cmd('rb', s3);
  assert.doesNotMatch(await s3cmd('ls'), new RegExp(place.bucket));
  await place.deleted();
}
