// All kept credentials that a node has heard of, and what follows from them: which of them let somebody in, and what is
// wrong with the others. Owns them in memory; credential-keeper.ts feeds it and keeps them on disk. No effects.
import type { Credential } from '../config/types.ts';
import {
  type CredentialProfile,
  type CredentialRecord,
  type CredentialState,
  compareCredentials,
  type HeardCredential,
  parseCredential,
  sealedContext,
} from './credential-record.ts';
import { open, type SealKey, sealKeyId, sealKeys } from './credential-seal.ts';

/** Entries with the tombstones; what is beyond is not believed. Bounds memory and the page that nodes read. */
export const ENTRIES_MAX = 20_000;
/** Credentials that are not removed. */
export const KEPT_MAX = 1000;

export interface CredentialView {
  readonly accessKey: string;
  readonly source: 'configuration' | 'cluster';
  readonly state: CredentialState;
  /** Null when the entry is not understood. */
  readonly profile: CredentialProfile | null;
  /** 0 for the configuration's. */
  readonly revision: number;
  readonly changedMs: number | null;
  /** How many secrets are accepted; null when that cannot be told. */
  readonly secrets: number | null;
  /** Of the key that it is sealed under. */
  readonly keyId: string | null;
  /** Why it does not count here although it is active; null when it does, or should not. */
  readonly fault: string | null;
}

/** `secrets` null: it does not open here. */
export interface OpenedCredential {
  readonly record: CredentialRecord;
  readonly secrets: readonly string[] | null;
  readonly fault: string | null;
}

export function hear(accessKey: string, revision: number, text: string): HeardCredential {
  let record: CredentialRecord | null = null;
  try {
    record = parseCredential(text, accessKey);
  } catch {
    // Shown as a fault; believed no more than that it has this revision.
  }
  // The number outside is what is compared, so it must be the one that is sealed.
  return { revision, text, record: record?.revision === revision ? record : null };
}

export class CredentialBook {
  readonly #cluster: string;
  readonly #entries = new Map<string, HeardCredential>();
  #keySecrets: readonly string[] = [];
  #keys: readonly SealKey[] = [];
  #configured: readonly Credential[] = [];
  /** Made when first asked for after a change; a new array each time, so that its identity tells a change. */
  #merged: readonly Credential[] | null = null;

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  get cluster(): string {
    return this.#cluster;
  }

  get keys(): readonly SealKey[] {
    return this.#keys;
  }

  /** What the file says now. */
  configure(configured: readonly Credential[], keySecrets: readonly string[]): void {
    if (configured === this.#configured && keySecrets === this.#keySecrets) return;
    this.#configured = configured;
    this.#keySecrets = keySecrets;
    this.#keys = sealKeys(keySecrets);
    this.#merged = null;
  }

  entry(accessKey: string): HeardCredential | null {
    return this.#entries.get(accessKey) ?? null;
  }

  entries(): IterableIterator<[string, HeardCredential]> {
    return this.#entries.entries();
  }

  /** @returns whether it was news. */
  learn(accessKey: string, heard: HeardCredential): boolean {
    const known = this.#entries.get(accessKey);
    if (known && compareCredentials(heard, known) <= 0) return false;
    if (!known && this.#entries.size >= ENTRIES_MAX) return false;
    this.#entries.set(accessKey, heard);
    this.#merged = null;
    return true;
  }

  live(): number {
    let live = 0;
    for (const { record } of this.#entries.values()) if (record?.state !== 'removed') live += 1;
    return live;
  }

  isFull(): boolean {
    return this.#entries.size >= ENTRIES_MAX;
  }

  configuredHas(accessKey: string): boolean {
    return this.#configured.some((one) => one.accessKey === accessKey);
  }

  /** The file's first; of the kept ones those that are active, open, and not the file's too. */
  merged(): readonly Credential[] {
    this.#merged ??= this.#merge();
    return this.#merged;
  }

  #merge(): Credential[] {
    const merged = [...this.#configured];
    const taken = new Set(merged.map(({ accessKey }) => accessKey));
    for (const [accessKey, { record }] of this.#entries) {
      if (record?.state !== 'active' || !record.profile || taken.has(accessKey)) continue;
      const { secrets } = this.open(record);
      if (secrets) merged.push({ accessKey, secretKeys: secrets, ...record.profile });
    }
    return merged;
  }

  open(record: CredentialRecord): OpenedCredential {
    if (record.sealed === null) return { record, secrets: null, fault: null };
    const opened = open(this.#keys, record.sealed, sealedContext(this.#cluster, record));
    if (opened.ok) {
      const secrets = secretsOf(opened.text);
      if (secrets) return { record, secrets, fault: null };
    }
    return { record, secrets: null, fault: faultOf(this.#keys, record.sealed, !opened.ok && opened.why) };
  }

  /** Everything but tombstones: the file's in its order, the kept ones by access key. */
  views(): CredentialView[] {
    const kept = [...this.#entries]
      .filter(([, { record }]) => record?.state !== 'removed')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([accessKey, heard]) => this.#viewOf(accessKey, heard));
    return [...this.#configured.map(configuredView), ...kept];
  }

  view(accessKey: string): CredentialView | null {
    const heard = this.#entries.get(accessKey);
    return heard ? this.#viewOf(accessKey, heard) : null;
  }

  #viewOf(accessKey: string, { revision, record }: HeardCredential): CredentialView {
    const base = { accessKey, source: 'cluster' as const, revision };
    if (record === null) {
      const fault = 'this release does not understand the entry, or it is damaged';
      return { ...base, state: 'disabled', profile: null, changedMs: null, secrets: null, keyId: null, fault };
    }
    const { secrets, fault } = this.open(record);
    const hidden = this.configuredHas(accessKey)
      ? 'the configuration file has the same access key, which counts'
      : null;
    return {
      ...base,
      state: record.state,
      profile: record.profile,
      changedMs: record.changedMs,
      secrets: secrets?.length ?? null,
      keyId: record.sealed === null ? null : sealKeyId(record.sealed),
      fault: record.state === 'removed' ? null : (hidden ?? fault),
    };
  }
}

function configuredView(credential: Credential): CredentialView {
  const { accessKey, secretKeys, displayName, canonicalId, email, account, allow } = credential;
  return {
    accessKey,
    source: 'configuration',
    state: 'active',
    profile: { displayName, canonicalId, email, account, allow },
    revision: 0,
    changedMs: null,
    secrets: secretKeys.length,
    keyId: null,
    fault: null,
  };
}

function secretsOf(text: string): readonly string[] | null {
  const value: unknown = JSON.parse(text);
  const isList =
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '');
  return isList ? (value as string[]) : null;
}

function faultOf(keys: readonly SealKey[], sealed: string, why: false | 'unknown-key' | 'damaged'): string {
  if (keys.length === 0) return 'sealed, and this node has no cluster.credentialKey';
  if (why === 'unknown-key') return `sealed under key ${sealKeyId(sealed)}, which this node does not have`;
  return 'does not open: damaged, or altered by somebody without the key';
}
