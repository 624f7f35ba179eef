// What is said of encryption at rest: on a storage that is encrypted, on one that is not, and after a move between them.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketEncryptionCommand,
  GetBucketEncryptionCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type S3Client,
  type ServerSideEncryptionConfiguration,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const Bucket = bucketName();
const Key = 'object';
let client: S3Client;

before(async () => {
  client = node.client();
  await client.send(new CreateBucketCommand({ Bucket }));
});

async function refusal(promise: Promise<unknown>): Promise<[string, number | undefined]> {
  const error = await promise.then(
    () => assert.fail('it was not refused'),
    (caught: { name: string; $metadata?: { httpStatusCode?: number } }) => caught,
  );
  return [error.name, error.$metadata?.httpStatusCode];
}

const rule = (algorithm: string, more: object = {}): ServerSideEncryptionConfiguration => ({
  Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: algorithm as 'AES256', ...more } }],
});
const AES256 = { ServerSideEncryption: 'AES256' } as const;

describe('on an encrypted storage', () => {
  before(() => {
    node.access.encrypted = true;
  });

  it('AES256 is accepted, and reported of every object, asked for or not', async () => {
    for (const asked of [AES256, {}]) {
      const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...asked }));
      assert.equal(put.ServerSideEncryption, 'AES256');
      assert.equal((await client.send(new GetObjectCommand({ Bucket, Key }))).ServerSideEncryption, 'AES256');
      assert.equal((await client.send(new HeadObjectCommand({ Bucket, Key }))).ServerSideEncryption, 'AES256');
      const range = await client.send(new GetObjectCommand({ Bucket, Key, Range: 'bytes=0-0' }));
      assert.equal(range.ServerSideEncryption, 'AES256');
      const CopySource = `${Bucket}/${Key}`;
      const copied = await client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource, ...asked }));
      assert.equal(copied.ServerSideEncryption, 'AES256');
      const created = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...asked }));
      assert.equal(created.ServerSideEncryption, 'AES256');
      const upload = { Bucket, Key, UploadId: created.UploadId };
      const part = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: Buffer.alloc(5 << 20) }));
      assert.equal(part.ServerSideEncryption, 'AES256');
      const partCopy = await client.send(new UploadPartCopyCommand({ ...upload, PartNumber: 2, CopySource }));
      assert.equal(partCopy.ServerSideEncryption, 'AES256');
      const Parts = [part.ETag, partCopy.CopyPartResult?.ETag].map((ETag, i) => ({ ETag, PartNumber: i + 1 }));
      const completed = await client.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }),
      );
      assert.equal(completed.ServerSideEncryption, 'AES256');
    }
  });

  it('the bucket says AES256; asking for it is a success, removing it leaves it', async () => {
    for (let i = 0; i < 2; i++) {
      const { ServerSideEncryptionConfiguration: found } = await client.send(
        new GetBucketEncryptionCommand({ Bucket }),
      );
      assert.deepEqual(found?.Rules, [
        { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' }, BucketKeyEnabled: false },
      ]);
      await client.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: rule('AES256') }));
      await client.send(new DeleteBucketEncryptionCommand({ Bucket }));
    }
  });

  it('an answer without an object says nothing of encryption', async () => {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    for (const request of [
      { path: `/${Bucket}/missing`, headers: {}, status: 404 },
      { path: `/${Bucket}/${Key}`, headers: { 'if-none-match': ETag ?? '' }, status: 304 },
      { path: `/${Bucket}`, headers: {}, status: 200 },
    ]) {
      const answer = await node.raw({ method: 'GET', ...request });
      assert.equal(answer.status, request.status);
      assert.equal(answer.headers['x-amz-server-side-encryption'], undefined);
    }
  });
});

