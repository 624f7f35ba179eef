// The stream of the dir driver: framing only. Knows records and files' bytes, nothing of datasets on disk.
//
//   'ZRINGDIR'  BEGIN  (FILE DATA*)*  REMOVE*  END
//
// Record = type u8, zeros[3], payload length u32be, crc32 of those 8 bytes u32be, payload. The head has its own checksum
// so that a flipped length is found before anything is allocated or written; END carries the SHA-256 of every byte before
// it. A receiver applies nothing before END has been verified.
import { createHash, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { ZringError } from '../common/errors.ts';
import { isDataPath } from './dir-files.ts';
import { isSnapshotName } from './names.ts';

export const DIR_STREAM_VERSION = 1;
const MAGIC = Buffer.from('ZRINGDIR');
const HEAD_BYTES = 12;
const PAYLOAD_BYTES_MAX = 1 << 20;
/** Keeps a REMOVE record far below PAYLOAD_BYTES_MAX: a path has at most 140 bytes. */
const REMOVES_PER_RECORD = 4000;

const TYPE = { begin: 1, file: 2, data: 3, remove: 4, end: 5 } as const;
const KNOWN_TYPES: readonly number[] = Object.values(TYPE);

export interface StreamBegin {
  readonly version: number;
  readonly snapshot: string;
  readonly guid: string;
  /** null = full. */
  readonly fromGuid: string | null;
  readonly createdMs: number;
}

export interface StreamFile {
  /** `index` or a data file. */
  readonly path: string;
  readonly size: number;
}

/** Where the receiver's bytes go. Called in stream order; `end` only after the checksum was right. */
export interface StreamSink {
  begin(begin: StreamBegin): Promise<void>;
  file(file: StreamFile): Promise<void>;
  data(chunk: Buffer): Promise<void>;
  remove(paths: readonly string[]): Promise<void>;
}

export async function* encodeStream(
  begin: StreamBegin,
  files: readonly StreamFile[],
  removed: readonly string[],
  read: (file: StreamFile) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  const counted = (buffer: Buffer) => {
    hash.update(buffer);
    return buffer;
  };
  yield counted(MAGIC);
  yield counted(record(TYPE.begin, json(begin)));
  for (const file of files) {
    yield counted(record(TYPE.file, json(file)));
    let left = file.size;
    for await (const chunk of read(file)) {
      for (let at = 0; at < chunk.length; at += PAYLOAD_BYTES_MAX) {
        const part = chunk.subarray(at, at + PAYLOAD_BYTES_MAX);
        left -= part.length;
        yield counted(head(TYPE.data, part.length));
        yield counted(part);
      }
    }
    if (left !== 0) throw new ZringError('STORAGE_CORRUPT', `${file.path}: shorter than the snapshot recorded`);
  }
  for (let at = 0; at < removed.length; at += REMOVES_PER_RECORD) {
    yield counted(record(TYPE.remove, json(removed.slice(at, at + REMOVES_PER_RECORD))));
  }
  yield record(TYPE.end, json({ sha256: hash.digest('hex') }));
}

/** Upper bound of what framing adds, for estimates. */
export function framingBytes(files: readonly StreamFile[], removed: readonly string[]): number {
  const records = files.reduce((sum, file) => sum + 1 + Math.ceil(file.size / PAYLOAD_BYTES_MAX), 0);
  return 400 + records * 60 + removed.length * 80;
}

/** @returns bytes of the stream. @throws STREAM_INVALID for anything but a whole, undamaged stream. */
export async function decodeStream(source: Readable, sink: StreamSink): Promise<number> {
  const hash = createHash('sha256');
  const reader = new ByteReader(source, hash);
  if (!(await reader.exactly(MAGIC.length)).equals(MAGIC)) throw invalid('not a zring folder stream');
  let begun = false;
  let left = 0;
  for (;;) {
    const digestBefore = hash.copy();
    const { type, length } = parseHead(await reader.exactly(HEAD_BYTES));
    if (begun !== (type !== TYPE.begin)) throw invalid('records out of order');
    if (type === TYPE.data) {
      left -= length;
      if (left < 0 || length === 0) throw invalid('more data than the file has');
      await sink.data(await reader.exactly(length));
      continue;
    }
    if (left > 0) throw invalid('less data than the file has');
    const payload = parseJson(await reader.exactly(length));
    if (type === TYPE.begin) {
      await sink.begin(parseBegin(payload));
      begun = true;
    } else if (type === TYPE.file) {
      const file = parseFile(payload);
      left = file.size;
      await sink.file(file);
    } else if (type === TYPE.remove) {
      await sink.remove(parseRemoved(payload));
    } else {
      if ((payload as { sha256?: unknown } | null)?.sha256 !== digestBefore.digest('hex')) {
        throw invalid('checksum mismatch');
      }
      await reader.end();
      return reader.bytes;
    }
  }
}

/** Pulls exact numbers of bytes from a stream, counts and hashes them; an early end or an error is STREAM_INVALID. */
class ByteReader {
  bytes = 0;
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #hash: Hash;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: Readable, hash: Hash) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#hash = hash;
  }

  async exactly(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      if (this.#rest.length === 0 && !(await this.#pull())) throw invalid('ends early');
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    const whole = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    this.bytes += length;
    this.#hash.update(whole);
    return whole;
  }

  async end(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#pull())) throw invalid('bytes after its end');
  }

  async #pull(): Promise<boolean> {
    try {
      const { value, done } = await this.#iterator.next();
      if (done) return false;
      this.#rest = typeof value === 'string' ? Buffer.from(value) : value;
      return true;
    } catch (error) {
      throw invalid('was cut', error);
    }
  }
}

