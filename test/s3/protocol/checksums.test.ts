import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Crc64Nvme } from '@aws-sdk/crc64-nvme';
import fc from 'fast-check';
import {
  algorithmOfHeader,
  CHECKSUM_ALGORITHMS,
  CHECKSUM_BYTES,
  type ChecksumAlgorithm,
  checksumAlgorithm,
  checksumHeader,
  createHasher,
  decodeChecksum,
} from '../../../src/s3/payload/checksums.ts';

function checksum(algorithm: ChecksumAlgorithm, ...chunks: Buffer[]): string {
  const hasher = createHasher(algorithm);
  for (const chunk of chunks) hasher.update(chunk);
  return hasher.digest().toString('base64');
}

// '123456789' is the check string of the CRC catalogues (CRC-32/ISO-HDLC cbf43926, CRC-32/ISCSI e3069283,
// CRC-64/NVME ae8b14860a799888); the digests are those of RFC 1321, RFC 3174 and FIPS 180-2 for 'abc'.
const KNOWN: readonly (readonly [ChecksumAlgorithm, string, string])[] = [
  ['CRC32', '123456789', 'cbf43926'],
  ['CRC32C', '123456789', 'e3069283'],
  ['CRC64NVME', '123456789', 'ae8b14860a799888'],
  ['CRC32', '', '00000000'],
  ['CRC32C', '', '00000000'],
  ['CRC64NVME', '', '0000000000000000'],
  ['MD5', 'abc', '900150983cd24fb0d6963f7d28e17f72'],
  ['SHA1', 'abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
  ['SHA256', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'SHA512',
    'abc',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  ],
];

for (const [algorithm, text, hex] of KNOWN) {
  test(`${algorithm} of '${text}'`, () => {
    assert.equal(checksum(algorithm, Buffer.from(text)), Buffer.from(hex, 'hex').toString('base64'));
  });
}

test('a checksum does not depend on how the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...CHECKSUM_ALGORITHMS),
      fc.uint8Array({ maxLength: 500 }),
      fc.nat(500),
      (algorithm, bytes, at) => {
        const data = Buffer.from(bytes);
        assert.equal(checksum(algorithm, data.subarray(0, at), data.subarray(at)), checksum(algorithm, data));
      },
    ),
  );
});

test("CRC64NVME agrees with AWS's own implementation, across the edges of its window and of its eight-byte steps", async () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 2_654_435_761) >>> 13));
  for (const size of [0, 1, 7, 8, 9, 63, 114_687, 114_688, 114_689, 114_696, 229_376, 300_000]) {
    for (const offset of [0, 1, 3]) {
      const data = bytes.subarray(offset, offset + size);
      const theirs = new Crc64Nvme();
      theirs.update(data);
      const expected = Buffer.from(await theirs.digest()).toString('base64');
      assert.equal(checksum('CRC64NVME', data), expected, `${size} bytes`);
      assert.equal(checksum('CRC64NVME', data.subarray(0, size >> 1), data.subarray(size >> 1)), expected);
    }
  }
});

test('two CRC64NVME under way at once do not disturb each other', () => {
  const [a, b] = [createHasher('CRC64NVME'), createHasher('CRC64NVME')];
  for (const part of ['12', '345', '6789']) {
    a.update(Buffer.from(part));
    b.update(Buffer.from('x'));
  }
  assert.equal(a.digest().toString('hex'), 'ae8b14860a799888');
});

test('names of headers and algorithms, and the length of their values', () => {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    assert.equal(algorithmOfHeader(checksumHeader(algorithm)), algorithm);
    assert.equal(checksumAlgorithm(algorithm.toLowerCase()), algorithm);
    const value = checksum(algorithm, Buffer.from('x'));
    assert.equal(decodeChecksum(algorithm, value)?.length, CHECKSUM_BYTES[algorithm]);
  }
  assert.equal(algorithmOfHeader('x-amz-checksum-type'), null);
  assert.equal(checksumAlgorithm('CRC16'), null);
});

test('a value that is not exactly base64 of the right length is none', () => {
  for (const value of ['', 'AAAA', 'AAAAAA=', 'AAAAAA', 'AAAAAA==x', ' AAAAAA==', 'AAAAAB==', 'AAAAAAAA', '!!!!!!==']) {
    assert.equal(decodeChecksum('CRC32', value), null, value);
  }
  assert.deepEqual(decodeChecksum('CRC32', 'AAAAAA=='), Buffer.alloc(4));
});
