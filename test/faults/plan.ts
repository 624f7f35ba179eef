// The plan of a run: which faults, upon whom, for how long, in which order. A pure function of (seed, profile, size), so a
// run is repeated by its seed. Knows nothing of processes; what cannot be known before the run (who owns a dataset at that
// moment) is left to the injector, as an index to choose by.
//
// A plan is a list of waves. The faults of a wave overlap, each after its own delay; the next wave begins when all of them
// are over and healed. Two faults of one wave never need the same thing for themselves (`claims`), else one would undo
// what the other does and nobody could say which was tested.
import { createRandom, type Random } from './random.ts';

export type Fault =
  | { kind: 'node-kill'; node: number; downMs: number; awaitReady: boolean }
  | { kind: 'node-pause'; node: number; forMs: number }
  /** The owner sleeps past its lease; meanwhile its datasets are asked to go elsewhere; then it wakes. */
  | { kind: 'zombie'; node: number; when: 'serving' | 'draining'; ask: number; overMs: number }
  | { kind: 'power-cut'; node: number; withNode: boolean; downMs: number; awaitReady: boolean }
  | { kind: 'cluster-kill'; storage: boolean; redis: boolean; downMs: number }
  | { kind: 'partition-nodes'; from: number; to: number; ways: Ways; how: Cut; forMs: number }
  | { kind: 'partition-redis'; node: number; ways: Ways; how: Cut; forMs: number }
  | { kind: 'isolate'; node: number; how: Cut; forMs: number }
  | { kind: 'redis-kill'; downMs: number }
  | { kind: 'redis-stop'; forMs: number }
  | { kind: 'redis-flush' }
  | { kind: 'redis-restore'; ageMs: number; downMs: number }
  | { kind: 'redis-failover'; ageMs: number }
  | { kind: 'disk-full'; node: number; leaveKiB: number; forMs: number }
  | { kind: 'dataset-readonly'; dataset: number; forMs: number }
  | { kind: 'pool-hang'; node: number; forMs: number }
  | {
      kind: 'cut-stream';
      dataset: number;
      to: number;
      direction: 'send' | 'receive';
      end: 'badly' | 'well';
      cuts: number[];
    }
  /** `to` null: its pin is taken away. */
  | { kind: 'move'; dataset: number; to: number | null }
  | { kind: 'move-many'; first: number; count: number; to: number }
  | { kind: 'drain'; node: number; forMs: number }
  | { kind: 'config-churn'; times: number; everyMs: number }
  | { kind: 'duplicate-id'; node: number; forMs: number }
  | { kind: 'old-disk'; node: number; ageMs: number; forMs: number };

export type FaultKind = Fault['kind'];
export type Ways = 'both' | 'out' | 'in';
/** `refused`: the sender is told at once (a route that rejects). `silent`: packets vanish. */
export type Cut = 'refused' | 'silent';

export interface PlannedFault {
  readonly afterMs: number;
  readonly fault: Fault;
}

export interface Plan {
  readonly seed: number;
  readonly profile: Profile;
  readonly settings: RunSettings;
  readonly waves: readonly (readonly PlannedFault[])[];
}

export interface RunSettings {
  readonly nodes: number;
  readonly buckets: number;
  readonly leaseMs: number;
  readonly mode: 'lazy' | 'background';
  readonly priorCopyMs: number;
  readonly clients: number;
  /** Buckets that come and go, besides those that stay. */
  readonly deletingBuckets: boolean;
}

export const PROFILES = [
  'crash',
  'power',
  'redis',
  'partition',
  'zombie',
  'streams',
  'moves',
  'mixed',
  'disk',
] as const;
export type Profile = (typeof PROFILES)[number];
/** What a campaign goes through: oftener what the bar asks most of. */
export const ROTATION: readonly Profile[] = [
  'zombie',
  'streams',
  'power',
  'crash',
  'mixed',
  'redis',
  'streams',
  'partition',
  'zombie',
  'moves',
  'power',
  'disk',
];

