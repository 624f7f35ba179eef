// What is done to a simulated cluster: one fault at a time is begun, each ends by itself after a while or when all are
// healed, so several are at work at once. Counts what it really did.
import type { SimDisk } from './disk.ts';
import type { World } from './world.ts';

export interface Profile {
  readonly nodesMax: number;
  readonly bucketsMax: number;
  readonly clientsPerBucket: number;
  readonly removing: boolean;
  readonly faultMs: number;
  readonly strikeEveryMs: number;
  /** Weight of each fault; absent = never. */
  readonly faults: Partial<Record<FaultName, number>>;
}

export type FaultName =
  | 'crash'
  | 'crash-all'
  | 'pause'
  | 'wall-jump'
  | 'suspend'
  | 'partition'
  | 'one-way'
  | 'isolate'
  | 'noise'
  | 'coordinator-down'
  | 'coordinator-cut'
  | 'coordinator-flush'
  | 'coordinator-restore'
  | 'coordinator-failover'
  | 'coordinator-noise'
  | 'disk-full'
  | 'disk-readonly'
  | 'disk-noise'
  | 'old-disk'
  | 'members'
  | 'drain'
  | 'pin';

const ALL: Profile['faults'] = {
  crash: 8,
  'crash-all': 1,
  pause: 4,
  'wall-jump': 1,
  suspend: 2,
  partition: 3,
  'one-way': 3,
  isolate: 2,
  noise: 3,
  'coordinator-down': 3,
  'coordinator-cut': 3,
  'coordinator-noise': 3,
  'disk-full': 1,
  'disk-readonly': 1,
  'disk-noise': 3,
  members: 2,
  drain: 2,
  pin: 8,
};

const BASE = { nodesMax: 4, bucketsMax: 3, clientsPerBucket: 2, removing: true, faultMs: 60_000, strikeEveryMs: 1_500 };

export const PROFILES: Readonly<Record<string, Profile>> = {
  moves: { ...BASE, removing: false, faults: { pin: 10, crash: 5, noise: 2, pause: 1, drain: 1 } },
  mixed: { ...BASE, faults: ALL },
  forgetful: {
    ...BASE,
    faults: { ...ALL, 'coordinator-flush': 3, 'coordinator-restore': 3, 'coordinator-failover': 3 },
  },
  'old-disk': {
    ...BASE,
    faults: { 'old-disk': 8, pin: 10, crash: 2, noise: 2, pause: 1, partition: 1, drain: 1 },
  },
  storm: { ...BASE, faultMs: 30_000, strikeEveryMs: 250, faults: { ...ALL, 'coordinator-flush': 1 } },
};

export class Nemesis {
  readonly #world: World;
  readonly #profile: Profile;
  #ending: (() => void)[] = [];
  /** Images of disks, by node. */
  readonly #images = new Map<string, SimDisk>();
  readonly #swapped = new Set<string>();

  constructor(world: World, profile: Profile) {
    this.#world = world;
    this.#profile = profile;
  }

  strike(): void {
    const { random } = this.#world;
    const entries = Object.entries(this.#profile.faults) as [FaultName, number][];
    let dice = random.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      dice -= weight;
      if (dice >= 0) continue;
      if (this.#begin(name)) {
        this.#world.count(`fault ${name}`);
        this.#world.note(`FAULT ${name}`);
      }
      return;
    }
  }

