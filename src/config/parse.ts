// Text of a configuration file → Config, or every fault that it has. Pure: environment and secret files are arguments.
// The way: YAML to a tree of texts (tree.ts), schema (schema.ts) and cross checks over the tree, faults put in words
// here. A fault quotes what was written, before variables were replaced; keys that hold secrets are never quoted.
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { ZringError } from '../common/errors.ts';
import { crossFaults } from './cross-checks.ts';
import { mapContentHash } from './map-hash.ts';
import { type CheckedConfig, configSchema } from './schema.ts';
import { defaultCanonicalId } from './schema-credentials.ts';
import { fieldAt, keysAt } from './schema-walk.ts';
import type { ReadSecret } from './secrets.ts';
import { suggest } from './suggest.ts';
import { type ConfigTree, formatPath, lookUp, readTree, type Tree } from './tree.ts';
import type { Config, ConfigFault, Credential, NodeConfig } from './types.ts';

export interface ParseContext {
  /** Absolute path of the file; relative paths in it start at its folder. */
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  readonly readSecret: ReadSecret;
}

export type ParseResult = { readonly config: Config } | { readonly faults: readonly ConfigFault[] };

/** More would not be read; the number of the rest is told. */
const FAULTS_SHOWN_MAX = 200;

export function parseConfig(text: string, context: ParseContext): ParseResult {
  const faults: ConfigFault[] = [];
  const tree = readTree(text, context.env, faults);
  if (tree === null) return { faults };
  const schema = configSchema({ folder: dirname(context.path), readSecret: context.readSecret });
  const reported = new Set(faults.map(({ path }) => path));
  const add = (path: readonly PropertyKey[], message: string, expected: string) => {
    const name = formatPath(path);
    // A variable that is not set leaves a text that fails again: the first reason is the true one.
    if (reported.has(name)) return;
    const line = lineOf(tree, path);
    faults.push({ path: name, message, expected, ...(line === undefined ? {} : { line }) });
  };
  const checked = schema.safeParse(tree.expanded);
  for (const issue of checked.error?.issues ?? []) wordIssue(issue, tree, schema, add);
  for (const { path, message, expected } of crossFaults(tree.raw, tree.expanded)) {
    add(path, `${quote(tree.raw, path)}${message}`, expected);
  }
  if (faults.length > 0 || !checked.success) return { faults: inFileOrder(faults) };
  return { config: toConfig(checked.data, context.path, tree.raw) };
}

type Add = (path: readonly PropertyKey[], message: string, expected: string) => void;

function wordIssue(issue: z.core.$ZodIssue, tree: ConfigTree, schema: z.ZodType, add: Add): void {
  const { path } = issue;
  const field = fieldAt(schema, path);
  const expected = [field?.type, field?.limit]
    .filter((part) => part !== undefined)
    .join(': ')
    .replaceAll('`', '');
  const value = lookUp(tree.raw, path);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path);
    for (const key of issue.keys) {
      const near = suggest(key, known);
      const hint = near === null ? '' : `; did you mean "${near}"?`;
      add([...path, key], `unknown key "${key}"${hint}`, `one of ${known.join(', ')}`);
    }
  } else if (issue.code === 'custom') {
    const quoted = isSecret(path) ? '' : quote(tree.raw, path);
    add(path, `${quoted}${issue.message}`, expected);
  } else if (value === undefined) {
    add(path, 'is missing', expected || shapeOf(issue));
  } else if (issue.code === 'too_small') {
    add(path, 'is an empty list', 'at least one entry');
  } else if (issue.code === 'too_big') {
    add(path, 'is a list that is too long', `at most ${issue.maximum} entries`);
  } else {
    add(path, `is ${kindOf(value)}`, expected || shapeOf(issue));
  }
}

function shapeOf(issue: z.core.$ZodIssue): string {
  const wanted = issue.code === 'invalid_type' ? issue.expected : '';
  return wanted === 'array' ? 'a list' : wanted === 'object' ? 'a section with keys' : 'a text';
}

function kindOf(value: Tree): string {
  return typeof value === 'string' ? 'a text' : Array.isArray(value) ? 'a list' : 'a section with keys';
}

/** The coordinator's URL can carry a password. */
const SECRET_KEYS = ['secret', 'secretKey', 'credentialKey', 'coordinator'];

function isSecret(path: readonly PropertyKey[]): boolean {
  return SECRET_KEYS.some((key) => path.includes(key));
}

