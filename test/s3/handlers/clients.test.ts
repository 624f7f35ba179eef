// Round trips with the clients people use, as they come: their own framing of bodies, retries off. Over HTTP and TLS,
// because they protect bodies differently on each.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../support/memory-access.ts';
import { part, program, pythonWithBoto3 } from '../../support/parts.ts';
import { testCertificate } from '../../support/s3-client.ts';
import { bucketName, type Fixture, s3Fixture } from '../../support/s3-fixture.ts';

const run = promisify(execFile);
const folder = await temporaryFolder('zring-clients-');
after(() => folder.remove());
const SMALL = Buffer.from('small\n');
const LARGE = randomBytes((17 << 20) + 3);
const files = { small: join(folder.path, 'small.txt'), large: join(folder.path, 'large.bin') };
await writeFile(files.small, SMALL);
await writeFile(files.large, LARGE);

const PATH = process.env.PATH ?? '';
const HOME = folder.path;

for (const scheme of ['http', 'https']) {
  const tls = scheme === 'https';
  const needs = tls ? ['openssl'] : [];
  const usable = !part(...needs).skip;
  describe(`clients over ${scheme}`, { skip: usable ? false : 'no openssl' }, () => {
    let node: Fixture;
    let caFile = '';
    const ready = (async () => {
      if (!usable) return;
      node = await s3Fixture({ secure: tls });
      if (tls) caFile = (await testCertificate()).files.certFile;
    })();
    const environment = (): NodeJS.ProcessEnv => ({
      PATH,
      HOME,
      AWS_ACCESS_KEY_ID: 'admin',
      AWS_SECRET_ACCESS_KEY: 'admin-secret',
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_MAX_ATTEMPTS: '1',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...(tls ? { AWS_CA_BUNDLE: caFile, SSL_CERT_FILE: caFile } : {}),
    });
    const out = (name: string) => join(folder.path, `${scheme}-${name}`);

    test('AWS CLI', part('aws', ...needs), async () => {
      await ready;
      const bucket = bucketName('cli');
      const aws = async (...words: string[]) => {
        const { stdout } = await run(program('aws'), ['--endpoint-url', node.endpoint, ...words], {
          env: environment(),
        });
        return stdout;
      };
      await aws('s3', 'mb', `s3://${bucket}`);
      await aws('s3', 'cp', files.small, `s3://${bucket}/ä dir/small.txt`, '--metadata', 'kept=yes');
      await aws('s3', 'cp', files.large, `s3://${bucket}/large.bin`);
      assert.match(
        await aws('s3', 'ls', `s3://${bucket}/`),
        new RegExp(`PRE ä dir/[\\s\\S]*${LARGE.length} large.bin`),
      );
      await aws('s3', 'cp', `s3://${bucket}/large.bin`, out('cli'));
      assert.ok((await readFile(out('cli'))).equals(LARGE));
      await aws('s3', 'mv', `s3://${bucket}/ä dir/small.txt`, `s3://${bucket}/moved.txt`);
      const head = JSON.parse(await aws('s3api', 'head-object', '--bucket', bucket, '--key', 'moved.txt'));
      assert.deepEqual(
        [head.Metadata, head.ContentLength, head.ContentType],
        [{ kept: 'yes' }, SMALL.length, 'text/plain'],
      );
      await mkdir(out('sync'), { recursive: true });
      await aws('s3', 'sync', `s3://${bucket}`, out('sync'));
      assert.ok((await readFile(join(out('sync'), 'moved.txt'))).equals(SMALL));
      await aws('s3', 'rb', '--force', `s3://${bucket}`);
      assert.doesNotMatch(await aws('s3', 'ls'), new RegExp(bucket));
    });

    test('s3cmd', part('s3cmd', ...needs), async () => {
      await ready;
      const bucket = bucketName('s3cmd');
      const host = `127.0.0.1:${node.port}`;
      const config = out('s3cfg');
      await writeFile(config, '[default]\nmax_retries = 0\n');
      const options = [`--config=${config}`, '--access_key=admin', '--secret_key=admin-secret', '--region=us-east-1'];
      options.push(`--host=${host}`, `--host-bucket=${host}`, '--multipart-chunk-size-mb=6');
      options.push(...(tls ? ['--ssl', `--ca-certs=${caFile}`] : ['--no-ssl']));
      const s3cmd = async (...words: string[]) =>
        (await run(program('s3cmd'), [...options, ...words], { env: environment() })).stdout;
      await s3cmd('mb', `s3://${bucket}`);
      await s3cmd('put', files.small, `s3://${bucket}/dir/small.txt`);
      await s3cmd('put', files.large, `s3://${bucket}/large.bin`);
      assert.match(await s3cmd('ls', '-r', `s3://${bucket}`), /dir\/small\.txt[\s\S]*large\.bin/);
      await s3cmd('get', '--force', `s3://${bucket}/large.bin`, out('s3cmd'));
      assert.ok((await readFile(out('s3cmd'))).equals(LARGE));
      await s3cmd('cp', `s3://${bucket}/dir/small.txt`, `s3://${bucket}/copy.txt`);
      await s3cmd('get', '--force', `s3://${bucket}/copy.txt`, out('s3cmd-copy'));
      assert.ok((await readFile(out('s3cmd-copy'))).equals(SMALL));
      await s3cmd('del', '--recursive', '--force', `s3://${bucket}`);
      await s3cmd('rb', `s3://${bucket}`);
      assert.doesNotMatch(await s3cmd('ls'), new RegExp(bucket));
    });

    test('rclone', part('rclone', ...needs), async () => {
      await ready;
      const bucket = bucketName('rclone');
      // It takes the authority its own way, and stumbles over the variable of the other SDKs.
      const { AWS_CA_BUNDLE: _, ...inherited } = environment();
      const env = {
        ...inherited,
        ...(tls ? { RCLONE_CA_CERT: caFile } : {}),
        RCLONE_CONFIG: '/dev/null',
        RCLONE_CONFIG_Z_TYPE: 's3',
        RCLONE_CONFIG_Z_PROVIDER: 'Other',
        RCLONE_CONFIG_Z_ENV_AUTH: 'true',
        RCLONE_CONFIG_Z_REGION: 'us-east-1',
        RCLONE_CONFIG_Z_ENDPOINT: node.endpoint,
        RCLONE_CONFIG_Z_UPLOAD_CUTOFF: '6Mi',
        RCLONE_CONFIG_Z_CHUNK_SIZE: '6Mi',
        RCLONE_RETRIES: '1',
        RCLONE_LOW_LEVEL_RETRIES: '1',
      };
      const rclone = async (...words: string[]) => (await run(program('rclone'), words, { env })).stdout;
      const source = out('rclone-source');
      await mkdir(join(source, 'dir with ü'), { recursive: true });
      await writeFile(join(source, 'dir with ü', 'small.txt'), SMALL);
      await writeFile(join(source, 'large.bin'), LARGE);
      await rclone('mkdir', `z:${bucket}`);
      await rclone('sync', source, `z:${bucket}`);
      // Compares sizes and hashes of both sides, downloading what has none.
      await rclone('check', '--download', source, `z:${bucket}`);
      assert.match(await rclone('lsf', '-R', `z:${bucket}`), /dir with ü\/small\.txt[\s\S]*large\.bin/);
      await rclone('copyto', `z:${bucket}/large.bin`, `z:${bucket}/copy.bin`);
      await rclone('sync', `z:${bucket}`, out('rclone'));
      assert.ok((await readFile(join(out('rclone'), 'copy.bin'))).equals(LARGE));
      await rclone('purge', `z:${bucket}`);
      assert.doesNotMatch(await rclone('lsd', 'z:'), new RegExp(bucket));
    });

    test('boto3', part('boto3', ...needs), async () => {
      await ready;
      const script = out('boto3.py');
      await writeFile(script, BOTO3);
      const { stdout } = await run(
        pythonWithBoto3(),
        [script, node.endpoint, bucketName('boto3'), files.large, tls ? caFile : ''],
        { env: environment() },
      );
      assert.match(stdout, new RegExp(`sha256 ${createHash('sha256').update(LARGE).digest('hex')}`));
    });
  });
}

