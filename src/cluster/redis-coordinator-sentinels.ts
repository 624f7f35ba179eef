// Listens to sentinels for a change of the master, so that the old one is left at once: it takes writes until somebody tells
// it, and those are lost. Owns one connection per sentinel. Best effort: sentinels also cut the old master's clients, later.
// ioredis has such a detector, but its connections have no error listener and print to the console.
import { Redis } from 'ioredis';
import type { RedisEndpoint } from './redis-url.ts';

const RETRY_MS = 2000;

/** @returns stops it. */
export function watchSentinels(endpoint: RedisEndpoint, connectTimeoutMs: number, onSwitch: () => void): () => void {
  if (endpoint.sentinelMaster === null) return () => {};
  const watchers = endpoint.hosts.map(({ host, port }) => {
    const watcher = new Redis({
      host,
      port,
      connectionName: 'zring-failover',
      connectTimeout: connectTimeoutMs,
      keepAlive: 10_000,
      enableReadyCheck: false,
      // The subscription waits for its sentinel, however long that is away.
      maxRetriesPerRequest: null,
      retryStrategy: () => RETRY_MS,
      ...(endpoint.tls && { tls: {} }),
    });
    watcher.on('error', () => {});
    // `<master> <old host> <old port> <new host> <new port>`
    watcher.on('message', (_channel, message) => {
      if (message.split(' ')[0] === endpoint.sentinelMaster) onSwitch();
    });
    watcher.subscribe('+switch-master').catch(() => {});
    return watcher;
  });
  return () => {
    for (const watcher of watchers) watcher.disconnect();
  };
}
