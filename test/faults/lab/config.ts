// The configuration of the lab's cluster as one value, and one file a node: files reach the machines of a real cluster one
// after another, so two revisions meet while they do. Owns the value; writes the files.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { RunSettings } from '../plan.ts';

export const CREDENTIALS = { accessKey: 'admin', secretKey: 'secret-key-of-the-fault-lab' };
export const CLUSTER_SECRET = 'cluster-secret-of-the-fault-lab-0123456789';
export const S3_PORT = 9000;

export interface NodeEntry {
  readonly id: string;
  readonly ip: string;
  readonly storage: string;
  weight: number;
  state: 'up' | 'draining';
}

export interface LabConfig {
  readonly entries: readonly NodeEntry[];
  path(id: string): string;
  /** Raises the revision and writes the files in this order. */
  change(edit: (entries: readonly NodeEntry[]) => void, order?: readonly string[]): Promise<void>;
  /** As node `id` has it, but for another place: what a machine cloned by mistake would have. */
  writeImpostor(id: string, impostor: { ip: string; storage: string }): Promise<string>;
}

export function createLabConfig(
  folder: string,
  coordinator: string,
  settings: RunSettings,
  nodes: readonly { id: string; ip: string; storage: string }[],
): LabConfig {
  const entries: NodeEntry[] = nodes.map(({ id, ip, storage }) => ({ id, ip, storage, weight: 1, state: 'up' }));
  let revision = 0;

  const content = (listen?: { id: string; ip: string; storage: string }) =>
    stringify({
      cluster: { name: 'lab', revision, secret: CLUSTER_SECRET, coordinator, lease: `${settings.leaseMs}ms` },
      nodes: entries.map(({ id, ip, storage, weight, state }) => ({
        id,
        zone: `rack-${id}`,
        weight,
        state,
        storage: listen?.id === id ? listen.storage : storage,
        s3: `${ip}:${S3_PORT}`,
        peer: `${ip}:9001`,
        admin: `${ip}:9002`,
        ...(listen?.id === id && {
          listen: { s3: `${listen.ip}:${S3_PORT}`, peer: `${listen.ip}:9001`, admin: `${listen.ip}:9002` },
        }),
      })),
      credentials: [{ ...CREDENTIALS, allow: [{ buckets: '*', actions: '*' }] }],
      rebalance: { mode: settings.mode, concurrency: 4 },
      retention: { priorCopy: `${Math.round(settings.priorCopyMs / 1000)}s` },
      storage: { minFree: '4MiB' },
    });

  async function write(path: string, text: string): Promise<void> {
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  const config: LabConfig = {
    entries,
    path: (id) => join(folder, `${id}.yaml`),
    async change(edit, order = entries.map(({ id }) => id)) {
      edit(entries);
      revision += 1;
      const text = content();
      for (const id of order) await write(config.path(id), text);
    },
    async writeImpostor(id, { ip, storage }) {
      const path = join(folder, `impostor-${id}.yaml`);
      await write(path, content({ id, ip, storage }));
      return path;
    },
  };
  return config;
}
