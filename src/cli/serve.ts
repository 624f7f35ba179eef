// `zring serve`: one node, until SIGTERM or SIGINT. SIGHUP reads the configuration again.

import { setTimeout as delay } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { isZringError, ZringError } from '../common/errors.ts';
import { loadConfig } from '../config/load.ts';
import { type RunningNode, startNode } from '../node.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';
import { findConfig } from './admin-client.ts';
import { printError } from './output.ts';

export const serveCommand = defineCommand({
  meta: { name: 'serve', description: 'Run one node of the cluster' },
  args: {
    config: {
      type: 'string',
      alias: 'c',
      description: 'Configuration file (default: as for zring status)',
      valueHint: 'file',
    },
    node: {
      type: 'string',
      description: 'Which node of the file this process is (default: $ZRING_NODE)',
      valueHint: 'id',
    },
  },
  async run({ args }) {
    const config = loadConfig(findConfig(args.config), process.env);
    const id = args.node ?? process.env.ZRING_NODE;
    if (!id)
      throw new ZringError('CONFIG_INVALID', 'say which node this is: --node ID, or ZRING_NODE in the environment');
    const log = createLogger({ level: config.log.level, node: id });
    const stop = stopRequested();
    const node = await startNode(config, id, log).catch((error: unknown) => {
      log.fatal({ err: error, code: isZringError(error) ? error.code : undefined }, 'the node could not start');
      printError(error);
      // Whatever was half started, the channel to a supervisor included, shall not keep a node that cannot serve.
      return isZringError(error) && hangs(error) ? endNow() : process.exit(1);
    });
    process.on('SIGHUP', () => node.reload());
    log.info({ ...node.addresses, cluster: config.cluster.name }, 'node is serving');
    const ending = await Promise.race([stop, node.storageLost().then((lost) => ({ lost }))]);
    if (typeof ending === 'object') return endWithoutStorage(node, log, ending.lost);
    log.info({ reason: ending }, 'stopping');
    const stopped = node.stop().then(() => true);
    const hung = node.silence().then(() => delay(HUNG_STOP_MS, false));
    if (!(await Promise.race([stopped, hung]))) {
      log.fatal('the storage does not answer: this process ends without closing it; what was acknowledged is on it');
      endNow();
    }
    log.info('stopped');
    // Nothing is left to do; a forgotten timer shall not keep the process.
    process.exit(0);
  },
});

/** Whoever still waits for another node's answer gets it; the stores of this one cannot be closed. */
const HUNG_STOP_MS = 5_000;

/** EX_TEMPFAIL of sysexits(3): whoever starts this process again does right. Named in docs/OPERATIONS.md. */
const STORAGE_LOST_EXIT = 75;
/** Forwarded requests and the lease get this long; what the stores acknowledged is on the storage already. */
const LOST_STOP_MS = 10_000;

async function endWithoutStorage(node: RunningNode, log: Logger, reason: string): Promise<void> {
  log.fatal({ reason }, 'the storage was taken away beneath this node: this process ends itself, to be started again');
  await Promise.race([node.stop(), delay(LOST_STOP_MS)]);
  if (node.storageWaits()) endNow();
  process.exit(STORAGE_LOST_EXIT);
}

function hangs({ details }: ZringError): boolean {
  return typeof details === 'object' && details !== null && 'hangs' in details;
}

/** process.exit() waits for the threads of libuv's pool, and those that wait for the storage do not end. */
function endNow(): never {
  process.kill(process.pid, 'SIGKILL');
  return process.exit(1);
}

/** A supervisor that is gone (closed channel) is a request to stop too: nobody would restart or stop this process. */
function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve('SIGTERM'));
    process.on('SIGINT', () => resolve('SIGINT'));
    if (process.connected) process.once('disconnect', () => resolve('the supervisor is gone'));
  });
}
