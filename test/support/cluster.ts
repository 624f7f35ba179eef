// A whole cluster for tests: real node processes with a configuration file, real Redis (or the embedded coordinator),
// and one storage root a node: a folder, or a zfs-fuse pool of its own in a mount namespace with its own boot id.
// Owns processes and folders; everything ends with `close`, by pid.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest, Agent as SecureAgent } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { S3Client } from '@aws-sdk/client-s3';
import { stringify } from 'yaml';
import { signAdminRequest } from '../../src/admin/auth.ts';
import type { ClusterStatus, DatasetStatus } from '../../src/admin/types.ts';
import type { TlsFiles } from '../../src/config/types.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { startZfsNamespace, type ZfsNamespace } from './zfs-fuse.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const ACCESS_KEY = 'admin';
export const SECRET_KEY = 'secret-key-of-the-cluster-tests';
const CLUSTER_SECRET = 'cluster-secret-of-the-cluster-tests-0123456789';
const POLL_MS = 50;
/**
 * In memory where there is a tmpfs: these tests kill processes and daemons, never the kernel, so nothing less is proven,
 * and a dozen nodes do not wait for one disk's flushes. ZRING_TEST_DISK=1 uses the disk.
 */
const STORAGE_BASE = process.env.ZRING_TEST_DISK !== '1' && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface ClusterOptions {
  readonly storage: 'dir' | 'zfs';
  readonly coordinator?: 'redis' | 'embedded';
  readonly nodes?: number;
  readonly lease?: string;
  /** Merged into the file below its top level, e.g. `{ rebalance: { mode: 'background' } }`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly poolMiB?: number;
  /** Of each bucket; default: the product's. */
  readonly copies?: number;
  /** Where its folder is made; default: in memory where there is a tmpfs. */
  readonly base?: string;
  /** TLS on all three listeners, mutual on the peer listener. */
  readonly tls?: Required<TlsFiles>;
}

export interface TestNode {
  readonly id: string;
  readonly s3Port: number;
  readonly peerPort: number;
  readonly adminPort: number;
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  readonly storage: string;
  /** Folder where the storage root is seen (inside the node's mount namespace for zfs). */
  readonly namespace: ZfsNamespace | null;
  readonly logPath: string;
}

interface NodeEntry {
  id: string;
  zone: string;
  weight: number;
  state?: 'up' | 'draining';
  storage: string;
  s3: string;
  peer: string;
  admin: string;
}

interface FileContent {
  cluster: Record<string, unknown> & { revision: number };
  nodes: NodeEntry[];
  credentials: unknown[];
  [key: string]: unknown;
}

export interface TestCluster {
  readonly folder: string;
  readonly configPath: string;
  readonly nodes: readonly TestNode[];
  readonly redis: RedisServer | null;
  node(id: string): TestNode;
  /** Makes storage and ports of one more node; it is in no file yet. */
  prepareNode(id: string): Promise<TestNode>;
  /** Starts the process and waits until it is ready. */
  start(id: string): Promise<void>;
  /** SIGTERM, and waits for the end. @returns the exit code. */
  stop(id: string): Promise<number | null>;
  /** SIGKILL, and waits for the end. */
  kill(id: string): Promise<void>;
  /** Waits for it to end by itself. @returns the exit code. */
  ended(id: string): Promise<number | null>;
  pid(id: string): number;
  /** Changes the file and raises its revision (unless told not to). */
  edit(change: (file: FileContent) => void, options?: { keepRevision?: boolean }): Promise<void>;
  entry(node: TestNode, change?: Partial<NodeEntry>): NodeEntry;
  admin(id: string, path: string, body?: unknown): Promise<unknown>;
  status(id: string): Promise<ClusterStatus>;
  datasets(id: string): Promise<readonly DatasetStatus[]>;
  /** Polls until the check holds on what it is given. Fails only with the test's own time limit. */
  until<T>(read: () => Promise<T>, holds: (value: T) => boolean, what: string): Promise<T>;
  client(id: string, options?: { maxAttempts?: number }): S3Client;
  log(id: string): Promise<string>;
  close(): Promise<void>;
}

