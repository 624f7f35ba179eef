// Files of this repository as tests read them, and the configurations that it ships.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '../../src/config/parse.ts';
import type { Config } from '../../src/config/types.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function repositoryText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export const SHIPPED_ENV = {
  ZRING_SECRET: 'x'.repeat(32),
  ZRING_ADMIN_KEY: 'y'.repeat(20),
  ZRING_CREDENTIAL_KEY: 'k'.repeat(44),
};

/** Parses with the variables that the shipped files name; throws with all faults. */
export function parseShipped(text: string, path: string): Config {
  const result = parseConfig(text, { path, env: SHIPPED_ENV, readSecret: () => 'z'.repeat(32) });
  if ('faults' in result) throw new Error(JSON.stringify(result.faults, null, 1));
  return result.config;
}

export const EXAMPLE = parseShipped(repositoryText('config/zring.example.yaml'), '/etc/zring/zring.yaml');
export const COMPOSE = parseShipped(repositoryText('config/compose/zring.yaml'), '/etc/zring/zring.yaml');
