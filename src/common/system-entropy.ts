// Real chance: ids nobody can guess, and jitter.
import { randomBytes } from 'node:crypto';
import type { Entropy } from './clock.ts';

export const SYSTEM_ENTROPY: Entropy = {
  hex: (bytes) => randomBytes(bytes).toString('hex'),
  fraction: Math.random,
};
