// What is done to a simulated cluster: one fault at a time is begun, each ends by itself after a while or when all are
// healed, so several are at work at once. Counts what it really did.
import { parseRecord } from '../../src/cluster/record.ts';
import type { SimDisk } from './disk.ts';
import { loseOwner } from './succession.ts';
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
  | 'kill'
  | 'power-cut'
  | 'restart'
  | 'double'
  | 'pause'
  | 'wall-jump'
  | 'clock-jump'
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
  | 'coordinator-slow'
  | 'disk-full'
  | 'disk-readonly'
  | 'disk-noise'
  | 'disk-hang'
  | 'old-disk'
  | 'succession'
  | 'members'
  | 'leave'
  | 'map-storm'
  | 'drain'
  | 'pin';

const ALL: Profile['faults'] = {
  crash: 4,
  kill: 3,
  'power-cut': 3,
  restart: 2,
  'crash-all': 1,
  pause: 4,
  'wall-jump': 1,
  'clock-jump': 1,
  suspend: 2,
  partition: 3,
  'one-way': 3,
  isolate: 2,
  noise: 3,
  'coordinator-down': 3,
  'coordinator-cut': 3,
  'coordinator-noise': 3,
  'coordinator-slow': 3,
  'disk-full': 1,
  'disk-readonly': 1,
  'disk-noise': 3,
  'disk-hang': 3,
  members: 2,
  leave: 2,
  'map-storm': 1,
  drain: 2,
  pin: 8,
};

const BASE = { nodesMax: 4, bucketsMax: 3, clientsPerBucket: 2, removing: true, faultMs: 60_000, strikeEveryMs: 1_500 };

export const PROFILES: Readonly<Record<string, Profile>> = {
  moves: { ...BASE, removing: false, faults: { pin: 10, crash: 5, noise: 2, pause: 1, drain: 1 } },
  replicas: { ...BASE, faults: { succession: 2, pin: 4, crash: 3, noise: 2, pause: 1, drain: 1, partition: 1 } },
  mixed: { ...BASE, faults: { ...ALL, double: 2, succession: 1 } },
  forgetful: {
    ...BASE,
    faults: { ...ALL, succession: 1, 'coordinator-flush': 3, 'coordinator-restore': 3, 'coordinator-failover': 3 },
  },
  'old-disk': {
    ...BASE,
    faults: { 'old-disk': 8, pin: 10, crash: 2, noise: 2, pause: 1, partition: 1, drain: 1 },
  },
  storm: { ...BASE, faultMs: 30_000, strikeEveryMs: 250, faults: { ...ALL, 'coordinator-flush': 1 } },
};

