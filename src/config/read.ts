// Reading the configuration file: the place where parse.ts meets the file system. No state; watch.ts keeps the current
// configuration of a running process, and the marks of the files that it was read from.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { configInvalid, parseConfig } from './parse.ts';
import { CONFIG_CHARACTERS_MAX } from './tree.ts';
import type { Config } from './types.ts';

const SECRET_FILE_BYTES_MAX = 4096;

/** File → mark of its content, or of the reason why it cannot be read. */
export type FileMarks = ReadonlyMap<string, string>;

export interface Reading {
  readonly result: Config | ZringError;
  /** Everything that was read: the file itself and its secret files. */
  readonly marks: FileMarks;
}

function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a folder';
  return error instanceof Error ? error.message : String(error);
}

/** @throws Error with a reason that can be shown. */
function readLimited(path: string, bytesMax: number): string {
  try {
    const size = statSync(path).size;
    if (size > bytesMax) throw new Error(`it is longer than ${bytesMax} bytes`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(reason(error), { cause: error });
  }
}

function mark(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (error) {
    return `unreadable: ${reason(error)}`;
  }
}

/** True when reading again would read the same. Far cheaper than parsing: this is what a poll does. */
export function isUnchanged(marks: FileMarks): boolean {
  return marks.size > 0 && [...marks].every(([path, seen]) => mark(path) === seen);
}

/** Errors: CONFIG_INVALID with ConfigFault[] in details, every fault of the file at once. */
export function loadConfig(path: string, env: NodeJS.ProcessEnv): Config {
  const { result } = readConfig(path, env);
  if (result instanceof ZringError) throw result;
  return result;
}

export function readConfig(path: string, env: NodeJS.ProcessEnv): Reading {
  const file = resolve(path);
  const marks = new Map<string, string>();
  const read = (name: string, bytesMax: number): string => {
    // Marked before it is read: a change in between is found by the next look.
    marks.set(name, mark(name));
    return readLimited(name, bytesMax);
  };
  const readSecret = (name: string): string => {
    const secretFile = resolve(dirname(file), name);
    try {
      return read(secretFile, SECRET_FILE_BYTES_MAX);
    } catch (error) {
      throw new Error(`${secretFile}: ${reason(error)}`, { cause: error });
    }
  };
  let text: string;
  try {
    text = read(file, CONFIG_CHARACTERS_MAX);
  } catch (error) {
    const message = `cannot be read: ${reason(error)}`;
    const details = [{ path: '', message, expected: 'a YAML file' }];
    const result = new ZringError('CONFIG_INVALID', `${file} ${message}`, { cause: error, subject: file, details });
    return { result, marks };
  }
  const parsed = parseConfig(text, { path: file, env, readSecret });
  return { result: 'faults' in parsed ? configInvalid(file, parsed.faults) : parsed.config, marks };
}