function record(type: number, payload: Buffer): Buffer {
  return Buffer.concat([head(type, payload.length), payload]);
}

function head(type: number, length: number): Buffer {
  const buffer = Buffer.alloc(HEAD_BYTES);
  buffer.writeUInt8(type, 0);
  buffer.writeUInt32BE(length, 4);
  buffer.writeUInt32BE(crc32(buffer.subarray(0, 8)), 8);
  return buffer;
}

function parseHead(buffer: Buffer): { type: number; length: number } {
  const [type, length] = [buffer.readUInt8(0), buffer.readUInt32BE(4)];
  if (crc32(buffer.subarray(0, 8)) !== buffer.readUInt32BE(8)) throw invalid('damaged record head');
  if (!KNOWN_TYPES.includes(type) || length > PAYLOAD_BYTES_MAX) throw invalid('unknown record');
  return { type, length };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function parseJson(buffer: Buffer): unknown {
  try {
    return JSON.parse(buffer.toString('utf8'));
  } catch (error) {
    throw invalid('damaged record', error);
  }
}

function parseBegin(value: unknown): StreamBegin {
  const begin = value as Partial<StreamBegin> | null;
  if (typeof begin?.version !== 'number') throw invalid('damaged begin record');
  if (begin.version > DIR_STREAM_VERSION) {
    throw new ZringError(
      'VERSION_UNSUPPORTED',
      `folder stream of version ${begin.version}, known: ${DIR_STREAM_VERSION}`,
    );
  }
  const { version, snapshot, guid, fromGuid, createdMs } = begin;
  const isGuid = (text: unknown): text is string => typeof text === 'string' && /^\d{1,20}$/.test(text);
  if (typeof snapshot !== 'string' || !isSnapshotName(snapshot) || !isGuid(guid)) throw invalid('damaged begin record');
  if ((fromGuid !== null && !isGuid(fromGuid)) || typeof createdMs !== 'number') throw invalid('damaged begin record');
  return { version, snapshot, guid, fromGuid, createdMs };
}

function parseFile(value: unknown): StreamFile {
  const { path, size } = (value ?? {}) as Partial<StreamFile>;
  if (typeof path !== 'string' || (path !== 'index' && !isDataPath(path))) throw invalid('names a file outside');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid('damaged file record');
  return { path, size };
}

function parseRemoved(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((path) => typeof path === 'string' && isDataPath(path))) {
    throw invalid('names a file outside');
  }
  return value as string[];
}

export function invalid(why: string, cause?: unknown): ZringError {
  return new ZringError('STREAM_INVALID', `received stream: ${why}`, { cause });
}
