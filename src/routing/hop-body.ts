// The body of a forwarded request. Pure plan, and the stream that carries a large body over the hop: one byte with the
// head (undici sends a head only together with the first byte of a stream), the rest after start(). Owns the listeners
// on the client's request while it streams; never destroys that request, which may still get an early answer.
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ZringError } from '../common/errors.ts';
import { rawHeader } from './headers.ts';
import type { HopBody } from './hop.ts';

/** Not part of the body; the receiver takes it off. 'z', so that a dump of the wire is readable. */
export const PREAMBLE = Buffer.from('z');

export type BodyPlan =
  | { readonly kind: 'bare'; readonly hop: HopBody }
  /** Read into memory first, sent with the head, replayable. */
  | { readonly kind: 'buffered'; readonly length: number }
  /** Sent only after the receiver's go-ahead. */
  | { readonly kind: 'streamed'; readonly length: number | null };

/** The head has passed the guards: at most one of the two headers, in canonical form. */
export function planBody(rawHeaders: readonly string[], awaitsContinue: boolean, replayBytesMax: number): BodyPlan {
  if (rawHeader(rawHeaders, 'transfer-encoding') !== undefined) return { kind: 'streamed', length: null };
  const declared = rawHeader(rawHeaders, 'content-length');
  if (declared === undefined) return { kind: 'bare', hop: { kind: 'none' } };
  const length = Number(declared);
  if (length === 0) return { kind: 'bare', hop: { kind: 'empty' } };
  // A client that waits for 100 has to be authorised first, however small the body is.
  if (length <= replayBytesMax && !awaitsContinue) return { kind: 'buffered', length };
  return { kind: 'streamed', length };
}

/** Errors: ABORTED when the sender breaks off. */
export function readBody(request: IncomingMessage, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const done = (error: Error | null) => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      if (error) reject(error);
      else resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length));
    };
    const onData = (chunk: Buffer) => chunks.push(chunk);
    const onEnd = () => done(null);
    const onClose = () => done(cutShort());
    if (request.destroyed) {
      reject(cutShort());
      return;
    }
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

export class StreamedBody extends Readable {
  /** Body bytes handed on, without the preamble. */
  bytes = 0;
  readonly #request: IncomingMessage;
  #started = false;

  constructor(request: IncomingMessage) {
    super({ highWaterMark: 256 * 1024 });
    this.#request = request;
    // Whoever consumes this stream also listens for errors, but not to the very end.
    this.on('error', () => {});
    this.push(PREAMBLE);
  }

  get started(): boolean {
    return this.#started;
  }

  start(): void {
    if (this.#started || this.destroyed) return;
    this.#started = true;
    const request = this.#request;
    if (request.readableEnded) {
      this.push(null);
    } else if (request.destroyed) {
      this.destroy(cutShort());
    } else {
      request.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onClose);
    }
  }

  override _read(): void {
    if (this.#started) this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const request = this.#request;
    request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onClose);
    // What is left of the request is the listener's business: it discards it after an early answer, or cuts it.
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    if (!this.push(chunk)) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    if (this.#request.complete) this.push(null);
    else this.destroy(cutShort());
  };

  readonly #onClose = (): void => {
    if (!this.#request.readableEnded) this.destroy(cutShort());
  };
}

function cutShort(): ZringError {
  return new ZringError('ABORTED', 'the sender broke off before the end of the body');
}

/**
 * Takes the preamble byte off a streamed body on the receiving side. The byte came with the head, so this rarely waits.
 * Errors: ABORTED, PEER_PROTOCOL when another byte comes first.
 */
export function takePreamble(request: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null) => {
      request.off('readable', onReadable).off('close', onClose);
      if (error) reject(error);
      else resolve();
    };
    const onReadable = () => {
      const byte = request.read(PREAMBLE.length) as Buffer | null;
      if (byte === null) return;
      forgetRead(request);
      done(byte.equals(PREAMBLE) ? null : new ZringError('PEER_PROTOCOL', 'a streamed body lacks its first byte'));
    };
    const onClose = () => done(cutShort());
    request.on('readable', onReadable).on('close', onClose);
  });
}

/**
 * Nothing of the sender's body was read yet, and `readableDidRead` has to say so: a request that was not touched may
 * still be refused as a whole. Node has no public way to take a byte off without being marked.
 */
function forgetRead(request: IncomingMessage): void {
  const { _readableState: state } = request as unknown as { _readableState: { dataEmitted: boolean } };
  state.dataEmitted = false;
}
