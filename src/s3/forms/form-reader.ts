// The body of a form upload (multipart/form-data): the fields before the file, then the file as a stream of bytes. What
// comes behind the file is read and ignored, as in S3. State: one parser, fed from one body; back pressure is the
// iteration of the file. The grammar is @fastify/busboy's; the limits, the order and the end are judged here.
// It must not know what a field means.
//
//   head ──('file' part)──▶ file ──(its boundary)──▶ tail ──(end of the body)──▶ whole
//     └──────────────── any fault: MalformedPOSTRequest, and the file's iteration throws ────┘

import type { Readable } from 'node:stream';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';

export interface FormField {
  readonly name: string;
  readonly value: string;
}

export interface FormFile {
  /** Without the path that some browsers send; '' when there is none. */
  readonly name: string;
  /**
   * Read once. Ends only when the whole body was there; throws MalformedPOSTRequest, or what the body's source threw.
   */
  readonly bytes: AsyncIterable<Buffer>;
}

export interface Form {
  /** In order, those before the file. */
  readonly fields: readonly FormField[];
  readonly file: FormFile;
  /** Lets go of the body, read or not. Idempotent. */
  close(): void;
}

/** Framing before the file: 200 fields with their headers. Only stops a body that never comes to its file. */
const HEAD_BYTES_MAX = 256 * 1024;
const PART_HEADER_BYTES_MAX = 8 * 1024;
/** All fields and the file. Parts that are none, for want of a header, cost the parser as much; behind the file none counts. */
const PARTS_MAX = LIMITS.formFieldsMax.value + 1;
/** RFC 2046 §5.1.1 allows 70; some programs write more. */
const BOUNDARY_CHARACTERS_MAX = 200;

/** `source` is read no further than to the end of the form. */
export async function openForm(source: AsyncIterable<Buffer>, contentType: string | undefined): Promise<Form> {
  const reader = new FormReader(source, createParser(contentType));
  try {
    return await reader.readHead();
  } catch (error) {
    reader.close();
    throw error;
  }
}

function createParser(contentType: string | undefined): BusboyInstance {
  const header = contentType ?? '';
  if (!/^multipart\/form-data\s*(;|$)/i.test(header)) {
    const fields = { Condition: 'Bucket POST must be of the enclosure-type multipart/form-data' };
    throw new S3Error('PreconditionFailed', undefined, { fields });
  }
  try {
    const boundary = /;\s*boundary=("?)([^";]*)\1/i.exec(header)?.[2]?.trim() ?? '';
    if (boundary === '' || boundary.length > BOUNDARY_CHARACTERS_MAX) throw new Error('no usable boundary');
    return new Busboy({
      headers: { 'content-type': header },
      // The name decides: many clients give a file name to every field.
      isPartAFile: (name) => name?.toLowerCase() === 'file',
      limits: {
        files: 1,
        fields: LIMITS.formFieldsMax.value,
        parts: PARTS_MAX,
        fieldSize: LIMITS.formFieldsBytesMax.value,
        headerSize: PART_HEADER_BYTES_MAX,
        headerPairs: 20,
      },
    });
  } catch (cause) {
    throw malformed(cause);
  }
}

function malformed(cause: unknown): S3Error {
  return cause instanceof S3Error ? cause : new S3Error('MalformedPOSTRequest', undefined, { cause });
}

class FormReader {
  readonly #parser: BusboyInstance;
  readonly #inputs: AsyncIterator<Buffer>;
  readonly #fields: FormField[] = [];
  #fieldBytes = 0;
  #file: { readonly name: string; readonly stream: Readable } | null = null;
  #fileEnded = false;
  #tailBytes = 0;
  /** The chunk that the parser is working on; done when it may have the next one. */
  #feeding: Promise<void> = Promise.resolve();
  /** Rejects on the first fault, or when nobody wants the form any more; never resolves. */
  readonly #failed: Promise<never>;
  #fault: S3Error | null = null;
  #fail: (fault: unknown) => void = () => undefined;
  readonly #fileSeen: Promise<void>;

