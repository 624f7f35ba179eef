// The simulated coordinator: the rules of the embedded one (coordinator-state.ts) behind a network that delays, loses and
// delivers late, and with the losses that Redis has: down, flushed, restored from an old dump, failed over to a replica
// that had not heard everything. Owns its content and its connections.
import type { Coordinator, Hint } from '../../src/cluster/coordinator.ts';
import { type Call, type CallMethod, coordinatorOver, isRead } from '../../src/cluster/coordinator-call.ts';
import { StateMachine } from '../../src/cluster/coordinator-state.ts';
import type { OwnershipRecord } from '../../src/cluster/record.ts';
import type { DurableMap } from '../../src/common/durable-map.ts';
import { ZringError } from '../../src/common/errors.ts';
import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const LATENCY_MS = 0.5;
/** A client that hears nothing for so long gives the call up. */
const TIMEOUT_MS = 2_000;
const DUMPS_MAX = 12;

export interface CoordinatorFaults {
  /** The answer is lost. */
  loseReply: number;
  /** The question is lost, or arrives long after its caller was told so. */
  late: number;
  /** Each message takes up to so long, and overtakes others. */
  slowMs: number;
}

interface Connection {
  readonly process: SimProcess;
  readonly hints: Set<(hint: Hint) => void>;
  readonly availability: Set<(available: boolean) => void>;
  connected: boolean;
  asked: number;
  /** The latest question that has arrived. */
  arrived: number;
}

interface Dump {
  readonly atMs: number;
  readonly content: ReadonlyMap<string, string>;
}

export class SimCoordinator {
  readonly faults: CoordinatorFaults = { loseReply: 0, late: 0, slowMs: 0 };
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #connections = new Set<Connection>();
  readonly #cut = new Set<string>();
  readonly count: (what: string) => void;
  /** Sees each record that is committed. */
  onRecord: (record: OwnershipRecord) => void = () => undefined;
  #content = new Map<string, string>();
  #machine: StateMachine;
  #dumps: Dump[] = [];
  #up = true;

