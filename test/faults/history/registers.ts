// From a history to registers: what each operation says about each key and about each bucket that comes and goes. Pure.
// Everything a client is told becomes a read or a write of a register, listings too: a page is a read of every key in its
// range, those it shows and those it does not (the pages of a listing, and the keys of a page, need not be of one
// instant; each key by itself must be explained within the time of the page).
import { endMs, type Operation } from './operation.ts';
import { ABSENT, type Needs, type RegisterOperation } from './register.ts';

/** What the operation was to this register; decides what its failure is called. */
export type Role = 'write' | 'delete' | 'refused' | 'read' | 'listed' | 'not-listed' | 'emptied';

export interface Entry extends RegisterOperation {
  readonly operation: Operation;
  readonly role: Role;
}

export interface KeyHistory {
  readonly bucket: string;
  readonly key: string;
  readonly entries: readonly Entry[];
}

export interface BucketHistory {
  readonly bucket: string;
  readonly entries: readonly Entry[];
}

const ANY: Needs = { kind: 'any' };
const IS_ABSENT: Needs = { kind: 'absent' };
const IS_PRESENT: Needs = { kind: 'present' };
/** State of the register of a bucket. */
const EXISTS = 'exists';

export function isNoSuchBucket({ code }: Operation): boolean {
  return code === 'NoSuchBucket';
}

/**
 * Attempts to complete one upload are one write: the store does it once, and says the same to whoever repeats it. Its
 * time is from the first attempt to the first success.
 */
export function joinCompletions(operations: readonly Operation[]): Operation[] {
  const joined = new Map<string, Operation>();
  const rest: Operation[] = [];
  for (const operation of operations) {
    if (operation.kind !== 'complete-upload' || !operation.written) {
      rest.push(operation);
      continue;
    }
    const name = operation.written.value;
    const before = joined.get(name);
    joined.set(name, before ? joinTwo(before, operation) : operation);
  }
  return [...rest, ...joined.values()];
}

function joinTwo(a: Operation, b: Operation): Operation {
  const invokedMs = Math.min(a.invokedMs, b.invokedMs);
  const succeeded = [a, b].filter(({ outcome }) => outcome === 'ok').sort((x, y) => endMs(x) - endMs(y));
  const decisive = succeeded[0] ?? [a, b].find(({ outcome }) => outcome === 'unknown') ?? a;
  return { ...decisive, invokedMs };
}

export interface Registers {
  readonly keys: readonly KeyHistory[];
  /** Only of buckets that the history creates or deletes; all others exist throughout. */
  readonly buckets: readonly BucketHistory[];
}

export function registersOf(operations: readonly Operation[], ignored: ReadonlySet<Operation>): Registers {
  const joined = joinCompletions(operations).filter((operation) => !ignored.has(operation));
  const table = new Table();
  for (const operation of joined) if (operation.key !== null) table.ensure(operation.bucket, operation.key);
  for (const operation of joined) {
    if (operation.listing) for (const [key] of operation.listing.entries) table.ensureOwn(operation.bucket, key);
    if (operation.source) table.ensure(operation.source.bucket, operation.source.key);
  }
  const lists = table.sorted();
  for (const operation of joined) addToKeys(table, lists, operation);
  return { keys: table.histories(), buckets: bucketHistories(joined) };
}

/** Entries by bucket and key. */
class Table {
  readonly #buckets = new Map<string, Map<string, Entry[]>>();
  readonly #runs = new Map<string, Set<string>>();

  ensure(bucket: string, key: string): void {
    let keys = this.#buckets.get(bucket);
    if (!keys) {
      keys = new Map();
      this.#buckets.set(bucket, keys);
      this.#runs.set(bucket, new Set());
    }
    if (keys.has(key)) return;
    keys.set(key, []);
    this.#runs.get(bucket)?.add(runOf(key));
  }

