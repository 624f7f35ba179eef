// The embedded coordinator under the contract, twice: where one connection is the host itself, and where the host is
// another process that is killed with -9 whenever the coordinator is to stop.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Coordinator } from '../../../src/cluster/coordinator.ts';
import { openEmbeddedCoordinator } from '../../../src/cluster/embedded-coordinator.ts';
import { type EmbeddedHost, HOST_FILES, openEmbeddedHost } from '../../../src/cluster/embedded-host.ts';
import { ZringError } from '../../../src/common/errors.ts';
import {
  embeddedOptions,
  type HostProcess,
  openClientOnly,
  startHostProcess,
  startSocketProxy,
} from '../../support/embedded.ts';
import { credentialContract } from './credential-suite.ts';
import { availability, coordinatorContract, type Harness } from './suite.ts';

function contracts(name: string, open: () => Promise<Harness>): void {
  coordinatorContract(name, open);
  credentialContract(name, open);
}

contracts('embedded, host and client', async () => {
  let host: EmbeddedHost | null = null;
  let isDown = false;
  const openHost: typeof openEmbeddedHost = async (folder, options) => {
    if (isDown) throw new ZringError('LOCKED', 'stopped by the test');
    host = await openEmbeddedHost(folder, options);
    return host;
  };
  return harness({
    first: (folder) => openEmbeddedCoordinator(folder, { ...embeddedOptions, openHost }),
    async stop() {
      isDown = true;
      await host?.close();
    },
    async start() {
      isDown = false;
    },
  });
});

contracts('embedded, clients of another process', async () => {
  let process: HostProcess | null = null;
  return harness({
    async start(folder) {
      process = await startHostProcess(folder);
    },
    async stop() {
      await process?.kill();
      process = null;
    },
  });
});

interface Host {
  /** What the first connection is; others are clients only. */
  first?(folder: string): Promise<Coordinator>;
  start(folder: string): Promise<void>;
  stop(): Promise<void>;
}

async function harness(host: Host): Promise<Harness> {
  const root = await mkdtemp(join(tmpdir(), 'zring-embedded-'));
  const folder = join(root, 'coordinator');
  const state = join(folder, HOST_FILES.state);
  const connections: Coordinator[] = [];
  await host.start(folder);

  const stop = async () => {
    const lost = connections.map((connection) => availability(connection, false));
    await host.stop();
    await Promise.all(lost);
  };
  const start = async () => {
    const found = connections.map((connection) => availability(connection, true));
    await host.start(folder);
    await Promise.all(found);
  };
  return {
    async connect() {
      const isFirst = connections.length === 0;
      const coordinator = await (isFirst && host.first ? host.first(folder) : openClientOnly(folder));
      connections.push(coordinator);
      const close = coordinator.close.bind(coordinator);
      coordinator.close = () => {
        if (connections.includes(coordinator)) connections.splice(connections.indexOf(coordinator), 1);
        return close();
      };
      return coordinator;
    },
    stop,
    start,
    async flush() {
      await stop();
      await rm(state);
      await start();
    },
    async loseWritesOf(work) {
      await stop();
      await copyFile(state, `${state}-old`);
      await start();
      await work();
      await stop();
      await copyFile(`${state}-old`, state);
      await start();
    },
    async withoutReplies(work) {
      const proxy = await startSocketProxy(folder, join(root, 'proxy'));
      const coordinator = await openClientOnly(proxy.folder, { callTimeoutMs: 1500 });
      const lost = availability(coordinator, false);
      proxy.swallowReplies();
      await work(coordinator);
      await lost;
      await coordinator.close();
      await proxy.close();
    },
    async close() {
      await Promise.all([...connections].map((connection) => connection.close()));
      await host.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}
