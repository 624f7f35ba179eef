// One simulated node: its disk, and one life after the other of a process that runs the real ownership over simulated
// parts. Answers requests as the router and the S3 layer do: the router's decisions are the real ones, too.
import { isZringError, type NotOwnerDetails, ZringError } from '../../src/common/errors.ts';
import type { Term } from '../../src/common/term.ts';
import type { Config } from '../../src/config/types.ts';
import type { OwnershipLimits } from '../../src/ownership/limits.ts';
import { createOwnership, type Ownership } from '../../src/ownership/ownership.ts';
import { type Attempt, decide } from '../../src/routing/router.ts';
import { createLogger, silentLogger } from '../../src/telemetry/log.ts';
import type { SimCoordinator } from './coordinator.ts';
import { type Content, durableMapOn, SimDisk } from './disk.ts';
import { createSimDriver, type DriverFaults } from './driver.ts';
import type { SimNetwork } from './network.ts';
import { type CrashKind, SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import { observeSteps } from './steps.ts';
import { createSimStores, type SimStore } from './store.ts';
import type { Truth } from './truth.ts';

export type Request =
  | { readonly kind: 'put'; readonly bucket: string; readonly key: string; readonly value: string }
  | { readonly kind: 'put-new'; readonly bucket: string; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly bucket: string; readonly key: string }
  | { readonly kind: 'get'; readonly bucket: string; readonly key: string }
  | { readonly kind: 'list'; readonly bucket: string }
  | { readonly kind: 'create'; readonly bucket: string }
  | { readonly kind: 'remove'; readonly bucket: string };

export type Answer =
  | { readonly kind: 'written'; readonly id: string; readonly write: number | null }
  | { readonly kind: 'value'; readonly id: string; readonly value: string | null }
  | { readonly kind: 'keys'; readonly id: string; readonly keys: readonly string[] }
  | { readonly kind: 'created'; readonly id: string }
  | { readonly kind: 'removed' | 'exists' | 'not-empty' | 'absent' }
  | { readonly kind: 'not-owner'; readonly details: NotOwnerDetails }
  /** Nothing happened, or nobody knows. */
  | { readonly kind: 'unavailable'; readonly code: string; readonly certain: boolean };

const SERVE = 'sim.serve';
const REQUEST_MS = 20_000;

export interface NodeDeps {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly coordinator: SimCoordinator;
  readonly truth: Truth;
  readonly streams: Map<string, Content | null>;
  readonly driverFaults: DriverFaults;
  readonly limits: Partial<OwnershipLimits>;
  readonly config: () => Config;
  /** Whether it is to run at all: it has a place in the cluster. */
  readonly wanted: () => boolean;
  /** Others reach it under its id; false = a second machine that was given the id of another. */
  readonly listens: boolean;
  /** Of every process: each point at which a crash makes a difference. */
  readonly point: (node: SimNode) => void;
  /** An owner's copy loses its name. */
  readonly onAside: (node: SimNode, id: string, term: Term) => void;
  readonly count: (what: string) => void;
}

/** Before the effect certainly nothing happened; all others leave a write in doubt. */
const CERTAIN: ReadonlySet<string> = new Set([
  'DATASET_BUSY',
  'CATALOG_INCOMPLETE',
  'NOT_OWNER',
  'SHUTTING_DOWN',
  'NODE_ID_TAKEN',
  'STORAGE_FULL',
]);

export class SimNode {
  readonly id: string;
  readonly #deps: NodeDeps;
  disk: SimDisk;
  process: SimProcess;
  ownership: Ownership | null = null;
  #replaced = false;
  life = 0;
  /** Somebody gave it up: nothing starts it. */
  lost = false;
  /** Highest epoch ever in use here, and over all lives. */
  epoch = 0;
  startFailure: unknown = null;

  constructor(id: string, deps: NodeDeps) {
    this.id = id;
    this.#deps = deps;
    this.disk = new SimDisk(id);
    this.process = new SimProcess(id, deps.scheduler, deps.random);
    this.process.alive = false;
  }

  get up(): boolean {
    return this.process.alive;
  }

  get ready(): boolean {
    return this.process.alive && this.ownership !== null;
  }

  /** Starts a new life; it is ready some time later. */
  start(): void {
    if (this.up || this.lost || !this.#deps.wanted()) return;
    const { scheduler, random, coordinator, network, truth, streams, driverFaults, count } = this.#deps;
    const process = new SimProcess(this.id, scheduler, random);
    this.process = process;
    process.point = () => this.#deps.point(this);
    process.hang(this.disk.hung);
    this.ownership = null;
    this.life++;
    this.disk.holder = process;
    const { disk } = this;
    const config = this.#deps.config();
    createOwnership({
      self: this.id,
      instance: random.hex(8),
      release: 'sim',
      config,
      coordinator: coordinator.connect(process),
      driver: createSimDriver({
        disk,
        process,
        faults: driverFaults,
        streams,
        count,
        onAside: (id, term) => this.#deps.onAside(this, id, term),
      }),
      transport: network.transportOf(process),
      clock: process.clock,
      timers: process.timers,
      entropy: process.entropy,
      openDisk: async () => durableMapOn(disk, process),
      stores: createSimStores({ disk, process, truth }),
      logger: this.#logger(),
      limits: this.#deps.limits,
      onStep: observeSteps((message) => truth.fail(message)),
    }).then(
      (ownership) => {
        if (!process.alive) return;
        this.ownership = ownership;
        // The file was changed while it started.
        const newer = this.#deps.config();
        if (newer !== config) void ownership.applyConfig(newer);
        const { calls, streams: bodies } = ownership.methods;
        const serve = (request: unknown) => this.serve(request as Request, 'peer');
        network.once.add(SERVE);
        if (this.#deps.listens) network.listen(process, { calls: { ...calls, [SERVE]: serve }, streams: bodies });
      },
      (error: unknown) => {
        // A start that fails ends the process; whoever supervises it tries again.
        this.startFailure = error;
        truth.note(`${this.id} did not start: ${String(error)}`);
        this.crash();
      },
    );
  }

  #logger() {
    const level = globalThis.process.env.ZRING_TEST_LOG;
    return level ? createLogger({ level: level as 'debug', node: this.id }) : silentLogger();
  }

  crash(how: CrashKind = 'mixed'): void {
    if (!this.up) return;
    this.process.crash(how);
    this.ownership = null;
    const kept = { mixed: () => this.#deps.random.fraction(), kill: () => 1 - Number.EPSILON, 'power-cut': () => 0 };
    this.disk.crash(kept[how]);
  }

  /** As an operator stops it: it has time to end what it does. */
  stop(): void {
    const { process, ownership } = this;
    const end = () => {
      if (this.process === process) this.crash();
    };
    if (!ownership) end();
    else process.run(() => void ownership.stop().then(end, end));
  }

  /** The machine was cleared out before it came back. */
  replaceDisk(): void {
    this.disk = new SimDisk(this.id);
    this.epoch = 0;
    this.#replaced = true;
  }

  /** An operator says that the empty disk is meant. */
  acceptReplaced(): void {
    const { ownership } = this;
    if (!this.#replaced || ownership?.status().lease.disk?.why !== 'another') return;
    this.#deps.count('replaced disk accepted');
    ownership.disk.accept({ evenUnheard: false }).catch(() => {});
  }

  /** Nodes that somebody's copy here is promised to. */
  get promisedTo(): string[] {
    return (this.ownership?.status().copies ?? []).flatMap(({ promisedTo }) =>
      promisedTo === null ? [] : [promisedTo],
    );
  }

  /** Anything under the name of a bucket, whatever it is. */
  get keepsSomething(): boolean {
    return [...this.disk.datasets.keys()].some((name) => /^[a-z]/.test(name));
  }

  hang(hung: boolean): void {
    this.disk.hung = hung;
    if (this.process.hang(hung) > 0) this.#deps.count('io held back');
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  /** As route.ts: the real decisions, forwards over the simulated network. */
  async serve(request: Request, origin: 'client' | 'peer'): Promise<Answer> {
    const tried: Attempt[] = [];
    let replayable = true;
    for (;;) {
      const { ownership } = this;
      if (!ownership) return { kind: 'unavailable', code: 'STARTING', certain: true };
      const whereabouts = ownership.access.locate(request.bucket);
      const decision = decide({
        scope: 'dataset',
        origin,
        self: this.id,
        whereabouts,
        tried,
        replayable,
        buffered: false,
      });
      if (decision.kind === 'absent' && request.kind !== 'create') return { kind: 'absent' };
      if (decision.kind === 'unavailable') return { kind: 'unavailable', code: decision.reason, certain: replayable };
      if (decision.kind === 'not-owner') {
        return { kind: 'not-owner', details: { epoch: ownership.epoch(), owner: decision.owner, term: null } };
      }
      if (decision.kind === 'forward') {
        const answer = await this.#forward(decision.node, request);
        if (answer === 'unreached') {
          // Sent, perhaps: only what changes nothing may be sent again.
          replayable = request.kind === 'get' || request.kind === 'list';
          tried.push({ node: decision.node, refusal: null });
        } else if (answer.kind === 'not-owner') tried.push({ node: decision.node, refusal: answer.details });
        else return answer;
        continue;
      }
      const answer = await this.#locally(ownership, request);
      if (answer.kind !== 'not-owner') return answer;
      if (origin === 'peer') return answer;
      tried.push({ node: this.id, refusal: answer.details });
    }
  }

  async #forward(node: string, request: Request): Promise<Answer | 'unreached'> {
    try {
      const { network } = this.#deps;
      return (await network.transportOf(this.process).call(node, SERVE, request, { timeoutMs: REQUEST_MS })) as Answer;
    } catch (error) {
      if (isZringError(error, 'INTERNAL')) throw error;
      return 'unreached';
    }
  }

  async #locally(ownership: Ownership, request: Request): Promise<Answer> {
    try {
      return await this.#carryOut(ownership, request);
    } catch (error) {
      if (!isZringError(error)) throw error;
      if (error.code === 'NOT_OWNER') return { kind: 'not-owner', details: error.details as NotOwnerDetails };
      if (error.code === 'DATASET_MISSING') return { kind: 'absent' };
      if (error.code === 'DATASET_EXISTS') return { kind: 'exists' };
      if (error.code === 'DATASET_NOT_EMPTY') return { kind: 'not-empty' };
      if (error.code === 'INTERNAL') throw error;
      return { kind: 'unavailable', code: error.code, certain: CERTAIN.has(error.code) };
    }
  }

  async #carryOut(ownership: Ownership, request: Request): Promise<Answer> {
    const { access } = ownership;
    const { bucket } = request;
    if (request.kind === 'create') {
      const { id } = await access.create(bucket, { bucket: { made: true } });
      return { kind: 'created', id };
    }
    if (request.kind === 'remove') {
      await access.remove(bucket);
      return { kind: 'removed' };
    }
    const mode =
      request.kind === 'get' || request.kind === 'list' ? 'read' : request.kind === 'delete' ? 'delete' : 'write';
    const held = await access.enter(bucket, mode);
    try {
      const store = held.store as unknown as SimStore;
      const { id } = held;
      if (request.kind === 'get') return { kind: 'value', id, value: store.value(request.key) };
      if (request.kind === 'list') return { kind: 'keys', id, keys: store.keys() };
      if (request.kind === 'delete') return { kind: 'written', id, write: await store.write(request.key, null) };
      const condition = request.kind === 'put-new' ? (current: string | null) => current === null : undefined;
      return { kind: 'written', id, write: await store.write(request.key, request.value, condition) };
    } finally {
      held.release();
    }
  }

  /** A copy of the disk as it is now, if nobody uses it. */
  diskImage(): SimDisk {
    if (this.up) throw new ZringError('INTERNAL', 'bug: the disk of a live process is copied');
    return this.disk.copy();
  }
}
