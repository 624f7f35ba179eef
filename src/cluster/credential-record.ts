// One kept credential as text: what coordinator and disks store of it, and which of two is believed. Pure.
// Strict as ownership records are: an entry that is not understood whole lets nobody in. The secret is in `sealed`, whose
// seal covers everything else of the entry too (credential-seal.ts).
import { ZringError } from '../common/errors.ts';
import { fieldsOf, isAccessKey, isCount, isText } from './fields.ts';

/** removed = tombstone: no profile, no secret, and the revision from which a later credential of this key goes on. */
export type CredentialState = 'active' | 'disabled' | 'removed';

export interface CredentialProfile {
  readonly displayName: string;
  readonly canonicalId: string;
  readonly email: string | null;
  readonly account: string;
  readonly allow: readonly { readonly buckets: string; readonly actions: string }[];
}

export interface CredentialRecord {
  readonly version: 1;
  readonly accessKey: string;
  readonly revision: number;
  readonly state: CredentialState;
  readonly changedMs: number;
  /** Null in a tombstone. */
  readonly profile: CredentialProfile | null;
  /** The sealed list of secrets; null in a tombstone. */
  readonly sealed: string | null;
}

export const CREDENTIAL_VERSION = 1;
const RULES_MAX = 100;
const SEALED_CHARACTERS_MAX = 8192;
const STATES: readonly string[] = ['active', 'disabled', 'removed'] satisfies readonly CredentialState[];

/** Key order is fixed: equal records have equal text. */
export function serializeCredential(record: CredentialRecord): string {
  return JSON.stringify(checkCredential(record, record.accessKey));
}

/** Errors: VERSION_UNSUPPORTED (written by a newer release), COORDINATOR_CORRUPT. */
export function parseCredential(text: string, accessKey: string): CredentialRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ZringError('COORDINATOR_CORRUPT', 'kept credential is not JSON', { cause, subject: accessKey });
  }
  return checkCredential(value, accessKey);
}

function checkCredential(value: unknown, subject: string): CredentialRecord {
  const fields = fieldsOf(value, 'kept credential', CREDENTIAL_VERSION, subject);
  const accessKey = fields.take('accessKey', isAccessKey);
  if (accessKey !== subject) fields.refuse('accessKey', 'names another one');
  const revision = fields.take('revision', (v): v is number => isCount(v) && v > 0);
  const state = fields.take('state', (v) => typeof v === 'string' && STATES.includes(v)) as CredentialState;
  const changedMs = fields.take('changedMs', isCount);
  const profile = fields.take('profile', (v) => typeof v === 'object') as object | null;
  const sealed = fields.take('sealed', isSealedOrNull);
  fields.end();
  const gone = state === 'removed';
  if (gone !== (profile === null) || gone !== (sealed === null)) fields.refuse('state', 'does not fit the rest');
  return {
    version: 1,
    accessKey,
    revision,
    state,
    changedMs,
    profile: profile === null ? null : checkProfile(profile, subject),
    sealed,
  };
}

function checkProfile(value: object, subject: string): CredentialProfile {
  // The record's version speaks for it.
  const fields = fieldsOf({ version: 1, ...value }, 'kept credential', 1, subject);
  const displayName = fields.take('displayName', isText);
  const canonicalId = fields.take('canonicalId', isText);
  const email = fields.take('email', (v): v is string | null => v === null || isText(v));
  const account = fields.take('account', isText);
  const rules = fields.take('allow', isRules);
  fields.end();
  const allow = rules.map(({ buckets, actions }) => ({ buckets, actions }));
  return { displayName, canonicalId, email, account, allow };
}

function isRules(value: unknown): value is CredentialProfile['allow'] {
  return Array.isArray(value) && value.length <= RULES_MAX && value.every(isRule);
}

function isRule(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 2) return false;
  const { buckets, actions } = value as Record<string, unknown>;
  return isText(buckets) && isText(actions);
}

function isSealedOrNull(value: unknown): value is string | null {
  return value === null || (typeof value === 'string' && value.length > 0 && value.length <= SEALED_CHARACTERS_MAX);
}

/** What a seal has to cover: everything but the seal. */
export function sealedContext(cluster: string, record: Omit<CredentialRecord, 'sealed' | 'version'>): string {
  const { accessKey, revision, state, changedMs, profile } = record;
  const { displayName, canonicalId, email, account, allow } = profile ?? ({} as Partial<CredentialProfile>);
  const rules = (allow ?? []).map(({ buckets, actions }) => [buckets, actions]);
  const who = [displayName, canonicalId, email, account];
  return JSON.stringify(['zring credential', cluster, accessKey, revision, state, changedMs, who, rules]);
}

/** One entry as it was heard: its text may be damaged, or of a newer release. */
export interface HeardCredential {
  readonly revision: number;
  readonly text: string;
  /** Null for a text that is not understood. */
  readonly record: CredentialRecord | null;
}

const RANK: Readonly<Record<CredentialState, number>> = { removed: 2, disabled: 1, active: 0 };

/**
 * Which of two entries of one access key is believed, as for sorting; 0 for the same text. The revision decides. Two of
 * one revision exist when a coordinator lost a write and another took its number: then what lets fewer in, then the later.
 */
export function compareCredentials(a: HeardCredential, b: HeardCredential): number {
  if (a.revision !== b.revision) return a.revision - b.revision;
  if (a.text === b.text) return 0;
  if (a.record === null || b.record === null) {
    if (a.record !== null || b.record !== null) return a.record === null ? -1 : 1;
  } else {
    const byState = RANK[a.record.state] - RANK[b.record.state];
    if (byState !== 0) return byState;
    const byTime = a.record.changedMs - b.record.changedMs;
    if (byTime !== 0) return byTime;
  }
  return a.text < b.text ? -1 : 1;
}
