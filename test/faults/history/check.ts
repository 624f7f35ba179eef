// The checker: one history in, a verdict out. Pure. Its parts: answers.ts (what needs no search), registers.ts (what each
// answer says about each key), register.ts (the search), certainty.ts (counts that do not depend on the search).
import { judgeAnswers, type Writes } from './answers.ts';
import { Certainty } from './certainty.ts';
import type { Operation, Written } from './operation.ts';
import { ABSENT, checkRegister, type RegisterVerdict } from './register.ts';
import { type BucketHistory, type Entry, joinCompletions, type KeyHistory, registersOf } from './registers.ts';
import type { Violation, ViolationKind } from './violation.ts';

export interface Checked {
  readonly operations: number;
  readonly violations: readonly Violation[];
  /** Acknowledged writes and deletes that nothing replaced and that the final reads do not show. */
  readonly acknowledgedLost: number;
  /** Answers that said that something certainly present does not exist. */
  readonly false404: number;
  /** Violations by kind. */
  readonly byKind: Record<string, number>;
}

export interface CheckOptions {
  /** Of the search of one key; beyond it the key is undecided. */
  readonly stepsMax?: number;
}

/** Of all violations of one kind, this many keep their operations; the others are counted. */
const OPERATIONS_SHOWN_MAX = 24;

export function checkHistory(operations: readonly Operation[], options: CheckOptions = {}): Checked {
  const writes = writesOf(operations);
  const judged = judgeAnswers(operations, writes.table);
  const violations: Violation[] = [...writes.violations, ...judged.violations];
  const false404 = new Set(judged.violations.filter(({ kind }) => kind === 'false-404').map(lastOf));
  const certainties = new Map<string, Certainty>();
  const certaintyOf = (history: KeyHistory) => {
    const name = `${history.bucket}/${history.key}`;
    const found = certainties.get(name) ?? new Certainty(history.entries);
    certainties.set(name, found);
    return found;
  };
  const registers = registersOf(operations, judged.settled);
  const empty = falseEmptyListings(registers.keys, certaintyOf);
  for (const [operation, keys] of empty) {
    false404.add(operation);
    violations.push(inListing(operation, `an empty listing, and ${keys} keys are certainly there`));
  }
  const etagOf = (value: string) => writes.table.get(value)?.written.etag;
  const search = { etagOf, ...(options.stepsMax !== undefined && { stepsMax: options.stepsMax }) };
  let acknowledgedLost = 0;
  for (const history of registers.keys) {
    const entries = history.entries.filter(({ operation }) => !empty.has(operation));
    const certainty = certaintyOf(history);
    for (const entry of falseAbsences(entries, certainty)) false404.add(entry.operation);
    const found = inKey(history, entries, checkRegister(entries, search), certainty, writes.table);
    if (found) violations.push(found);
    const lost = lostOf(history, certainty);
    acknowledgedLost += lost.length;
    violations.push(...lost);
  }
  for (const history of registers.buckets) {
    const found = inBucket(history, checkRegister(history.entries, search));
    if (!found) continue;
    violations.push(found);
    if (found.kind === 'false-404') false404.add(lastOf(found));
  }
  const reported = new Set(violations.filter(({ kind }) => kind === 'false-404').map(lastOf));
  for (const operation of false404)
    if (!reported.has(operation)) violations.push(inListing(operation, 'absent, and certainly there throughout'));
  return {
    operations: operations.length,
    violations,
    acknowledgedLost,
    false404: false404.size,
    byKind: countKinds(violations),
  };
}

function lastOf({ operations }: Violation): Operation {
  const last = operations.at(-1);
  if (!last) throw new Error('a violation names its operation');
  return last;
}

