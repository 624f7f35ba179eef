// Which operation a request names. Pure. It never falls back from a sub-resource that is known but not built to the
// plain handler of its method (a `PUT ?acl` must not overwrite the object), and never picks one of two meanings.
import { invalidArgument } from './errors.ts';
import { OPERATIONS, type OperationSpec, type Scope } from './operation-table.ts';
import type { Target } from './types.ts';

export { type Action, type BodyKind, OPERATIONS, type OperationSpec, type Scope } from './operation-table.ts';

export type OperationName = keyof typeof OPERATIONS;

/** The names that need a handler. */
export type ImplementedOperation = {
  [Name in OperationName]: (typeof OPERATIONS)[Name]['implemented'] extends true ? Name : never;
}[OperationName];

export function operationSpec(name: OperationName): OperationSpec {
  return OPERATIONS[name];
}

export function isImplemented(name: OperationName): name is ImplementedOperation {
  return OPERATIONS[name].implemented;
}

/** Which rule of a credential (`actions: read | write | *`) the operation needs. */
export function accessOf(name: OperationName): 'read' | 'write' {
  const { action } = OPERATIONS[name];
  return action === 'read' || action === 'list-buckets' ? 'read' : 'write';
}

interface Candidate {
  readonly name: OperationName;
  readonly spec: OperationSpec;
  readonly selectors: readonly { readonly name: string; readonly value: string | null }[];
}

/** `METHOD scope` → candidates, the most demanding first. */
const CANDIDATES: ReadonlyMap<string, readonly Candidate[]> = buildCandidates();

/** Parameters that change what a request means: never ignored, however little they fit. */
const RESERVED: ReadonlySet<string> = buildReserved();

function buildCandidates(): Map<string, Candidate[]> {
  const table = new Map<string, Candidate[]>();
  for (const name of Object.keys(OPERATIONS) as OperationName[]) {
    const spec = operationSpec(name);
    const selectors = spec.select.map((text) => {
      const at = text.indexOf('=');
      return at < 0 ? { name: text, value: null } : { name: text.slice(0, at), value: text.slice(at + 1) };
    });
    const slot = `${spec.method} ${spec.scope}`;
    const list = table.get(slot) ?? [];
    list.push({ name, spec, selectors });
    table.set(slot, list);
  }
  const weight = (c: Candidate) => c.selectors.length * 2 + (c.spec.header === undefined ? 0 : 1);
  for (const list of table.values()) list.sort((a, b) => weight(b) - weight(a));
  return table;
}

function buildReserved(): Set<string> {
  // `id` and `annotationName` only refine a sub-resource; `x-id` and `list-type` are judged by value.
  const refining = new Set(['id', 'annotationName', 'x-id', 'list-type']);
  const reserved = new Set(['versionId', 'select-type', 'append', 'torrent']);
  for (const list of CANDIDATES.values()) {
    for (const candidate of list) {
      for (const selector of candidate.selectors) if (!refining.has(selector.name)) reserved.add(selector.name);
    }
  }
  return reserved;
}

export function scopeOf(target: Pick<Target, 'bucket' | 'key'>): Scope {
  if (target.bucket === null) return 'service';
  return target.key === null ? 'bucket' : 'object';
}

/**
 * The operation that a request names, or null when its method is not allowed there (answer 405 MethodNotAllowed).
 * Throws InvalidArgument for parameters that contradict each other. Unknown parameters are ignored.
 */
export function detectOperation(
  method: string,
  target: Pick<Target, 'bucket' | 'key' | 'query'>,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): OperationName | null {
  const scope = scopeOf(target);
  if (method === 'OPTIONS') return scope === 'service' ? null : 'OptionsObject';
  const candidates = CANDIDATES.get(`${method} ${scope}`) ?? [];
  const reserved = [...target.query.keys()].filter((name) => RESERVED.has(name));
  const found = candidates.find((candidate) => matches(candidate, target.query, headers));
  if (found === undefined) return null;
  const foreign = reserved.filter((name) => !understands(found, name));
  if (foreign.length > 0) return refuseForeign(found, foreign, candidates, target.query);
  if (found.name === 'ListObjects') refuseListType(target.query);
  return found.name;
}

function matches(
  candidate: Candidate,
  query: Target['query'],
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): boolean {
  for (const selector of candidate.selectors) {
    const values = query.get(selector.name);
    if (values === undefined) return false;
    if (selector.value !== null && !values.includes(selector.value)) return false;
  }
  const { header } = candidate.spec;
  return header === undefined || (headers[header] !== undefined && headers[header] !== '');
}

function understands(candidate: Candidate, name: string): boolean {
  return candidate.spec.parameters.includes(name) || candidate.selectors.some((selector) => selector.name === name);
}

/** A parameter that changes the meaning is present, and the best row does not know it: say what is wrong with it. */
function refuseForeign(
  found: Candidate,
  foreign: readonly string[],
  candidates: readonly Candidate[],
  query: Target['query'],
): null {
  const [first = ''] = foreign;
  const value = query.get(first)?.[0] ?? '';
  if (foreign.includes('versionId') && foreign.length === 1) {
    throw invalidArgument('This operation does not accept a version-id.', 'versionId', value);
  }
  if (first === 'partNumber' && foreign.length === 1 && found.spec.method === 'PUT') {
    throw invalidArgument('This operation does not accept partNumber without uploadId', first, value);
  }
  const selecting = found.selectors.map((selector) => selector.name).filter((name) => RESERVED.has(name));
  const known = foreign.every((name) => candidates.some((candidate) => understands(candidate, name)));
  if (selecting.length > 0 && known) {
    const names = [...selecting, ...foreign].sort();
    throw invalidArgument(`Conflicting query string parameters: ${names.join(', ')}`, 'ResourceType', names[0] ?? '');
  }
  return null;
}

function refuseListType(query: Target['query']): void {
  const value = query.get('list-type')?.[0];
  if (value !== undefined && value !== '1') throw invalidArgument('Invalid List Type', 'list-type', value);
}
