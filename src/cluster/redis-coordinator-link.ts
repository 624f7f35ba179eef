// One logical connection to Redis that is made again whenever it breaks. Owns the client of the moment; knows nothing of
// what is asked over it. Each attempt gets a client of its own (with its reconnecting switched off), because ioredis, when
// it reconnects by itself, (a) forgets unanswered commands without rejecting them unless maxRetriesPerRequest is 0,
// (b) keeps a socket-timeout timer of the old connection that then kills the new one, (c) never ends when it is closed
// between two attempts, and (d) works on in database 0 when SELECT was refused.
import { Redis, type RedisOptions } from 'ioredis';
import { watchSentinels } from './redis-coordinator-sentinels.ts';
import type { RedisEndpoint } from './redis-url.ts';

export interface LinkTimes {
  readonly connectTimeoutMs: number;
  /** An unanswered command: its outcome is unknown, and the connection is given up. */
  readonly commandTimeoutMs: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export const DEFAULT_LINK_TIMES: LinkTimes = {
  connectTimeoutMs: 3000,
  commandTimeoutMs: 3000,
  retryMinMs: 50,
  retryMaxMs: 2000,
};

export interface LinkEvents {
  /** A fresh client, ready for commands. */
  up(client: Redis): void;
  down(): void;
  /** An attempt failed; once per attempt. */
  failed(error: Error): void;
}

export interface Link {
  /** Null while there is none. */
  client(): Redis | null;
  /** Gives up the client of the moment, if it still is `client`; another attempt follows. */
  drop(client: Redis): void;
  close(): Promise<void>;
}

export function openLink(endpoint: RedisEndpoint, name: string, times: LinkTimes, events: LinkEvents): Link {
  const options = clientOptions(endpoint, name, times);
  const closing = new AbortController();
  let current: Redis | null = null;

  async function attempt(): Promise<boolean> {
    const client = new Redis(options);
    const ended = new Promise<void>((done) => client.once('end', done));
    let failure: Error | null = null;
    client.on('error', (error: Error) => {
      failure ??= withoutSecrets(error, endpoint);
      // Before it is ready any error (a refused SELECT or AUTH too) disqualifies this client.
      if (current !== client) client.disconnect();
    });
    const stop = () => client.disconnect();
    closing.signal.addEventListener('abort', stop);
    try {
      await client.connect();
      if (failure) throw failure;
      current = client;
      const unwatch = watchSentinels(endpoint, times.connectTimeoutMs, stop);
      events.up(client);
      await ended;
      unwatch();
      return true;
    } catch (error) {
      if (!closing.signal.aborted) events.failed(failure ?? withoutSecrets(error as Error, endpoint));
      client.disconnect();
      return false;
    } finally {
      closing.signal.removeEventListener('abort', stop);
      if (current === client) {
        current = null;
        events.down();
      }
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      failures = (await attempt()) ? 0 : failures + 1;
      await pause(backoffMs(failures, times), closing.signal);
    }
  }

  const running = run();
  return {
    client: () => current,
    drop(client) {
      if (current === client) client.disconnect();
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}

function clientOptions(endpoint: RedisEndpoint, name: string, times: LinkTimes): RedisOptions {
  const common: RedisOptions = {
    db: endpoint.db,
    connectionName: name,
    lazyConnect: true,
    connectTimeout: times.connectTimeoutMs,
    commandTimeout: times.commandTimeoutMs,
    socketTimeout: times.commandTimeoutMs,
    disconnectTimeout: 200,
    keepAlive: 10_000,
    retryStrategy: null as never,
    sentinelRetryStrategy: () => null,
    reconnectOnError: null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    enableReadyCheck: true,
    maxLoadingRetryTime: 1000,
    ...(endpoint.username !== null && { username: endpoint.username }),
    ...(endpoint.password !== null && { password: endpoint.password }),
    ...(endpoint.tls && { tls: {} }),
  };
  const [first] = endpoint.hosts;
  if (endpoint.sentinelMaster === null) return { ...common, ...first };
  return {
    ...common,
    sentinels: endpoint.hosts.map((host) => ({ ...host })),
    name: endpoint.sentinelMaster,
    sentinelCommandTimeout: times.commandTimeoutMs,
    enableTLSForSentinelMode: endpoint.tls,
    ...(endpoint.tls && { sentinelTLS: {} }),
  };
}

/** ioredis hangs the refused command on the error, AUTH with its password; old servers quote it in the message. */
function withoutSecrets(error: Error, { password }: RedisEndpoint): Error {
  const safe = new Error(password ? error.message.replaceAll(password, '[redacted]') : error.message);
  safe.name = error.name;
  return safe;
}

/** With jitter, so that the nodes of a cluster do not come back in step. */
function backoffMs(failures: number, times: LinkTimes): number {
  const full = Math.min(times.retryMaxMs, times.retryMinMs * 2 ** Math.min(failures, 10));
  return full * (0.5 + Math.random() / 2);
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