  /** Undone after a while, or by `heal`. */
  #later(fromMs: number, toMs: number, undo: () => void): true {
    const { scheduler, random } = this.#world;
    let done = false;
    const once = () => {
      if (done) return;
      done = true;
      undo();
    };
    scheduler.after(random.between(fromMs, toMs), once);
    this.#ending.push(once);
    return true;
  }

  heal(): void {
    for (const end of this.#ending.splice(0)) end();
    const { network, coordinator, nodes, driverFaults } = this.#world;
    network.healAll();
    Object.assign(network.faults, { lose: 0, repeat: 0, cut: 0 });
    coordinator.healAll();
    Object.assign(coordinator.faults, { loseReply: 0, late: 0 });
    coordinator.setUp(true);
    driverFaults.fail = 0;
    for (const node of nodes) {
      node.disk.failing = null;
      if (node.process.paused) node.process.wake();
    }
    // What supervises a node starts it again, also when it failed to start.
    const supervise = () => {
      for (const node of this.#world.memberNodes()) if (!node.up) node.start();
      this.#world.scheduler.after(2_000, supervise);
    };
    supervise();
  }

  /** @returns whether there was anything to do it to. */
  #begin(name: FaultName): boolean {
    const { random, network, coordinator, driverFaults } = this.#world;
    const live = this.#world.nodes.filter((node) => node.up);
    const node = random.pick(live);
    const other = random.pick(this.#world.nodes.filter((candidate) => candidate !== node));
    if (!node || !other) return false;
    switch (name) {
      case 'crash': {
        node.crash();
        return this.#later(10, 12_000, () => node.start());
      }
      case 'crash-all': {
        for (const each of live) each.crash();
        return this.#later(10, 3_000, () => {
          for (const each of live) each.start();
        });
      }
      case 'pause': {
        if (node.process.paused) return false;
        const { process } = node;
        process.pause();
        return this.#later(100, 25_000, () => process.wake());
      }
      case 'suspend': {
        // The machine sleeps: its monotonic clock stands still in some, and has jumped when it wakes in others.
        if (node.process.paused) return false;
        const { process } = node;
        process.pause();
        return this.#later(1_000, 30_000, () => {
          process.jumpAhead(random.whole(0, 60_000));
          process.wake();
        });
      }
      case 'wall-jump':
        node.process.wallShiftMs += random.whole(-100_000, 100_000);
        return true;
      case 'partition':
        network.block(node.id, other.id);
        network.block(other.id, node.id);
        return this.#later(200, 20_000, () => {
          network.unblock(node.id, other.id);
          network.unblock(other.id, node.id);
        });
      case 'one-way':
        network.block(node.id, other.id);
        return this.#later(200, 20_000, () => network.unblock(node.id, other.id));
      case 'isolate':
        for (const each of this.#world.nodes) {
          network.block(node.id, each.id);
          network.block(each.id, node.id);
        }
        coordinator.cutOff(node.id);
        return this.#later(500, 25_000, () => {
          network.healAll();
          coordinator.healAll();
        });
      case 'noise':
        Object.assign(network.faults, { lose: 0.05, repeat: 0.1, cut: 0.15 });
        return this.#later(500, 10_000, () => Object.assign(network.faults, { lose: 0, repeat: 0, cut: 0 }));
      case 'coordinator-down':
        if (!coordinator.up) return false;
        coordinator.setUp(false);
        return this.#later(100, 15_000, () => coordinator.setUp(true));
      case 'coordinator-cut':
        coordinator.cutOff(node.id);
        return this.#later(200, 20_000, () => coordinator.healAll());
      case 'coordinator-flush':
        coordinator.flush();
        return true;
      case 'coordinator-restore':
        return coordinator.restore();
      case 'coordinator-failover':
        return coordinator.failover();
      case 'coordinator-noise':
        coordinator.dump();
        Object.assign(coordinator.faults, { loseReply: 0.1, late: 0.1 });
        return this.#later(500, 8_000, () => Object.assign(coordinator.faults, { loseReply: 0, late: 0 }));
      case 'disk-full':
        return this.#fail(node, 'full');
      case 'disk-readonly':
        return this.#fail(node, 'readonly');
      case 'disk-noise':
        driverFaults.fail = 0.1;
        return this.#later(200, 4_000, () => {
          driverFaults.fail = 0;
        });
      case 'old-disk':
        return this.#goBack(node);
      case 'members':
        return this.#changeMembers();
      case 'drain': {
        const { members, draining } = this.#world;
        const victim = random.pick(members);
        if (!victim || members.length < 2) return false;
        this.#world.reconfigure(members, draining.has(victim) ? [] : [victim], 5_000);
        return true;
      }
      case 'pin':
        return this.#pin();
    }
  }

  #fail(node: World['nodes'][number], how: 'full' | 'readonly'): boolean {
    const { disk } = node;
    disk.failing = how;
    return this.#later(200, 8_000, () => {
      disk.failing = null;
    });
  }

  /**
   * The node is put back to an image of its disk that was made a while ago, runs on it, and gets its own disk back. Whatever
   * it was told since the image was made, it has forgotten; what it said since, others remember.
   */
  #goBack(node: World['nodes'][number]): boolean {
    const { coordinator } = this.#world;
    if (this.#swapped.has(node.id)) return false;
    const image = this.#images.get(node.id);
    this.#images.delete(node.id);
    if (!image || !this.#isOlder(node.id, image)) {
      // First the image, for a later strike.
      node.crash();
      this.#images.set(node.id, node.diskImage());
      this.#later(10, 2_000, () => node.start());
      return false;
    }
    if (!coordinator.up) return false;
    node.crash();
    const own = node.disk;
    this.#swapped.add(node.id);
    // What it knew of the map is as old as the rest.
    node.epoch = 0;
    node.disk = image;
    node.start();
    this.#world.note(`${node.id} runs on an old disk`);
    return this.#later(2_000, 30_000, () => {
      node.crash();
      this.#swapped.delete(node.id);
      node.epoch = 0;
      node.disk = own;
      this.#world.note(`${node.id} has its own disk again`);
      node.start();
    });
  }

  /** It was said, and heard, that there is something newer. */
  #isOlder(node: string, image: SimDisk): boolean {
    const kept = this.#world.coordinator.content().get(`disk/${node}`);
    if (kept === undefined) return false;
    const said = [image.map.get('disk/heard') ?? '0', ...(image.map.get('disk/offers') ?? '').split(' ')];
    return !said.includes((JSON.parse(kept) as { mark: string }).mark);
  }

  /** A node joins, if there is one; a node that holds nothing by the map's own check leaves. */
  #changeMembers(): boolean {
    const { nodes, members, random } = this.#world;
    const newcomer = nodes.find((node) => !members.includes(node.id));
    if (!newcomer) return false;
    if (!random.chance(0.8)) return false;
    this.#world.reconfigure([...members, newcomer.id], [], 5_000);
    newcomer.start();
    return true;
  }

  #pin(): boolean {
    const { random, nodes, clients, members } = this.#world;
    const node = random.pick(nodes.filter((candidate) => candidate.ready && !candidate.process.paused));
    const bucket = random.pick(clients.buckets);
    const to = random.chance(0.2) ? null : (random.pick(members) ?? null);
    if (!node || !bucket) return false;
    node.process.run(() => void node.ownership?.move(bucket.name, to).catch(() => undefined));
    return true;
  }
}
