// The credentials that the cluster keeps, as one node has them: read from its disk at start, followed in the coordinator,
// told again where it lost them, changed by compare-and-set. Owns the book (what is known) and a DurableMap of its own.
// Nothing on a request's path waits for it: `list` is from memory.
//
//   credential/<access key> → { revision, text }
//
// Crash points: a change counts once the coordinator has it; what this node hears reaches memory first and the disk next,
// so a crash between loses only what the next reading brings again.
import type { Clock } from '../common/clock.ts';
import { type DurableMap, openDurableMap } from '../common/durable-map.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import { Rounds } from '../common/rounds.ts';
import type { Credential } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Coordinator, StoredCredential } from './coordinator.ts';
import { OFFER_MAX, STORED_CREDENTIAL_CHARACTERS_MAX } from './coordinator-call.ts';
import { CredentialBook, type CredentialView, hear, type OpenedCredential } from './credential-book.ts';
import {
  type CredentialProfile,
  type CredentialRecord,
  compareCredentials,
  type HeardCredential,
  sealedContext,
  serializeCredential,
} from './credential-record.ts';
import { open, seal, transportContext } from './credential-seal.ts';
import { isAccessKey, isCount } from './fields.ts';

export interface CredentialKeeperDeps {
  readonly cluster: string;
  readonly coordinator: Coordinator;
  readonly disk: DurableMap;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0: no polling, no hints; only `sync` reads. For tests. */
  readonly pollMs?: number;
}

/** What an entry shall be next; its secrets in the clear, the first is the newest. */
export type CredentialDraft =
  | {
      readonly state: 'active' | 'disabled';
      readonly profile: CredentialProfile;
      readonly secrets: readonly string[];
    }
  | { readonly state: 'removed' };

export interface CredentialStatus {
  readonly configured: number;
  readonly kept: number;
  /** Access keys that are active and let nobody in here, and why. At most 20. */
  readonly faults: readonly { readonly accessKey: string; readonly fault: string }[];
}

const POLL_MS = 1000;
const JITTER = 0.2;
/** Of the same offer while its outcome is unknown, and of a change whose ground was taken by another. */
const TRIES_MAX = 4;
const FAULTS_SHOWN_MAX = 20;
const PREFIX = 'credential/';

/** On the disk of this node, and following. Errors: STORAGE_*, LOCKED, VERSION_UNSUPPORTED. */
export async function openCredentialKeeper(
  path: string,
  configured: { readonly credentials: readonly Credential[]; readonly keys: readonly string[] },
  deps: Omit<CredentialKeeperDeps, 'disk'>,
): Promise<CredentialKeeper> {
  const disk = await openDurableMap(path, { create: true });
  try {
    const keeper = new CredentialKeeper({ ...deps, disk });
    keeper.configure(configured.credentials, configured.keys);
    await keeper.start();
    return keeper;
  } catch (error) {
    await disk.close();
    throw error;
  }
}

export class CredentialKeeper {
  readonly book: CredentialBook;
  readonly #deps: CredentialKeeperDeps;
  /** '' is the stamp of nothing, so null: never read. */
  #stamp: string | null = null;
  readonly #rounds = new Rounds(() => this.#round());
  /** Known in memory and not on disk yet. */
  readonly #unwritten = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #unsubscribe: (() => void)[] = [];

  /** Errors: STORAGE_CORRUPT. */
  constructor(deps: CredentialKeeperDeps) {
    this.#deps = deps;
    this.book = new CredentialBook(deps.cluster);
    for (const [key, text] of deps.disk.entries(PREFIX)) {
      const accessKey = key.slice(PREFIX.length);
      this.book.learn(accessKey, readStored(accessKey, text));
    }
  }