export async function startCluster(options: ClusterOptions): Promise<TestCluster> {
  const folder = await mkdtemp(join(options.base ?? STORAGE_BASE, 'zring-cluster-'));
  const configPath = join(folder, 'zring.yaml');
  const redis = options.coordinator === 'embedded' ? null : await startRedis();
  const nodes: TestNode[] = [];
  const processes = new Map<string, ChildProcess>();
  const clients: S3Client[] = [];

  const file: FileContent = {
    cluster: {
      name: 'test',
      revision: 0,
      secret: CLUSTER_SECRET,
      coordinator: redis?.url ?? 'embedded',
      lease: options.lease ?? '5s',
      ...(options.copies !== undefined && { copies: options.copies }),
    },
    nodes: [],
    credentials: [{ accessKey: ACCESS_KEY, secretKey: SECRET_KEY, allow: [{ buckets: '*', actions: '*' }] }],
    ...(options.tls && { tls: tlsSection(options.tls) }),
    ...options.settings,
  };
  const ca = options.tls ? readFileSync(options.tls.caFile) : null;

  const cluster: TestCluster = {
    folder,
    configPath,
    nodes,
    redis,
    node(id) {
      const node = nodes.find((candidate) => candidate.id === id);
      if (!node) throw new Error(`no node ${id} in this cluster`);
      return node;
    },
    async prepareNode(id) {
      const dir = join(folder, id);
      await mkdir(dir);
      const namespace =
        options.storage === 'zfs'
          ? await startZfsNamespace({ dir, poolName: `tank${id}`, sizeMiB: options.poolMiB ?? 1024, bootId: true })
          : null;
      const [s3Port = 0, peerPort = 0, adminPort = 0] = await freePorts(3);
      const node: TestNode = {
        id,
        s3Port,
        peerPort,
        adminPort,
        endpoint: `${ca ? 'https' : 'http'}://127.0.0.1:${s3Port}`,
        storage: namespace ? `zfs:tank${id}/zring` : `dir:${join(dir, 'root')}`,
        namespace,
        logPath: join(folder, `${id}.log`),
      };
      nodes.push(node);
      return node;
    },
    entry: (node, change) => ({
      id: node.id,
      zone: `rack-${node.id}`,
      weight: 1,
      storage: node.storage,
      s3: `127.0.0.1:${node.s3Port}`,
      peer: `127.0.0.1:${node.peerPort}`,
      admin: `127.0.0.1:${node.adminPort}`,
      ...change,
    }),
    async edit(change, edit) {
      change(file);
      if (!edit?.keepRevision) file.cluster.revision += 1;
      // Replaced whole, as careful editors and configuration tools do.
      await writeFile(`${configPath}.new`, stringify(file), { mode: 0o600 });
      await rename(`${configPath}.new`, configPath);
    },
    async start(id) {
      const node = cluster.node(id);
      const child = spawnNode(node, configPath);
      processes.set(id, child);
      await untilReady(cluster, child, node, ca);
    },
    async stop(id) {
      const child = processes.get(id);
      processes.delete(id);
      return child ? end(child, 'SIGTERM') : null;
    },
    async kill(id) {
      const child = processes.get(id);
      processes.delete(id);
      if (child) await end(child, 'SIGKILL');
    },
    async ended(id) {
      const child = processes.get(id);
      processes.delete(id);
      if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      return child?.exitCode ?? null;
    },
    pid(id) {
      const pid = processes.get(id)?.pid;
      if (pid === undefined) throw new Error(`node ${id} is not running`);
      return pid;
    },
    admin: (id, path, body) => askAdmin(cluster.node(id), ca, path, body),
    status: async (id) => (await cluster.admin(id, '/status')) as ClusterStatus,
    datasets: async (id) => ((await cluster.admin(id, '/datasets')) as { datasets: DatasetStatus[] }).datasets,
    async until(read, holds, what) {
      for (let tries = 0; ; tries += 1) {
        const value = await read();
        if (holds(value)) return value;
        if (tries > 0 && tries % 600 === 0)
          process.stderr.write(`still waiting: ${what}: ${String(JSON.stringify(value)).slice(0, 300)}\n`);
        await delay(POLL_MS);
      }
    },
    client(id, clientOptions) {
      const client = new S3Client({
        endpoint: cluster.node(id).endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
        maxAttempts: clientOptions?.maxAttempts ?? 1,
        ...(ca && { requestHandler: { httpsAgent: new SecureAgent({ ca }) } }),
      });
      clients.push(client);
      return client;
    },
    log: (id) => readFile(cluster.node(id).logPath, 'utf8'),
    async close() {
      for (const client of clients) client.destroy();
      await Promise.all([...processes.values()].map((child) => end(child, 'SIGKILL')));
      await Promise.all(nodes.map(({ namespace }) => namespace?.stop()));
      await redis?.close();
      await rm(folder, { recursive: true, force: true });
    },
  };

  try {
    for (let i = 0; i < (options.nodes ?? 3); i += 1) await cluster.prepareNode(String.fromCharCode(97 + i));
    await cluster.edit((content) => {
      content.nodes = nodes.map((node) => cluster.entry(node));
    });
    await Promise.all(nodes.map(({ id }) => cluster.start(id)));
    return cluster;
  } catch (error) {
    const logs = await Promise.all(nodes.map(({ logPath }) => readFile(logPath, 'utf8').catch(() => '')));
    process.stderr.write(logs.map((text) => text.split('\n').slice(-30).join('\n')).join('\n---\n'));
    await cluster.close();
    throw error;
  }
}

