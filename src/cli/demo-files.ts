// The folder of a demo cluster: a visible zring.yaml, secrets in files of mode 0600, one storage root a node. Made once;
// afterwards only read, so that whatever the user edits stays.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isZringError, ZringError } from '../common/errors.ts';
import { acquireExclusiveLock, type Lock } from '../common/lock.ts';
import { loadConfig } from '../config/load.ts';
import { openDriver } from '../dataset/open-driver.ts';
import { silentLogger } from '../telemetry/log.ts';

export const DEMO_NODES_MAX = 26;
const PORT_FIRST = 9000;
const PORT_STEP = 10;
const PORT_LAST = 19_990;

export interface DemoOptions {
  readonly folder: string;
  readonly nodes: number;
  /** `dir`, or `zfs:DATASET` below which each node gets a child. */
  readonly storage: string;
  /** null = embedded coordinator. */
  readonly redis: string | null;
}

export interface DemoFiles {
  readonly path: string;
  /** Whether it was made now. */
  readonly created: boolean;
  /** The ports chosen now, as long as their nodes may not have bound them. */
  readonly claims: readonly Lock[];
}

/** Writes the folder when there is no configuration yet. */
export async function ensureDemoFiles(options: DemoOptions): Promise<DemoFiles> {
  const path = join(options.folder, 'zring.yaml');
  if (existsSync(path)) return { path, created: false, claims: [] };
  if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > DEMO_NODES_MAX) {
    throw new ZringError('CONFIG_INVALID', `--nodes takes a whole number from 1 to ${DEMO_NODES_MAX}`);
  }
  await mkdir(join(options.folder, 'secrets'), { recursive: true, mode: 0o700 });
  await mkdir(join(options.folder, 'data'), { recursive: true });
  await writeSecret(join(options.folder, 'secrets', 'cluster'), randomBytes(32).toString('hex'));
  await writeSecret(join(options.folder, 'secrets', 'admin'), randomBytes(20).toString('hex'));
  await writeSecret(join(options.folder, 'secrets', 'credentials'), randomBytes(32).toString('hex'));
  const claims: Lock[] = [];
  const ports = await chooseBasePorts(options.nodes, claims);
  // Under its name last, and only when it is good: a folder without it is made again from the start, and one with it
  // keeps what it says.
  const draft = `${path}.new`;
  await writeFile(draft, configText(options, ports), { mode: 0o644 });
  await requireUsable(draft);
  await rename(draft, path);
  return { path, created: true, claims };
}

/** What was asked for cannot work: said now, rather than by nodes that start again and again. */
async function requireUsable(path: string): Promise<void> {
  const config = loadConfig(path, process.env);
  const [node] = config.nodes;
  if (node?.storage.kind !== 'zfs') return;
  const driver = await openDriver(node.storage, { logger: silentLogger(), cluster: config.cluster.name });
  await driver.shutdown();
}

async function writeSecret(path: string, value: string): Promise<void> {
  if (existsSync(path)) return;
  await writeFile(path, `${value}\n`, { flag: 'wx', mode: 0o600 });
}

function configText(options: DemoOptions, ports: readonly number[]): string {
  const nodes = ports.map((port, i) => {
    const id = String.fromCharCode(97 + i);
    const storage = options.storage === 'dir' ? `dir:./data/${id}` : `${options.storage}/${id}`;
    return (
      `  - { id: ${id}, zone: rack${i + 1}, weight: 1, storage: ${storage}, ` +
      `s3: 127.0.0.1:${port}, peer: 127.0.0.1:${port + 1}, admin: 127.0.0.1:${port + 2} }`
    );
  });
  return `# A demo cluster on this machine. To grow it: add a line below 'nodes' and raise 'revision'.
cluster:
  name: demo
  revision: 1
  secret: file:./secrets/cluster
  credentialKey: file:./secrets/credentials   # seals what 'zring credential add' keeps
  coordinator: ${options.redis ?? 'embedded'}
  lease: 10s
nodes:
${nodes.join('\n')}
credentials:
  - { accessKey: admin, secretKey: file:./secrets/admin, allow: [{ buckets: "*", actions: "*" }] }
`;
}

/** One base port a node whose next two are free too; busy ones, and those of a demo that is starting, are passed over. */
async function chooseBasePorts(count: number, claims: Lock[]): Promise<number[]> {
  const chosen: number[] = [];
  for (let port = PORT_FIRST; chosen.length < count; port += PORT_STEP) {
    if (port > PORT_LAST) throw new ZringError('CONFIG_INVALID', 'no free ports between 9000 and 19999 on 127.0.0.1');
    if (!(await claimPort(port, claims))) continue;
    if ((await isFree(port)) && (await isFree(port + 1)) && (await isFree(port + 2))) chosen.push(port);
  }
  return chosen;
}

/** Two demos that start together see the same ports free: nodes bind them only a second later. */
async function claimPort(port: number, claims: Lock[]): Promise<boolean> {
  const folder = join(tmpdir(), `zring-demo-ports-${process.getuid?.() ?? ''}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    claims.push(await acquireExclusiveLock(join(folder, String(port))));
    return true;
  } catch (error) {
    // Where no lock can be made, the port is only looked at.
    return !isZringError(error, 'LOCKED');
  }
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