describe('on a storage that is not encrypted', () => {
  before(async () => {
    node.access.encrypted = true;
    await client.send(new PutObjectCommand({ Bucket, Key: 'moved', Body: 'x', ...AES256 }));
    await client.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: rule('AES256') }));
    node.access.encrypted = false;
  });

  it('nothing claims AES256, not even what was written when it was so', async () => {
    for (const found of [
      await client.send(new GetObjectCommand({ Bucket, Key: 'moved' })),
      await client.send(new HeadObjectCommand({ Bucket, Key: 'moved' })),
      await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' })),
    ]) {
      assert.equal(found.ServerSideEncryption, undefined);
    }
    const bucket = await refusal(client.send(new GetBucketEncryptionCommand({ Bucket })));
    assert.deepEqual(bucket, ['ServerSideEncryptionConfigurationNotFoundError', 404]);
    await client.send(new DeleteBucketEncryptionCommand({ Bucket }));
  });

  it('AES256 is refused with the reason, and nothing is written', async () => {
    const refused = ['NotImplemented', 501];
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'no', Body: 'x', ...AES256 }));
    await assert.rejects(put, /storage of this bucket is not encrypted/);
    assert.deepEqual(await refusal(put), refused);
    assert.deepEqual(await refusal(client.send(new HeadObjectCommand({ Bucket, Key: 'no' }))), ['NotFound', 404]);
    const CopySource = `${Bucket}/moved`;
    for (const command of [
      new CopyObjectCommand({ Bucket, Key: 'no', CopySource, ...AES256 }),
      new CreateMultipartUploadCommand({ Bucket, Key: 'no', ...AES256 }),
    ]) {
      assert.deepEqual(await refusal(client.send(command as CopyObjectCommand)), refused);
    }
    assert.deepEqual(
      await refusal(
        client.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: rule('AES256') })),
      ),
      refused,
    );
  });
});

for (const encrypted of [false, true]) {
  describe(`what no storage here does (encrypted: ${encrypted})`, () => {
    before(() => {
      node.access.encrypted = encrypted;
    });

    const key = Buffer.alloc(32, 1);
    const customer = {
      'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      'x-amz-server-side-encryption-customer-key': key.toString('base64'),
    };
    const cases: [string, string, Record<string, string>, number, string][] = [
      ['SSE-C on a write', 'PUT', customer, 501, 'NotImplemented'],
      ['SSE-C on a read', 'GET', customer, 400, 'InvalidRequest'],
      ['SSE-KMS', 'PUT', { 'x-amz-server-side-encryption': 'aws:kms' }, 501, 'NotImplemented'],
      ['DSSE-KMS', 'PUT', { 'x-amz-server-side-encryption': 'aws:kms:dsse' }, 501, 'NotImplemented'],
      ['a KMS key', 'PUT', { 'x-amz-server-side-encryption-aws-kms-key-id': 'k' }, 501, 'NotImplemented'],
      ['a KMS context', 'PUT', { 'x-amz-server-side-encryption-context': 'e30=' }, 501, 'NotImplemented'],
      ['a bucket key', 'PUT', { 'x-amz-server-side-encryption-bucket-key-enabled': 'true' }, 501, 'NotImplemented'],
      [
        'an unknown algorithm',
        'PUT',
        { 'x-amz-server-side-encryption': 'aes256' },
        400,
        'InvalidEncryptionAlgorithmError',
      ],
      ['an algorithm on a read', 'GET', { 'x-amz-server-side-encryption': 'AES256' }, 400, 'InvalidRequest'],
    ];
    for (const [what, method, headers, status, code] of cases) {
      it(`${what} is refused`, async () => {
        const answer = await node.raw({
          method,
          path: `/${Bucket}/${Key}`,
          headers,
          ...(method === 'PUT' ? { body: 'x' } : {}),
        });
        assert.deepEqual([answer.status, /<Code>(.*?)<\/Code>/.exec(answer.text)?.[1]], [status, code], answer.text);
      });
    }

    it('a source under SSE-C is refused', async () => {
      const headers = {
        'x-amz-copy-source': `/${Bucket}/${Key}`,
        'x-amz-copy-source-server-side-encryption-customer-algorithm': 'AES256',
      };
      assert.equal((await node.raw({ method: 'PUT', path: `/${Bucket}/copy`, headers })).status, 501);
    });

    it('no bucket key is what is so', async () => {
      const headers = { 'x-amz-server-side-encryption-bucket-key-enabled': 'false' };
      assert.equal((await node.raw({ method: 'PUT', path: `/${Bucket}/${Key}`, headers, body: 'x' })).status, 200);
    });

    it('documents that ask for anything else are refused', async () => {
      const put = (configuration: ServerSideEncryptionConfiguration) =>
        refusal(
          client.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: configuration })),
        );
      assert.deepEqual(await put(rule('aws:kms')), ['NotImplemented', 501]);
      assert.deepEqual(await put(rule('rot13')), ['InvalidEncryptionAlgorithmError', 400]);
      assert.deepEqual(await put(rule('AES256', { KMSMasterKeyID: 'k' })), ['InvalidArgument', 400]);
      for (const Rules of [[], [{}], [...(rule('AES256').Rules ?? []), ...(rule('AES256').Rules ?? [])]]) {
        assert.deepEqual(await put({ Rules }), ['MalformedXML', 400]);
      }
    });
  });
}
