// Judges answers that need no search: bodies and headers against what the writer sent, pages of listings in themselves,
// uploads that must still be there, buckets that always exist, keys that nobody could read in the end. Pure.
import type { Operation, Seen, Written } from './operation.ts';
import { comingBuckets, compareKeys, isNoSuchBucket } from './registers.ts';
import type { Violation, ViolationKind } from './violation.ts';

export type Writes = ReadonlyMap<string, { readonly written: Written; readonly operation: Operation }>;

export interface Judged {
  readonly violations: Violation[];
  /** Answers that are judged here and would only repeat themselves in a search. */
  readonly settled: Set<Operation>;
}

export function judgeAnswers(operations: readonly Operation[], writes: Writes): Judged {
  const judged: Judged = { violations: [], settled: new Set() };
  for (const operation of operations) {
    if (operation.fault)
      report(judged, operation.fault, operation, operation.error ?? `the answer: ${operation.fault}`);
    if (operation.outcome !== 'ok') continue;
    if (operation.seen) judgeSeen(judged, operation, operation.seen, writes);
    if (operation.kind === 'list') judgePage(judged, operation);
  }
  judgeStableBuckets(judged, operations);
  judgeUploads(judged, operations);
  judgeFinals(judged, operations);
  return judged;
}

function report(
  judged: Judged,
  kind: ViolationKind,
  operation: Operation,
  explanation: string,
  others: Operation[] = [],
) {
  const { bucket, key } = operation;
  judged.violations.push({ kind, bucket, key, explanation, operations: [...others, operation], prefix: 0 });
  judged.settled.add(operation);
}

function judgeSeen(judged: Judged, operation: Operation, seen: Seen, writes: Writes): void {
  if (judged.settled.has(operation)) return;
  if (seen.value === null) {
    report(judged, 'phantom', operation, 'the object has no value of this load');
    return;
  }
  const write = writes.get(seen.value);
  const elsewhere = write && (write.operation.bucket !== operation.bucket || write.operation.key !== operation.key);
  if (!write || elsewhere) {
    const whose = elsewhere ? `belongs to ${write.operation.bucket}/${write.operation.key}` : 'was written by nobody';
    report(judged, 'phantom', operation, `${seen.value} ${whose}`, write ? [write.operation] : []);
    return;
  }
  const { written } = write;
  const faults: string[] = [];
  if (seen.etag !== written.etag) faults.push(`ETag ${seen.etag}, not ${written.etag}`);
  if (seen.bytes !== null && seen.bytes !== written.bytes) faults.push(`${seen.bytes} bytes, not ${written.bytes}`);
  if (seen.body !== undefined && seen.body !== written.body) faults.push(`bytes of ${seen.body}, not ${written.body}`);
  if (faults.length > 0) report(judged, 'headers-differ-from-body', operation, faults.join('; '), [write.operation]);
}

function judgePage(judged: Judged, operation: Operation): void {
  const { listing } = operation;
  if (!listing) {
    report(judged, 'malformed-answer', operation, 'a listing without its page');
    return;
  }
  let before = listing.after;
  for (const [key] of listing.entries) {
    const why =
      compareKeys(key, before) <= 0
        ? `${key} after ${before}`
        : key.startsWith(listing.prefix)
          ? null
          : `${key} lacks the prefix`;
    before = key;
    if (why === null) continue;
    report(judged, 'listing-malformed', operation, why);
    return;
  }
  if (listing.truncated && listing.entries.length === 0)
    report(judged, 'listing-malformed', operation, 'truncated and empty');
}

function judgeStableBuckets(judged: Judged, operations: readonly Operation[]): void {
  const coming = comingBuckets(operations);
  const stable = new Set(operations.map(({ bucket }) => bucket).filter((name) => name !== '' && !coming.has(name)));
  for (const operation of operations) {
    const { kind, bucket, status } = operation;
    const missing = isNoSuchBucket(operation) || (kind === 'head-bucket' && status === 404);
    // The source of a copy may be in a bucket that comes and goes; the code does not say whose bucket is missing.
    if (missing && stable.has(bucket) && !(operation.source && coming.has(operation.source.bucket)))
      report(judged, 'false-404', operation, `no such bucket, and nobody deleted ${bucket}`);
    if (kind !== 'list-buckets' || operation.outcome !== 'ok') continue;
    const absent = [...stable].filter((name) => !operation.buckets?.includes(name));
    if (absent.length > 0) report(judged, 'false-404', operation, `ListBuckets lacks ${absent.join(', ')}`);
  }
}

/** An upload that nobody completed or aborted takes parts, whatever moves meanwhile. */
function judgeUploads(judged: Judged, operations: readonly Operation[]): void {
  const coming = comingBuckets(operations);
  const endedMs = new Map<string, number>();
  for (const { kind, upload, outcome, invokedMs } of operations) {
    if (!upload || outcome === 'failed') continue;
    // Who completes is answered as before when he asks again, so that only an abort ends it for another completion.
    const name = kind === 'abort-upload' ? upload.id : kind === 'complete-upload' ? `parts of ${upload.id}` : null;
    if (name !== null) endedMs.set(name, Math.min(invokedMs, endedMs.get(name) ?? Number.POSITIVE_INFINITY));
  }
  for (const operation of operations) {
    const { kind, upload, code, bucket } = operation;
    const refused = code === 'NoSuchUpload' || (kind === 'complete-upload' && code === 'InvalidPart');
    if (!upload || !refused || coming.has(bucket)) continue;
    const ends = [endedMs.get(upload.id), kind === 'upload-part' ? endedMs.get(`parts of ${upload.id}`) : undefined];
    const endMs = Math.min(...ends.map((ms) => ms ?? Number.POSITIVE_INFINITY));
    if (operation.completedMs !== null && operation.completedMs < endMs)
      report(judged, 'upload-lost', operation, `${code}, and nobody had completed or aborted upload ${upload.id}`);
  }
}

/** After healing every key has an answer. */
function judgeFinals(judged: Judged, operations: readonly Operation[]): void {
  const last = new Map<string, Operation>();
  const answered = new Set<string>();
  for (const operation of operations) {
    if (!operation.final) continue;
    const name = `${operation.kind === 'list' ? 'list' : 'get'} ${operation.bucket} ${operation.key ?? ''}`;
    last.set(name, operation);
    if (operation.outcome === 'ok' || isNoSuchBucket(operation)) answered.add(name);
  }
  for (const [name, operation] of last) {
    if (answered.has(name)) continue;
    const said = operation.code ?? operation.error ?? operation.status;
    report(judged, 'unreadable', operation, `no read after healing was answered; the last said ${said}`);
  }
}