function countKinds(violations: readonly Violation[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of violations) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Values and who wrote them. A value of two writers would make the search accept too much. */
function writesOf(operations: readonly Operation[]): { table: Writes; violations: Violation[] } {
  const table = new Map<string, { written: Written; operation: Operation }>();
  const violations: Violation[] = [];
  for (const operation of joinCompletions(operations)) {
    const { written, bucket, key } = operation;
    if (!written) continue;
    const before = table.get(written.value);
    if (before) {
      const explanation = `${written.value} is written twice`;
      const both = [before.operation, operation];
      violations.push({ kind: 'history-malformed', bucket, key, explanation, operations: both, prefix: 0 });
    }
    table.set(written.value, { written, operation });
  }
  return { table, violations };
}

function inListing(operation: Operation, explanation: string): Violation {
  const { bucket, key } = operation;
  return { kind: 'false-404', bucket, key, explanation, operations: [operation], prefix: 0 };
}

// --- counts that need no search --------------------------------------------------------------------------------------

/** Pages that show nothing at all of a bucket in which several keys certainly are. */
function falseEmptyListings(histories: readonly KeyHistory[], certaintyOf: (history: KeyHistory) => Certainty) {
  const counts = new Map<Operation, number>();
  for (const history of histories)
    for (const { operation, role, invokedMs, returnedMs } of history.entries) {
      if (role !== 'not-listed' || operation.listing?.entries.length !== 0) continue;
      if (certaintyOf(history).presentThroughout(invokedMs, returnedMs))
        counts.set(operation, (counts.get(operation) ?? 0) + 1);
    }
  return counts;
}

function falseAbsences(entries: readonly Entry[], certainty: Certainty): Entry[] {
  return entries.filter(
    ({ role, needs, invokedMs, returnedMs }) =>
      (role === 'read' || role === 'refused') &&
      needs.kind === 'absent' &&
      certainty.presentThroughout(invokedMs, returnedMs),
  );
}

function lostOf(history: KeyHistory, certainty: Certainty): Violation[] {
  const { bucket, key } = history;
  const finals = history.entries.filter(
    ({ operation, needs }) =>
      operation.final && operation.key === key && (needs.kind === 'value' || needs.kind === 'absent'),
  );
  const last = finals.sort((a, b) => a.returnedMs - b.returnedMs).at(-1);
  if (!last) return [];
  const final = last.needs.kind === 'value' ? last.needs.value : ABSENT;
  return certainty.lost(final).map(({ operation }) => ({
    kind: operation.kind === 'delete' ? ('resurrected-delete' as const) : ('acknowledged-lost' as const),
    bucket,
    key,
    explanation: `acknowledged, replaced by nothing, and in the end ${final === ABSENT ? 'nothing' : final} is there`,
    operations: [operation, last.operation],
    prefix: history.entries.length,
  }));
}

// --- what the search found -------------------------------------------------------------------------------------------

function inKey(
  { bucket, key }: KeyHistory,
  entries: readonly Entry[],
  verdict: RegisterVerdict,
  certainty: Certainty,
  writes: Writes,
): Violation | null {
  if (verdict.kind === 'linearizable') return null;
  const entry = entryAt(entries, verdict.at);
  if (verdict.kind === 'undecided') return undecided(bucket, key, entry, entries);
  const kind = nameOf(entry, entries, certainty, writes);
  return { kind, bucket, key, ...evidence(entries, entry, verdict) };
}

function inBucket({ bucket, entries }: BucketHistory, verdict: RegisterVerdict): Violation | null {
  if (verdict.kind === 'linearizable') return null;
  const entry = entryAt(entries, verdict.at);
  if (verdict.kind === 'undecided') return undecided(bucket, null, entry, entries);
  const kind = entry.needs.kind === 'absent' ? 'false-404' : 'bucket-resurrected';
  return { kind, bucket, key: null, ...evidence(entries, entry, verdict) };
}

function entryAt(entries: readonly Entry[], at: number): Entry {
  const entry = entries[at];
  if (!entry) throw new Error(`no entry ${at}`);
  return entry;
}

function undecided(bucket: string, key: string | null, { operation }: Entry, entries: readonly Entry[]): Violation {
  const explanation = `the search was given up after ${entries.length} operations`;
  return { kind: 'undecided', bucket, key, explanation, operations: [operation], prefix: entries.length };
}

/** The last changes before it, what was under way, and itself. */
function evidence(entries: readonly Entry[], entry: Entry, verdict: RegisterVerdict & { kind: 'violation' }) {
  const underWay = verdict.underWay.map((at) => entryAt(entries, at)).filter((one) => one !== entry);
  const changes = entries
    .filter(({ writes, invokedMs }) => writes !== null && invokedMs <= entry.returnedMs)
    .sort((a, b) => a.invokedMs - b.invokedMs);
  const mine = changes.filter(({ writes }) => entry.needs.kind === 'value' && writes === entry.needs.value);
  const shown = new Set([...mine, ...changes.slice(-OPERATIONS_SHOWN_MAX / 2), ...underWay.slice(-8)]);
  shown.delete(entry);
  const operations = [...shown].map(({ operation }) => operation).sort((a, b) => a.invokedMs - b.invokedMs);
  const states = verdict.states.map((state) => (state === ABSENT ? 'absent' : state === '*' ? 'present' : state));
  const wanted = 'value' in entry.needs ? entry.needs.value : 'etag' in entry.needs ? entry.needs.etag : '';
  const explanation =
    `${entry.operation.kind} needs ${entry.needs.kind} ${wanted}`.trim() +
    ` between ${entry.invokedMs.toFixed(1)} and ${entry.returnedMs.toFixed(1)} ms; possible before: ${states.join(', ')}`;
  return { explanation, operations: [...operations, entry.operation], prefix: verdict.prefix };
}

function nameOf(entry: Entry, entries: readonly Entry[], certainty: Certainty, writes: Writes): ViolationKind {
  const { role, needs, invokedMs, returnedMs } = entry;
  if (role === 'emptied') return 'nonempty-bucket-deleted';
  if (role === 'not-listed') return 'listing-missing';
  if (role === 'refused') return certainlyAbsent(entry, certainty) ? 'false-404' : 'condition-refused';
  if (role === 'write' || role === 'delete') return 'condition-ignored';
  if (needs.kind === 'absent') return certainty.presentThroughout(invokedMs, returnedMs) ? 'false-404' : 'missing';
  const isWriter = ({ writes: value }: Entry) =>
    value !== null &&
    value !== ABSENT &&
    ((needs.kind === 'value' && value === needs.value) ||
      (needs.kind === 'etag' && writes.get(value)?.written.etag === needs.etag));
  const writers = entries.filter(isWriter);
  const before = writers.filter((writer) => writer.invokedMs <= returnedMs);
  if (before.length === 0) return role === 'listed' ? 'listing-phantom' : phantomKind(entry, writes);
  const deleted = entries.some(
    (one) =>
      one.writes === ABSENT &&
      one.returnedMs < invokedMs &&
      before.every((writer) => writer.returnedMs < one.invokedMs),
  );
  if (role === 'listed') return deleted ? 'listing-phantom' : 'listing-stale';
  return deleted ? 'resurrected-delete' : 'stale-read';
}

function certainlyAbsent({ needs, invokedMs, returnedMs }: Entry, certainty: Certainty): boolean {
  return needs.kind === 'absent' && certainty.presentThroughout(invokedMs, returnedMs);
}

function phantomKind({ needs }: Entry, writes: Writes): ViolationKind {
  const write = needs.kind === 'value' ? writes.get(needs.value) : undefined;
  return write?.operation.outcome === 'failed' ? 'failed-write-took-effect' : 'phantom';
}
