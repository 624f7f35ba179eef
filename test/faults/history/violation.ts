// What a checker reports. Each kind is one way to break a promise to a client; the kinds of the checker's own make a run
// void, never passed. Pure data.
import type { Operation } from './operation.ts';

export type ViolationKind =
  /** A read brought a value that had certainly been replaced. */
  | 'stale-read'
  /** A value that was certainly deleted is there again. */
  | 'resurrected-delete'
  /** A value, or a key in a listing, that nobody wrote, or whose write was refused, or that was not yet asked for. */
  | 'phantom'
  | 'failed-write-took-effect'
  /** "No such key" or "no such bucket" of what certainly existed, an empty listing of a bucket that has keys. */
  | 'false-404'
  /** Absent without being certainly present, in no possible order. */
  | 'missing'
  | 'listing-phantom'
  | 'listing-missing'
  | 'listing-stale'
  | 'listing-malformed'
  /** A conditional write succeeded though its condition cannot have held, or was refused though it did hold. */
  | 'condition-ignored'
  | 'condition-refused'
  | 'acknowledged-lost'
  /** A key that no read after healing brought an answer for. */
  | 'unreadable'
  | 'truncated-body'
  | 'corrupt-body'
  | 'headers-differ-from-body'
  | 'malformed-answer'
  | 'upload-lost'
  | 'bucket-resurrected'
  | 'bucket-lost'
  | 'nonempty-bucket-deleted'
  /** The checker's own: the search was given up, or the history contradicts itself. */
  | 'undecided'
  | 'history-malformed';

export interface Violation {
  readonly kind: ViolationKind;
  readonly bucket: string;
  readonly key: string | null;
  readonly explanation: string;
  /** The one that cannot be explained comes last. */
  readonly operations: readonly Operation[];
  /** This many first operations of this key (or bucket), by invocation, are enough to show it; 0: the one by itself. */
  readonly prefix: number;
}