  constructor(scheduler: Scheduler, random: Random, count: (what: string) => void) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.count = count;
    this.#machine = this.#load();
  }

  get up(): boolean {
    return this.#up;
  }

  /** What it holds now under one key, for checkers. */
  content(): ReadonlyMap<string, string> {
    return this.#content;
  }

  #load(): StateMachine {
    const deps = { monotonicMs: () => this.#scheduler.nowMs, randomId: () => this.#random.hex(8) };
    return new StateMachine(plainMap(this.#content), deps);
  }

  // --- faults -----------------------------------------------------------------------------------------------------

  setUp(up: boolean): void {
    if (up === this.#up) return;
    this.#up = up;
    this.#connectionsChanged();
  }

  cutOff(node: string): void {
    this.#cut.add(node);
    this.#connectionsChanged();
  }

  healAll(): void {
    this.#cut.clear();
    this.#connectionsChanged();
  }

  /** Remembers what stands there now, for later. */
  dump(): void {
    this.#dumps = [
      ...this.#dumps.slice(1 - DUMPS_MAX),
      { atMs: this.#scheduler.nowMs, content: new Map(this.#content) },
    ];
  }

  flush(): void {
    this.#restart(new Map());
  }

  /** An old dump, any that is kept. */
  restore(): boolean {
    const dump = this.#random.pick(this.#dumps);
    if (dump) this.#restart(new Map(dump.content));
    return dump !== undefined;
  }

  /** The latest writes are gone, the life goes on. */
  failover(): boolean {
    const dump = this.#dumps.at(-1);
    if (dump) this.#restart(new Map(dump.content));
    return dump !== undefined;
  }

  /** Connections break and come back, as they do when another process answers. */
  #restart(content: Map<string, string>): void {
    const { up } = this;
    this.setUp(false);
    this.#content = content;
    this.#machine = this.#load();
    this.setUp(up);
  }

  #connectionsChanged(): void {
    for (const connection of this.#connections) {
      const connected = this.#up && !this.#cut.has(connection.process.node);
      if (connected === connection.connected) continue;
      connection.connected = connected;
      this.#scheduler.after(this.#random.latency(connected ? 50 : 5), () =>
        connection.process.run(() => {
          for (const listener of [...connection.availability]) listener(connected);
        }),
      );
    }
  }

  // --- calls ------------------------------------------------------------------------------------------------------

  connect(process: SimProcess): Coordinator {
    const connection: Connection = {
      process,
      hints: new Set(),
      availability: new Set(),
      connected: this.#up && !this.#cut.has(process.node),
      asked: 0,
      arrived: 0,
    };
    this.#connections.add(connection);
    process.whenCrashed(() => this.#connections.delete(connection));
    const listen =
      <T>(all: Set<T>) =>
      (listener: T) => {
        all.add(listener);
        return () => void all.delete(listener);
      };
    return coordinatorOver({
      call: (method, ...args) => this.#call(connection, method, args) as never,
      onHint: listen(connection.hints),
      onAvailability: listen(connection.availability),
      close: async () => void this.#connections.delete(connection),
    });
  }

  #call(connection: Connection, method: CallMethod, args: unknown): Promise<unknown> {
    const { process } = connection;
    const question = structuredClone({ method, args }) as Call;
    return new Promise((resolve, reject) => {
      const answer = (ms: number, task: () => void) => void this.#scheduler.after(ms, () => process.run(task));
      const fail = (ms: number, code: 'COORDINATOR_UNAVAILABLE' | 'COORDINATOR_OUTCOME_UNKNOWN') =>
        answer(ms, () => reject(new ZringError(code, `${method}: the coordinator is not reached`)));
      if (!connection.connected) return fail(1, 'COORDINATOR_UNAVAILABLE');
      const lost = isRead(method) ? 'COORDINATOR_UNAVAILABLE' : 'COORDINATOR_OUTCOME_UNKNOWN';
      const late = this.#random.chance(this.faults.late);
      if (late) {
        this.count('coordinator call late');
        fail(TIMEOUT_MS, lost);
      }
      const turn = ++connection.asked;
      this.#scheduler.after(late ? this.#random.between(0, 8_000) : this.#latency(), () => {
        // A connection that broke meanwhile brings nothing; a question that waits in a network does arrive.
        if (!this.#up || (!late && !connection.connected)) {
          if (!late) fail(1, lost);
          return;
        }
        if (turn < connection.arrived) this.count('coordinator call overtaken');
        connection.arrived = Math.max(connection.arrived, turn);
        const outcome = this.#run(question);
        if (!isRead(method)) process.point();
        if (late) return;
        if (this.#random.chance(this.faults.loseReply)) {
          this.count('coordinator reply lost');
          return fail(TIMEOUT_MS, lost);
        }
        answer(this.#latency(), () => {
          if (!connection.connected) reject(new ZringError(lost, `${method}: the connection broke`));
          else if ('error' in outcome) reject(outcome.error);
          else resolve(outcome.value);
        });
      });
    });
  }

  #latency(): number {
    return this.#random.latency(LATENCY_MS) + this.#random.between(0, this.faults.slowMs);
  }

  #run(question: Call): { value: unknown } | { error: unknown } {
    try {
      const { value, changes, hints } = this.#machine.run(question);
      for (const change of changes) {
        if (change.value === null) this.#content.delete(change.key);
        else this.#content.set(change.key, change.value);
        if (question.method === 'casRecord') this.onRecord(question.args[2]);
      }
      for (const hint of hints) this.#hint(hint);
      return { value: structuredClone(value) };
    } catch (error) {
      return { error };
    }
  }

  /** Best effort: some never arrive. */
  #hint(hint: Hint): void {
    for (const connection of this.#connections) {
      if (!connection.connected || this.#random.chance(0.2)) continue;
      this.#scheduler.after(this.#random.latency(LATENCY_MS), () =>
        connection.process.run(() => {
          for (const listener of [...connection.hints]) listener(hint);
        }),
      );
    }
  }
}

function plainMap(content: Map<string, string>): DurableMap {
  return {
    get: (key) => content.get(key),
    entries: (prefix) => [...content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
    commit: async () => {},
    close: async () => {},
  };
}
