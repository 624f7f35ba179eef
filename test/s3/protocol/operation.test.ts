import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as sdk from '@aws-sdk/client-s3';
import { S3Error } from '../../../src/s3/errors.ts';
import { HANDLERS } from '../../../src/s3/handlers/table.ts';
import {
  accessOf,
  detectOperation,
  isImplemented,
  OPERATIONS,
  type OperationName,
  operationSpec,
} from '../../../src/s3/operation.ts';
import { parseTarget } from '../../../src/s3/target.ts';

function detect(method: string, target: string, headers: Record<string, string> = {}): string | null {
  try {
    return detectOperation(method, parseTarget(target, 'h', []), headers);
  } catch (error) {
    assert.ok(error instanceof S3Error);
    return error.code;
  }
}

const COPY = { 'x-amz-copy-source': 'abc/src' };

const REQUESTS: readonly (readonly [request: string, found: string | null, headers?: Record<string, string>])[] = [
  ['GET /', 'ListBuckets'],
  ['GET /?x-id=ListBuckets', 'ListBuckets'],
  ['GET /?max-buckets=2&prefix=a', 'ListBuckets'],
  ['GET /?x-id=ListDirectoryBuckets', 'ListDirectoryBuckets'],
  ['PUT /', null],
  ['POST /', null],
  ['HEAD /', null],
  ['OPTIONS /', null],
  ['PUT /abc', 'CreateBucket'],
  ['HEAD /abc', 'HeadBucket'],
  ['DELETE /abc/', 'DeleteBucket'],
  ['GET /abc', 'ListObjects'],
  ['GET /abc?prefix=a&marker=b&max-keys=1&delimiter=/&encoding-type=url', 'ListObjects'],
  ['GET /abc?list-type=2', 'ListObjectsV2'],
  ['GET /abc?list-type=1', 'ListObjects'],
  ['GET /abc?list-type=3', 'InvalidArgument'],
  ['GET /abc?location', 'GetBucketLocation'],
  ['GET /abc?location=', 'GetBucketLocation'],
  ['GET /abc?versioning', 'GetBucketVersioning'],
  ['PUT /abc?versioning', 'PutBucketVersioning'],
  ['GET /abc?versions', 'ListObjectVersions'],
  ['GET /abc?uploads', 'ListMultipartUploads'],
  ['POST /abc?delete', 'DeleteObjects'],
  ['POST /abc/?delete=', 'DeleteObjects'],
  ['POST /abc', 'PostObject'],
  ['PUT /abc/k', 'PutObject'],
  ['PUT /abc/k?x-id=PutObject', 'PutObject'],
  ['PUT /abc/k?unknown=1', 'PutObject'],
  ['PUT /abc/k', 'CopyObject', COPY],
  ['PUT /abc/k', 'PutObject', { 'x-amz-copy-source': '' }],
  ['GET /abc/k', 'GetObject'],
  ['GET /abc/k?partNumber=1&versionId=null&response-content-type=a', 'GetObject'],
  ['HEAD /abc/k?partNumber=1', 'HeadObject'],
  ['DELETE /abc/k?versionId=null', 'DeleteObject'],
  ['POST /abc/k?uploads', 'CreateMultipartUpload'],
  ['PUT /abc/k?partNumber=1&uploadId=u', 'UploadPart'],
  ['PUT /abc/k?uploadId=u&partNumber=1&x-id=UploadPart', 'UploadPart'],
  ['PUT /abc/k?partNumber=1&uploadId=u', 'UploadPartCopy', COPY],
  ['POST /abc/k?uploadId=u', 'CompleteMultipartUpload'],
  ['DELETE /abc/k?uploadId=u', 'AbortMultipartUpload'],
  ['GET /abc/k?uploadId=u&max-parts=1&part-number-marker=2', 'ListParts'],
  ['OPTIONS /abc/k', 'OptionsObject'],
  ['OPTIONS /abc', 'OptionsObject'],
  // what is not built is named, never taken for the plain operation
  ['PUT /abc/k?acl', 'PutObjectAcl'],
  ['GET /abc/k?acl', 'GetObjectAcl'],
  ['GET /abc?acl', 'GetBucketAcl'],
  ['PUT /abc?acl', 'PutBucketAcl'],
  ['PUT /abc/k?tagging&versionId=null', 'PutObjectTagging'],
  ['DELETE /abc/k?tagging', 'DeleteObjectTagging'],
  ['DELETE /abc?policy', 'DeleteBucketPolicy'],
  ['GET /abc?analytics', 'ListBucketAnalyticsConfigurations'],
  ['GET /abc?analytics&id=1', 'GetBucketAnalyticsConfiguration'],
  ['DELETE /abc?inventory&id=1', 'DeleteBucketInventoryConfiguration'],
  ['POST /abc/k?restore', 'RestoreObject'],
  ['POST /abc/k?select&select-type=2', 'SelectObjectContent'],
  ['PUT /abc/k?renameObject', 'RenameObject'],
  ['POST /abc/WriteGetObjectResponse', 'WriteGetObjectResponse', { 'x-amz-request-route': 'r' }],
  // a sub-resource that the method or the resource does not have
  ['POST /abc/k', null],
  ['DELETE /abc?uploads', null],
  ['DELETE /abc?location', null],
  ['PUT /abc/k?uploads', null],
  ['GET /abc/k?uploads', null],
  ['GET /abc/k?versions', null],
  ['GET /abc/k?cors', null],
  ['PUT /abc/k?delete', null],
  ['HEAD /abc?acl', null],
  ['HEAD /abc/k?uploadId=u', null],
  ['PUT /abc?uploadId=u&partNumber=1', null],
  ['PUT /abc/k?uploadId=u', null],
  ['DELETE /abc?versions', null],
  ['PATCH /abc/k', null],
  ['BREW /abc/k', null],
  // contradictions
  ['PUT /abc/k?partNumber=1', 'InvalidArgument'],
  ['PUT /abc/k?versionId=1', 'InvalidArgument'],
  ['GET /abc?versionId=1', 'InvalidArgument'],
  ['GET /abc/k?acl&tagging', 'InvalidArgument'],
  ['PUT /abc?policy&cors', 'InvalidArgument'],
  ['GET /abc?versions&uploads', 'InvalidArgument'],
  ['GET /abc/k?uploadId=u&acl', 'InvalidArgument'],
];

