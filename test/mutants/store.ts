// TODO
import type { Mutant } from './mutant.ts';

export const STORE_MUTANTS: readonly Mutant[] = [];
