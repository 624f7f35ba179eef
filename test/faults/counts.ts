// What a run counts: faults that really fired, moves, operations. Values only; sums are taken here so that a run, a
// campaign and the table in docs/FAULTS.md count alike.

/** The kinds that the bar asks for, and the rest of what happened. */
export const COUNTED = [
  'nodeKills',
  'powerCuts',
  'redisFaults',
  'partitions',
  'zombies',
  'cutStreams',
  'moves',
  'clusterKills',
  'nodePauses',
  'diskFull',
  'readonly',
  'poolHangs',
  'configChanges',
  'duplicateIds',
  'oldDisks',
] as const;
export type CountName = (typeof COUNTED)[number];
export type Counts = Record<CountName, number>;

export function noCounts(): Counts {
  return Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
}

export function addCounts(a: Counts, b: Partial<Counts>): Counts {
  return Object.fromEntries(COUNTED.map((name) => [name, a[name] + (b[name] ?? 0)])) as Counts;
}
