// What a handler gets: the request, the node's services and, for operations on objects, the dataset it holds.
// Owns nothing. The dataset is entered and released by the pipeline; handlers never keep it beyond their response.
import type { Clock } from '../../common/clock.ts';
import type { PeerTransport } from '../../common/peer.ts';
import type { Config } from '../../config/types.ts';
import type { DatasetAccess, HeldDataset } from '../../ownership/access.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Authorizer } from '../access/authorizer.ts';
import { openPayload, type Payload, type PayloadRequest, readWhole } from '../payload/reader.ts';
import { withHoistedHeaders } from '../sigv4/presigned-query.ts';
import type { S3Request, S3Response } from '../types.ts';

export interface HandlerServices {
  /** Live: changes when the file does. One call per decision. */
  readonly config: () => Config;
  readonly access: DatasetAccess;
  readonly transport: PeerTransport;
  /** Id of this node. */
  readonly self: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Hears of changed lifecycle rules; absent where nobody carries them out (tests). */
  readonly lifecycle?: { changed(bucket: string): void };
}

export interface HandlerContext {
  readonly services: HandlerServices;
  readonly request: S3Request;
  /** '' for operations on the service. */
  readonly bucket: string;
  /** '' for operations on a bucket. */
  readonly key: string;
}

export interface DatasetContext extends HandlerContext {
  readonly dataset: HeldDataset;
  readonly authorizer: Authorizer;
}

/** `gate` says how the dataset is entered; `none`: the handler decides itself. */
export type HandlerRow =
  | { readonly gate: 'none'; readonly run: (context: HandlerContext) => Promise<S3Response> }
  | {
      readonly gate: 'read' | 'write' | 'delete';
      readonly run: (context: DatasetContext) => Promise<S3Response>;
      /** May work for minutes; its answer is an XML document and nothing of its headers matters. */
      readonly slow?: true;
    };

/**
 * Checks the headers that describe the body, then lets a waiting client send it (100 Continue). Everything that can be
 * refused without the body is refused before this call.
 */
export function openBody(
  context: HandlerContext,
  options: Omit<PayloadRequest, 'source' | 'payload' | 'headers'> & Partial<Pick<PayloadRequest, 'headers'>>,
): Payload {
  const { exchange, headers, auth } = context.request;
  const payload = openPayload({ source: exchange.request, payload: auth.payload, headers, ...options });
  exchange.proceed();
  return payload;
}

/** A small document; empty when there was no body. */
export async function readDocument(
  context: HandlerContext,
  bytesMax: number,
  headers: S3Request['headers'] = context.request.headers,
): Promise<Buffer> {
  return readWhole(openBody(context, { bytesMax, defaultChecksum: null, headers, purpose: 'document' }));
}

/** Header values byte for byte (Latin-1, as Node shows them), with those that a presigned URL carries. */
export function wireHeaders(context: HandlerContext): Readonly<Record<string, string | string[] | undefined>> {
  const { exchange, target } = context.request;
  return withHoistedHeaders(exchange.request.headers, target.query);
}

export function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

export function quoted(etag: string): string {
  return `"${etag}"`;
}
