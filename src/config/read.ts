// Reading the configuration file: the place where parse.ts meets the file system. No state; watch.ts keeps the current
// configuration of a running process.
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { configInvalid, parseConfig } from './parse.ts';
import { CONFIG_CHARACTERS_MAX } from './tree.ts';
import type { Config } from './types.ts';

const SECRET_FILE_BYTES_MAX = 4096;

function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a folder';
  return error instanceof Error ? error.message : String(error);
}

function readLimited(path: string, bytesMax: number): string {
  const size = statSync(path).size;
  if (size > bytesMax) throw new Error(`it is longer than ${bytesMax} bytes`);
  return readFileSync(path, 'utf8');
}

/** Errors: CONFIG_INVALID with ConfigFault[] in details, every fault of the file at once. */
export function loadConfig(path: string, env: NodeJS.ProcessEnv): Config {
  const file = resolve(path);
  let text: string;
  try {
    text = readLimited(file, CONFIG_CHARACTERS_MAX);
  } catch (error) {
    const fault = { path: '', message: `cannot be read: ${reason(error)}`, expected: 'a YAML file' };
    throw new ZringError('CONFIG_INVALID', `${file} cannot be read: ${reason(error)}`, {
      cause: error,
      subject: file,
      details: [fault],
    });
  }
  const result = parseConfig(text, { path: file, env, readSecret: (name) => readSecretFile(dirname(file), name) });
  if ('faults' in result) throw configInvalid(file, result.faults);
  return result.config;
}

function readSecretFile(folder: string, name: string): string {
  const path = resolve(folder, name);
  try {
    return readLimited(path, SECRET_FILE_BYTES_MAX);
  } catch (error) {
    throw new Error(`${path}: ${reason(error)}`, { cause: error });
  }
}