/** Faults a wave holds at most, and their weights. What is not named does not happen in that profile. */
const WEIGHTS: Record<Profile, Weights> = {
  crash: { 'node-kill': 10, 'cluster-kill': 3, move: 2, 'node-pause': 1 },
  power: { 'power-cut': 10, 'cluster-kill': 3, move: 2, 'node-kill': 1 },
  redis: {
    'redis-kill': 2,
    'redis-stop': 2,
    'redis-flush': 3,
    'redis-restore': 3,
    'redis-failover': 3,
    'partition-redis': 3,
    move: 3,
    'node-kill': 1,
  },
  partition: { 'partition-nodes': 6, 'partition-redis': 4, isolate: 2, move: 4, 'node-kill': 1 },
  zombie: { zombie: 12, move: 2, 'node-kill': 1, 'redis-flush': 1 },
  streams: { 'cut-stream': 12, move: 1, 'node-kill': 1, 'power-cut': 1 },
  moves: { move: 6, 'move-many': 3, drain: 2, 'config-churn': 2, 'node-kill': 2 },
  disk: {
    'disk-full': 3,
    'dataset-readonly': 3,
    'pool-hang': 3,
    'duplicate-id': 2,
    'old-disk': 2,
    move: 3,
    'power-cut': 1,
  },
  mixed: {
    'node-kill': 4,
    'node-pause': 1,
    zombie: 4,
    'power-cut': 4,
    'cluster-kill': 1,
    'partition-nodes': 2,
    'partition-redis': 2,
    isolate: 1,
    'redis-kill': 1,
    'redis-stop': 1,
    'redis-flush': 1,
    'redis-restore': 1,
    'redis-failover': 1,
    'disk-full': 1,
    'dataset-readonly': 1,
    'pool-hang': 1,
    'cut-stream': 6,
    move: 3,
    'move-many': 1,
    drain: 1,
    'config-churn': 1,
    'duplicate-id': 1,
    'old-disk': 1,
  },
};

export interface PlanOptions {
  readonly seed: number;
  readonly profile: Profile;
  /** How many faults, counted one by one. */
  readonly faults: number;
  /** Each kind of the profile once before chance decides. */
  readonly eachKindOnce?: boolean;
}

export function planRun(options: PlanOptions): Plan {
  const { seed, profile, faults } = options;
  const random = createRandom(`plan/${seed}/${profile}`);
  const settings: RunSettings = {
    nodes: random.between(3, 4),
    buckets: random.between(6, 8),
    leaseMs: 1000 * random.between(3, 4),
    mode: random.chance(0.5) ? 'lazy' : 'background',
    priorCopyMs: 1000 * random.between(4, 15),
    clients: random.between(6, 10),
    deletingBuckets: random.chance(0.5),
  };
  const weights = WEIGHTS[profile];
  const kinds = Object.keys(weights) as FaultKind[];
  const due = options.eachKindOnce ? random.shuffled(kinds) : [];
  const waves: PlannedFault[][] = [];
  for (let left = faults; left > 0; ) {
    const wave = planWave(random, settings, Math.min(left, random.pick([1, 2, 3, 3])), due, weights);
    waves.push(wave);
    left -= wave.length;
  }
  return { seed, profile, settings, waves };
}

/** `due`: kinds that must come; one that cannot share the wave waits for the next. */
function planWave(
  random: Random,
  settings: RunSettings,
  size: number,
  due: FaultKind[],
  weights: Weights,
): PlannedFault[] {
  const wave: PlannedFault[] = [];
  const taken: Fault[] = [];
  for (let tries = 0; wave.length < size && tries < 20; tries += 1) {
    const wanted = due.shift();
    const fault = makeFault(wanted ?? weighted(random, weights), random, settings);
    if (taken.some((other) => collide(other, fault))) {
      if (wanted) due.unshift(wanted);
      continue;
    }
    taken.push(fault);
    wave.push({ afterMs: wave.length === 0 ? 0 : random.between(0, 1200), fault });
  }
  return wave;
}

/** What a fault needs for itself while it lasts, and what must only not be taken away under it. */
interface Claims {
  readonly own: readonly string[];
  readonly shared?: readonly string[];
}

export function collide(a: Fault, b: Fault): boolean {
  const [x, y] = [claimsOf(a), claimsOf(b)];
  const all = ({ own }: Claims) => own.includes('all');
  const meets = (p: Claims, q: Claims) => p.own.some((c) => q.own.includes(c) || q.shared?.includes(c));
  return all(x) || all(y) || meets(x, y) || meets(y, x);
}

