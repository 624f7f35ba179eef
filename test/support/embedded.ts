// Embedded coordinators for tests: participants in this process, hosts in processes of their own, and what hurts them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Coordinator } from '../../src/cluster/coordinator.ts';
import { type EmbeddedCoordinatorOptions, openEmbeddedCoordinator } from '../../src/cluster/embedded-coordinator.ts';
import { ZringError } from '../../src/common/errors.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const HOST_PROGRAM = fileURLToPath(new URL('./embedded-host.mjs', import.meta.url));

export const embeddedOptions: EmbeddedCoordinatorOptions = {
  cluster: 'lab',
  logger: silentLogger(),
  clock: createSystemClock(),
  callTimeoutMs: 10_000,
};

/** A participant that never becomes host. */
export function openClientOnly(
  folder: string,
  changes: Partial<EmbeddedCoordinatorOptions> = {},
): Promise<Coordinator> {
  const openHost = async (): Promise<never> => {
    throw new ZringError('LOCKED', 'this one only connects');
  };
  return openEmbeddedCoordinator(folder, { ...embeddedOptions, openHost, ...changes });
}

export interface HostProcess {
  readonly pid: number;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** A process that takes part; it is the host when nobody else is. Resolves when it is connected. */
export async function startHostProcess(folder: string): Promise<HostProcess> {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', HOST_PROGRAM, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const ready = child.stdout ? once(child.stdout, 'data') : exited;
  await Promise.race([
    ready,
    exited.then(() => {
      throw new Error('the host process ended');
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    async kill(signal = 'SIGKILL') {
      child.kill(signal);
      await exited;
    },
  };
}

export interface SocketProxy {
  /** Give this to a participant instead of the coordinator's folder. */
  readonly folder: string;
  swallowReplies(): void;
  close(): Promise<void>;
}

/** A folder whose socket passes everything on to the socket of `target`. */
export async function startSocketProxy(target: string, folder: string): Promise<SocketProxy> {
  await mkdir(folder, { recursive: true });
  let isSwallowing = false;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(join(target, 'socket'));
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk) => {
      if (!isSwallowing) near.write(chunk);
    });
  });
  server.listen(join(folder, 'socket'));
  await once(server, 'listening');
  return {
    folder,
    swallowReplies: () => {
      isSwallowing = true;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