  /** Follows the coordinator until `close`. Resolves when the first reading has been tried. */
  async start(): Promise<void> {
    const { coordinator, pollMs = POLL_MS } = this.#deps;
    if (pollMs > 0) {
      this.#unsubscribe = [
        coordinator.onHint(({ kind }) => kind === 'credentials' && this.#follow()),
        coordinator.onAvailability((available) => available && this.#follow()),
      ];
    }
    await this.sync().catch((error: unknown) => this.#quietly(error));
    const { faults } = this.status();
    if (faults.length > 0) this.#deps.logger.warn({ faults }, 'kept credentials that are not in use here');
    this.#schedule();
  }

  configure(configured: readonly Credential[], keySecrets: readonly string[]): void {
    this.book.configure(configured, keySecrets);
  }

  /** The file's credentials and the kept ones that count; another array after every change. */
  list(): readonly Credential[] {
    return this.book.merged();
  }

  views(): CredentialView[] {
    return this.book.views();
  }

  status(): CredentialStatus {
    const views = this.book.views();
    const faults = views.flatMap(({ accessKey, state, fault }) =>
      fault !== null && state !== 'removed' ? [{ accessKey, fault }] : [],
    );
    return {
      configured: views.filter(({ source }) => source === 'configuration').length,
      kept: views.filter(({ source }) => source === 'cluster').length,
      faults: faults.slice(0, FAULTS_SHOWN_MAX),
    };
  }

  /** Reads what has changed and tells what was lost. A call during a round makes one more follow. Errors: COORDINATOR_*. */
  sync(): Promise<void> {
    return this.#rounds.run();
  }

  async #round(): Promise<void> {
    const page = await this.#deps.coordinator.readCredentials(this.#stamp);
    if (page === null) return this.#write();
    const there = new Map<string, HeardCredential>();
    for (const stored of page.credentials) {
      const heard = this.#hear(stored);
      if (heard) there.set(stored.accessKey, heard);
    }
    const untold: StoredCredential[] = [];
    for (const [accessKey, mine] of this.book.entries()) {
      const theirs = there.get(accessKey);
      if (theirs && compareCredentials(mine, theirs) <= 0) continue;
      // Of one revision, ours wins: it has to stand above, or nobody else would ever hear of it.
      const told = theirs?.revision === mine.revision ? this.#reissued(accessKey, mine) : mine;
      if (told) untold.push({ accessKey, revision: told.revision, text: told.text });
    }
    for (const [accessKey, heard] of there) this.#learn(accessKey, heard);
    if (untold.length > 0) {
      this.#deps.logger.warn({ credentials: untold.length }, 'the coordinator lacks credentials that are known here');
    }
    for (let i = 0; i < untold.length; i += OFFER_MAX) {
      const kept = await this.#deps.coordinator.offerCredentials(untold.slice(i, i + OFFER_MAX));
      for (const stored of kept) this.#learnStored(stored);
    }
    // What was told made another stamp; the next round reads everything once more, which proves it.
    this.#stamp = untold.length > 0 ? null : page.stamp;
    await this.#write();
  }

  #hear({ accessKey, revision, text }: StoredCredential): HeardCredential | null {
    if (
      !isAccessKey(accessKey) ||
      !isCount(revision) ||
      revision === 0 ||
      text.length > STORED_CREDENTIAL_CHARACTERS_MAX
    )
      return null;
    return hear(accessKey, revision, text);
  }

