// Writes what a handler returned, or an error document, to the client. Owns nothing. An answer that cannot be finished
// is cut, never ended: a client must be able to tell half an object from a whole one.
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Exchange } from '../routing/exchange.ts';
import type { S3Error } from './errors.ts';
import type { S3Response, Target } from './types.ts';
import { errorDocument } from './xml/results.ts';

/** Bytes of the body that were handed to the connection. */
export interface Written {
  readonly bytes: number;
}

/** @param hostId of the node that answers; it travels as x-amz-id-2, so that a report names the node. */
export async function writeResponse(exchange: Exchange, hostId: string, answer: S3Response): Promise<Written> {
  const { response } = exchange;
  const { body } = answer;
  const headers = { ...identityHeaders(exchange, hostId), ...answer.headers };
  if (body === null || body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) {
    return writeWhole(exchange, answer.status, headers, body ?? null);
  }
  // A read that fails at once still gets an error of its own instead of a cut 200.
  await firstBytes(body);
  if (response.destroyed) {
    body.destroy();
    return { bytes: 0 };
  }
  response.writeHead(answer.status, headers);
  let bytes = 0;
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  // On an error of either side the other one is destroyed: the socket is cut in the middle of the body.
  await pipeline(body, response);
  return { bytes };
}

function writeWhole(
  exchange: Exchange,
  status: number,
  headers: Record<string, string>,
  body: string | Buffer | null,
): Promise<Written> {
  const { request, response } = exchange;
  const bytes = body === null ? 0 : Buffer.byteLength(body);
  const bodiless = status === 204 || status === 304;
  const head = request.method === 'HEAD';
  const length: Record<string, string> =
    bodiless || head || 'content-length' in headers ? {} : { 'content-length': String(bytes) };
  response.writeHead(status, { ...length, ...headers });
  const sent = bodiless || head ? 0 : bytes;
  // As a buffer: Node writes the head in the encoding of a body that is a string, and header values are Latin-1.
  if (sent > 0) response.end(typeof body === 'string' ? Buffer.from(body) : body);
  else response.end();
  return finished(exchange).then(() => ({ bytes: sent }));
}

/** Resolves when the answer is handed over or the client is gone; the dataset is held until then. */
async function finished({ response }: Exchange): Promise<void> {
  if (response.writableFinished || response.destroyed) return;
  await Promise.race([once(response, 'finish'), once(response, 'close')]);
}

function firstBytes(body: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      body.off('readable', ready).off('end', ready).off('close', ready).off('error', done);
      if (error) reject(error);
      else resolve();
    };
    const ready = () => done();
    body.on('readable', ready).on('end', ready).on('close', ready).on('error', done);
  });
}

function identityHeaders(exchange: Exchange, hostId: string): Record<string, string> {
  return { 'x-amz-request-id': exchange.requestId, 'x-amz-id-2': hostId, server: 'zring' };
}

/** HEAD and 304 get status and headers only. */
export function errorResponse(exchange: Exchange, hostId: string, error: S3Error, target: Target | null): S3Response {
  if (error.status === 304) return { status: 304, headers: error.headers };
  const document = errorDocument({
    code: error.code,
    message: error.message,
    resource: target?.rawPath ?? exchange.request.url ?? '/',
    requestId: exchange.requestId,
    hostId,
    fields: { ...subjectFields(error, target), ...error.fields },
  });
  return { status: error.status, headers: { 'content-type': 'application/xml', ...error.headers }, body: document };
}

/** Elements that S3 adds to say what the code is about. */
function subjectFields(error: S3Error, target: Target | null): Record<string, string> {
  if (error.code === 'NoSuchKey' && target?.key) return { Key: target.key };
  const aboutBucket = ['NoSuchBucket', 'BucketNotEmpty', 'BucketAlreadyExists', 'BucketAlreadyOwnedByYou'];
  return aboutBucket.includes(error.code) && target?.bucket ? { BucketName: target.bucket } : {};
}
