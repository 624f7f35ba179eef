// The worked examples of the Amazon S3 API Reference, byte for byte.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authenticator, EMPTY_SHA256, request } from './requests.ts';

const HOST = 'examplebucket.s3.amazonaws.com';
const SCOPE = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';

function authorization(signedHeaders: string, signature: string): string {
  return `AWS4-HMAC-SHA256 Credential=${SCOPE},SignedHeaders=${signedHeaders},Signature=${signature}`;
}

// "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk", examples 1 to 4.
const HEADER_EXAMPLES = [
  {
    name: 'GET object with a range',
    method: 'GET',
    target: '/test.txt',
    headers: { range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-date': '20130524T000000Z' },
    signedHeaders: 'host;range;x-amz-content-sha256;x-amz-date',
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT object, date from the Date header, an escaped dollar sign',
    method: 'PUT',
    target: '/test%24file.text',
    headers: {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      'x-amz-date': '20130524T000000Z',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    },
    signedHeaders: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET bucket lifecycle: a parameter without a value',
    method: 'GET',
    target: '/?lifecycle',
    headers: { 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-date': '20130524T000000Z' },
    signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'list objects',
    method: 'GET',
    target: '/?prefix=J&max-keys=2',
    headers: { 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-date': '20130524T000000Z' },
    signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
] as const;

for (const example of HEADER_EXAMPLES) {
  test(`AWS example: ${example.name}`, () => {
    const headers = {
      Host: HOST,
      ...example.headers,
      Authorization: authorization(example.signedHeaders, example.signature),
    };
    const found = authenticator().authenticate(request(example.method, example.target, headers));
    assert.equal(found.identity.accessKey, 'AKIAIOSFODNN7EXAMPLE');
    assert.equal(found.presigned, false);
    assert.deepEqual(found.payload, { kind: 'sha256', hex: example.headers['x-amz-content-sha256'] });
  });
}

test('AWS example: presigned GET', () => {
  const query =
    'X-Amz-Algorithm=AWS4-HMAC-SHA256' +
    '&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
    '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
    '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
  const found = authenticator().authenticate(request('GET', `/test.txt?${query}`, { Host: HOST }));
  assert.equal(found.presigned, true);
  assert.deepEqual(found.payload, { kind: 'unsigned' });
});

test('AWS example: seed signature of a chunked upload', () => {
  const headers = {
    Host: 's3.amazonaws.com',
    'x-amz-date': '20130524T000000Z',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'Content-Encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'Content-Length': '66824',
    Authorization: authorization(
      'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
      '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
    ),
  };
  const { payload } = authenticator().authenticate(request('PUT', '/examplebucket/chunkObject.txt', headers));
  assert.equal(payload.kind, 'chunked');
  assert.equal(payload.trailer, false);
  assert.equal(payload.signed?.seedSignature, '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9');
  assert.equal(payload.signed?.scope, '20130524/us-east-1/s3/aws4_request');
});

test('AWS example: seed signature of a chunked upload with trailer', () => {
  const headers = {
    Host: 's3.amazonaws.com',
    'x-amz-date': '20130524T000000Z',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'Content-Encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'x-amz-trailer': 'x-amz-checksum-crc32c',
    'Content-Length': '66824',
    Authorization: authorization(
      'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
      '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
    ),
  };
  const { payload } = authenticator().authenticate(request('PUT', '/examplebucket/chunkObject.txt', headers));
  assert.equal(payload.kind === 'chunked' && payload.trailer, true);
});
