// Simulated clients: each does one thing after the other through any node, checks what it is answered against the truth,
// and gives up waiting after a while. One client makes and removes a bucket; several write and read in it.
import type { Answer, Request, SimNode } from './node.ts';
import { BucketTruth } from './truth.ts';
import type { World } from './world.ts';

const PATIENCE_MS = 30_000;
const LAST_TRIES = 30;
const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5'];

export class Clients {
  readonly #world: World;
  readonly buckets: readonly BucketTruth[];
  /** By name: the id that the last creation answered. */
  readonly #ids = new Map<string, string>();
  #running = 0;
  #stopped = false;
  #values = 0;
  /** Buckets that nobody makes or removes any more. */
  #frozen = false;

  constructor(world: World, bucketNames: readonly string[]) {
    this.#world = world;
    this.buckets = bucketNames.map((name) => new BucketTruth(name));
  }

  start(perBucket: number, options: { removing: boolean }): void {
    for (const bucket of this.buckets) {
      void this.#loop(() => this.#makeOrRemove(bucket, options.removing), 400, 4_000);
      for (let i = 0; i < perBucket; i++) void this.#loop(() => this.#use(bucket), 20, 1_500);
    }
  }

  get idle(): boolean {
    return this.#running === 0;
  }

  /** Nothing new is begun; whatever is under way ends or is given up. */
  stop(): void {
    this.#stopped = true;
  }

  freeze(): void {
    this.#frozen = true;
  }

