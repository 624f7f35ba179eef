// TODO
import type { Mutant } from './mutant.ts';

export const ROUTING_MUTANTS: readonly Mutant[] = [];
