// A whole cluster in namespaces: network, Redis, nodes with their storage, configuration files, and what can be seen of it
// from outside. Owns all of them; `close` ends them. Must run inside `unshare --net --mount --pid` (run.ts sees to it), so
// that the kernel ends and removes whatever is left when this process is gone, however it went.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DatasetStatus } from '../../../src/admin/types.ts';
import type { RunSettings } from '../plan.ts';
import { type AdminClient, createAdminClient } from './admin.ts';
import { CLUSTER_SECRET, createLabConfig, type LabConfig, S3_PORT } from './config.ts';
import { openNetwork } from './network.ts';
import { createLabNode, type LabNode } from './node.ts';
import { type LabRedis, startLabRedis } from './redis.ts';

export const REDIS_IP = '10.77.0.2';
export const IMPOSTOR_IP = '10.77.0.40';
const POLL_MS = 100;
/** Many wait for records at the same time: they share one reading of this age at most. */
const RECORDS_MS = 150;

export interface Lab {
  readonly folder: string;
  readonly logFolder: string;
  readonly cutFolder: string;
  readonly main: string;
  readonly settings: RunSettings;
  readonly nodes: readonly LabNode[];
  readonly redis: LabRedis;
  readonly config: LabConfig;
  readonly admin: AdminClient;
  /** By index; any whole number will do. */
  nodeAt(index: number): LabNode;
  node(id: string): LabNode;
  /** Records as some node has them that answers; null when none does. */
  datasets(): Promise<readonly DatasetStatus[] | null>;
  url(node: LabNode): string;
  /** Polls; null when it did not hold within the time. Throws nothing: a read that fails has not held. */
  until<T>(limitMs: number, read: () => Promise<T | null>): Promise<T | null>;
  close(): Promise<void>;
}

export interface LabOptions {
  /** On a file system that may vanish; for storage. */
  readonly folder: string;
  /** For what is kept: logs. */
  readonly logFolder: string;
  readonly settings: RunSettings;
  readonly main: string;
  readonly zfsProgram: string;
  readonly poolMiB?: number;
}

export async function createLab(options: LabOptions): Promise<Lab> {
  const { folder, logFolder, settings, main } = options;
  const [confFolder, cutFolder] = [join(folder, 'conf'), join(folder, 'cuts')];
  for (const made of [confFolder, cutFolder, join(folder, 'redis')]) await mkdir(made, { recursive: true });
  await openNetwork();
  const redis = await startLabRedis(join(folder, 'redis'), REDIS_IP);
  const nodes: LabNode[] = [];
  const ids = Array.from({ length: settings.nodes }, (_, i) => String.fromCharCode(97 + i));
  const config = createLabConfig(
    confFolder,
    redis.url,
    settings,
    ids.map((id, i) => ({ id, ip: `10.77.0.${11 + i}`, storage: `zfs:tank${id}/zring` })),
  );
  const admin = createAdminClient(CLUSTER_SECRET);

  const records = createRecordsReader(nodes, admin);
  const lab: Lab = {
    folder,
    logFolder,
    cutFolder,
    main,
    settings,
    nodes,
    redis,
    config,
    admin,
    nodeAt(index) {
      const node = nodes[index % nodes.length];
      if (!node) throw new RangeError(`no node ${index}`);
      return node;
    },
    node(id) {
      const node = nodes.find((candidate) => candidate.id === id);
      if (!node) throw new RangeError(`no node ${id}`);
      return node;
    },
    datasets: () => records.read(),
    url: (node) => `http://${node.ip}:${S3_PORT}`,
    async until(limitMs, read) {
      const end = performance.now() + limitMs;
      for (;;) {
        const value = await read().catch(() => null);
        if (value !== null) return value;
        if (performance.now() > end) return null;
        await delay(POLL_MS);
      }
    },
    async close() {
      await Promise.all(nodes.map((node) => node.close()));
      await redis.close();
    },
  };

  try {
    for (const { id, ip } of config.entries) {
      const configPath = config.path(id);
      const { zfsProgram } = options;
      const poolMiB = options.poolMiB ?? 256;
      nodes.push(await createLabNode({ folder, id, ip, poolMiB, main, configPath, logFolder, cutFolder, zfsProgram }));
    }
    await config.change(() => {});
    for (const node of nodes) node.start();
    for (const node of nodes) {
      const ready = await lab.until(60_000, async () => (await admin.ready(node.ip)) || null);
      if (!ready) throw new Error(`node ${node.id} did not get ready: see ${logFolder}`);
    }
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** Asks one node, the one that answered last, and the others only when it does not. */
function createRecordsReader(nodes: readonly LabNode[], admin: AdminClient) {
  let reading: Promise<readonly DatasetStatus[] | null> | null = null;
  let beganMs = Number.NEGATIVE_INFINITY;
  let favourite = 0;

  async function ask(): Promise<readonly DatasetStatus[] | null> {
    for (let i = 0; i < nodes.length; i += 1) {
      const at = (favourite + i) % nodes.length;
      const node = nodes[at];
      if (!node?.isUp()) continue;
      const answer = await admin.datasets(node.ip).catch(() => null);
      if (!answer) continue;
      favourite = at;
      return answer.datasets;
    }
    return null;
  }

  return {
    read(): Promise<readonly DatasetStatus[] | null> {
      if (!reading || performance.now() - beganMs > RECORDS_MS) {
        beganMs = performance.now();
        reading = ask();
      }
      return reading;
    },
  };
}
