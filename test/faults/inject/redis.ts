// Faults of the coordinator: killed, asleep, emptied, restored from an old dump, failed over to one that lacks writes.
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../plan.ts';
import { fired, type Injection, type InjectionContext, missed } from './injection.ts';

const DUMP_WAIT_MS = 250;
const DUMP_WAITS_MAX = 60;

type RedisFault = Extract<Fault, { kind: `redis-${string}` }>;

export async function injectRedis(fault: RedisFault, { lab, dumps }: InjectionContext): Promise<Injection> {
  const { redis } = lab;
  const happened = (note = '') => fired({ redisFaults: 1 }, note);
  switch (fault.kind) {
    case 'redis-kill':
      await redis.kill();
      await delay(fault.downMs);
      await redis.start();
      return happened();
    case 'redis-stop':
      redis.signal('SIGSTOP');
      await delay(fault.forMs);
      redis.signal('SIGCONT');
      return happened();
    case 'redis-flush':
      await redis.flush();
      return happened();
    case 'redis-restore': {
      // The first one comes some seconds after the start.
      for (let waits = 0; waits < DUMP_WAITS_MAX && dumps().length === 0; waits++) await delay(DUMP_WAIT_MS);
      const old = [...dumps()].reverse().find(({ atMs }) => performance.now() - atMs >= fault.ageMs) ?? dumps()[0];
      if (!old) return missed('there was no dump yet');
      await redis.kill();
      await delay(fault.downMs);
      await redis.startFrom(old.file);
      return happened(`dump of ${Math.round((performance.now() - old.atMs) / 1000)} s ago`);
    }
    case 'redis-failover': {
      const lagging = await redis.dump();
      await delay(fault.ageMs);
      await redis.kill();
      await redis.startFrom(lagging);
      return happened(`lost ${fault.ageMs} ms`);
    }
  }
}
