// Every result document, read back by the SDK: a client of S3 sees in it what was put in.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  S3Client,
  S3ServiceException,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import * as results from '../../../src/s3/xml/results.ts';
import { escapeText, urlEncode } from '../../../src/s3/xml/writer.ts';

const owner = { id: 'id-1', displayName: 'Ö & <co>' };
const OWNER = { ID: 'id-1', DisplayName: 'Ö & <co>' };
const modifiedMs = Date.UTC(2024, 0, 2, 3, 4, 5, 678);
const DATE = new Date(modifiedMs);
const KEY = 'a & b <"c">\t\u00e9 日本/😀\r\n';
const checksums = [{ algorithm: 'CRC32', value: 'AAAAAA==' }] as const;
const PAGE = { Bucket: 'abc', Key: 'k', UploadId: 'u' };

let answer = { status: 200, body: '' };
const server = createServer((_, response) => {
  response.writeHead(answer.status, { 'content-type': 'application/xml' }).end(answer.body);
});
let client: S3Client;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new S3Client({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
});

after(async () => {
  client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function serve(body: string, status = 200): void {
  answer = { status, body };
}

test('ListBuckets', async () => {
  serve(
    results.listBucketsResult({
      owner,
      buckets: [{ name: 'abc', createdMs: modifiedMs, region: 'eu-west-1' }],
      continuationToken: 't',
      prefix: 'a',
    }),
  );
  const found = await client.send(new ListBucketsCommand({}));
  assert.deepEqual(found.Owner, OWNER);
  assert.deepEqual(found.Buckets, [{ Name: 'abc', CreationDate: DATE, BucketRegion: 'eu-west-1' }]);
  assert.equal(found.ContinuationToken, 't');
  assert.equal(found.Prefix, 'a');
});

test('ListBuckets with none', async () => {
  serve(results.listBucketsResult({ owner, buckets: [] }));
  const found = await client.send(new ListBucketsCommand({}));
  assert.deepEqual(found.Buckets, []);
  assert.equal(found.ContinuationToken, undefined);
});

test('GetBucketLocation', async () => {
  serve(results.locationResult('eu-west-1'));
  assert.equal((await client.send(new GetBucketLocationCommand({ Bucket: 'abc' }))).LocationConstraint, 'eu-west-1');
  serve(results.locationResult('us-east-1'));
  assert.ok(!(await client.send(new GetBucketLocationCommand({ Bucket: 'abc' }))).LocationConstraint);
});

test('GetBucketVersioning', async () => {
  serve(results.versioningResult(null));
  assert.equal((await client.send(new GetBucketVersioningCommand({ Bucket: 'abc' }))).Status, undefined);
  serve(results.versioningResult('Enabled'));
  assert.equal((await client.send(new GetBucketVersioningCommand({ Bucket: 'abc' }))).Status, 'Enabled');
});

const OBJECT = {
  key: KEY,
  modifiedMs,
  etag: 'e',
  size: 3,
  owner,
  checksumAlgorithms: ['CRC32'],
  checksumType: 'FULL_OBJECT' as const,
};
const CONTENT = {
  Key: KEY,
  LastModified: DATE,
  ETag: '"e"',
  Size: 3,
  Owner: OWNER,
  StorageClass: 'STANDARD',
  ChecksumAlgorithm: ['CRC32'],
  ChecksumType: 'FULL_OBJECT',
};

test('ListObjects', async () => {
  serve(
    results.listObjectsResult({
      bucket: 'abc',
      prefix: 'p&',
      delimiter: '/',
      maxKeys: 2,
      encodingType: null,
      isTruncated: true,
      marker: 'm',
      nextMarker: KEY,
      objects: [OBJECT],
      commonPrefixes: ['p&/', 'q/'],
    }),
  );
  const found = await client.send(new ListObjectsCommand({ Bucket: 'abc', Delimiter: '/' }));
  assert.deepEqual(found.Contents, [CONTENT]);
  assert.deepEqual(found.CommonPrefixes, [{ Prefix: 'p&/' }, { Prefix: 'q/' }]);
  const { Name, Prefix, Delimiter, MaxKeys, IsTruncated, Marker, NextMarker } = found;
  assert.deepEqual(
    [Name, Prefix, Delimiter, MaxKeys, IsTruncated, Marker, NextMarker],
    ['abc', 'p&', '/', 2, true, 'm', KEY],
  );
});

const EMPTY_PAGE = {
  bucket: 'abc',
  prefix: '',
  delimiter: '',
  maxKeys: 1000,
  encodingType: null,
  isTruncated: false,
  objects: [],
  commonPrefixes: [],
};

test('ListObjects of nothing: the empty Prefix and Marker are there', () => {
  const body = results.listObjectsResult({ ...EMPTY_PAGE, marker: '', nextMarker: null });
  assert.match(body, /<Prefix\/><Marker\/>/);
  assert.ok(!body.includes('Delimiter') && !body.includes('NextMarker') && !body.includes('EncodingType'));
});

test('ListObjectsV2, with encoding-type=url', async () => {
  serve(
    results.listObjectsV2Result({
      ...EMPTY_PAGE,
      prefix: 'p q/',
      delimiter: '/',
      encodingType: 'url',
      isTruncated: true,
      continuationToken: 'c',
      nextContinuationToken: 'n',
      startAfter: 's t',
      objects: [{ ...OBJECT, key: '\u0000\u0001é +/' }],
      commonPrefixes: ['p q/'],
    }),
  );
  const found = await client.send(new ListObjectsV2Command({ Bucket: 'abc' }));
  assert.equal(found.Contents?.[0]?.Key, '%00%01%C3%A9%20%2B/');
  assert.equal(found.CommonPrefixes?.[0]?.Prefix, 'p%20q/');
  const { Prefix, StartAfter, KeyCount, EncodingType, ContinuationToken, NextContinuationToken } = found;
  assert.deepEqual(
    [Prefix, StartAfter, KeyCount, EncodingType, ContinuationToken, NextContinuationToken],
    ['p%20q/', 's%20t', 2, 'url', 'c', 'n'],
  );
});

test('ListObjectVersions', async () => {
  serve(
    results.listVersionsResult({
      ...EMPTY_PAGE,
      keyMarker: 'k',
      versionIdMarker: '',
      nextKeyMarker: 'n',
      nextVersionIdMarker: 'null',
      versions: [
        { ...OBJECT, versionId: 'null', isLatest: true },
        { ...OBJECT, versionId: 'v', isLatest: false, deleteMarker: true },
      ],
    }),
  );
  const found = await client.send(new ListObjectVersionsCommand({ Bucket: 'abc' }));
  assert.deepEqual(found.Versions, [{ ...CONTENT, VersionId: 'null', IsLatest: true }]);
  assert.deepEqual(found.DeleteMarkers, [
    { Key: KEY, VersionId: 'v', IsLatest: false, LastModified: DATE, Owner: OWNER },
  ]);
  assert.equal(found.NextKeyMarker, 'n');
  assert.equal(found.NextVersionIdMarker, 'null');
});

test('CopyObject and UploadPartCopy', async () => {
  const result = { etag: 'e', modifiedMs, checksums, checksumType: 'FULL_OBJECT' as const };
  serve(results.copyObjectResult(result));
  const copied = await client.send(new CopyObjectCommand({ ...PAGE, CopySource: 'abc/s' }));
  assert.deepEqual(copied.CopyObjectResult, {
    ETag: '"e"',
    LastModified: DATE,
    ChecksumCRC32: 'AAAAAA==',
    ChecksumType: 'FULL_OBJECT',
  });
  serve(results.copyPartResult(result));
  const part = await client.send(new UploadPartCopyCommand({ ...PAGE, PartNumber: 1, CopySource: 'abc/s' }));
  assert.equal(part.CopyPartResult?.ETag, '"e"');
});

test('DeleteObjects, loud and quiet', async () => {
  const result = {
    deleted: [{ key: KEY }, { key: 'v', versionId: 'null' }],
    errors: [{ key: 'x', versionId: null, code: 'InternalError', message: 'We & you' }],
  };
  serve(results.deleteResult({ ...result, quiet: false }));
  const command = () => new DeleteObjectsCommand({ Bucket: 'abc', Delete: { Objects: [{ Key: 'k' }] } });
  const loud = await client.send(command());
  assert.deepEqual(loud.Deleted, [{ Key: KEY }, { Key: 'v', VersionId: 'null' }]);
  assert.deepEqual(loud.Errors, [{ Key: 'x', Code: 'InternalError', Message: 'We & you' }]);
  serve(results.deleteResult({ ...result, quiet: true }));
  const quiet = await client.send(command());
  assert.equal(quiet.Deleted, undefined);
  assert.equal(quiet.Errors?.length, 1);
});

test('CreateMultipartUpload and CompleteMultipartUpload', async () => {
  serve(results.initiateMultipartUploadResult({ bucket: 'abc', key: KEY, uploadId: 'u' }));
  const created = await client.send(new CreateMultipartUploadCommand(PAGE));
  assert.deepEqual([created.Bucket, created.Key, created.UploadId], ['abc', KEY, 'u']);
  const location = 'http://h/abc/k';
  serve(
    results.completeMultipartUploadResult({
      location,
      bucket: 'abc',
      key: KEY,
      etag: 'e-1',
      checksums,
      checksumType: 'COMPOSITE',
    }),
  );
  const done = await client.send(new CompleteMultipartUploadCommand(PAGE));
  const { Location, Bucket, Key, ETag, ChecksumCRC32, ChecksumType } = done;
  assert.deepEqual(
    [Location, Bucket, Key, ETag, ChecksumCRC32, ChecksumType],
    [location, 'abc', KEY, '"e-1"', 'AAAAAA==', 'COMPOSITE'],
  );
});

test('ListParts', async () => {
  serve(
    results.listPartsResult({
      bucket: 'abc',
      key: KEY,
      uploadId: 'u',
      owner,
      initiator: owner,
      partNumberMarker: 0,
      nextPartNumberMarker: 2,
      maxParts: 1,
      isTruncated: true,
      parts: [{ number: 2, modifiedMs, etag: 'p', size: 5, checksums }],
      checksumAlgorithm: 'CRC32',
      checksumType: 'COMPOSITE',
    }),
  );
  const found = await client.send(new ListPartsCommand(PAGE));
  assert.deepEqual(found.Parts, [
    { PartNumber: 2, LastModified: DATE, ETag: '"p"', Size: 5, ChecksumCRC32: 'AAAAAA==' },
  ]);
  const { Key, Owner, Initiator, NextPartNumberMarker, IsTruncated, ChecksumAlgorithm, StorageClass } = found;
  assert.deepEqual(
    [Key, Owner, Initiator, NextPartNumberMarker, IsTruncated, ChecksumAlgorithm, StorageClass],
    [KEY, OWNER, OWNER, '2', true, 'CRC32', 'STANDARD'],
  );
});

test('ListMultipartUploads', async () => {
  serve(
    results.listMultipartUploadsResult({
      bucket: 'abc',
      prefix: '',
      delimiter: '/',
      keyMarker: '',
      uploadIdMarker: '',
      nextKeyMarker: 'k',
      nextUploadIdMarker: 'u',
      maxUploads: 1,
      encodingType: null,
      isTruncated: true,
      uploads: [
        { key: KEY, uploadId: 'u', initiatedMs: modifiedMs, owner, initiator: owner, checksumAlgorithm: 'CRC32' },
      ],
      commonPrefixes: ['x/'],
    }),
  );
  const found = await client.send(new ListMultipartUploadsCommand({ Bucket: 'abc' }));
  assert.deepEqual(found.Uploads, [
    {
      Key: KEY,
      UploadId: 'u',
      Initiated: DATE,
      Owner: OWNER,
      Initiator: OWNER,
      StorageClass: 'STANDARD',
      ChecksumAlgorithm: 'CRC32',
    },
  ]);
  assert.deepEqual(found.CommonPrefixes, [{ Prefix: 'x/' }]);
  assert.deepEqual([found.NextKeyMarker, found.NextUploadIdMarker], ['k', 'u']);
});

test('an error', async () => {
  const error = {
    code: 'NoSuchBucket',
    message: 'gone & <lost>',
    resource: '/abc/"k"',
    requestId: 'r-1',
    hostId: 'h-1',
    fields: { BucketName: 'abc' },
  };
  serve(results.errorDocument(error), 404);
  const thrown = await client.send(new ListObjectsCommand({ Bucket: 'abc' })).catch((caught: unknown) => caught);
  assert.ok(thrown instanceof S3ServiceException);
  assert.equal(thrown.name, 'NoSuchBucket');
  assert.equal(thrown.message, 'gone & <lost>');
  assert.equal(thrown.$metadata.httpStatusCode, 404);
  assert.equal(
    results.errorDocument(error),
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchBucket</Code><Message>gone &amp; &lt;lost&gt;</Message>' +
      '<BucketName>abc</BucketName><Resource>/abc/&quot;k&quot;</Resource><RequestId>r-1</RequestId><HostId>h-1</HostId></Error>',
  );
});

test('escaping: nothing that a value holds can become markup', () => {
  assert.equal(escapeText('</Key><Key>'), '&lt;/Key&gt;&lt;Key&gt;');
  assert.equal(escapeText(']]>'), ']]&gt;');
  assert.equal(escapeText('\u0001\t\n\r\u001f\ufffe'), '&#x1;&#x9;&#xA;&#xD;&#x1F;&#xFFFE;');
  assert.equal(escapeText('plain ünïcödé 😀'), 'plain ünïcödé 😀');
});

test('encoding-type=url leaves slashes and unreserved characters', () => {
  assert.equal(urlEncode("aZ09-._~/ +%&=?#!'()*\u00e9"), 'aZ09-._~/%20%2B%25%26%3D%3F%23%21%27%28%29%2A%C3%A9');
});
