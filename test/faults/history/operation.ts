// One operation of a history: what a client asked of one node and what it was told, as a line of JSON. Each attempt is an
// operation of its own; nothing is retried inside one. Pure data: who makes it is workload.ts, who judges it check.ts.
//
//   ok        answered with what was asked for; for reads also "there is no such key"
//   failed    it definitely had no effect: a 4xx, a 503 SlowDown (docs/ERRORS.md promises that nothing was applied), or
//             the connection was never made. A read that brought nothing is failed too: it has no effect either way
//   unknown   it may take effect at any time after it was invoked, or never

export type OperationKind =
  | 'put'
  | 'get'
  | 'head'
  | 'delete'
  | 'copy'
  | 'list'
  | 'create-upload'
  | 'upload-part'
  | 'complete-upload'
  | 'abort-upload'
  | 'create-bucket'
  | 'delete-bucket'
  | 'head-bucket'
  | 'list-buckets';

export type Outcome = 'ok' | 'failed' | 'unknown';

export interface Operation {
  /** Unique in the history; grows with the time of invocation. */
  readonly id: number;
  /** The client is a process in the sense of linearizability: it has one operation under way. */
  readonly client: string;
  readonly kind: OperationKind;
  /** Empty for list-buckets. */
  readonly bucket: string;
  readonly key: string | null;
  /** The entry node that was asked, and whether somebody else owned the bucket is not known here. */
  readonly node: string;
  /** Monotonic, of the process that recorded it. */
  readonly invokedMs: number;
  /** Null: no answer. Times are of the same clock. */
  readonly completedMs: number | null;
  readonly outcome: Outcome;
  readonly status: number | null;
  /** S3's error code. */
  readonly code: string | null;
  /** Why there was no answer, or what of it was wrong. */
  readonly error?: string;
  /** A read after healing: the last word on what is there. */
  readonly final?: true;
  readonly condition?: Condition;
  /** What a put, copy or complete-upload writes. */
  readonly written?: Written;
  /** What a get or head showed; null: 404. */
  readonly seen?: Seen | null;
  /** Of a copy: it asks for exactly this content of the source. */
  readonly source?: { readonly bucket: string; readonly key: string; readonly etag: string };
  readonly listing?: Listing;
  /** What list-buckets showed. */
  readonly buckets?: readonly string[];
  readonly upload?: { readonly id: string; readonly part?: number };
  /** The answer contradicts itself: see content.ts for the words. */
  readonly fault?: AnswerFault;
}

export type Condition = { readonly ifNoneMatch: '*' } | { readonly ifMatch: string };

export interface Written {
  /** Written once in a history, by one logical write (a repeated complete-upload is the same one). */
  readonly value: string;
  /** The name of the bytes: that of the value, or of the source's bytes for a copy. */
  readonly body: string;
  readonly etag: string;
  readonly bytes: number;
}

export interface Seen {
  /** From the object's metadata; null: it has none of ours. */
  readonly value: string | null;
  readonly etag: string | null;
  /** Announced by Content-Length. */
  readonly bytes: number | null;
  /** Of a get: whose bytes they are. */
  readonly body?: string | null;
}

/** One page: every key with the prefix, after `after`, up to the last one shown (or to the end). */
export interface Listing {
  readonly prefix: string;
  readonly after: string;
  readonly truncated: boolean;
  /** Key and ETag. */
  readonly entries: readonly (readonly [key: string, etag: string])[];
}

export type AnswerFault =
  /** Fewer bytes than the value has, and the answer looked complete. */
  | 'truncated-body'
  /** Bytes that are nobody's, or of several values. */
  | 'corrupt-body'
  /** ETag or Content-Length are not those of the bytes. */
  | 'headers-differ-from-body'
  /** A success without what it must have. */
  | 'malformed-answer';

/** Where a mutation may still take effect, an unknown one has no end. */
export function endMs(operation: Operation): number {
  if (operation.outcome === 'unknown' || operation.completedMs === null) return Number.POSITIVE_INFINITY;
  return operation.completedMs;
}
