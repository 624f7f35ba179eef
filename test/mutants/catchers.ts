// The tests that mutants name, by file.
import type { Catcher } from './mutant.ts';

function of(file: string): (test: string, env?: Readonly<Record<string, string>>) => Catcher {
  return (test, env) => ({ file, test, ...(env && { env }) });
}

export const transitions = of('test/ownership/transitions.test.ts');
export const crossings = of('test/ownership/crossings.test.ts');
export const explorer = of('test/ownership/explorer.test.ts');
export const catalog = of('test/ownership/catalog.test.ts');
export const parts = of('test/ownership/parts.test.ts');
export const life = of('test/ownership/cluster-life.test.ts');
export const handoff = of('test/ownership/handoff.test.ts');
export const absence = of('test/ownership/absence.test.ts');
export const mapChange = of('test/cluster/map-change.test.ts');