/** Two nodes, one bucket, no faults but the one crash. */
export const STORY: Profile = { ...BASE, nodesMax: 2, bucketsMax: 1, clientsPerBucket: 1, faultMs: 0, faults: {} };

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
    Object.assign(coordinator.faults, { loseReply: 0, late: 0, slowMs: 0 });
    coordinator.setUp(true);
    driverFaults.fail = 0;
    for (const node of nodes) {
      node.disk.failing = null;
      node.hang(false);
      if (node.process.paused) node.process.wake();
    }
    for (const { id, keepsSomething } of nodes) if (keepsSomething) this.#bringBack(id);
    // What supervises a node starts it again, also when it failed to start.
    const supervise = () => {
      for (const node of this.#world.nodes) {
        node.start();
        node.acceptReplaced();
        for (const id of node.promisedTo) this.#bringBack(id);
      }
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
      case 'kill':
      case 'power-cut':
        node.crash(name);
        return this.#later(10, 12_000, () => node.start());
      case 'restart':
        if (!node.ready || node.process.paused) return false;
        node.stop();
        return this.#later(10, 40_000, () => node.start());
      case 'double':
        return this.#double(node);
      case 'crash-all': {
        const how = random.pick(['mixed', 'kill', 'power-cut'] as const);
        for (const each of live) each.crash(how);
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
      case 'clock-jump':
        // Timers go by what time it is; a sleep that nobody saw makes many of them late at once.
        node.process.jumpAhead(random.whole(0, 60_000));
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
      case 'coordinator-slow':
        coordinator.faults.slowMs = random.between(10, 900);
        return this.#later(500, 8_000, () => {
          coordinator.faults.slowMs = 0;
        });
      case 'disk-hang':
        node.hang(true);
        return this.#later(200, 15_000, () => node.hang(false));
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
      case 'succession': {
        const end = loseOwner(this.#world, node);
        if (end) this.#ending.push(end);
        return end !== null;
      }
      case 'members':
        return this.#changeMembers();
      case 'leave':
        return this.#leave();
      case 'map-storm':
        return this.#mapStorm();
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

  /** A node joins, if there is one: new, or one that has left, with its disk or without. */
  #changeMembers(): boolean {
    const { nodes, members, draining, departing, random } = this.#world;
    const newcomer = nodes.find((node) => !members.includes(node.id) && !departing.has(node.id));
    if (!newcomer) return false;
    if (newcomer.life > 0) {
      this.#world.count('member came back');
      // A coordinator that goes back in time may know the former disk again, and would refuse this one.
      const forgets = (['flush', 'restore', 'failover'] as const).some(
        (how) => this.#profile.faults[`coordinator-${how}`],
      );
      if (!forgets && random.chance(0.5)) newcomer.replaceDisk();
    }
    this.#world.reconfigure([...members, newcomer.id], [...draining], 5_000);
    newcomer.start();
    return true;
  }

  /** As an operator takes a node out: drained, then left out of the file, then ended when the map agrees. */
  #leave(): boolean {
    const world = this.#world;
    const victim = world.random.pick(world.members);
    if (!victim || world.members.length < 3) return false;
    const draining = new Set([...world.draining, victim]);
    // Somebody has to take what the others give away.
    if (world.members.every((id) => draining.has(id))) return false;
    world.reconfigure(world.members, [...draining], 3_000);
    const look = (left: number) => {
      if (left === 0 || !world.draining.has(victim) || world.members.length < 3) return;
      if (this.#holds(victim) || !world.coordinator.up) return void world.scheduler.after(1_500, () => look(left - 1));
      world.departing.add(victim);
      const without = (ids: Iterable<string>) => [...ids].filter((id) => id !== victim);
      world.reconfigure(without(world.members), without(world.draining), 5_000);
      this.#endWhenLeft(victim);
    };
    world.scheduler.after(4_000, () => look(20));
    return true;
  }

  /** As far as the coordinator knows; before it has heard all, nobody does. */
  #holds(node: string): boolean {
    const content = new Map(this.#world.coordinator.content());
    const meta = content.get('meta');
    if (meta === undefined || !(JSON.parse(meta) as { complete: boolean }).complete) return true;
    return [...content].some(([key, text]) => {
      if (!key.startsWith('record/')) return false;
      const { phase, owner, target, inSync } = parseRecord((JSON.parse(text) as { text: string }).text);
      return phase !== 'deleted' && [owner, target, ...inSync].includes(node);
    });
  }

  /** Taken out too early, by the word of a coordinator that had forgotten, or in the moment of a promise: it has to leave again. */
  #bringBack(id: string): void {
    const { members, departing } = this.#world;
    if (members.includes(id) || departing.has(id)) return;
    this.#world.count('member brought back');
    departing.add(id);
    this.#endWhenLeft(id);
  }

  #endWhenLeft(id: string): void {
    const world = this.#world;
    // The operator looks once more: what was cut off while the map changed may have taken something over since.
    if (!world.hasLeft(id) || this.#holds(id)) return void world.scheduler.after(1_000, () => this.#endWhenLeft(id));
    world.departing.delete(id);
    world.node(id).crash('kill');
    world.count('member left');
  }

  /** One revision on the heels of another: nodes follow different ones while the map changes. */
  #mapStorm(): boolean {
    const { scheduler, random } = this.#world;
    for (let i = 0; i < 4; i++) {
      scheduler.after(i * random.between(100, 1_500), () => {
        const { members, draining } = this.#world;
        const other = random.pick(members) ?? '';
        this.#world.reconfigure(members, draining.has(other) || members.length < 2 ? [] : [other], 4_000);
      });
    }
    return true;
  }

  /** Somebody gives a new machine the id of this one, while it runs or while it is down. */
  #double(node: World['nodes'][number]): boolean {
    const world = this.#world;
    if (world.twin?.up || !world.coordinator.content().has(`disk/${node.id}`)) return false;
    const twin = world.makeTwin(node.id);
    if (world.random.chance(0.5)) {
      node.crash();
      this.#later(1_000, 15_000, () => node.start());
    }
    twin.start();
    return this.#later(2_000, 25_000, () => twin.crash());
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
