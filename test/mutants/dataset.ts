// TODO
import type { Mutant } from './mutant.ts';

export const DATASET_MUTANTS: readonly Mutant[] = [];
