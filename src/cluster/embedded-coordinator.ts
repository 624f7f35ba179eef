// The embedded coordinator as one node process sees it. Every process of the machine takes part: whoever gets the folder's
// lock is the host, the others reach it through its socket; when the host dies the lock is free, another takes it, and the
// rest connect to that one. Owns the role of the moment and the loop that changes it.
//
//        ┌─ got the lock ─▶ host ───── closed, or its disk failed ─┐
//   try ─┤                                                         ├─▶ pause ─▶ try
//        └─ LOCKED ───────▶ client ─── connection ended ───────────┘
import { chmod, mkdir, stat } from 'node:fs/promises';
import type { Clock } from '../common/clock.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import { storageError } from '../common/storage-errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Coordinator, Hint } from './coordinator.ts';
import { type Call, coordinatorOver } from './coordinator-call.ts';
import { connectToHost } from './embedded-client.ts';
import { openEmbeddedHost } from './embedded-host.ts';
import { Listeners } from './listeners.ts';

export interface EmbeddedCoordinatorOptions {
  readonly cluster: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Of one call, and of the host's hello. */
  readonly callTimeoutMs?: number;
  /** How to become host; LOCKED makes this process a client. Default: openEmbeddedHost. */
  readonly openHost?: typeof openEmbeddedHost;
}

const CALL_TIMEOUT_MS = 5000;
/** A new host needs a moment for its disk; who starts with it should not begin life without a coordinator. */
const FIRST_CONNECTION_MS = 10_000;
const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 500;

/** What host and client have in common for their user. */
interface Role {
  readonly ended: Promise<void>;
  submit(call: Call): Promise<unknown>;
  onHint(listener: (hint: Hint) => void): () => void;
  close(): Promise<void>;
}

/**
 * Makes the folder (mode 0700) when it is missing. Resolves when connected, or after a while without.
 * Errors, of the first attempt: STORAGE_* for the folder; VERSION_UNSUPPORTED, COORDINATOR_CORRUPT, CONFIG_INVALID.
 */
export async function openEmbeddedCoordinator(
  folder: string,
  options: EmbeddedCoordinatorOptions,
): Promise<Coordinator> {
  await prepareFolder(folder);
  const participant = new Participant(folder, options);
  await participant.begin();
  return coordinatorOver({
    call: (method, ...args) => participant.submit({ method, args } as Call) as Promise<never>,
    onHint: (listener) => participant.hints.add(listener),
    onAvailability: (listener) => participant.availability.add(listener),
    close: () => participant.close(),
  });
}

class Participant {
  readonly hints = new Listeners<Hint>();
  readonly availability = new Listeners<boolean>();
  readonly #folder: string;
  readonly #options: EmbeddedCoordinatorOptions;
  readonly #stop = new AbortController();
  readonly #inFlight = new Set<Promise<unknown>>();
  #role: Role | null = null;
  #running: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(folder: string, options: EmbeddedCoordinatorOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async begin(): Promise<void> {
    const deadlineMs = performance.now() + FIRST_CONNECTION_MS;
    let role: Role | null = null;
    for (let failures = 0; !role && performance.now() < deadlineMs; failures++) {
      if (failures > 0) await pause(backoffMs(failures), this.#stop.signal);
      try {
        role = await this.#takeRole();
      } catch (error) {
        if (!isZringError(error, 'COORDINATOR_UNAVAILABLE')) throw error;
      }
    }
    this.#running = this.#run(role);
  }

  submit(call: Call): Promise<unknown> {
    const role = this.#closed ? null : this.#role;
    if (!role) {
      const why = this.#closed ? 'the connection is closed' : 'no host';
      return Promise.reject(new ZringError('COORDINATOR_UNAVAILABLE', `${call.method}: ${why}`));
    }
    const running = role.submit(call);
    this.#inFlight.add(running);
    const settled = () => void this.#inFlight.delete(running);
    running.then(settled, settled);
    return running;
  }

  /** Waits for the calls under way, so that none is left in doubt by closing. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.allSettled(this.#inFlight);
      this.#stop.abort();
      await this.#role?.close();
      await this.#running;
    })();
    return this.#closed;
  }

  async #run(first: Role | null): Promise<void> {
    const { logger } = this.#options;
    let role = first;
    let failures = first ? 0 : 1;
    let told = '';
    // The first role is taken in the same tick in which the coordinator is handed out.
    for (;;) {
      if (role) {
        failures = 0;
        told = '';
        await this.#play(role);
        role = null;
      }
      await pause(backoffMs(failures++), this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        role = await this.#takeRole();
      } catch (err) {
        // Each kind of trouble once per outage.
        const { code } = err as ZringError;
        if (told !== code) logger.warn({ err }, 'no host of the coordinator; trying on');
        told = code;
      }
    }
  }

  async #play(role: Role): Promise<void> {
    const unhint = role.onHint((hint) => this.hints.emit(hint));
    this.#role = role;
    this.availability.emit(true);
    if (this.#stop.signal.aborted) void role.close();
    await role.ended;
    this.#role = null;
    unhint();
    if (!this.#closed) this.availability.emit(false);
  }

  async #takeRole(): Promise<Role> {
    const { cluster, logger, clock, callTimeoutMs = CALL_TIMEOUT_MS, openHost = openEmbeddedHost } = this.#options;
    try {
      const host = await openHost(this.#folder, { cluster, logger, clock });
      logger.info({ folder: this.#folder }, 'this process hosts the coordinator');
      return host;
    } catch (error) {
      if (!isZringError(error, 'LOCKED')) throw error;
    }
    return connectToHost(this.#folder, cluster, callTimeoutMs);
  }
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Whoever reaches the socket can move every dataset.
    const { mode } = await stat(folder);
    if ((mode & 0o077) !== 0) await chmod(folder, 0o700);
  } catch (cause) {
    throw storageError(cause, 'preparing the coordinator folder', folder);
  }
}

function backoffMs(failures: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    const timer = setTimeout(finish, ms);
    function finish() {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      done();
    }
    signal.addEventListener('abort', finish);
  });
}
