// The typed refusal of a forwarded request: what an owner that is none says to the entry node. Nothing was applied.
import { assert, type NotOwnerDetails } from '../common/errors.ts';
import type { Exchange } from './exchange.ts';
import { NOT_OWNER_HEADER, NOT_OWNER_STATUS } from './hop.ts';
import { headerJson } from './peer-errors.ts';

/** Only for exchanges of peers: a client that asks a node which is not the owner gets its request forwarded, or a 503. */
export function refuseNotOwner(exchange: Exchange, details: NotOwnerDetails): void {
  assert(exchange.origin.kind === 'peer', 'a typed refusal is for peers only');
  const { response } = exchange;
  if (response.headersSent || response.destroyed) return;
  const { epoch, owner, term } = details;
  response.writeHead(NOT_OWNER_STATUS, {
    [NOT_OWNER_HEADER]: headerJson({ epoch, owner, term }),
    'Content-Length': '0',
    'x-amz-request-id': exchange.requestId,
  });
  response.end();
}
