// Shapes shared by the S3 files: the parsed target of a request, who sent it, and what a handler gets and returns.
import type { Readable } from 'node:stream';
import type { Exchange } from '../routing/exchange.ts';
import type { OperationName } from './operation.ts';

/** From the raw request target and Host; nothing is normalised ('//', '.', '..' stay). */
export interface Target {
  readonly bucket: string | null;
  /** Decoded once; null when the path names no object. Never ''. */
  readonly key: string | null;
  /** Raw path as sent, for the canonical request (virtual-host style: without the bucket). */
  readonly rawPath: string;
  /** Decoded name → values in order; a name without `=` has ''. */
  readonly query: ReadonlyMap<string, readonly string[]>;
  readonly rawQuery: string;
  readonly virtualHost: boolean;
}

export interface Identity {
  /** '' = nobody: the request carried no credentials. */
  readonly accessKey: string;
  readonly displayName: string;
  readonly canonicalId: string;
  readonly account: string;
  /** Rules of the credential as configured. */
  readonly allow: readonly { readonly buckets: string; readonly actions: string }[];
}

/** What signature verification found; the body still has to be read through it. */
export interface Authenticated {
  readonly identity: Identity;
  /** How the payload is protected; drives the body decoder. */
  readonly payload:
    | { readonly kind: 'unsigned' }
    | { readonly kind: 'sha256'; readonly hex: string }
    | { readonly kind: 'chunked'; readonly signed: ChunkSigning | null; readonly trailer: boolean };
  readonly presigned: boolean;
}

export interface ChunkSigning {
  readonly seedSignature: string;
  readonly signingKey: Buffer;
  readonly scope: string;
  readonly amzDate: string;
}

export interface S3Request {
  readonly exchange: Exchange;
  readonly operation: OperationName;
  readonly target: Target;
  /**
   * Lower-case name → value; duplicates that matter were refused before. UTF-8 decoded (Node gives latin1), and with
   * the headers that a presigned URL carries in its query (hoistedHeaders of sigv4/presigned-query.ts).
   */
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: Authenticated;
}

/** What a handler returns; the pipeline writes it. */
export interface S3Response {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** String = XML document or empty. */
  readonly body?: string | Buffer | Readable | null;
}
