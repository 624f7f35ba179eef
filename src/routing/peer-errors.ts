// Errors between nodes as text, and back. Pure. A code that this release does not know becomes PEER_PROTOCOL, its name
// kept in the message; details come from an authenticated node, their shape is checked where it matters.
import type { ErrorCode, NotOwnerDetails } from '../common/errors.ts';
import { ERROR_CODES, isZringError, ZringError } from '../common/errors.ts';

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly subject?: string;
  readonly details?: unknown;
}

export function toWire(error: unknown): WireError {
  if (!isZringError(error)) return { code: 'INTERNAL', message: 'internal error' };
  return {
    code: error.code,
    message: error.message,
    ...(error.subject !== undefined && { subject: error.subject }),
    ...(error.details !== undefined && { details: error.details }),
  };
}

export function fromWire(value: unknown, node: string): ZringError {
  const wire = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof WireError, unknown>>;
  if (typeof wire.code !== 'string' || typeof wire.message !== 'string') {
    return new ZringError('PEER_PROTOCOL', `node ${node} answered an error that cannot be read`, { subject: node });
  }
  const options = {
    ...(typeof wire.subject === 'string' && { subject: wire.subject }),
    ...(wire.details !== undefined && { details: wire.details }),
  };
  if (!isErrorCode(wire.code)) {
    return new ZringError('PEER_PROTOCOL', `node ${node} answered ${wire.code}: ${wire.message}`, options);
  }
  return new ZringError(wire.code, wire.message, options);
}

/** As one header value: JSON in ASCII, cut to a length that fits every head. */
export function headerJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function parsePeerError(header: string, node: string): ZringError {
  return fromWire(parseJson(header), node);
}

/** Whatever cannot be read counts as "does not know". */
export function parseNotOwner(header: string): NotOwnerDetails {
  const value = (parseJson(header) ?? {}) as Partial<Record<keyof NotOwnerDetails, unknown>>;
  return {
    epoch: typeof value.epoch === 'number' ? value.epoch : 0,
    owner: typeof value.owner === 'string' ? value.owner : null,
    term: typeof value.term === 'string' ? value.term : null,
  };
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const CODES: ReadonlySet<string> = new Set(ERROR_CODES);

function isErrorCode(code: string): code is ErrorCode {
  return CODES.has(code);
}
