// Nodes that keep credentials, over one coordinator in memory: a keeper and its disk each. A disk outlives its keeper.
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import { CredentialKeeper } from '../../src/cluster/credential-keeper.ts';
import type { CredentialProfile } from '../../src/cluster/credential-record.ts';
import { seal, sealKeys, transportContext } from '../../src/cluster/credential-seal.ts';
import type { DurableChange, DurableMap } from '../../src/common/durable-map.ts';
import { ZringError } from '../../src/common/errors.ts';
import type { Credential } from '../../src/config/types.ts';
import { type Logger, silentLogger } from '../../src/telemetry/log.ts';
import { createMemoryCluster } from './memory-coordinator.ts';

export const KEY = 'key-of-the-credential-tests-0123456789';
export const OTHER_KEY = 'another-key-of-the-tests-0123456789abcd';
export const CLUSTER = 'lab';

export const PROFILE: CredentialProfile = {
  displayName: 'me',
  canonicalId: 'id-of-me',
  email: null,
  account: 'id-of-me',
  allow: [{ buckets: 'photos-*', actions: 'read' }],
};

export class MapDisk implements DurableMap {
  readonly content = new Map<string, string>();
  full = false;

  get(key: string): string | undefined {
    return this.content.get(key);
  }

  entries(prefix: string): Iterable<readonly [string, string]> {
    return [...this.content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async commit(changes: readonly DurableChange[] | ReadonlyMap<string, string | null>): Promise<void> {
    if (this.full) throw new ZringError('STORAGE_FULL', 'the disk is full');
    for (const { key, value } of changes as readonly DurableChange[]) {
      if (value === null) this.content.delete(key);
      else this.content.set(key, value);
    }
  }

  async close(): Promise<void> {}
}

export interface CredentialNode {
  keeper: CredentialKeeper;
  readonly disk: MapDisk;
  readonly coordinator: Coordinator;
}

export interface NodeOptions {
  readonly keys?: readonly string[];
  readonly configured?: readonly Credential[];
  readonly disk?: MapDisk;
  readonly pollMs?: number;
  /** Hints never arrive. */
  readonly deaf?: boolean;
  readonly logger?: Logger;
  readonly start?: boolean;
}

export class CredentialNodes {
  readonly memory = createMemoryCluster();
  /** Of all nodes; tests move it. */
  wallMs = 1_700_000_000_000;
  readonly #all: CredentialNode[] = [];

  async node(options: NodeOptions = {}): Promise<CredentialNode> {
    const disk = options.disk ?? new MapDisk();
    const coordinator = this.memory.connect();
    if (options.deaf) coordinator.onHint = () => () => {};
    const keeper = new CredentialKeeper({
      cluster: CLUSTER,
      coordinator,
      disk,
      clock: { wallMs: () => this.wallMs, monotonicMs: () => performance.now() },
      logger: options.logger ?? silentLogger(),
      pollMs: options.pollMs ?? 0,
    });
    keeper.configure(options.configured ?? [], options.keys ?? [KEY]);
    if (options.start !== false) await keeper.start();
    const node = { keeper, disk, coordinator };
    this.#all.push(node);
    return node;
  }

  async close(): Promise<void> {
    for (const { keeper, coordinator } of this.#all) {
      await keeper.close();
      await coordinator.close();
    }
  }
}

export function add(node: CredentialNode, accessKey: string, secret = `secret of ${accessKey}`, profile = PROFILE) {
  return node.keeper.change(accessKey, () => ({ state: 'active', profile, secrets: [secret] }));
}

export function remove(node: CredentialNode, accessKey: string) {
  return node.keeper.change(accessKey, () => ({ state: 'removed' }));
}

/** Access key → secrets of those that count. */
export function working(node: CredentialNode): Record<string, readonly string[]> {
  return Object.fromEntries(node.keeper.list().map(({ accessKey, secretKeys }) => [accessKey, secretKeys]));
}

/** A secret as the command line sends it. */
export function onItsWay(accessKey: string, secret: string, key = KEY): string {
  const [first] = sealKeys([key]);
  if (!first) throw new Error('no key');
  return seal(first, secret, transportContext(CLUSTER, accessKey));
}
