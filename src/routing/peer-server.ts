// The gate of the peer listener: who is speaking, in which version, about what; then the request is restored to what
// the entry node got (framing, Expect) and handed on. Only this file reads what one node may say to another.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isZringError, ZringError } from '../common/errors.ts';
import { isOwnHeader } from './headers.ts';
import {
  AUTH_HEADER,
  checkHop,
  type ForwardHop,
  formatVersion,
  HOP_HEADER,
  type Hop,
  type HopBody,
  isNodeId,
  PEER_ERROR_HEADER,
  PEER_HEADER,
  readHop,
} from './hop.ts';
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
  const own = ownHeaders(request.rawHeaders);
  const fields = readHop(own.hop);
  const from = isNodeId(fields.from) ? fields.from : '?';
  if (fields.version === null) throw new ZringError('PEER_PROTOCOL', 'the hop header cannot be read');
  // By its version first: the fields of a newer one need not be readable here.
  options.versions.check(from, fields.version);
  const hop = checkHop(fields);
  if (hop === null) throw new ZringError('PEER_PROTOCOL', `the hop header of node ${from} cannot be read`);
  const parts = { method: request.method ?? '', target: request.url ?? '', hop: own.hop };
  options.auth.verify(own.auth, parts, hop.from, hop.kind === 'control');
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

/** Each exactly once. */
function ownHeaders(raw: readonly string[]): { hop: string; auth: string } {
  let hop: string | undefined;
  let auth: string | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (name.length !== HOP_HEADER.length && name.length !== AUTH_HEADER.length) continue;
    const lower = name.toLowerCase();
    if (lower !== HOP_HEADER && lower !== AUTH_HEADER) continue;
    if ((lower === HOP_HEADER ? hop : auth) !== undefined) {
      throw new ZringError('PEER_PROTOCOL', `the ${lower} header came more than once`);
    }
    if (lower === HOP_HEADER) hop = raw[i + 1];
    else auth = raw[i + 1];
  }
  if (hop === undefined || auth === undefined) {
    const missing = hop === undefined ? HOP_HEADER : AUTH_HEADER;
    throw new ZringError('PEER_UNAUTHENTICATED', `the ${missing} header is missing: this listener is for nodes`);
  }
  return { hop, auth };
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
  const { rawHeaders, headers } = request;
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'connection' || lower === 'content-length' || isOwnHeader(lower)) delete headers[lower];
    else kept.push(name, rawHeaders[i + 1] ?? '');
  }
  if (length !== null) {
    headers['content-length'] = String(length);
    kept.push('Content-Length', headers['content-length']);
  }
  if (hop.expects) {
    headers.expect = '100-continue';
    kept.push('Expect', headers.expect);
  }
  request.rawHeaders = kept;
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
