// The load: clients that each have one operation under way, on many keys of many buckets, through any node. Seeded: what
// is asked follows from the seed, what is answered and when does not. Owns the clients; what one asked operation becomes
// is driver.ts, long stories (uploads, buckets that come and go) are stories.ts.
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { contentOf } from './content.ts';
import { type Counts, Driver, type Endpoint, LARGE_TIMEOUT_MS, Session } from './driver.ts';
import type { Credentials } from './http-client.ts';
import { GROUP_SIZE, KeySpace, touchedBy } from './keys.ts';
import type { Operation, Written } from './operation.ts';
import { Random } from './random.ts';
import { runBucketLife, runUploads } from './stories.ts';

export interface WorkloadOptions {
  /** Asked anew for every request: nodes come and go. */
  endpoints(): readonly Endpoint[];
  readonly credentials: Credentials;
  /** They exist, and nobody deletes them. */
  readonly buckets: readonly string[];
  readonly seed: number;
  readonly clients: number;
  /** Of all clients together; as fast as they are answered when absent. */
  readonly ratePerSecond?: number;
  readonly record: (operation: Operation) => void;
  /** Also buckets that are created, deleted and created again. */
  readonly deletingBuckets?: boolean;
  /** Objects of 1 to 4 MiB, on average (snapshots keep what was overwritten: a small pool fills quickly). */
  readonly largeBytesPerSecond?: number;
  /** Multipart uploads that are open at a time, and how long each stays so at most, so that moves fall into it. */
  readonly uploads?: number;
  readonly uploadHoldMs?: number;
}

export interface Workload {
  readonly stats: Readonly<Counts>;
  /** Resolves when nothing is under way any more. Fails when the load itself failed. */
  stop(): Promise<void>;
}

const MIB = 1024 * 1024;
const SMALL_BYTES_MAX = 2048;
/** Below it the store keeps bytes in its index, above it in a file. */
const MIDDLE_BYTES_MAX = 64 * 1024;
const GONE_MAX = 40;
/** After "later": clients of S3 wait too. */
const BACK_OFF_MS = 40;

const WEIGHTS = {
  get: 34,
  head: 8,
  put: 24,
  create: 6,
  replace: 6,
  delete: 6,
  'delete-if': 2,
  copy: 3,
  list: 4,
  gone: 4,
  large: 1,
  bucket: 1,
  buckets: 0.5,
} as const;

let loads = 0;

export function startWorkload(options: WorkloadOptions): Workload {
  loads += 1;
  const run = `r${options.seed.toString(36)}-${(Date.now() % 1e9).toString(36)}-${loads}`;
  const load = new Load(options, run);
  const running = load.run();
  // A defect of the load ends it, and is said by `stop`.
  running.catch(() => load.stopping.abort());
  return {
    stats: load.driver.counts,
    async stop() {
      load.stopping.abort();
      await running;
      load.driver.close();
    },
  };
}

export class Load {
  readonly options: WorkloadOptions;
  readonly runName: string;
  readonly driver: Driver;
  readonly keys: KeySpace;
  readonly stopping = new AbortController();
  readonly #values = new Map<string, Written>();
  readonly #gone = new Map<string, string[]>();
  readonly #large: Allowance;
  readonly #pace: Allowance | null;
  #count = 0;

