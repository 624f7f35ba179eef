// Which stores are closed when too many are open: the longest unused. Pure. One with requests inside, or with something
// under way, is left alone, so the bound may be passed while everything is in use.
import type { DatasetRunner } from './runner.ts';

export function planEvictions(all: Iterable<DatasetRunner>, opened: DatasetRunner, max: number): DatasetRunner[] {
  const open = [...all].filter((runner) => runner.state.openTerm !== null);
  if (open.length <= max) return [];
  const idle = open.filter(
    (runner) => runner !== opened && runner.gate.inside === 0 && runner.state.phase.at === 'idle',
  );
  return idle.sort((a, b) => a.lastUsedMs - b.lastUsedMs).slice(0, open.length - max);
}