function claimsOf(fault: Fault): Claims {
  switch (fault.kind) {
    case 'cluster-kill':
    case 'config-churn':
    case 'old-disk':
      return { own: ['all'] };
    case 'zombie':
      // It needs the coordinator to be asked for moves.
      return { own: [`node-${fault.node}`], shared: ['redis', 'network'] };
    case 'node-kill':
    case 'node-pause':
    case 'power-cut':
    case 'pool-hang':
    case 'disk-full':
      return { own: [`node-${fault.node}`] };
    case 'duplicate-id':
      // The lab has one address for impostors.
      return { own: [`node-${fault.node}`, 'impostor'] };
    case 'partition-nodes':
    case 'isolate':
      return { own: ['network'] };
    case 'partition-redis':
      return { own: ['network'], shared: ['redis'] };
    case 'redis-kill':
    case 'redis-stop':
    case 'redis-flush':
    case 'redis-restore':
    case 'redis-failover':
      return { own: ['redis'] };
    case 'drain':
      return { own: ['config'] };
    case 'dataset-readonly':
      return { own: [`dataset-${fault.dataset}`] };
    case 'cut-stream':
      return { own: [`dataset-${fault.dataset}`], shared: ['redis', 'network'] };
    case 'move':
      return { own: [`dataset-${fault.dataset}`] };
    case 'move-many':
      return { own: ['config'] };
  }
}

type Weights = Partial<Record<FaultKind, number>>;

function weighted(random: Random, weights: Weights): FaultKind {
  const entries = Object.entries(weights) as [FaultKind, number][];
  let left = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of entries) {
    left -= weight;
    if (left < 0) return kind;
  }
  return entries[0]?.[0] ?? 'node-kill';
}

/** Offsets near the beginning (records of a stream are 312 bytes) are as likely as those in the middle of data. */
function cutAfter(random: Random): number {
  const scale = random.pick([312, 700, 4_096, 30_000, 300_000]);
  return random.between(0, scale);
}

function makeFault(kind: FaultKind, random: Random, { nodes, buckets }: RunSettings): Fault {
  const node = random.below(nodes);
  const other = (node + random.between(1, nodes - 1)) % nodes;
  const dataset = random.below(buckets);
  const ways = random.pick(['both', 'out', 'in'] as const);
  const how = random.pick(['refused', 'silent', 'silent'] as const);
  const forMs = random.between(1_000, 5_000);
  const downMs = random.pick([0, random.between(0, 500), random.between(500, 4_000)]);
  const awaitReady = random.chance(0.6);
  switch (kind) {
    case 'node-kill':
      return { kind, node, downMs, awaitReady };
    case 'node-pause':
      return { kind, node, forMs: random.between(100, 2_500) };
    case 'zombie':
      return {
        kind,
        node,
        when: random.pick(['serving', 'serving', 'draining']),
        ask: random.between(1, 3),
        overMs: random.between(100, 1_500),
      };
    case 'power-cut':
      return { kind, node, withNode: random.chance(0.6), downMs, awaitReady };
    case 'cluster-kill':
      return { kind, storage: random.chance(0.6), redis: random.chance(0.4), downMs };
    case 'partition-nodes':
      return { kind, from: node, to: other, ways, how, forMs };
    case 'partition-redis':
      return { kind, node, ways, how, forMs };
    case 'isolate':
      return { kind, node, how, forMs };
    case 'redis-kill':
      return { kind, downMs };
    case 'redis-stop':
      return { kind, forMs };
    case 'redis-flush':
      return { kind };
    case 'redis-restore':
      return { kind, ageMs: random.between(5_000, 60_000), downMs };
    case 'redis-failover':
      return { kind, ageMs: random.between(200, 4_000) };
    case 'disk-full':
      return { kind, node, leaveKiB: random.pick([0, 64, 1_024, 3_500]), forMs };
    case 'dataset-readonly':
      return { kind, dataset, forMs };
    case 'pool-hang':
      return { kind, node, forMs: random.between(500, 6_000) };
    case 'cut-stream': {
      const cuts = Array.from({ length: random.between(3, 5) }, () => cutAfter(random));
      return {
        kind,
        dataset,
        to: node,
        direction: random.pick(['send', 'receive']),
        end: random.pick(['badly', 'well']),
        cuts,
      };
    }
    case 'move':
      return { kind, dataset, to: random.chance(0.2) ? null : node };
    case 'move-many':
      return { kind, first: dataset, count: random.between(2, buckets), to: node };
    case 'drain':
      return { kind, node, forMs };
    case 'config-churn':
      return { kind, times: random.between(3, 8), everyMs: 1_000 };
    case 'duplicate-id':
      return { kind, node, forMs: random.between(1_000, 3_000) };
    case 'old-disk':
      return { kind, node, ageMs: random.between(1_500, 4_000), forMs: random.between(2_000, 6_000) };
  }
}