/** The built program where `npm test` has built it, else the sources. */
export function programArguments(): string[] {
  if (process.env.ZRING_TEST_BUILT === '1') return [join(ROOT, 'dist/main.js')];
  return ['--import', 'tsx', join(ROOT, 'src/main.ts')];
}

function spawnNode(node: TestNode, configPath: string): ChildProcess {
  const args = [...programArguments(), 'serve', '--config', configPath, '--node', node.id];
  const options = { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] };
  const child = node.namespace
    ? node.namespace.spawnInside(process.execPath, args, options)
    : spawn(process.execPath, args, options);
  const log = createWriteStream(node.logPath, { flags: 'a' });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  child.once('close', () => log.end());
  return child;
}

async function untilReady(cluster: TestCluster, child: ChildProcess, node: TestNode, ca: Buffer | null): Promise<void> {
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  const ready = await cluster.until(
    async () => ended || (await httpStatus(node.adminPort, '/ready', ca).catch(() => 0)) === 200,
    (value) => value === true,
    `node ${node.id} to be ready`,
  );
  if (ended || !ready) throw new Error(`node ${node.id} ended: ${(await cluster.log(node.id)).slice(-4000)}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exited) as [number | null];
  return code;
}

function httpStatus(port: number, path: string, ca: Buffer | null): Promise<number> {
  const options: RequestOptions = { port, path, host: '127.0.0.1', agent: false, timeout: 5_000 };
  return new Promise((resolve, reject) => {
    const request = send(ca)({ ...options, ...(ca && { ca }) }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    request.once('timeout', () => request.destroy(new Error('timeout')));
    request.once('error', reject);
    request.end();
  });
}

/** The peer listener alone asks for certificates. */
function tlsSection(files: Required<TlsFiles>): unknown {
  const { certFile, keyFile, caFile } = files;
  return { s3: { certFile, keyFile }, peer: { certFile, keyFile, caFile }, admin: { certFile, keyFile } };
}

const send = (ca: Buffer | null) => (ca ? httpsRequest : httpRequest);

function askAdmin(node: TestNode, ca: Buffer | null, path: string, body?: unknown): Promise<unknown> {
  const method = body === undefined ? 'GET' : 'POST';
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = {
    authorization: signAdminRequest(CLUSTER_SECRET, method, path, Date.now(), text),
    'content-length': Buffer.byteLength(text),
  };
  return new Promise((resolve, reject) => {
    const request = send(ca)(
      { port: node.adminPort, host: '127.0.0.1', path, method, headers, agent: false, ...(ca && { ca }) },
      async (response) => {
        let answer = '';
        for await (const chunk of response) answer += chunk;
        if (response.statusCode === 200) resolve(JSON.parse(answer));
        else reject(new Error(`${method} ${path} on ${node.id}: ${response.statusCode} ${answer}`));
      },
    );
    request.once('error', reject);
    request.end(text);
  });
}

/**
 * Below the range that the kernel gives to outgoing connections, so that nobody takes a port between its choice and the
 * node's start (or while the node is down); random, so that test files side by side rarely meet.
 */
async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
    });
    if (free && !ports.includes(port)) ports.push(port);
  }
  return ports;
}
