// Checks that need more than one key: duplicates, clashing addresses, shared storage. Pure, and tolerant on purpose:
// they run on the tree even when other keys are wrong, so that all faults of a file are reported in one go.
import { parseAddress, parseAdvertised } from './address.ts';
import { hasVariable, lookUp, type Tree } from './tree.ts';

export interface CrossFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly expected: string;
}

const LISTENERS = ['s3', 'peer', 'admin'] as const;

function texts(tree: Tree, list: string, key: string): { readonly i: number; readonly text: string }[] {
  const items = lookUp(tree, [list]);
  if (!Array.isArray(items)) return [];
  return items.flatMap((_, i) => {
    const text = lookUp(tree, [list, i, key]);
    return typeof text === 'string' && text !== '' ? [{ i, text }] : [];
  });
}

function addressOf(tree: Tree, path: readonly PropertyKey[], parse = parseAddress) {
  const text = lookUp(tree, path);
  const parsed = typeof text === 'string' ? parse(text) : { problem: '' };
  return 'value' in parsed ? parsed.value : null;
}

function* duplicates(tree: Tree, list: string, key: string): Generator<CrossFault> {
  const first = new Map<string, number>();
  for (const { i, text } of texts(tree, list, key)) {
    const earlier = first.get(text);
    if (earlier === undefined) first.set(text, i);
    else
      yield { path: [list, i, key], message: `is the same as ${list}[${earlier}].${key}`, expected: `a unique ${key}` };
  }
}

/** Advertised addresses are unique in the cluster. */
function* advertisedClashes(tree: Tree, count: number): Generator<CrossFault> {
  const first = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    for (const listener of LISTENERS) {
      const address = addressOf(tree, ['nodes', i, listener], parseAdvertised);
      if (address === null) continue;
      const key = JSON.stringify(address);
      const earlier = first.get(key);
      if (earlier === undefined) first.set(key, `nodes[${i}].${listener}`);
      else yield { path: ['nodes', i, listener], message: `is the same as ${earlier}`, expected: 'a unique address' };
    }
  }
}

/** One node cannot bind one port twice. Other nodes may: they can be in other containers. */
function* listenClashes(tree: Tree, i: number): Generator<CrossFault> {
  const bound: { readonly host: string; readonly port: number; readonly path: string }[] = [];
  for (const listener of LISTENERS) {
    const overridden = lookUp(tree, ['nodes', i, 'listen', listener]) !== undefined;
    const path = overridden ? ['nodes', i, 'listen', listener] : ['nodes', i, listener];
    const address = addressOf(tree, path);
    if (address === null) continue;
    const any = (host: string) => host === '0.0.0.0' || host === '::';
    const clash = bound.find(
      ({ host, port }) => port === address.port && (host === address.host || any(host) || any(address.host)),
    );
    // Without an override this is a clash of advertised addresses, reported there.
    const name = overridden ? `listen.${listener}` : listener;
    if (clash && (overridden || clash.path.startsWith('listen.'))) {
      yield { path, message: `binds the same port as nodes[${i}].${clash.path}`, expected: 'a port of its own' };
    }
    bound.push({ ...address, path: name });
  }
}

/**
 * Two nodes of one machine (same peer host) must not keep their folders in the same place, or one inside the other.
 * Datasets are not compared: processes of one host may see different pools (zfs-fuse in mount namespaces); there the
 * lock on the storage root decides.
 */
function* sharedStorage(tree: Tree, count: number): Generator<CrossFault> {
  const seen: { readonly host: string; readonly storage: string; readonly i: number }[] = [];
  for (let i = 0; i < count; i++) {
    const host = addressOf(tree, ['nodes', i, 'peer'], parseAdvertised)?.host;
    const text = lookUp(tree, ['nodes', i, 'storage']);
    if (host === undefined || typeof text !== 'string' || !text.startsWith('dir:')) continue;
    const storage = text.replace(/\/+$/, '');
    const within = (a: string, b: string) => a === b || a.startsWith(`${b}/`);
    const clash = seen.find(
      (other) => other.host === host && (within(storage, other.storage) || within(other.storage, storage)),
    );
    if (clash) {
      const how = clash.storage === storage ? 'is the same as' : 'overlaps';
      const message = `${how} nodes[${clash.i}].storage on the same host ${host}`;
      yield { path: ['nodes', i, 'storage'], message, expected: 'storage of its own for each node' };
    }
    seen.push({ host, storage, i });
  }
}

/** An id that differs from machine to machine would be two nodes to the cluster. */
function* variableIds(raw: Tree): Generator<CrossFault> {
  for (const { i, text } of texts(raw, 'nodes', 'id')) {
    if (hasVariable(text)) {
      yield { path: ['nodes', i, 'id'], message: 'contains a variable', expected: 'an id written out' };
    }
  }
}

/** A grant by e-mail names one owner (S3: AmbiguousGrantByEmailAddress for more). Which id an absent one stands for is told apart by the access key. */
function* sharedEmails(tree: Tree): Generator<CrossFault> {
  const first = new Map<string, { readonly i: number; readonly owner: string }>();
  for (const { i, text } of texts(tree, 'credentials', 'email')) {
    const id = lookUp(tree, ['credentials', i, 'canonicalId']) ?? lookUp(tree, ['credentials', i, 'accessKey']);
    const email = text.toLowerCase();
    const earlier = first.get(email);
    if (earlier === undefined) first.set(email, { i, owner: String(id) });
    else if (earlier.owner !== String(id)) {
      const message = `is the same as credentials[${earlier.i}].email, which has another canonicalId`;
      yield { path: ['credentials', i, 'email'], message, expected: 'one owner for each e-mail address' };
    }
  }
}

export function crossFaults(raw: Tree, expanded: Tree): CrossFault[] {
  const nodes = lookUp(expanded, ['nodes']);
  const count = Array.isArray(nodes) ? nodes.length : 0;
  return [
    ...variableIds(raw),
    ...duplicates(expanded, 'nodes', 'id'),
    ...duplicates(expanded, 'credentials', 'accessKey'),
    ...sharedEmails(expanded),
    ...advertisedClashes(expanded, count),
    ...Array.from({ length: count }, (_, i) => [...listenClashes(expanded, i)]).flat(),
    ...sharedStorage(expanded, count),
  ];
}
