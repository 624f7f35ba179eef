// AWS CLI, 1 or 2: a session with `aws s3`, and one with a versioned bucket through `aws s3api`.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { program } from '../../support/parts.ts';
import { assertLarge, LARGE, type Place, readTree, run, SMALL, type Subject } from './subject.ts';

type Aws = (...words: string[]) => Promise<string>;

export async function awsCliSession(subject: Subject): Promise<void> {
  const place = await subject.place('cli');
  const home = await subject.folder('aws-cli');
  const s3 = `s3://${place.bucket}`;
  const aws = await awsCli(subject, place, home);
  const target = ['--bucket', place.bucket];

  await aws('s3', 'mb', s3);
  await place.created();
  await aws('s3', 'cp', subject.files.small, `${s3}/ä dir/small.txt`, '--metadata', 'kept=yes');
  await aws('s3', 'cp', subject.files.large, `${s3}/large.bin`);
  await aws('s3', 'sync', subject.tree, `${s3}/tree`);
  assert.equal(await aws('s3', 'sync', subject.tree, `${s3}/tree`), '', 'nothing to do the second time');
  assert.match(
    await aws('s3', 'ls', `${s3}/`),
    new RegExp(`PRE tree/[\\s\\S]*PRE ä dir/[\\s\\S]*${LARGE.length} large.bin`),
  );

  await aws('s3', 'sync', `${s3}/tree`, join(home, 'down'));
  assert.deepEqual(await readTree(join(home, 'down')), await readTree(subject.tree));
  await aws('s3', 'cp', `${s3}/large.bin`, join(home, 'large'));
  await assertLarge(join(home, 'large'));
  const range = ['--range', 'bytes=8388600-8388620'];
  await aws('s3api', 'get-object', ...target, '--key', 'large.bin', ...range, join(home, 'range'));
  assert.deepEqual(await readFile(join(home, 'range')), LARGE.subarray(8388600, 8388621));

  // Above its threshold a copy is a multipart upload of copied parts.
  await aws('s3', 'cp', `${s3}/large.bin`, `${s3}/copy of large`);
  await aws('s3', 'mv', `${s3}/ä dir/small.txt`, `${s3}/moved.txt`);
  const head = JSON.parse(await aws('s3api', 'head-object', ...target, '--key', 'moved.txt'));
  assert.deepEqual([head.Metadata, head.ContentType], [{ kept: 'yes' }, 'text/plain']);

  const url = (await aws('s3', 'presign', `${s3}/moved.txt`, '--expires-in', '60')).trim();
  assert.match(url, /X-Amz-Algorithm=AWS4-HMAC-SHA256/);
  const presigned = await subject.fetch(url);
  assert.deepEqual([presigned.status, String(presigned.body)], [200, String(SMALL)]);

  const tags = '{"TagSet":[{"Key":"project","Value":"ä + b"}]}';
  await aws('s3api', 'put-object-tagging', ...target, '--key', 'moved.txt', '--tagging', tags);
  const tagged = JSON.parse(await aws('s3api', 'get-object-tagging', ...target, '--key', 'moved.txt'));
  assert.deepEqual(tagged.TagSet, [{ Key: 'project', Value: 'ä + b' }]);
  await aws('s3api', 'delete-object-tagging', ...target, '--key', 'moved.txt');

  await aws('s3', 'rm', `${s3}/copy of large`);
  await aws('s3', 'rb', '--force', s3);
  assert.doesNotMatch(await aws('s3', 'ls'), new RegExp(place.bucket));
  await place.deleted();
}

export async function awsCliVersions(subject: Subject): Promise<void> {
  const place = await subject.place('cli-versions');
  const home = await subject.folder('aws-cli-versions');
  const aws = await awsCli(subject, place, home);
  const api = async (operation: string, ...words: string[]) =>
    JSON.parse((await aws('s3api', operation, '--bucket', place.bucket, ...words)) || '{}');
  const key = ['--key', 'dir/key'];

  await api('create-bucket');
  await place.created();
  await api('put-bucket-versioning', '--versioning-configuration', 'Status=Enabled');
  assert.deepEqual(await api('get-bucket-versioning'), { Status: 'Enabled' });
  const first = await api('put-object', ...key, '--body', subject.files.small, '--tagging', 'n=1');
  const second = await api('put-object', ...key, '--body', subject.files.large);
  const gone = await api('delete-object', ...key);
  assert.equal(gone.DeleteMarker, true);
  await assert.rejects(api('head-object', ...key), /404/);

  const list = await api('list-object-versions', '--prefix', 'dir/');
  assert.deepEqual(
    list.Versions.map(({ VersionId, Size, IsLatest }: Record<string, unknown>) => [VersionId, Size, IsLatest]),
    [
      [second.VersionId, LARGE.length, false],
      [first.VersionId, SMALL.length, false],
    ],
  );
  assert.deepEqual(
    list.DeleteMarkers.map(({ VersionId }: Record<string, unknown>) => VersionId),
    [gone.VersionId],
  );
  const old = ['--version-id', first.VersionId];
  await api('get-object', ...key, ...old, join(home, 'old'));
  assert.deepEqual(await readFile(join(home, 'old')), SMALL);
  assert.deepEqual((await api('get-object-tagging', ...key, ...old)).TagSet, [{ Key: 'n', Value: '1' }]);
  await api('delete-object', ...key, '--version-id', gone.VersionId);
  assert.equal((await api('head-object', ...key)).VersionId, second.VersionId, 'the newest version is back');

  await assert.rejects(api('delete-bucket'), /BucketNotEmpty/);
  const objects = [first, second].map(({ VersionId }) => ({ Key: 'dir/key', VersionId }));
  const removed = await api('delete-objects', '--delete', JSON.stringify({ Objects: objects }));
  assert.equal(removed.Deleted.length, 2);
  await api('delete-bucket');
  await place.deleted();
}

async function awsCli(subject: Subject, place: Place, home: string): Promise<Aws> {
  await mkdir(join(home, '.aws'));
  // AWS CLI 1 presigns with Signature Version 2 without this.
  await writeFile(join(home, '.aws/config'), '[default]\noutput = json\ns3 =\n    signature_version = s3v4\n');
  const env = subject.environment(home);
  return async (...words) => (await run(program('aws'), ['--endpoint-url', place.endpoint, ...words], { env })).stdout;
}
