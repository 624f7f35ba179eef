// TODO
import type { Mutant } from './mutant.ts';

export const RECORD_MUTANTS: readonly Mutant[] = [];
