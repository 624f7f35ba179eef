// The gate of the peer listener: who is speaking, in which version, about what; then the request is restored to what
// the entry node got (framing, Expect) and handed on. Only this file reads what one node may say to another.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isZringError, ZringError } from '../common/errors.ts';
import { rawHeader } from './headers.ts';
import {
  AUTH_HEADER,
  type ForwardHop,
  formatVersion,
  HOP_HEADER,
  type Hop,
  type HopBody,
  PEER_ERROR_HEADER,
  PEER_HEADER,
  parseHop,
  parseVersion,
} from './hop.ts';
import { replaceHeaders } from './http-server.ts';
import type { PeerAuth } from './peer-auth.ts';
import { headerJson, toWire } from './peer-errors.ts';
import type { PeerVersions } from './peer-version.ts';

export interface PeerGateOptions {
  readonly self: string;
  readonly auth: PeerAuth;
  readonly versions: PeerVersions;
}

/** Errors: PEER_UNAUTHENTICATED, VERSION_UNSUPPORTED, PEER_PROTOCOL. */
export function admitPeer(request: IncomingMessage, options: PeerGateOptions): Hop {
  const text = single(request, HOP_HEADER);
  const spoken = parseVersion(text);
  if (spoken === null) throw new ZringError('PEER_PROTOCOL', 'the hop header cannot be read');
  const from = /(?:^|;)from=([a-z0-9-]{1,63})(?:;|$)/.exec(text)?.[1] ?? '?';
  // By its version first: the fields of a newer one need not be readable here.
  options.versions.check(from, spoken.version);
  const hop = parseHop(text);
  if (hop === null) throw new ZringError('PEER_PROTOCOL', `the hop header of node ${from} cannot be read`);
  const parts = { method: request.method ?? '', target: request.url ?? '', hop: text };
  options.auth.verify(single(request, AUTH_HEADER), parts, hop.from, hop.kind === 'control');
  // After the signature, so that a stranger learns no node id.
  if (hop.to !== options.self) {
    throw new ZringError(
      'PEER_PROTOCOL',
      `node ${hop.from} meant node ${hop.to} and reached node ${options.self}: check the addresses in the configuration`,
      { subject: hop.to },
    );
  }
  options.versions.heard(hop.from, hop.versionMax);
  return hop;
}

function single(request: IncomingMessage, name: string): string {
  const value = rawHeader(request.rawHeaders, name);
  if (value === undefined) throw new ZringError('PEER_UNAUTHENTICATED', `the ${name} header is missing`);
  let count = 0;
  for (let i = 0; i < request.rawHeaders.length; i += 2) if (request.rawHeaders[i]?.toLowerCase() === name) count += 1;
  if (count > 1) throw new ZringError('PEER_PROTOCOL', `the ${name} header came more than once`);
  return value;
}

/** Nothing was applied; the connection ends, because the rest of the request is not read. */
export function refusePeer(response: ServerResponse, error: unknown, versions: PeerVersions): void {
  if (response.headersSent || response.destroyed) return;
  const wire = toWire(error);
  const body = JSON.stringify({ error: wire });
  response.writeHead(refusalStatus(error), {
    [PEER_ERROR_HEADER]: headerJson({ code: wire.code, message: wire.message.slice(0, 500) }),
    [PEER_HEADER]: formatVersion(versions.newest, versions.newest),
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  });
  response.end(body);
}

function refusalStatus(error: unknown): number {
  if (isZringError(error, 'PEER_UNAUTHENTICATED')) return 401;
  if (isZringError(error, 'VERSION_UNSUPPORTED')) return 426;
  return isZringError(error) ? 400 : 500;
}

/**
 * Makes the request what the entry node received: framing as declared by the client, Expect restored, nothing of ours.
 * `declared` is the framing on this connection. Errors: PEER_PROTOCOL when the two do not fit.
 */
export function restoreRequest(request: IncomingMessage, hop: ForwardHop, declared: number | 'chunked' | null): void {
  const length = restoredLength(hop.body, declared);
  const kept: string[] = [];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'connection' || lower === 'content-length' || lower.startsWith('zring-')) continue;
    kept.push(name, request.rawHeaders[i + 1] ?? '');
  }
  if (length !== null) kept.push('Content-Length', String(length));
  if (hop.expects) kept.push('Expect', '100-continue');
  replaceHeaders(request, kept);
  if (length !== null) request.headers['content-length'] = String(length);
  if (hop.expects) request.headers.expect = '100-continue';
}

function restoredLength(body: HopBody, declared: number | 'chunked' | null): number | null {
  switch (body.kind) {
    case 'none':
      if (declared === null || declared === 0) return null;
      break;
    case 'empty':
      if (declared === null || declared === 0) return 0;
      break;
    case 'exact':
      if (typeof declared === 'number' && declared > 0) return declared;
      break;
    case 'stream':
      if (body.length === null && declared === 'chunked') return null;
      if (body.length !== null && declared === body.length + 1) return body.length;
      break;
  }
  throw new ZringError('PEER_PROTOCOL', 'the framing of a forwarded body is not the one that was announced');
}