const BOTO3 = `
import hashlib, io, sys
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

endpoint, bucket, large, ca = sys.argv[1:5]
s3 = boto3.client('s3', endpoint_url=endpoint, verify=ca or None)
s3.create_bucket(Bucket=bucket)
s3.put_object(Bucket=bucket, Key='k/ü +%', Body=b'body', Metadata={'a': 'b'}, ContentEncoding='gzip')
got = s3.get_object(Bucket=bucket, Key='k/ü +%', ChecksumMode='ENABLED')
assert got['Body'].read() == b'body' and got['Metadata'] == {'a': 'b'} and got['ContentEncoding'] == 'gzip', got
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_file(large, bucket, 'large', Config=parts)
down = io.BytesIO()
s3.download_fileobj(bucket, 'large', down, Config=parts)
print('sha256', hashlib.sha256(down.getvalue()).hexdigest())
s3.copy({'Bucket': bucket, 'Key': 'large'}, bucket, 'copy', Config=parts)
assert s3.head_object(Bucket=bucket, Key='copy')['ContentLength'] == len(down.getvalue())
keys = [o['Key'] for p in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': 1}) for o in p['Contents']]
assert keys == ['copy', 'k/ü +%', 'large'], keys
try:
    s3.put_object(Bucket=bucket, Key='large', Body=b'x', IfNoneMatch='*')
    raise SystemExit('IfNoneMatch did not hold')
except ClientError as error:
    assert error.response['Error']['Code'] == 'PreconditionFailed', error.response
answer = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': k} for k in keys]})
assert len(answer['Deleted']) == 3 and 'Errors' not in answer, answer
s3.delete_bucket(Bucket=bucket)
try:
    s3.head_bucket(Bucket=bucket)
    raise SystemExit('the bucket is still there')
except ClientError as error:
    assert error.response['ResponseMetadata']['HTTPStatusCode'] == 404
`;