  async #loop(once: () => Promise<void>, fromMs: number, toMs: number): Promise<void> {
    const { scheduler, random } = this.#world;
    this.#running++;
    while (!this.#stopped) {
      await once();
      await scheduler.pause(random.between(fromMs, toMs));
    }
    this.#running--;
  }

  /** Null: no answer in time, so nobody knows what happened. */
  async ask(request: Request, node = this.#entry()): Promise<Answer | null> {
    const { scheduler } = this.#world;
    this.#world.count(`asked ${request.kind}`);
    const answer = await new Promise<Answer | null>((resolve, reject) => {
      const callOff = scheduler.after(PATIENCE_MS, () => resolve(null));
      scheduler.after(1, () => {
        if (!node.ready) {
          callOff();
          return resolve({ kind: 'unavailable', code: 'REFUSED', certain: true });
        }
        const { process } = node;
        // The connection of a client breaks with the process at its other end.
        process.whenCrashed(() => resolve(null));
        process.run(() => {
          node.serve(request, 'client').then((served) => {
            callOff();
            resolve(served);
          }, reject);
        });
      });
    });
    const said = answer?.kind === 'unavailable' ? `unavailable ${answer.code}` : (answer?.kind ?? 'nothing');
    this.#world.count(`answered ${request.kind} ${said}`);
    return answer;
  }

  /** Mostly one that listens, as behind a load balancer. */
  #entry(): SimNode {
    const { random } = this.#world;
    const members = this.#world.memberNodes();
    const { twin } = this.#world;
    if (twin?.ready && random.chance(0.1)) return twin;
    const ready = members.filter((node) => node.ready);
    const picked = random.pick(random.chance(0.9) && ready.length > 0 ? ready : members);
    if (!picked) throw new Error('a cluster of nobody');
    return picked;
  }

  async #makeOrRemove(bucket: BucketTruth, removing: boolean): Promise<void> {
    const { random, scheduler } = this.#world;
    if (this.#frozen || (bucket.existsSince !== null && !(removing && random.chance(0.15)))) return;
    const sure = bucket.existsSince !== null;
    if (sure) {
      bucket.change();
      const answer = await this.ask({ kind: 'remove', bucket: bucket.name });
      const id = this.#ids.get(bucket.name);
      if (answer?.kind === 'removed' && sure && id !== undefined) this.#world.truth.bury(id, null);
      if (answer?.kind === 'removed' || answer?.kind === 'absent') bucket.changed('gone', scheduler.steps);
      else if (answer?.kind === 'not-empty' || (answer?.kind === 'unavailable' && answer.certain))
        bucket.changed('exists', scheduler.steps);
      // In doubt for ever: it may still be removed, so only a later certain word counts.
      else if (answer !== null && answer.kind !== 'unavailable')
        this.#world.truth.fail(`I3: removal of ${bucket.name} was answered ${answer.kind}`);
      return;
    }
    const wasGone = bucket.goneSince !== null;
    bucket.change();
    const answer = await this.ask({ kind: 'create', bucket: bucket.name });
    if (answer?.kind === 'created') {
      this.#ids.set(bucket.name, answer.id);
      bucket.changed('exists', scheduler.steps);
    } else if (answer?.kind === 'exists' && wasGone) {
      this.#world.truth.fail(`I3: ${bucket.name} was certainly gone, and exists`);
    } else if (answer?.kind === 'unavailable' && answer.certain && wasGone) bucket.changed('gone', scheduler.steps);
  }

  async #use(bucket: BucketTruth): Promise<void> {
    const { random, scheduler, truth } = this.#world;
    const key = random.pick(KEYS) ?? 'k0';
    const { name } = bucket;
    const from = scheduler.steps;
    const before = { exists: bucket.existsSince, gone: bucket.goneSince };
    const dice = random.fraction();
    const value = `v${this.#values++}`;
    const request: Request =
      dice < 0.35
        ? { kind: 'put', bucket: name, key, value }
        : dice < 0.45
          ? { kind: 'put-new', bucket: name, key, value }
          : dice < 0.65
            ? { kind: 'delete', bucket: name, key }
            : dice < 0.9
              ? { kind: 'get', bucket: name, key }
              : { kind: 'list', bucket: name };
    const answer = await this.ask(request);
    const held = (kind: 'exists' | 'gone') => {
      const since = kind === 'exists' ? bucket.existsSince : bucket.goneSince;
      return before[kind] !== null && since === before[kind] && since <= from;
    };
    if (!answer || answer.kind === 'unavailable') return;
    if (answer.kind === 'absent') {
      if (held('exists')) truth.fail(`I3: ${name} exists since step ${before.exists}, and was answered as absent`);
      return;
    }
    if (held('gone')) truth.fail(`I3: ${name} is gone since step ${before.gone}, and ${request.kind} was answered`);
    const id = this.#ids.get(name);
    if ('id' in answer && held('exists') && id !== undefined && answer.id !== id)
      truth.fail(`I3: ${name} is ${id} since step ${before.exists}, and ${answer.id} answered`);
    this.#check(request, answer, key, from);
  }

  #check(request: Request, answer: Answer, key: string, from: number): void {
    const { truth } = this.#world;
    if (answer.kind === 'written') {
      if (answer.write !== null) truth.acknowledged(answer.write);
      else truth.read(answer.id, `${key} is there`, (objects) => objects.has(key), from);
    } else if (answer.kind === 'value') {
      truth.read(answer.id, `${key} = ${answer.value}`, (objects) => (objects.get(key) ?? null) === answer.value, from);
    } else if (answer.kind === 'keys') {
      const listed = answer.keys.join();
      truth.read(answer.id, `keys ${listed}`, (objects) => [...objects.keys()].sort().join() === listed, from);
    } else truth.fail(`${request.kind} was answered ${answer.kind}`);
  }

  /** After everything has settled: every bucket through every node, and everything in it. */
  async readAll(): Promise<void> {
    const { truth, scheduler } = this.#world;
    for (const bucket of this.buckets) {
      for (const node of this.#world.memberNodes()) {
        let from = scheduler.steps;
        let answer = await this.ask({ kind: 'list', bucket: bucket.name }, node);
        for (let tries = 0; tries < LAST_TRIES && (answer === null || answer.kind === 'unavailable'); tries++) {
          // It may be on a move that this reading itself has begun.
          await scheduler.pause(2_000);
          from = scheduler.steps;
          answer = await this.ask({ kind: 'list', bucket: bucket.name }, node);
        }
        if (answer?.kind === 'keys') {
          if (bucket.goneSince !== null) truth.fail(`I3: ${bucket.name} is gone, and ${node.id} lists it`);
          this.#check({ kind: 'list', bucket: bucket.name }, answer, '', from);
        } else if (answer?.kind === 'absent') {
          if (bucket.existsSince !== null) truth.fail(`I3: ${bucket.name} exists, and is absent through ${node.id}`);
        } else truth.fail(`liveness: ${bucket.name} through ${node.id}: ${JSON.stringify(answer)}`);
      }
    }
  }
}
