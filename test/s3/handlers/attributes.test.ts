import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Error } from '../../../src/s3/errors.ts';
import {
  attributeHeaders,
  checksumHeaders,
  METADATA_BYTES_MAX,
  readAttributes,
} from '../../../src/s3/handlers/attributes.ts';

const utf8OnTheWire = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

test('system headers are kept, others are not; the content type has a default', () => {
  const attributes = readAttributes({
    'content-type': 'text/plain',
    'cache-control': 'no-cache',
    'content-disposition': 'attachment',
    'content-language': 'de',
    expires: 'Tomorrow',
    'x-amz-website-redirect-location': '/other',
    host: 'h',
    authorization: 'secret',
    'content-length': '3',
  });
  assert.deepEqual(attributeHeaders(attributes), {
    'content-type': 'text/plain',
    'cache-control': 'no-cache',
    'content-disposition': 'attachment',
    'content-language': 'de',
    expires: 'Tomorrow',
    'x-amz-website-redirect-location': '/other',
  });
  assert.deepEqual(attributeHeaders(readAttributes({})), { 'content-type': 'binary/octet-stream' });
  assert.deepEqual(attributeHeaders(readAttributes({ 'content-type': '' })), { 'content-type': 'binary/octet-stream' });
});

const ENCODINGS: [sent: string, stored: string | undefined][] = [
  ['aws-chunked', undefined],
  ['aws-chunked,gzip', 'gzip'],
  ['gzip, aws-chunked', 'gzip'],
  ['gzip,AWS-Chunked,br', 'gzip,br'],
  ['aws-chunked, deflate, gzip', 'deflate, gzip'],
  ['deflate, gzip', 'deflate, gzip'],
  ['x-aws-chunked', 'x-aws-chunked'],
  ['gzip', 'gzip'],
];
for (const [sent, stored] of ENCODINGS) {
  test(`Content-Encoding ${sent} is stored as ${stored}`, () =>
    assert.equal(attributeHeaders(readAttributes({ 'content-encoding': sent }))['content-encoding'], stored));
}

test('user metadata returns the bytes that were sent, whatever their encoding', () => {
  for (const wire of [utf8OnTheWire('Grüße 世界'), 'Hello World\xe9', 'plain', '']) {
    const attributes = readAttributes({ 'x-amz-meta-a': wire });
    // Stored data is read back through JSON-like encodings: nothing may depend on object identity.
    const stored = JSON.parse(JSON.stringify(attributes));
    assert.equal(attributeHeaders(stored)['x-amz-meta-a'], wire);
  }
  assert.equal(readAttributes({ 'x-amz-meta-a': utf8OnTheWire('Grüße') }).meta?.a, 'Grüße');
});

test('user metadata is bounded by its bytes, names included', () => {
  const name = 'x-amz-meta-ab';
  assert.ok(readAttributes({ [name]: 'v'.repeat(METADATA_BYTES_MAX - 2) }));
  assert.throws(
    () => readAttributes({ [name]: 'v'.repeat(METADATA_BYTES_MAX - 1) }),
    (error) => error instanceof S3Error && error.code === 'MetadataTooLarge',
  );
});

const CLASSES: [sent: string, answer: string | undefined][] = [
  ['STANDARD', undefined],
  ['STANDARD_IA', 'STANDARD_IA'],
  ['GLACIER', 'NotImplemented'],
  ['COLD', 'InvalidStorageClass'],
];
for (const [sent, answer] of CLASSES) {
  test(`storage class ${sent}: ${answer}`, () => {
    let got: string | undefined;
    try {
      got = attributeHeaders(readAttributes({ 'x-amz-storage-class': sent }))['x-amz-storage-class'];
    } catch (error) {
      got = (error as S3Error).code;
    }
    assert.equal(got, answer);
  });
}

test('checksum headers', () => {
  assert.deepEqual(checksumHeaders(undefined), {});
  assert.deepEqual(checksumHeaders({ algorithm: 'CRC64NVME', value: 'AAAA', type: 'FULL_OBJECT' }), {
    'x-amz-checksum-crc64nvme': 'AAAA',
    'x-amz-checksum-type': 'FULL_OBJECT',
  });
});