  constructor(source: AsyncIterable<Buffer>, parser: BusboyInstance) {
    this.#parser = parser;
    this.#inputs = source[Symbol.asyncIterator]();
    this.#failed = new Promise((_, reject) => {
      this.#fail = (fault) => {
        this.#fault ??= malformed(fault);
        reject(this.#fault);
      };
    });
    this.#failed.catch(() => undefined);
    this.#fileSeen = new Promise((resolve) => {
      parser.on('file', (_field, stream, name) => {
        this.#file = { name: name ?? '', stream };
        // A stream that nobody reads yet must not end the process with an error.
        stream.on('error', (error) => this.#fail(error));
        stream.on('end', () => {
          this.#fileEnded = true;
        });
        resolve();
      });
    });
    parser.on('field', (name, value, _nameCut, valueCut) => this.#takeField(name, value, valueCut));
    parser.on('fieldsLimit', () => {
      if (!this.#file) this.#fail(tooLong());
    });
    parser.on('partsLimit', () => {
      if (!this.#file) this.#fail(tooLong());
    });
    parser.on('error', (error) => this.#fail(error));
  }

  #takeField(name: string | undefined, value: string, cut: boolean): void {
    if (this.#file) return;
    const field = { name: name ?? '', value: value ?? '' };
    this.#fieldBytes += Buffer.byteLength(field.name) + Buffer.byteLength(field.value);
    if (cut || this.#fieldBytes > LIMITS.formFieldsBytesMax.value) this.#fail(tooLong());
    else if (field.name === '') this.#fail(new Error('a field without a name'));
    else if (`${field.name}${field.value}`.includes('\ufffd')) this.#fail(new Error(`${field.name} is not UTF-8`));
    else this.#fields.push(field);
  }

  async readHead(): Promise<Form> {
    let bytes = 0;
    while (!this.#file) {
      const chunk = await this.#next();
      if (chunk === null) {
        await this.#end();
        throw withoutFile();
      }
      bytes += chunk.length;
      this.#feeding = this.#feed(chunk);
      // With a file in it, the chunk is done only when the file is read.
      await Promise.race([this.#feeding, this.#fileSeen, this.#failed]);
      if (bytes > HEAD_BYTES_MAX && !this.#file) throw tooLong();
    }
    // A fault in the fields may have been seen in the same chunk.
    if (this.#fault) throw this.#fault;
    const { name } = this.#file;
    if (name.includes('\ufffd')) throw malformed(new Error('the name of the file is not UTF-8'));
    return { fields: this.#fields, file: { name, bytes: this.#bytes() }, close: () => this.close() };
  }

  close(): void {
    this.#fail(new Error('the form was let go'));
    this.#file?.stream.destroy();
    void this.#inputs.return?.()?.catch(() => undefined);
  }

  async *#bytes(): AsyncGenerator<Buffer, void, undefined> {
    const stream = this.#file?.stream;
    if (!stream) return;
    const rest = this.#feedRest();
    rest.catch((error: Error) => stream.destroy(error));
    try {
      for await (const chunk of stream) yield chunk as Buffer;
    } catch (error) {
      throw malformed(error);
    }
    await rest;
  }

  async #feedRest(): Promise<void> {
    await Promise.race([this.#feeding, this.#failed]);
    for (;;) {
      const chunk = await this.#next();
      if (chunk === null) break;
      if (this.#fileEnded) this.#tailBytes += chunk.length;
      if (this.#tailBytes > LIMITS.formTailBytesMax.value) throw malformed(new Error('too much behind the file'));
      await Promise.race([this.#feed(chunk), this.#failed]);
    }
    await this.#end();
  }

  async #next(): Promise<Buffer | null> {
    const next = await this.#inputs.next();
    return next.done === true ? null : next.value;
  }

  #feed(chunk: Buffer): Promise<void> {
    return new Promise((resolve) => this.#parser.write(chunk, () => resolve()));
  }

  /** The parser says `finish` after the closing boundary only; without it, `error`. */
  async #end(): Promise<void> {
    const finished = new Promise<void>((resolve) => this.#parser.once('finish', resolve));
    this.#parser.end();
    await Promise.race([this.#failed, finished]);
    if (this.#fault) throw this.#fault;
  }
}

function tooLong(): S3Error {
  return new S3Error('MaxPostPreDataLengthExceededError', undefined, {
    fields: { MaxPostPreDataLengthBytes: String(LIMITS.formFieldsBytesMax.value) },
  });
}

function withoutFile(): S3Error {
  return invalidArgument('POST requires exactly one file upload per request.', 'file', '0');
}
