// `zring demo`: a working cluster on this machine with one command. Everything it needs lies in one folder; stopping and
// starting again finds the data; a node added to the file is started when its revision grows.
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { defineCommand } from 'citty';
import type { ClusterStatus } from '../admin/types.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import { acquireExclusiveLock, type Lock } from '../common/lock.ts';
import { loadConfig, watchConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { connectAdmin } from './admin-client.ts';
import { ensureDemoFiles, isFree } from './demo-files.ts';
import { formatError, print, printError } from './output.ts';
import { createSupervisor, type Supervisor } from './supervisor.ts';

/** How often the map is asked whether it has let a node go. */
const POLL_MS = 500;

export const demoCommand = defineCommand({
  meta: { name: 'demo', description: 'A working cluster on this machine, with its data in one folder' },
  args: {
    dir: { type: 'string', default: './zring-demo', description: 'Folder for configuration, secrets and data' },
    nodes: { type: 'string', default: '3', description: 'Nodes of a new demo (an existing one keeps its file)' },
    storage: {
      type: 'string',
      default: 'dir',
      description: '`dir`, or `zfs:DATASET` (an existing dataset; each node gets a child of it)',
    },
    redis: { type: 'string', description: 'Redis URL (default: embedded, no Redis needed)', valueHint: 'url' },
  },
  async run({ args, rawArgs }) {
    if (args.storage !== 'dir' && !/^zfs:[^/\s].*$/.test(args.storage)) {
      throw new ZringError('CONFIG_INVALID', '--storage takes `dir` or `zfs:DATASET`, for example zfs:tank/demo', {
        subject: args.storage,
      });
    }
    const folder = resolve(args.dir);
    await mkdir(folder, { recursive: true });
    const locks = [await lockFolder(folder)];
    try {
      const { path, created, claims } = await ensureDemoFiles({
        folder,
        nodes: Number(args.nodes),
        storage: args.storage,
        redis: args.redis ?? null,
      });
      locks.push(...claims);
      const unused = created ? [] : rawArgs.filter((word) => /^--(nodes|storage|redis)(=|$)/.test(word));
      if (unused.length > 0) print(`${unused.join(' ')} is for new demos: this one is what ${path} says`);
      await runDemo(path, folder, created);
    } finally {
      for (const lock of locks) await lock.release();
    }
  },
});

async function lockFolder(folder: string): Promise<Lock> {
  try {
    return await acquireExclusiveLock(join(folder, 'lock'));
  } catch (error) {
    if (!isZringError(error, 'LOCKED')) throw error;
    const { pid } = (error.details ?? {}) as { pid?: number | null };
    const who = pid ? ` (process ${pid})` : '';
    throw new ZringError('LOCKED', `the demo in ${folder} is running already${who}; stop it, or use another --dir`, {
      cause: error,
    });
  }
}

async function runDemo(path: string, folder: string, created: boolean): Promise<void> {
  const config = loadConfig(path, process.env);
  await requireFreePorts(config);
  print(`${created ? 'new' : 'existing'} demo cluster in ${folder}: starting ${config.nodes.length} nodes …`);
  const supervisor = createSupervisor({
    main: process.argv[1] ?? '',
    configPath: path,
    logFolder: join(folder, 'logs'),
    onExit: (id, reason) => {
      const log = join(folder, 'logs', `${id}.log`);
      print(`node ${id} stopped (${lastWords(log) ?? reason}); starting it again. Log: ${log}`);
    },
  });
  const stopped = new AbortController();
  // For good, not once: Ctrl-C in a terminal comes twice when npm passes its own on.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort());
  const end = new Promise<void>((done) => stopped.signal.addEventListener('abort', () => done()));
  try {
    await supervisor.ensure(config.nodes);
    const ready = Promise.all(config.nodes.map((node) => supervisor.ready(node)));
    await Promise.race([ready, end]);
    if (stopped.signal.aborted) return;
    print(firstSession(config, folder));
    let following = new AbortController();
    const watcher = watchConfig(path, process.env, {
      current: config,
      onChange(next) {
        following.abort();
        following = new AbortController();
        const signal = AbortSignal.any([following.signal, stopped.signal]);
        void follow(supervisor, next, signal).catch((error) => signal.aborted || printError(error));
      },
      // Until the file is mended nothing changes; the demo itself is well.
      onFault: (error) => process.stderr.write(`${formatError(error)}\n`),
    });
    await end;
    watcher.close();
  } finally {
    print('\nstopping …');
    await supervisor.stop();
    print('stopped; the data is kept. Start again with the same command.');
  }
}

/** Starts nodes that are new in the file, and stops those that left it once the map has let them go. */
async function follow(supervisor: Supervisor, config: Config, signal: AbortSignal): Promise<void> {
  const before = new Set(supervisor.running());
  await supervisor.ensure(config.nodes);
  for (const node of config.nodes) {
    if (before.has(node.id)) continue;
    await supervisor.ready(node);
    print(`node ${node.id} is ready: S3 on http://${node.s3.host}:${node.s3.port}`);
  }
  const left = [...before].filter((id) => config.nodes.every((node) => node.id !== id));
  if (left.length === 0) return;
  // Until then a node may own buckets: the map refuses to lose it, and `zring status` says what it holds.
  for (let map = await readMap(config); left.some((id) => map.has(id)); map = await readMap(config)) {
    await delay(POLL_MS, undefined, { signal });
  }
  for (const id of left) {
    await supervisor.stopNode(id);
    print(`node ${id} has left the cluster and is stopped; its folder is kept`);
  }
}

/** Ids of the map's nodes, once it is the file's; everything counts as in use as long as nobody can tell. */
async function readMap(config: Config): Promise<{ has(id: string): boolean }> {
  try {
    const status = (await connectAdmin({ config: config.path }).get('/status')) as ClusterStatus;
    if (status.revision >= config.cluster.revision) return new Set(status.nodes.map(({ id }) => id));
  } catch (error) {
    if (!isZringError(error)) throw error;
  }
  return { has: () => true };
}

/** What a program that ended by itself said last, for people. */
function lastWords(log: string): string | null {
  const last = readFileSync(log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  return /^zring: (.*)$/.exec(last)?.[1] ?? null;
}

async function requireFreePorts(config: Config): Promise<void> {
  for (const node of config.nodes) {
    for (const { port } of [node.listen.s3, node.listen.peer, node.listen.admin]) {
      if (await isFree(port)) continue;
      throw new ZringError(
        'CONFIG_INVALID',
        `port ${port} of node ${node.id} is in use by another program: stop it, or change the port in ${config.path}`,
      );
    }
  }
}

function firstSession(config: Config, folder: string): string {
  const [first] = config.nodes;
  const [credential] = config.credentials;
  const url = `http://${first?.s3.host}:${first?.s3.port}`;
  const endpoints = config.nodes.map((node) => `http://${node.s3.host}:${node.s3.port}`).join('  ');
  return `
ready. S3 on every node: ${endpoints}

Paste into another terminal:

  export AWS_ENDPOINT_URL=${url} AWS_ACCESS_KEY_ID=${credential?.accessKey} AWS_SECRET_ACCESS_KEY=${credential?.secretKeys[0]} AWS_REGION=${config.cluster.region} AWS_DEFAULT_REGION=${config.cluster.region}

  aws --endpoint-url ${url} s3 mb s3://photos
  aws --endpoint-url ${url} s3 cp README.md s3://photos/
  aws --endpoint-url ${url} s3 ls s3://photos/
  npx zring status --config ${config.path}

Grow it: add a node to ${config.path} and raise its revision. Logs: ${folder}/logs. Ctrl-C stops it; the data stays.`;
}
