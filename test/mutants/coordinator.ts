// TODO
import type { Mutant } from './mutant.ts';

export const COORDINATOR_MUTANTS: readonly Mutant[] = [];
