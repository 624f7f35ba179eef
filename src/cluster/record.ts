// The ownership record of one dataset, as the coordinator and every node's catalog keep it, and its text form.
// Pure. Parsing is strict: a record decides who may write, so one that is not understood whole is not used at all.
import { ZringError } from '../common/errors.ts';
import type { Term } from '../common/term.ts';
import { type Fields, fieldsOf, isCount, isName, isNodeId } from './fields.ts';

/**
 * stable    owner serves.
 * copying   owner serves; `target` pulls.
 * draining  owner has been asked to stop, or has stopped; only `target` may become the next owner.
 * deleted   tombstone: this dataset id never comes back.
 */
export type RecordPhase = 'stable' | 'copying' | 'draining' | 'deleted';

export interface OwnershipRecord {
  /** 2 when there is a creator, which version 1 did not know; else 1, so that older releases go on reading it. */
  readonly version: 1 | 2;
  readonly dataset: string;
  /** Immutable id of this incarnation of the dataset (32 hex digits). A re-created bucket has another. */
  readonly id: string;
  readonly owner: string;
  readonly term: Term;
  readonly phase: RecordPhase;
  /** The node that pulls; set in copying and draining, null otherwise. */
  readonly target: string | null;
  /** `zring move --to`; overrides the ring. */
  readonly pin: string | null;
  /** Copies that hold every acknowledged write; always contains the owner. */
  readonly inSync: readonly string[];
  readonly createdMs: number;
  /** Who asked for it, as whoever made it calls them; opaque here. Null for what was made before this was recorded. */
  readonly creator: string | null;
}

/**
 * Of two tags of one life of the coordinator's data: was `a` made before `b`? A tag begins with the counter of its change,
 * so that an answer that was long on its way is not taken for news.
 */
export function isOlderTag(a: string, b: string): boolean {
  return Number.parseInt(a, 10) < Number.parseInt(b, 10);
}

/** A record with the coordinator's compare-and-set tag; the tag is never reused for other content. */
export interface TaggedRecord {
  readonly record: OwnershipRecord;
  readonly tag: string;
}

export const RECORD_VERSION = 2;

export function recordVersion(creator: string | null): 1 | 2 {
  return creator === null ? 1 : 2;
}

const PHASES: readonly string[] = ['stable', 'copying', 'draining', 'deleted'] satisfies readonly RecordPhase[];
const DATASET_ID = /^[0-9a-f]{32}$/;

/** Key order is fixed, so equal records have equal text. Errors: COORDINATOR_CORRUPT for what `parseRecord` would refuse. */
export function serializeRecord(record: OwnershipRecord): string {
  const { creator, ...rest } = checkRecord(record, record.dataset);
  return JSON.stringify(creator === null ? rest : { ...rest, creator });
}

/** @param subject what the text was stored under; the record inside must name the same dataset when it is given.
 *  Errors: VERSION_UNSUPPORTED (written by a newer release), COORDINATOR_CORRUPT. */
export function parseRecord(text: string, subject?: string): OwnershipRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ZringError('COORDINATOR_CORRUPT', 'ownership record is not JSON', { cause, ...(subject && { subject }) });
  }
  return checkRecord(value, subject);
}

/** The same for a value that was parsed already, e.g. as part of a peer message. Returns a fresh, plain object. */
export function checkRecord(value: unknown, subject?: string): OwnershipRecord {
  const fields = fieldsOf(value, 'ownership record', RECORD_VERSION, subject);
  const dataset = fields.take('dataset', isName);
  if (subject !== undefined && dataset !== subject) fields.refuse('dataset', `names ${JSON.stringify(dataset)}`);
  const id = fields.take('id', (v) => typeof v === 'string' && DATASET_ID.test(v)) as string;
  const owner = fields.take('owner', isNodeId);
  const term = takeTerm(fields);
  const phase = fields.take('phase', (v) => typeof v === 'string' && PHASES.includes(v)) as RecordPhase;
  // 0: a void tombstone, taken back before anybody owned anything (src/ownership/publication.ts).
  if (term.n === 0 && phase !== 'deleted') fields.refuse('term', 'must be at least 1');
  const target = fields.take('target', isNodeIdOrNull) as string | null;
  const pin = fields.take('pin', isNodeIdOrNull) as string | null;
  const inSync = fields.take('inSync', isNodeIdList) as readonly string[];
  const createdMs = fields.take('createdMs', isCount);
  const creator = fields.takeOptional('creator', isNameOrNull) ?? null;
  fields.end();
  const moving = phase === 'copying' || phase === 'draining';
  if (moving !== (target !== null)) fields.refuse('target', `must be ${moving ? 'a node' : 'null'} while ${phase}`);
  if (!inSync.includes(owner)) fields.refuse('inSync', 'must contain the owner');
  const version = recordVersion(creator);
  return { version, dataset, id, owner, term, phase, target, pin, inSync: [...inSync], createdMs, creator };
}

function takeTerm(fields: Fields): Term {
  const term = fields.take('term', (v) => typeof v === 'object' && v !== null && Object.keys(v).length === 2) as Term;
  if (!isCount(term.n) || !isNodeId(term.node)) fields.refuse('term', 'must be { n, node }');
  return { n: term.n, node: term.node };
}

function isNodeIdOrNull(value: unknown): value is string | null {
  return value === null || isNodeId(value);
}

function isNameOrNull(value: unknown): value is string | null {
  return value === null || isName(value);
}

function isNodeIdList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isNodeId) && new Set(value).size === value.length;
}