function quote(raw: Tree, path: readonly PropertyKey[]): string {
  const value = lookUp(raw, path);
  if (typeof value !== 'string') return '';
  return `${JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value)} `;
}

/** The line of the value, or of the nearest section around it that is there. */
function lineOf(tree: ConfigTree, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const line = tree.lines.get(formatPath(path.slice(0, length)));
    if (line !== undefined) return line;
  }
  return undefined;
}

function inFileOrder(faults: readonly ConfigFault[]): ConfigFault[] {
  const sorted = [...faults].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  if (sorted.length <= FAULTS_SHOWN_MAX) return sorted;
  const rest = sorted.length - FAULTS_SHOWN_MAX;
  return [
    ...sorted.slice(0, FAULTS_SHOWN_MAX),
    { path: '', message: `and ${rest} more faults`, expected: 'a file without faults' },
  ];
}

function toConfig(checked: CheckedConfig, path: string, raw: Tree): Config {
  const nodes = checked.nodes.map(
    (node): NodeConfig => ({
      ...node,
      listen: {
        s3: node.listen.s3 ?? node.s3,
        peer: node.listen.peer ?? node.peer,
        admin: node.listen.admin ?? node.admin,
      },
    }),
  );
  const { name, revision, secret, credentialKey = [], coordinator, copies, lease, region, domains } = checked.cluster;
  const { s3 = null, peer = null, admin = null } = checked.tls;
  const { minFree } = checked.storage;
  return {
    path,
    cluster: {
      name,
      revision,
      secrets: secret,
      credentialKeys: credentialKey,
      coordinator,
      copies,
      leaseMs: lease,
      region,
      domains,
    },
    nodes,
    credentials: checked.credentials.map(toCredential),
    tls: { s3, peer, admin },
    storage: { minFreePercent: minFree.percent, minFreeBytes: minFree.bytes },
    rebalance: {
      mode: checked.rebalance.mode,
      concurrency: checked.rebalance.concurrency,
      bandwidthBytesPerSecond: checked.rebalance.bandwidth,
    },
    retention: { priorCopyMs: checked.retention.priorCopy },
    replication: { everyMs: checked.replication.every, concurrency: checked.replication.concurrency },
    snapshots: { everyMs: checked.snapshots.every, keep: checked.snapshots.keep },
    defaults: { objectOwnership: checked.defaults.objectOwnership, lifecycleDayMs: checked.defaults.lifecycleDay },
    log: checked.log,
    mapContentHash: mapContentHash(raw, { name, copies, leaseMs: lease }, nodes),
  };
}

function toCredential(credential: CheckedConfig['credentials'][number]): Credential {
  const canonicalId = credential.canonicalId ?? defaultCanonicalId(credential.accessKey);
  return {
    accessKey: credential.accessKey,
    secretKeys: credential.secretKey,
    displayName: credential.displayName ?? credential.accessKey,
    canonicalId,
    email: credential.email ?? null,
    account: credential.account ?? canonicalId,
    allow: credential.allow,
  };
}

/** One line per fault: `line 7: nodes[2].weight: "0" is too small (expected …)`. */
export function formatFault(fault: ConfigFault): string {
  const place = fault.line === undefined ? '' : `line ${fault.line}: `;
  const path = fault.path === '' ? '' : `${fault.path}: `;
  return `${place}${path}${fault.message} (expected ${fault.expected})`;
}

export function configInvalid(path: string, faults: readonly ConfigFault[]): ZringError {
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
  const lines = faults.map((fault) => `\n  ${formatFault(fault)}`).join('');
  return new ZringError('CONFIG_INVALID', `${path} has ${count}:${lines}`, { subject: path, details: faults });
}

/** The entry of the node that this process is. */
export function requireNode(config: Config, id: string | undefined): NodeConfig {
  const known = config.nodes.map((node) => node.id);
  const found = config.nodes.find((node) => node.id === id);
  if (found) return found;
  const near = id === undefined ? null : suggest(id, known);
  const hint = near === null ? `known: ${known.slice(0, 20).join(', ')}` : `did you mean "${near}"?`;
  const message =
    id === undefined ? 'no node id given: use --node ID or ZRING_NODE' : `no node "${id}" in ${config.path}`;
  throw new ZringError('CONFIG_INVALID', `${message}; ${hint}`, { subject: resolve(config.path) });
}