  constructor(options: WorkloadOptions, run: string) {
    // Every client may be pausing.
    setMaxListeners(0, this.stopping.signal);
    this.options = options;
    this.runName = run;
    this.driver = new Driver({ ...options, endpoints: () => options.endpoints(), record: (one) => this.#record(one) });
    this.keys = new KeySpace(run, touchedBy(options.seed));
    this.#large = new Allowance(options.largeBytesPerSecond ?? 2 * MIB, 4 * MIB);
    this.#pace = options.ratePerSecond ? new Allowance(options.ratePerSecond, options.clients) : null;
  }

  get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  async run(): Promise<void> {
    const { clients, seed, deletingBuckets = false, uploads = 2 } = this.options;
    const random = new Random(seed);
    for (const bucket of this.options.buckets) this.keys.touch(bucket, null);
    const all = Array.from({ length: clients }, (_, at) => this.#client(at, random.fork()));
    for (let at = 0; at < uploads; at += 1) all.push(runUploads(this, this.session(`upload-${at}`, random.fork())));
    // Two clients a bucket: what one creates the other deletes.
    for (let at = 0; deletingBuckets && at < 4; at += 1)
      all.push(runBucketLife(this, this.session(`life-${at}`, random.fork()), `life-${this.runName}-${at >> 1}`));
    await Promise.all(all);
  }

  session(client: string, random: Random): Session {
    return new Session(this.driver, `${this.runName}-${client}`, random);
  }

  /** A value that nobody else writes. */
  content(session: Session, bytes: number) {
    this.#count += 1;
    const content = contentOf(`${session.client}.${this.#count.toString(36)}`, Math.max(bytes, 128));
    this.#values.set(content.written.value, content.written);
    return content;
  }

  remember(written: Written): void {
    this.#values.set(written.value, written);
  }

  /** Cut short when the load ends. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }

  #record(operation: Operation): void {
    this.keys.touch(operation.bucket, operation.key);
    this.keys.learn(operation, (value) => this.#values.get(value));
    this.options.record(operation);
  }

  async #client(at: number, random: Random): Promise<void> {
    const session = this.session(`c${at}`, random);
    const group = Math.floor(at / GROUP_SIZE);
    while (!this.stopped) {
      await this.#pace?.take(1, this);
      if (this.stopped) return;
      const bucket = this.driver.bucket(random, this.options.buckets);
      const { outcome, status } = await this.#step(session, group, bucket);
      if (outcome === 'unknown' || status === null || status >= 500)
        await this.pause(BACK_OFF_MS * (0.5 + random.next()));
    }
  }

  async #step(session: Session, group: number, bucket: string): Promise<Operation> {
    const { random } = session;
    const kind = random.weighted(WEIGHTS);
    const key = this.keys.shared(random, group);
    const known = this.keys.known(bucket, key);
    switch (kind) {
      case 'get':
        return session.get(bucket, key);
      case 'head':
        return session.head(bucket, key);
      case 'put':
        return session.put(bucket, key, this.content(session, sizeOf(random)));
      case 'create':
        return session.put(bucket, key, this.content(session, sizeOf(random)), { ifNoneMatch: '*' });
      case 'replace':
        return known
          ? session.put(bucket, key, this.content(session, sizeOf(random)), { ifMatch: known.etag })
          : session.get(bucket, key);
      case 'delete':
        return session.delete(bucket, key);
      case 'delete-if':
        return known ? session.delete(bucket, key, { ifMatch: known.etag }) : session.head(bucket, key);
      case 'copy':
        return this.#copy(session, group, bucket, key);
      case 'list':
        return this.#list(session, group, bucket);
      case 'gone':
        return this.#goneKey(session, group, bucket);
      case 'large':
        return this.#largeObject(session, group, bucket, key);
      case 'bucket':
        return session.headBucket(bucket);
      case 'buckets':
        return session.listBuckets();
    }
  }

  #copy(session: Session, group: number, bucket: string, key: string): Promise<Operation> {
    const source = this.keys.shared(session.random, group);
    const fromBucket = this.driver.bucket(session.random, this.options.buckets);
    const known = this.keys.known(fromBucket, source);
    if (!known || (fromBucket === bucket && source === key)) return session.get(fromBucket, source);
    this.#count += 1;
    const value = `${session.client}.${this.#count.toString(36)}`;
    this.remember({ ...known, value });
    return session.copy({ bucket: fromBucket, key: source, written: known }, bucket, key, value);
  }

  /** Some pages of what one group has, or one page from anywhere. */
  async #list(session: Session, group: number, bucket: string): Promise<Operation> {
    const { random } = session;
    if (random.chance(0.3)) {
      const after = this.keys.shared(random, group);
      return (await session.listPage(bucket, `${this.runName}/`, after, null, random.between(1, 100))).operation;
    }
    const keysMax = random.between(5, 50);
    let token: string | null = null;
    let after = '';
    for (let page = 0; ; page += 1) {
      const { operation, next }: { operation: Operation; next: string | null } = await session.listPage(
        bucket,
        `${this.runName}/g${group}/`,
        after,
        token,
        keysMax,
      );
      after = operation.listing?.entries.at(-1)?.[0] ?? '';
      token = next;
      if (token === null || page === 4 || this.stopped) return operation;
    }
  }

  /** Written once, deleted, and read for ever after. */
  async #goneKey(session: Session, group: number, bucket: string): Promise<Operation> {
    const { random } = session;
    const name = `${group} ${bucket}`;
    const gone = this.#gone.get(name) ?? [];
    this.#gone.set(name, gone);
    const former = gone.length > 0 && (gone.length === GONE_MAX || random.chance(0.7)) ? random.pick(gone) : null;
    if (former !== null) return random.chance(0.5) ? session.get(bucket, former) : session.head(bucket, former);
    const key = this.keys.named(`g${group}/gone-${this.#count}`);
    const written = await session.put(bucket, key, this.content(session, sizeOf(random)));
    if (written.outcome === 'failed') return written;
    for (let tries = 0; tries < 10 && !this.stopped; tries += 1) {
      const deleted = await session.delete(bucket, key);
      if (deleted.outcome === 'ok') {
        if (gone.length < GONE_MAX) gone.push(key);
        return deleted;
      }
      await this.pause(BACK_OFF_MS * 2 ** Math.min(tries, 5));
    }
    return session.head(bucket, key);
  }

  #largeObject(session: Session, group: number, bucket: string, instead: string): Promise<Operation> {
    const { random } = session;
    const key = this.keys.named(`g${group}/large`);
    const bytes = random.between(MIB, 4 * MIB);
    if (random.chance(0.6))
      return random.chance(0.5) ? session.get(bucket, key, LARGE_TIMEOUT_MS) : session.head(bucket, key);
    if (!this.#large.tryTake(bytes)) return session.get(bucket, instead);
    return session.put(bucket, key, this.content(session, bytes));
  }
}

function sizeOf(random: Random): number {
  return random.chance(0.9) ? random.between(128, SMALL_BYTES_MAX) : random.between(SMALL_BYTES_MAX, MIDDLE_BYTES_MAX);
}

/** So much a second, saved up to a burst. */
class Allowance {
  readonly #perSecond: number;
  readonly #burst: number;
  #saved: number;
  #atMs = performance.now();

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#saved = burst;
  }

  tryTake(amount: number): boolean {
    const nowMs = performance.now();
    this.#saved = Math.min(this.#burst, this.#saved + ((nowMs - this.#atMs) / 1000) * this.#perSecond);
    this.#atMs = nowMs;
    if (this.#saved < amount) return false;
    this.#saved -= amount;
    return true;
  }

  async take(amount: number, load: Load): Promise<void> {
    while (!this.tryTake(amount) && !load.stopped) await load.pause(Math.max(2, (1000 * amount) / this.#perSecond));
  }
}
