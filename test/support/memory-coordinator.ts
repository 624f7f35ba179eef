// A coordinator in memory for unit tests: the embedded coordinator's rules without disk, socket or waiting, with its
// faults at hand. One MemoryCluster is one coordinator; each `connect()` is one node's connection to it.
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Coordinator, Hint } from '../../src/cluster/coordinator.ts';
import { type Call, type CallMethod, coordinatorOver, isRead } from '../../src/cluster/coordinator-call.ts';
import { StateMachine } from '../../src/cluster/coordinator-state.ts';
import type { DurableChange, DurableMap } from '../../src/common/durable-map.ts';
import { ZringError } from '../../src/common/errors.ts';

export interface MemoryCluster {
  connect(): Coordinator;
  /** Every connection loses (or finds) the coordinator; leases run on meanwhile. */
  setAvailable(available: boolean): void;
  /** The next `count` calls that change something are carried out, but their callers hear COORDINATOR_OUTCOME_UNKNOWN. */
  loseReplies(count: number): void;
  /** FLUSHALL: nothing is left, not even the incarnation. Connections stay. */
  flush(): void;
  /** A dump of now, for `restore`. */
  dump(): ReadonlyMap<string, string>;
  restore(dump: ReadonlyMap<string, string>): void;
}

export interface MemoryClusterOptions {
  /** Default: performance.now(). */
  readonly monotonicMs?: () => number;
  /** Default: random; give a counter where a test wants the same ids each time. */
  readonly randomId?: () => string;
}

export function createMemoryCluster(options: MemoryClusterOptions = {}): MemoryCluster {
  const deps = {
    monotonicMs: options.monotonicMs ?? (() => performance.now()),
    randomId: options.randomId ?? (() => randomUUID()),
  };
  let disk = new Map<string, string>();
  let machine = new StateMachine(plainMap(disk), deps);
  let available = true;
  let repliesToLose = 0;
  const hintListeners = new Set<(hint: Hint) => void>();
  const availabilityListeners = new Set<(available: boolean) => void>();

  const restart = (content: ReadonlyMap<string, string>) => {
    disk = new Map(content);
    machine = new StateMachine(plainMap(disk), deps);
  };

  function call(method: CallMethod, args: unknown): unknown {
    if (!available) throw new ZringError('COORDINATOR_UNAVAILABLE', `${method}: the coordinator is not reached`);
    const { value, changes, hints } = machine.run(structuredClone({ method, args }) as Call);
    for (const change of changes) applyChange(disk, change);
    // Hints arrive after the call, as over a socket: nobody may depend on hearing them first.
    for (const hint of hints) setImmediate(() => available && notify(hintListeners, hint));
    if (repliesToLose > 0 && !isRead(method)) {
      repliesToLose--;
      throw new ZringError('COORDINATOR_OUTCOME_UNKNOWN', `${method}: the reply was lost`);
    }
    return structuredClone(value);
  }

  function connect(): Coordinator {
    const mine: (() => void)[] = [];
    let closed = false;
    const listen = <T>(all: Set<(value: T) => void>, listener: (value: T) => void) => {
      const own = (value: T) => listener(value);
      const stop = () => void all.delete(own);
      all.add(own);
      mine.push(stop);
      return stop;
    };
    return coordinatorOver({
      call: async (method, ...args) => {
        if (closed) throw new ZringError('COORDINATOR_UNAVAILABLE', `${method}: the connection is closed`);
        return call(method, args) as never;
      },
      onHint: (listener) => listen(hintListeners, listener),
      onAvailability: (listener) => listen(availabilityListeners, listener),
      close: async () => {
        closed = true;
        for (const stop of mine) stop();
      },
    });
  }

  return {
    connect,
    setAvailable(next) {
      if (next === available) return;
      available = next;
      notify(availabilityListeners, next);
    },
    loseReplies(count) {
      repliesToLose = count;
    },
    flush: () => restart(new Map()),
    dump: () => new Map(disk),
    restore: (content) => restart(content),
  };
}

function notify<T>(listeners: Iterable<(value: T) => void>, value: T): void {
  for (const listener of [...listeners]) listener(value);
}

function plainMap(content: Map<string, string>): DurableMap {
  return {
    get: (key) => content.get(key),
    entries: (prefix) => [...content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
    commit: async () => {},
    close: async () => {},
  };
}

function applyChange(content: Map<string, string>, change: DurableChange): void {
  if (change.value === null) content.delete(change.key);
  else content.set(change.key, change.value);
}
