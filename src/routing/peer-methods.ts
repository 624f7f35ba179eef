// Control methods on the peer listener: POST /_zring/v1/<method>, JSON in; JSON, or a head and a byte stream, out. The
// registry is given; this file reads bodies up to the limit, checks them against the signed hash, and writes answers.
// A stream's answer is a 4-byte big-endian length, that many bytes of JSON (the head), then the bytes; it ends cleanly
// only when the source did. Knows nothing of what methods mean.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { ZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Exchange } from './exchange.ts';
import { type ControlHop, formatVersion, PEER_HEADER } from './hop.ts';
import type { HopLimits } from './limits.ts';
import { parseJson, toWire } from './peer-errors.ts';
import type { PeerVersions } from './peer-version.ts';

export const CONTROL_PREFIX = '/_zring/v1/';
export const STREAM_TYPE = 'application/vnd.zring.stream';
export const STREAM_HEAD_LENGTH_BYTES = 4;

export interface ControlOptions {
  readonly methods: PeerMethods;
  readonly versions: PeerVersions;
  readonly limits: HopLimits;
  readonly log: Logger;
}

export async function serveControl(exchange: Exchange, hop: ControlHop, options: ControlOptions): Promise<void> {
  const method = (exchange.request.url ?? '').slice(CONTROL_PREFIX.length);
  try {
    const input = await readInput(exchange.request, hop, options.limits.controlBytesMax);
    const call = own(options.methods.calls, method);
    const stream = own(options.methods.streams, method);
    if (call) answerJson(exchange, 200, { result: (await call(input, hop.from)) ?? null }, options.versions);
    else if (stream) await answerStream(exchange, await stream(input, hop.from, exchange.signal), options);
    else throw new ZringError('PEER_PROTOCOL', `this node has no control method "${method}"`, { subject: method });
  } catch (error) {
    if (exchange.response.headersSent || exchange.response.destroyed) {
      // A stream that broke: cut, so that the caller cannot take it for whole.
      exchange.response.destroy();
      options.log.warn({ err: error, method, from: hop.from }, 'control stream broke');
      return;
    }
    options.log.debug({ err: error, method, from: hop.from }, 'control call failed');
    answerJson(exchange, 500, { error: toWire(error) }, options.versions);
  }
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

async function readInput(request: IncomingMessage, hop: ControlHop, bytesMax: number): Promise<unknown> {
  if (request.method !== 'POST' || !request.url?.startsWith(CONTROL_PREFIX)) {
    throw new ZringError('PEER_PROTOCOL', 'a control message is a POST below /_zring/v1/');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (createHash('sha256').update(body).digest('hex') !== hop.bodySha256) {
    throw new ZringError(
      'PEER_UNAUTHENTICATED',
      `the body of a control message of node ${hop.from} is not the one signed`,
    );
  }
  return parseJson(body.toString('utf8'));
}

function tooLarge(bytesMax: number): ZringError {
  return new ZringError('LIMIT_EXCEEDED', `a control message is larger than ${bytesMax} bytes`, {
    details: { limit: 'controlBytesMax', max: bytesMax },
  });
}

function answerJson(exchange: Exchange, status: number, value: unknown, versions: PeerVersions): void {
  const body = JSON.stringify(value);
  exchange.response.writeHead(status, {
    [PEER_HEADER]: formatVersion(versions.newest, versions.newest),
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
  });
  exchange.response.end(body);
}

async function answerStream(
  exchange: Exchange,
  result: { head: unknown; body: NodeJS.ReadableStream & { destroy(): unknown } },
  options: ControlOptions,
): Promise<void> {
  const { response } = exchange;
  if (response.destroyed || exchange.signal.aborted) {
    result.body.destroy();
    return;
  }
  const head = Buffer.from(JSON.stringify(result.head ?? null));
  const length = Buffer.alloc(STREAM_HEAD_LENGTH_BYTES);
  length.writeUInt32BE(head.length);
  response.writeHead(200, {
    [PEER_HEADER]: formatVersion(options.versions.newest, options.versions.newest),
    'Content-Type': STREAM_TYPE,
  });
  // The receiver may be at work for long between two reads; the patience of data traffic is too short for it.
  exchange.request.socket.setTimeout(options.limits.streamTimeoutMs);
  response.write(Buffer.concat([length, head]));
  await pipeline(result.body, response);
}
