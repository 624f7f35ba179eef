// Compact binary records: growing writer and checked reader. Numbers are varints of 7 bits up to 2^53, texts and buffers
// carry their length. Pure. A record that ends early or runs on is damage (STORAGE_CORRUPT), never a wrong value.
import { assert, ZringError } from '../common/errors.ts';

export class RecordWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  #room(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }

  byte(value: number): this {
    const at = this.#room(1);
    this.#buffer[at] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  number(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, `number in a record: ${value}`);
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.byte(rest);
  }

  raw(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    return this.number(value.length).raw(value);
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.number(length);
    const at = this.#room(length);
    this.#buffer.write(value, at);
    return this;
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

export class RecordReader {
  readonly #buffer: Buffer;
  readonly #what: string;
  #at = 0;

  /** @param what Names the record in errors. */
  constructor(buffer: Buffer, what: string) {
    this.#buffer = buffer;
    this.#what = what;
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#buffer.length) throw this.damaged();
    return at;
  }

  damaged(): ZringError {
    return new ZringError('STORAGE_CORRUPT', `the index record of ${this.#what} is damaged`, { subject: this.#what });
  }

  byte(): number {
    return this.#buffer[this.#take(1)] ?? 0;
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw this.damaged();
  }

  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  /** How many items follow; each takes a byte at least. */
  count(): number {
    const count = this.number();
    if (count > this.#buffer.length - this.#at) throw this.damaged();
    return count;
  }

  /** An object, or null when the text is empty. */
  json(): Record<string, unknown> | null {
    const text = this.text();
    if (text === '') return null;
    try {
      return JSON.parse(text);
    } catch {
      throw this.damaged();
    }
  }

  bytes(): Buffer {
    return this.raw(this.number());
  }

  text(): string {
    return this.bytes().toString();
  }

  /** Refuses a record of a newer release by name. */
  version(known: number): number {
    const version = this.byte();
    if (version > known) {
      throw new ZringError(
        'VERSION_UNSUPPORTED',
        `the index record of ${this.#what} has version ${version}, this release reads up to ${known}`,
        { subject: this.#what },
      );
    }
    return version;
  }

  /** Whether fields follow that later releases added. */
  get more(): boolean {
    return this.#at < this.#buffer.length;
  }

  rest(): Buffer {
    return this.raw(this.#buffer.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.#buffer.length) throw this.damaged();
  }
}
