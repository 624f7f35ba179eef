// Histories made from a correct execution, for tests of the checker: a store that does one thing after another, asked by
// clients whose requests overlap; some answers get lost, some requests are refused before they do anything. And ways to
// spoil one so that it is certainly wrong. Seeded, pure.
import { contentOf } from './content.ts';
import type { Condition, Operation, Written } from './operation.ts';
import type { Random } from './random.ts';
import { NO_SUCH_BUCKET, REFUSED, SLOW_DOWN } from './story.ts';

export interface ModelOptions {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  /** Of changes whose answer is lost. */
  readonly lost: number;
}

type Draft = Partial<Operation> & Pick<Operation, 'kind' | 'bucket'>;

interface Asked {
  readonly client: string;
  readonly draft: Draft;
  readonly invokedMs: number;
  readonly effectMs: number;
  readonly completedMs: number;
  readonly fate: 'answered' | 'lost' | 'lost-before' | 'refused';
}

const STABLE = 'stable';
const COMING = 'coming';
const WEIGHTS = { get: 30, head: 6, put: 22, create: 8, replace: 8, delete: 10, copy: 5, list: 6, bucket: 8, final: 0 };

export class Model {
  readonly #random: Random;
  readonly #options: ModelOptions;
  readonly #content = new Map<string, Map<string, Written>>([[STABLE, new Map()]]);
  #values = 0;

  constructor(random: Random, options: ModelOptions) {
    this.#random = random;
    this.#options = options;
  }