  /** A key that nobody of this history wrote, but under the prefix of its runs: a phantom. Others are not ours to judge. */
  ensureOwn(bucket: string, key: string): void {
    if (this.#runs.get(bucket)?.has(runOf(key))) this.ensure(bucket, key);
  }

  sorted(): Map<string, readonly string[]> {
    return new Map([...this.#buckets].map(([bucket, keys]) => [bucket, [...keys.keys()].sort(compareKeys)]));
  }

  add(bucket: string, key: string, entry: Entry): void {
    this.#buckets.get(bucket)?.get(key)?.push(entry);
  }

  histories(): KeyHistory[] {
    return [...this.#buckets].flatMap(([bucket, keys]) =>
      [...keys].map(([key, entries]) => ({ bucket, key, entries })),
    );
  }
}

/** Keys begin with the name of their run (keys.ts). */
function runOf(key: string): string {
  return key.slice(0, key.indexOf('/') + 1);
}

/** Order of a listing: by code unit, which is that of UTF-8 but for keys beyond the Basic Multilingual Plane. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function addToKeys(table: Table, lists: ReadonlyMap<string, readonly string[]>, operation: Operation): void {
  const { bucket, key } = operation;
  const add = (ofBucket: string, ofKey: string, role: Role, needs: Needs, writes: string | null) =>
    table.add(ofBucket, ofKey, {
      invokedMs: operation.invokedMs,
      returnedMs: endMs(operation),
      needs,
      writes,
      operation,
      role,
    });
  if (operation.kind === 'list') {
    for (const { key: one, needs, role } of listed(operation, lists.get(bucket) ?? []))
      add(bucket, one, role, needs, null);
    return;
  }
  if (operation.kind === 'delete-bucket') {
    if (operation.outcome !== 'ok') return;
    for (const one of lists.get(bucket) ?? []) add(bucket, one, 'emptied', IS_ABSENT, null);
    return;
  }
  if (key === null) return;
  for (const { at, role, needs, writes } of ofObject(operation))
    if (at) add(at.bucket, at.key, role, needs, writes);
    else add(bucket, key, role, needs, writes);
}

interface Said {
  readonly at?: { readonly bucket: string; readonly key: string };
  readonly role: Role;
  readonly needs: Needs;
  readonly writes: string | null;
}

function ofObject(operation: Operation): Said[] {
  switch (operation.kind) {
    case 'put':
    case 'complete-upload':
      return mutation(operation, operation.written?.value ?? null);
    case 'copy':
      return ofCopy(operation);
    case 'delete':
      return mutation(operation, ABSENT);
    case 'get':
    case 'head':
      return ofRead(operation);
    default:
      return [];
  }
}

function mutation(operation: Operation, writes: string | null): Said[] {
  if (writes === null) return [];
  const role = writes === ABSENT ? 'delete' : 'write';
  if (operation.outcome !== 'failed') return [{ role, needs: conditionHolds(operation), writes }];
  const refused = conditionRefused(operation);
  return refused ? [{ role: 'refused', needs: refused, writes: null }] : [];
}

function conditionHolds({ condition }: Operation): Needs {
  if (!condition) return ANY;
  return 'ifMatch' in condition ? { kind: 'etag', etag: condition.ifMatch } : IS_ABSENT;
}

/** What a refusal says about the key: the condition did not hold. If-Match on nothing is 404, not 412. */
function conditionRefused({ condition, status, code }: Operation): Needs | null {
  if (!condition) return null;
  if (status === 412) return 'ifMatch' in condition ? { kind: 'other-etag', etag: condition.ifMatch } : IS_PRESENT;
  return code === 'NoSuchKey' ? IS_ABSENT : null;
}

/** It reads the source and writes the destination, each at some time of its own within the operation. */
function ofCopy(operation: Operation): Said[] {
  const { source, written, outcome, status, code } = operation;
  if (!source || !written) return [];
  if (outcome === 'unknown') return [{ role: 'write', needs: ANY, writes: written.value }];
  if (outcome === 'ok') {
    const read: Said = { at: source, role: 'read', needs: { kind: 'etag', etag: source.etag }, writes: null };
    return [read, { role: 'write', needs: ANY, writes: written.value }];
  }
  if (status === 412)
    return [{ at: source, role: 'refused', needs: { kind: 'other-etag', etag: source.etag }, writes: null }];
  return code === 'NoSuchKey' ? [{ at: source, role: 'read', needs: IS_ABSENT, writes: null }] : [];
}

function ofRead({ outcome, seen }: Operation): Said[] {
  if (outcome !== 'ok' || seen === undefined) return [];
  if (seen === null) return [{ role: 'read', needs: IS_ABSENT, writes: null }];
  if (seen.value === null) return [];
  return [{ role: 'read', needs: { kind: 'value', value: seen.value }, writes: null }];
}

function* listed(operation: Operation, keys: readonly string[]): Iterable<{ key: string; needs: Needs; role: Role }> {
  const { listing, outcome } = operation;
  if (!listing || outcome !== 'ok') return;
  const { prefix, after, truncated, entries } = listing;
  const etags = new Map(entries);
  const last = truncated ? entries.at(-1)?.[0] : undefined;
  if (truncated && last === undefined) return;
  for (let at = firstAfter(keys, [after, prefix].sort(compareKeys)[1] ?? ''); at < keys.length; at += 1) {
    const key = keys[at] ?? '';
    if ((last !== undefined && key > last) || (key > prefix && !key.startsWith(prefix))) return;
    if (!key.startsWith(prefix) || key <= after) continue;
    const etag = etags.get(key);
    if (etag === undefined) yield { key, needs: IS_ABSENT, role: 'not-listed' };
    else yield { key, needs: { kind: 'etag', etag }, role: 'listed' };
  }
}

/** Index of the first key that is not before the text. */
function firstAfter(keys: readonly string[], text: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

// --- buckets that come and go ----------------------------------------------------------------------------------------

/** They come and go, and begin as absent; all others exist throughout. */
export function comingBuckets(operations: readonly Operation[]): Set<string> {
  const coming = operations.filter(({ kind }) => kind === 'create-bucket' || kind === 'delete-bucket');
  return new Set(coming.map(({ bucket }) => bucket));
}

function bucketHistories(operations: readonly Operation[]): BucketHistory[] {
  const histories = new Map<string, Entry[]>([...comingBuckets(operations)].map((bucket) => [bucket, []]));
  for (const operation of operations) {
    const entries = histories.get(operation.bucket);
    if (!entries) continue;
    const said = ofBucket(operation);
    if (said) entries.push({ ...said, operation, invokedMs: operation.invokedMs, returnedMs: endMs(operation) });
  }
  return [...histories].map(([bucket, entries]) => ({ bucket, entries }));
}

function ofBucket(operation: Operation): Said | null {
  const { kind, outcome, status, code } = operation;
  if (isNoSuchBucket(operation)) return { role: 'read', needs: IS_ABSENT, writes: null };
  if (kind === 'create-bucket') {
    if (outcome !== 'failed') return { role: 'write', needs: ANY, writes: EXISTS };
    return status === 409 && code !== 'OperationAborted' ? { role: 'read', needs: IS_PRESENT, writes: null } : null;
  }
  if (kind === 'delete-bucket') {
    if (outcome !== 'failed') return { role: 'delete', needs: IS_PRESENT, writes: ABSENT };
    return code === 'BucketNotEmpty' ? { role: 'read', needs: IS_PRESENT, writes: null } : null;
  }
  // HEAD has no error document: of an object it does not say whether key or bucket is missing.
  if (kind === 'head-bucket' && status === 404) return { role: 'read', needs: IS_ABSENT, writes: null };
  if (kind === 'head' && status === 404) return null;
  if (outcome === 'unknown' || status === null || status >= 500) return null;
  const tells = outcome === 'ok' || status === 412 || code === 'NoSuchKey' || code === 'NoSuchUpload';
  // A copy that misses its source says nothing about where it was to go.
  if (!tells || (kind === 'copy' && outcome !== 'ok')) return null;
  return { role: 'read', needs: IS_PRESENT, writes: null };
}