for (const [request, found, headers] of REQUESTS) {
  const [method = '', target = ''] = request.split(' ');
  test(`${request}${headers === undefined ? '' : ` ${JSON.stringify(headers)}`} is ${found}`, () => {
    assert.equal(detect(method, target, headers), found);
  });
}

test('names of sub-resources are exact: no case folding, no prototype', () => {
  assert.equal(detect('PUT', '/abc/k?ACL'), 'PutObject');
  assert.equal(detect('PUT', '/abc/k?constructor&__proto__'), 'PutObject');
});

/** Method and URI of every operation, as the SDK's own model of S3 says. */
function modelled(): Map<string, { method: string; uri: string }> {
  const operations = new Map<string, { method: string; uri: string }>();
  for (const value of Object.values(sdk as Record<string, unknown>)) {
    // Operation schemas: [9, namespace, name, { http: [method, uri, code] }, input, output]
    if (!Array.isArray(value) || value[0] !== 9 || typeof value[2] !== 'string') continue;
    const http: unknown = (value[3] as { http?: unknown } | undefined)?.http;
    if (Array.isArray(http)) operations.set(value[2], { method: String(http[0]), uri: String(http[1]) });
  }
  return operations;
}

/** Forms of a browser or of a proxy, which no SDK sends. */
const NOT_IN_THE_MODEL = ['OptionsObject', 'PostObject'];

test("the table names every operation of the AWS SDK's model, and no others", () => {
  const names = [...modelled().keys(), ...NOT_IN_THE_MODEL].sort();
  assert.ok(names.length > 100, `only ${names.length} operations found in the model`);
  assert.deepEqual(Object.keys(OPERATIONS).sort(), names);
});

test('every operation of the model is detected as itself, from the request line the model gives', () => {
  for (const [name, { method, uri }] of modelled()) {
    const spec = operationSpec(name as OperationName);
    assert.equal(spec.method, method, name);
    const [path = '', modelQuery = ''] = uri.split('?');
    const base = spec.scope === 'service' ? '/' : spec.scope === 'bucket' ? '/abc' : '/abc/k';
    assert.equal(spec.scope === 'object', path !== '/', `${name}: ${uri}`);
    // The model's query lacks required parameters; the selectors of the table complete it.
    const query = [...modelQuery.split('&'), ...spec.select].filter((part) => part !== '').join('&');
    const headers = spec.header === undefined ? {} : { [spec.header]: 'x/y' };
    assert.equal(detect(method, `${base}?${query}`, headers), name);
  }
});

test('every parameter that an operation understands is accepted with it', () => {
  for (const name of Object.keys(OPERATIONS) as OperationName[]) {
    const spec = operationSpec(name);
    if (spec.method === 'OPTIONS') continue;
    const base = spec.scope === 'service' ? '/' : spec.scope === 'bucket' ? '/abc' : '/abc/k';
    const headers = spec.header === undefined ? {} : { [spec.header]: 'x/y' };
    for (const parameter of spec.parameters) {
      const query = [...spec.select, `${parameter}=1`].join('&');
      assert.equal(detect(spec.method, `${base}?${query}`, headers), name, query);
    }
  }
});

test('reading needs read, everything else write', () => {
  for (const name of Object.keys(OPERATIONS) as OperationName[]) {
    const { method } = operationSpec(name);
    if (method === 'GET' || method === 'HEAD') assert.equal(accessOf(name), 'read', name);
    if (method === 'PUT' || method === 'DELETE') assert.equal(accessOf(name), 'write', name);
  }
  assert.equal(accessOf('DeleteObjects'), 'write');
  assert.equal(accessOf('CompleteMultipartUpload'), 'write');
});

/** What clients, and the clean-up of test suites, cannot do without. */
const ESSENTIAL: readonly OperationName[] = [
  'AbortMultipartUpload',
  'CompleteMultipartUpload',
  'CopyObject',
  'CreateBucket',
  'CreateMultipartUpload',
  'DeleteBucket',
  'DeleteObject',
  'DeleteObjects',
  'GetBucketLocation',
  'GetBucketVersioning',
  'GetObject',
  'HeadBucket',
  'HeadObject',
  'ListBuckets',
  'ListMultipartUploads',
  'ListObjectVersions',
  'ListObjects',
  'ListObjectsV2',
  'ListParts',
  'PutObject',
  'UploadPart',
  'UploadPartCopy',
];

test('what is built has a handler, and nothing else has', () => {
  for (const name of ESSENTIAL) assert.ok(isImplemented(name), name);
  const built = (Object.keys(OPERATIONS) as OperationName[]).filter((name) => isImplemented(name));
  assert.deepEqual(Object.keys(HANDLERS).sort(), built.sort());
});
