// A copy as `zring:*` properties of its dataset, so that a pool describes itself. Pure.
// Everything that decides ownership is ONE property, `state`: ZFS sets properties one by one, and a crash between two of
// them must not leave an owner whose promise is gone. The others never change after the copy was made.
//
//   id       32 hex digits            name     the dataset (staging and set-aside names hide it)
//   cluster  its name                 created  ms since 1970
//   creator  who asked for it, absent where nobody was recorded
//   origin   `photos@name`: the snapshot that it was cloned from here; absent in all others, and where it was moved to
//   version  1                        state    `owner 3@a`, `owner 3@a deleting`, `owner 3@a promised b 3@a 123 zring-final-3-x`,
//                                              `prepared 4@b from a 3@a 123 zring-final-3-x`, `prior 3@a since 1700000000000`
import { ZringError } from '../common/errors.ts';
import { formatTerm, parseTerm, type Term } from '../common/term.ts';
import type { DatasetInfo } from '../dataset/driver.ts';
import type { Copy, HandoffPromise, Role } from './state.ts';

export const COPY_VERSION = 1;

const ROLES: readonly Role[] = ['creating', 'owner', 'receiving', 'prepared', 'prior'];

export interface NamedCopy {
  readonly dataset: string;
  readonly copy: Copy;
}

/** For a new dataset. */
export function copyProperties(dataset: string, cluster: string, copy: Copy): Record<string, string> {
  return {
    id: copy.id,
    version: String(COPY_VERSION),
    name: dataset,
    cluster,
    created: String(copy.createdMs),
    ...(copy.creator === null ? {} : { creator: copy.creator }),
    ...(copy.origin === undefined ? {} : { origin: copy.origin }),
    state: formatState(copy),
  };
}

export function formatState(copy: Copy): string {
  const words: string[] = [copy.role, formatTerm(copy.term)];
  if (copy.promise) words.push('promised', ...handoffWords(copy.promise.to, copy.promise));
  if (copy.source) words.push('from', ...handoffWords(copy.source.node, copy.source));
  if (copy.deleting) words.push('deleting');
  if (copy.priorSinceMs !== null) words.push('since', String(copy.priorSinceMs));
  return words.join(' ');
}

function handoffWords(node: string, handoff: Omit<HandoffPromise, 'to'>): string[] {
  return [node, formatTerm(handoff.term), handoff.guid, handoff.snapshot];
}

/** Null when this dataset carries no state yet (a half-made one). Errors: VERSION_UNSUPPORTED, STORAGE_CORRUPT. */
export function parseCopy(info: Pick<DatasetInfo, 'name' | 'properties'>): NamedCopy | null {
  const { id, version, name, created, creator, origin, state } = info.properties;
  if (id === undefined || state === undefined) return null;
  if (Number(version) > COPY_VERSION) {
    const message = `${info.name} has properties of version ${version}, this release reads up to ${COPY_VERSION}`;
    throw new ZringError('VERSION_UNSUPPORTED', message, { subject: info.name });
  }
  const words = state.split(' ');
  const corrupt = () =>
    new ZringError('STORAGE_CORRUPT', `zring:state of ${info.name} cannot be read: ${state}`, { subject: info.name });
  if (version !== String(COPY_VERSION)) throw corrupt();
  const term = (text: string | undefined): Term => {
    const parsed = parseTerm(text ?? '');
    if (!parsed) throw corrupt();
    return parsed;
  };
  const role = words.shift() as Role;
  if (!ROLES.includes(role) || !/^[0-9a-f]{32}$/.test(id)) throw corrupt();
  const own = term(words.shift());
  let copy: Copy = {
    id,
    role,
    term: own,
    createdMs: Number(created ?? 0),
    creator: creator ?? null,
    ...(origin === undefined ? {} : { origin }),
    promise: null,
    source: null,
    deleting: false,
    priorSinceMs: null,
  };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'deleting') copy = { ...copy, deleting: true };
    else if (word === 'since') copy = { ...copy, priorSinceMs: Number(words.shift()) };
    else if (word === 'promised' || word === 'from') {
      const [node, at, guid, snapshot] = words.splice(0, 4);
      if (!node || !guid || !snapshot) throw corrupt();
      const handoff = { term: term(at), guid, snapshot };
      copy =
        word === 'promised'
          ? { ...copy, promise: { to: node, ...handoff } }
          : { ...copy, source: { node, ...handoff } };
    } else throw corrupt();
  }
  return { dataset: name ?? info.name, copy };
}

// --- names beside the dataset's own -------------------------------------------------------------------------------

export const RECEIVING_PREFIX = '_recv-';
export const DELETED_PREFIX = '_deleted-';
export const DEPOSED_PREFIX = '_deposed-';

export function receivingName(id: string): string {
  return `${RECEIVING_PREFIX}${id}`;
}

/** `salt` keeps two copies of one id apart; `@` is not allowed in dataset names. */
export function setAsideName(how: 'deposed' | 'deleted', copy: Pick<Copy, 'id' | 'term'>, salt: string): string {
  const prefix = how === 'deposed' ? DEPOSED_PREFIX : DELETED_PREFIX;
  return `${prefix}${copy.id}-${copy.term.n}.${copy.term.node}-${salt}`;
}
