// The kept credentials as the coordinator's state machine holds them: one text of the highest revision for each access
// key. Pure but for its own memory; which changes have to be on disk is returned. What a text says it does not know.
//
//   credentials → { stamp }     credential/<access key> → { revision, text }
import type { DurableChange, DurableMap } from '../common/durable-map.ts';
import { ZringError } from '../common/errors.ts';
import type { CredentialPage, StoredCredential } from './coordinator.ts';
import { OFFER_MAX, STORED_CREDENTIAL_CHARACTERS_MAX } from './coordinator-call.ts';
import { isAccessKey, isCount } from './fields.ts';

const PREFIX = 'credential/';
const STAMP = 'credentials';

/** What came over a socket, or from a caller: small enough, and under keys and revisions that can be compared. */
export function isOffer(value: unknown): value is readonly StoredCredential[] {
  return Array.isArray(value) && value.length <= OFFER_MAX && value.every(isStored);
}

function isStored(value: unknown): boolean {
  const { accessKey, revision, text } = (value ?? {}) as Partial<StoredCredential>;
  return (
    isAccessKey(accessKey) &&
    isCount(revision) &&
    revision > 0 &&
    typeof text === 'string' &&
    text.length <= STORED_CREDENTIAL_CHARACTERS_MAX
  );
}

export class CredentialShelf {
  readonly #entries = new Map<string, StoredCredential>();
  #stamp = '';

  /** Errors: COORDINATOR_CORRUPT. */
  constructor(disk: DurableMap) {
    const stamp = disk.get(STAMP);
    if (stamp !== undefined) this.#stamp = (parse(stamp, STAMP) as { stamp: string }).stamp;
    for (const [key, text] of disk.entries(PREFIX)) {
      const entry = { ...(parse(text, key) as StoredCredential), accessKey: key.slice(PREFIX.length) };
      if (!isStored(entry)) throw corrupt(key);
      this.#entries.set(entry.accessKey, entry);
    }
  }

  read(knownStamp: string | null): CredentialPage | null {
    if (knownStamp === this.#stamp) return null;
    return { stamp: this.#stamp, credentials: [...this.#entries.values()] };
  }

  /** `stamp`: the next one, in case that something changes. */
  offer(offers: readonly StoredCredential[], stamp: string): { kept: StoredCredential[]; changes: DurableChange[] } {
    const changes: DurableChange[] = [];
    const kept = offers.map(({ accessKey, revision, text }) => {
      const known = this.#entries.get(accessKey);
      if (known && known.revision >= revision) return known;
      const entry = { accessKey, revision, text };
      this.#entries.set(accessKey, entry);
      changes.push({ key: `${PREFIX}${accessKey}`, value: JSON.stringify({ revision, text }) });
      return entry;
    });
    if (changes.length > 0) {
      this.#stamp = stamp;
      changes.push({ key: STAMP, value: JSON.stringify({ stamp }) });
    }
    return { kept, changes };
  }
}

function parse(text: string, key: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw new ZringError('COORDINATOR_CORRUPT', `coordinator entry ${key} is not JSON`, { cause, subject: key });
  }
  throw corrupt(key);
}

function corrupt(key: string): ZringError {
  return new ZringError('COORDINATOR_CORRUPT', `coordinator entry ${key} is damaged`, { subject: key });
}