  #learnStored(stored: StoredCredential): void {
    const heard = this.#hear(stored);
    if (heard) this.#learn(stored.accessKey, heard);
  }

  #learn(accessKey: string, heard: HeardCredential): void {
    if (this.book.learn(accessKey, heard)) this.#unwritten.add(accessKey);
  }

  /** The same under the next revision; null where it cannot be sealed again. */
  #reissued(accessKey: string, { record }: HeardCredential): HeardCredential | null {
    if (record === null) return null;
    const { profile, secrets } = { profile: record.profile, secrets: this.book.open(record).secrets };
    if (record.state === 'removed') return this.#make(accessKey, record.revision + 1, { state: 'removed' });
    if (profile === null || secrets === null) return null;
    return this.#make(accessKey, record.revision + 1, { state: record.state, profile, secrets });
  }

  #make(accessKey: string, revision: number, draft: CredentialDraft): HeardCredential {
    const changedMs = this.#deps.clock.wallMs();
    const base = { version: 1 as const, accessKey, revision, changedMs };
    let record: CredentialRecord;
    if (draft.state === 'removed') record = { ...base, state: 'removed', profile: null, sealed: null };
    else {
      const { state, profile, secrets } = draft;
      const context = sealedContext(this.book.cluster, { ...base, state, profile });
      record = { ...base, state, profile, sealed: seal(this.requireKey(), JSON.stringify(secrets), context) };
    }
    const text = serializeCredential(record);
    if (text.length > STORED_CREDENTIAL_CHARACTERS_MAX) {
      throw new ZringError('LIMIT_EXCEEDED', `credential ${accessKey} is larger than can be kept`, {
        subject: accessKey,
        details: { limit: 'credentialCharacters', max: STORED_CREDENTIAL_CHARACTERS_MAX },
      });
    }
    return { revision, text, record };
  }

  /** The key that seals. Errors: CREDENTIAL_KEY_MISSING. */
  requireKey() {
    const [first] = this.book.keys;
    if (first) return first;
    throw new ZringError(
      'CREDENTIAL_KEY_MISSING',
      'cluster.credentialKey is not set in the configuration of this node, so no secret can be kept',
    );
  }

  /** A new secret on its way from the command line. Errors: CREDENTIAL_KEY_MISSING. */
  openTransport(accessKey: string, sealed: string): string {
    this.requireKey();
    const opened = open(this.book.keys, sealed, transportContext(this.book.cluster, accessKey));
    if (opened.ok) return opened.text;
    throw new ZringError(
      'CREDENTIAL_KEY_MISSING',
      'the secret was sealed under a key that this node does not have: is cluster.credentialKey the same there?',
      { subject: accessKey },
    );
  }

  /**
   * Makes the next revision of one entry from what stands there now, by compare-and-set; `build` is asked again when
   * somebody else was faster, and throws when what it was to do makes no sense any more. `current` is null for an entry
   * that is not there, and for one that is not understood.
   * Errors: those of `build`; COORDINATOR_UNAVAILABLE (nothing changed), COORDINATOR_OUTCOME_UNKNOWN, ABORTED.
   */
  async change(
    accessKey: string,
    build: (current: OpenedCredential | null) => CredentialDraft,
  ): Promise<CredentialView> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      await this.sync();
      const heard = this.book.entry(accessKey);
      const current = heard?.record ? this.book.open(heard.record) : null;
      const next = this.#make(accessKey, (heard?.revision ?? 0) + 1, build(current));
      if (!(await this.#offer(accessKey, next))) continue;
      await this.#write();
      const view = this.book.view(accessKey);
      if (view) return view;
    }
    throw new ZringError('ABORTED', `credential ${accessKey} is being changed by others; try again`, {
      subject: accessKey,
    });
  }

  /** True when it stands there now. The same offer is made again while its outcome is unknown: it counts once. */
  async #offer(accessKey: string, { revision, text }: HeardCredential): Promise<boolean> {
    let unknown: unknown = null;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      try {
        const [kept] = await this.#deps.coordinator.offerCredentials([{ accessKey, revision, text }]);
        if (kept) this.#learnStored(kept);
        return kept?.text === text;
      } catch (error) {
        if (isZringError(error, 'COORDINATOR_OUTCOME_UNKNOWN')) unknown = error;
        else throw unknown ?? error;
      }
    }
    throw unknown;
  }

  /** A full disk must not keep a removal from counting: it stays in memory, and is written when there is room. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      if (this.#unwritten.size === 0) return;
      const keys = [...this.#unwritten];
      const changes = keys.flatMap((accessKey) => {
        const entry = this.book.entry(accessKey);
        if (!entry) return [];
        return [
          { key: `${PREFIX}${accessKey}`, value: JSON.stringify({ revision: entry.revision, text: entry.text }) },
        ];
      });
      this.#unwritten.clear();
      try {
        await this.#deps.disk.commit(changes);
      } catch (error) {
        for (const key of keys) this.#unwritten.add(key);
        this.#deps.logger.error({ err: error, credentials: keys.length }, 'credentials could not be written to disk');
      }
    });
    return this.#writing;
  }

  #follow(): void {
    if (!this.#closed) void this.sync().catch((error: unknown) => this.#quietly(error));
  }

  #quietly(error: unknown): void {
    const expected = isZringError(error) && error.code.startsWith('COORDINATOR_');
    this.#deps.logger[expected ? 'debug' : 'error']({ err: error }, 'credentials could not be read; trying on');
  }

  #schedule(): void {
    const { pollMs = POLL_MS } = this.#deps;
    if (this.#closed || pollMs === 0) return;
    this.#timer = setTimeout(
      () => {
        this.sync()
          .catch((error: unknown) => this.#quietly(error))
          .finally(() => this.#schedule());
      },
      pollMs * (1 - JITTER / 2 + Math.random() * JITTER),
    );
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#unsubscribe) stop();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#rounds.idle();
    await this.#write();
    await this.#deps.disk.close();
  }
}

function readStored(accessKey: string, text: string): HeardCredential {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ZringError('STORAGE_CORRUPT', `stored credential ${accessKey} is not JSON`, { cause });
  }
  const { revision, text: inner } = (value ?? {}) as { revision?: unknown; text?: unknown };
  if (!isCount(revision) || typeof inner !== 'string') {
    throw new ZringError('STORAGE_CORRUPT', `stored credential ${accessKey} is damaged`, { subject: accessKey });
  }
  return hear(accessKey, revision, inner);
}
