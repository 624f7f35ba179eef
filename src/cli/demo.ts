// `zring demo`: a working cluster on this machine with one command. Everything it needs lies in one folder; stopping and
// starting again finds the data; a node added to the file is started when its revision grows.
import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { ZringError } from '../common/errors.ts';
import { loadConfig, watchConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { ensureDemoFiles, isFree } from './demo-files.ts';
import { print, printError } from './output.ts';
import { createSupervisor, type Supervisor } from './supervisor.ts';

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
  async run({ args }) {
    if (args.storage !== 'dir' && !/^zfs:[^/\s].*$/.test(args.storage)) {
      throw new ZringError('CONFIG_INVALID', '--storage takes `dir` or `zfs:DATASET`, for example zfs:tank/demo', {
        subject: args.storage,
      });
    }
    const folder = resolve(args.dir);
    const { path, created } = await ensureDemoFiles({
      folder,
      nodes: Number(args.nodes),
      storage: args.storage,
      redis: args.redis ?? null,
    });
    await runDemo(path, folder, created);
  },
});

async function runDemo(path: string, folder: string, created: boolean): Promise<void> {
  const config = loadConfig(path, process.env);
  await requireFreePorts(config);
  print(`${created ? 'new' : 'existing'} demo cluster in ${folder}: starting ${config.nodes.length} nodes …`);
  const supervisor = createSupervisor({
    main: process.argv[1] ?? '',
    configPath: path,
    logFolder: resolve(folder, 'logs'),
    onExit: (id, reason) => print(`node ${id} stopped (${reason}); starting it again. Log: ${folder}/logs/${id}.log`),
  });
  const stopped = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  try {
    await supervisor.ensure(config.nodes);
    const outcome = await Promise.race([
      Promise.all(config.nodes.map((node) => supervisor.ready(node))).then(() => 'ready' as const),
      stopped.then(() => 'stopped' as const),
    ]);
    if (outcome === 'stopped') return;
    print(firstSession(config, folder));
    const watcher = watchConfig(path, process.env, {
      onChange: (next) => void follow(supervisor, next).catch(printError),
      onFault: printError,
    });
    await stopped;
    watcher.close();
  } finally {
    print('\nstopping …');
    await supervisor.stop();
    print('stopped; the data is kept. Start again with the same command.');
  }
}

/** A node that left the file is stopped only when the others' map has let it go (it owns nothing any more). */
async function follow(supervisor: Supervisor, config: Config): Promise<void> {
  const before = new Set(supervisor.running());
  await supervisor.ensure(config.nodes);
  for (const node of config.nodes) {
    if (before.has(node.id)) continue;
    await supervisor.ready(node);
    print(`node ${node.id} is ready: S3 on http://${node.s3.host}:${node.s3.port}`);
  }
}

async function requireFreePorts(config: Config): Promise<void> {
  for (const node of config.nodes) {
    for (const { port } of [node.listen.s3, node.listen.peer, node.listen.admin]) {
      if (await isFree(port)) continue;
      throw new ZringError(
        'CONFIG_INVALID',
        `port ${port} of node ${node.id} is in use. Is the demo running already? Else change it in ${config.path}`,
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
