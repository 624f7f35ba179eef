import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import { BEGIN_RECORD_BYTES, parseBegin } from '../../src/dataset/zfs-stream.ts';

/** As zfs-fuse 0.7.0 printed it: first bytes of a full stream of p/r/a@s1 whose guid was 14828989031647021471. */
const CAPTURED = `00000000 00000000 accbbaf5 02000000 01000000 00000000 8f5d016b 00000000
02000000 00000000 9f097cf9 f426cbcd 00000000 00000000 702f722f 61407331`;

function record(change: (bytes: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(BEGIN_RECORD_BYTES);
  Buffer.from(CAPTURED.replaceAll(/\s/g, ''), 'hex').copy(bytes);
  change(bytes);
  return bytes;
}

const invalid = (error: unknown) => isZringError(error, 'STREAM_INVALID');

describe('the BEGIN record of a ZFS stream', () => {
  it('tells guids and snapshot', () => {
    assert.deepEqual(parseBegin(record()), { toGuid: '14828989031647021471', fromGuid: null, snapshot: 's1' });
    const step = record((bytes) => bytes.writeBigUInt64LE(77n, 48));
    assert.equal(parseBegin(step).fromGuid, '77');
  });

  it('is understood in the other byte order', () => {
    const swapped = record((bytes) => {
      for (const at of [8, 16, 24, 40, 48]) bytes.subarray(at, at + 8).reverse();
      bytes.subarray(32, 36).reverse();
    });
    assert.deepEqual(parseBegin(swapped), parseBegin(record()));
  });

  const refused: Record<string, Buffer> = {
    'too short': record().subarray(0, BEGIN_RECORD_BYTES - 1),
    'another magic': record((bytes) => bytes.writeUInt8(0, 8)),
    'a package of several (send -R)': record((bytes) => bytes.writeUInt8(2, 16)),
    'another record first': record((bytes) => bytes.writeUInt8(3, 0)),
    'a volume': record((bytes) => bytes.writeUInt8(3, 32)),
    'no guid': record((bytes) => bytes.fill(0, 40, 48)),
    'a name without a snapshot': record((bytes) => bytes.fill('x', 56, 64)),
    'a snapshot that is an option': record((bytes) => bytes.write('p@-r', 56)),
    'a snapshot with a slash': record((bytes) => bytes.write('p@a/b', 56)),
    'a name without an end': record((bytes) => bytes.fill('x', 56)),
  };
  for (const [what, bytes] of Object.entries(refused)) {
    it(`is refused: ${what}`, () => assert.throws(() => parseBegin(bytes), invalid));
  }
});