  /** In the order of completion, as a recorder has it. */
  history(): Operation[] {
    const asked = this.#requests().sort((a, b) => a.effectMs - b.effectMs);
    const endMs = asked.reduce((latest, { completedMs }) => Math.max(latest, completedMs), 0) + 1;
    const operations = asked.map((one, at) => this.#answer(one, at));
    for (let key = 0; key < this.#options.keys; key += 1) {
      const times = { invokedMs: endMs + key, effectMs: endMs + key, completedMs: endMs + key + 0.5 };
      const draft: Draft = { kind: 'get', bucket: STABLE, key: keyOf(key), final: true };
      operations.push(this.#answer({ client: 'final', draft, ...times, fate: 'answered' }, operations.length));
    }
    return operations.sort((a, b) => (a.completedMs ?? a.invokedMs) - (b.completedMs ?? b.invokedMs));
  }

  #requests(): Asked[] {
    const random = this.#random;
    const create: Draft = { kind: 'create-bucket', bucket: COMING };
    const first = { client: 'first', draft: create, invokedMs: -2, effectMs: -1, completedMs: -0.5 };
    const asked: Asked[] = [{ ...first, fate: random.chance(this.#options.lost) ? 'refused' : 'answered' }];
    for (let client = 0; client < this.#options.clients; client += 1) {
      let nowMs = random.next();
      for (let at = 0; at < this.#options.operations / this.#options.clients; at += 1) {
        const invokedMs = nowMs;
        const effectMs = invokedMs + random.next() * random.pick([1, 4]);
        const completedMs = effectMs + random.next() * random.pick([1, 4]);
        const draft = this.#draft();
        const change = !['get', 'head', 'list', 'head-bucket'].includes(draft.kind);
        const fate = !change
          ? 'answered'
          : random.chance(this.#options.lost)
            ? random.pick(['lost', 'lost-before', 'refused'] as const)
            : 'answered';
        // A lost change may come into effect long after its client went on.
        const lateMs = fate === 'lost' && random.chance(0.3) ? random.next() * 30 : 0;
        asked.push({ client: `c${client}`, draft, invokedMs, effectMs: effectMs + lateMs, completedMs, fate });
        nowMs = completedMs + random.next();
      }
    }
    return asked;
  }

  #draft(): Draft {
    const random = this.#random;
    const bucket = random.chance(0.8) ? STABLE : COMING;
    const key = keyOf(random.below(this.#options.keys));
    const kind = random.weighted(WEIGHTS);
    switch (kind) {
      case 'put':
        return { kind, bucket, key, written: this.#written() };
      case 'create':
        return { kind: 'put', bucket, key, written: this.#written(), condition: { ifNoneMatch: '*' } };
      case 'replace':
      case 'copy':
        // What they refer to is known only when they take effect: see #answer.
        return {
          kind: kind === 'copy' ? 'copy' : random.pick(['put', 'delete']),
          bucket,
          key,
          condition: { ifMatch: '' },
        };
      case 'list':
        return { kind, bucket };
      case 'bucket':
        return { kind: random.pick(['create-bucket', 'delete-bucket', 'head-bucket'] as const), bucket: COMING };
      case 'final':
        throw new Error('has no weight');
      default:
        return { kind, bucket, key };
    }
  }

  #written(): Written {
    this.#values += 1;
    return contentOf(`v${this.#values}`, 200).written;
  }

  #answer(asked: Asked, at: number): Operation {
    const { client, invokedMs, completedMs, fate } = asked;
    const draft = this.#filled(asked.draft);
    const lost = fate === 'lost' || fate === 'lost-before';
    const base = {
      id: at + 1,
      client,
      key: null,
      node: 'a',
      invokedMs,
      completedMs: lost ? null : completedMs,
      ...draft,
    };
    if (fate === 'refused') return { ...base, ...SLOW_DOWN };
    if (fate === 'lost-before') return { ...base, outcome: 'unknown', status: null, code: null };
    const answer = this.#apply(draft);
    if (fate === 'lost') return { ...base, outcome: 'unknown', status: null, code: null };
    return { ...base, outcome: 'ok', status: 200, code: null, ...answer };
  }

  /** Conditions mostly hold. */
  #filled(draft: Draft): Draft {
    const { kind, bucket, key = '' } = draft;
    if (kind === 'copy') {
      const source = keyOf(this.#random.below(this.#options.keys));
      const original = this.#guess(STABLE, source);
      this.#values += 1;
      const written = { ...original, value: `v${this.#values}` };
      return { kind, bucket, key, source: { bucket: STABLE, key: source, etag: original.etag }, written };
    }
    if (!draft.condition || !('ifMatch' in draft.condition)) return draft;
    const condition: Condition = { ifMatch: this.#guess(bucket, key ?? '').etag };
    return { ...draft, condition, ...(kind === 'put' && { written: this.#written() }) };
  }

  #guess(bucket: string, key: string): Written {
    const current = this.#content.get(bucket)?.get(key);
    if (current && this.#random.chance(0.8)) return current;
    const others = [...(this.#content.get(STABLE)?.values() ?? [])];
    return others.length > 0 ? this.#random.pick(others) : contentOf('never', 200).written;
  }

  #apply(draft: Draft): Partial<Operation> {
    const { kind, bucket, written, condition, source } = draft;
    const key = draft.key ?? '';
    if (kind === 'create-bucket') {
      if (!this.#content.has(bucket)) this.#content.set(bucket, new Map());
      return {};
    }
    const content = this.#content.get(bucket);
    if (!content) return kind === 'head' ? { status: 404, seen: null } : NO_SUCH_BUCKET;
    const current = content.get(key);
    switch (kind) {
      case 'get':
      case 'head':
        if (!current) return { status: 404, code: kind === 'get' ? 'NoSuchKey' : null, seen: null };
        return { seen: kind === 'get' ? current : { value: current.value, etag: current.etag, bytes: current.bytes } };
      case 'list':
        return this.#page(content);
      case 'delete-bucket':
        if (content.size > 0) return { outcome: 'failed', status: 409, code: 'BucketNotEmpty' };
        this.#content.delete(bucket);
        return { status: 204 };
      case 'copy': {
        const original = this.#content.get(STABLE)?.get(source?.key ?? '');
        if (!original) return { outcome: 'failed', status: 404, code: 'NoSuchKey' };
        if (original.etag !== source?.etag) return REFUSED;
        break;
      }
      default:
        if (condition && 'ifMatch' in condition && !current)
          return { outcome: 'failed', status: 404, code: 'NoSuchKey' };
        if (condition && !('ifMatch' in condition ? current?.etag === condition.ifMatch : !current)) return REFUSED;
    }
    if (kind === 'delete') content.delete(key);
    else if (written) content.set(key, written);
    return {};
  }

  #page(content: ReadonlyMap<string, Written>): Partial<Operation> {
    const after = this.#random.chance(0.3) ? keyOf(this.#random.below(this.#options.keys)) : '';
    // Of many keys a listing asks for a few: the checker looks at every key in its range.
    const prefix = keyOf(this.#random.below(this.#options.keys)).slice(0, -2);
    const inRange = (key: string) => key.startsWith(prefix) && key > after;
    const all = [...content].filter(([key]) => inRange(key)).sort(([a], [b]) => (a < b ? -1 : 1));
    const shown = all.slice(0, this.#random.between(1, Math.min(40, this.#options.keys)));
    const entries = shown.map(([key, { etag }]) => [key, etag] as const);
    return { listing: { prefix, after, truncated: shown.length < all.length, entries } };
  }
}

export function keyOf(at: number): string {
  return `r/key-${String(at).padStart(4, '0')}`;
}

// --- ways to spoil one -----------------------------------------------------------------------------------------------

/** A moment at which what a key holds is certain: one definite change, alone, and none after it yet. */
interface Quiet {
  readonly key: string;
  readonly atMs: number;
  readonly value: Written | null;
  /** What the key certainly held once and does not hold any more. */
  readonly former: Written | null;
}

export const ANOMALIES = {
  'stale read': ({ key, former }) => former && { kind: 'get', key, seen: former },
  'resurrected delete': ({ key, value, former }) =>
    value === null && former ? { kind: 'get', key, seen: former } : null,
  'false 404': ({ key, value }) => value && { kind: 'get', key, status: 404, code: 'NoSuchKey', seen: null },
  'false 404 to HEAD': ({ key, value }) => value && { kind: 'head', key, status: 404, seen: null },
  'no such bucket': ({ key }) => ({ kind: 'get', key, ...NO_SUCH_BUCKET }),
  'create over what is there': ({ key, value }) =>
    value && { kind: 'put', key, written: NEVER, condition: { ifNoneMatch: '*' } },
  'create refused': ({ key, value }) =>
    value ? null : { kind: 'put', key, written: NEVER, condition: { ifNoneMatch: '*' }, ...REFUSED },
  'replacement of what is gone': ({ key, former }) =>
    former && { kind: 'put', key, written: NEVER, condition: { ifMatch: former.etag } },
  'replacement refused': ({ key, value }) =>
    value && { kind: 'put', key, written: NEVER, condition: { ifMatch: value.etag }, ...REFUSED },
  'conditional delete of what is gone': ({ key, former }) =>
    former && { kind: 'delete', key, condition: { ifMatch: former.etag } },
  'phantom value': ({ key }) => ({ kind: 'get', key, seen: NEVER }),
  'other bytes': ({ key, value }) => value && { kind: 'get', key, seen: { ...value, body: 'v0' } },
  'truncated body': ({ key, value }) => value && { kind: 'get', key, seen: value, fault: 'truncated-body' },
  'phantom in a listing': ({ key, value, former }) => (!value && former ? listingOf(key, former.etag) : null),
  'stale in a listing': ({ key, value, former }) => (value && former ? listingOf(key, former.etag) : null),
  'missing in a listing': ({ key, value }) => value && listingOf(key, null),
  'copy of what is gone': ({ key, former }) =>
    former && {
      kind: 'copy',
      key: 'r/copy',
      written: { ...former, value: 'copied' },
      source: { bucket: STABLE, key, etag: former.etag },
    },
} satisfies Record<string, (quiet: Quiet) => Omit<Draft, 'bucket'> | null>;

export type Anomaly = keyof typeof ANOMALIES;

const NEVER = contentOf('never-written-before', 200).written;

function listingOf(key: string, etag: string | null): Omit<Draft, 'bucket'> {
  const page = { prefix: key, after: '', truncated: false };
  return { kind: 'list', listing: { ...page, entries: etag === null ? [] : [[key, etag]] } };
}

/** @returns the history with one more operation, which no order can explain; null when it has no place for it. */
export function spoil(operations: readonly Operation[], anomaly: Anomaly, random: Random): Operation[] | null {
  const places = quietMoments(operations).map((quiet) => ({ quiet, draft: ANOMALIES[anomaly](quiet) }));
  const usable = places.filter(({ draft }) => draft !== null);
  if (usable.length === 0) return null;
  const { quiet, draft } = random.pick(usable);
  if (!draft) return null;
  const times = { invokedMs: quiet.atMs, completedMs: quiet.atMs };
  const base = { id: operations.length + 1, client: 'spoiler', node: 'a', bucket: STABLE, key: null, ...times };
  return [...operations, { ...base, outcome: 'ok', status: 200, code: null, ...draft }];
}

function quietMoments(operations: readonly Operation[]): Quiet[] {
  const quiet: Quiet[] = [];
  const copied = new Set(operations.filter(({ kind }) => kind === 'copy').map(({ written }) => written?.etag));
  for (const key of new Set(operations.map((operation) => operation.key))) {
    if (key === null) continue;
    const changes = operations
      .filter((one) => one.bucket === STABLE && one.key === key && one.kind !== 'get' && one.kind !== 'head')
      .filter(({ outcome }) => outcome !== 'failed')
      .sort((a, b) => a.invokedMs - b.invokedMs);
    let former: Written | null = null;
    let aloneSinceMs = Number.NEGATIVE_INFINITY;
    for (const [at, one] of changes.entries()) {
      // Nothing unknown may have been asked before: it could take effect now.
      if (one.outcome === 'unknown' || one.completedMs === null) break;
      const nextMs = changes[at + 1]?.invokedMs ?? one.completedMs + 1;
      const alone = one.invokedMs > aloneSinceMs && nextMs > one.completedMs;
      aloneSinceMs = Math.max(aloneSinceMs, one.completedMs);
      const value = one.kind === 'delete' ? null : (one.written ?? null);
      // Copies have the ETag of what they are copies of: a condition on one would hold for the other.
      const plain = !value || !copied.has(value.etag);
      if (alone && plain) quiet.push({ key, atMs: (one.completedMs + nextMs) / 2, value, former });
      if (alone && value && plain) former = value;
    }
  }
  return quiet;
}
