// The history on disk: one operation a line, in the order of completion. Owns the open file.
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Operation } from './operation.ts';

export interface Recorder {
  /** Everything recorded so far, for the checker. */
  readonly operations: readonly Operation[];
  readonly record: (operation: Operation) => void;
  /** Resolves when all lines are written. */
  close(): Promise<void>;
}

export function openRecorder(path: string): Recorder {
  const operations: Operation[] = [];
  const file = createWriteStream(path, { flags: 'wx' });
  const failed = once(file, 'error').then(([error]) => Promise.reject(error));
  failed.catch(() => undefined);
  return {
    operations,
    record(operation) {
      operations.push(operation);
      file.write(`${JSON.stringify(operation)}\n`);
    },
    async close() {
      file.end();
      await Promise.race([once(file, 'close'), failed]);
    },
  };
}

/** A last line that was cut by a crash is left out. */
export async function readHistory(path: string): Promise<Operation[]> {
  const operations: Operation[] = [];
  let broken: string | null = null;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (broken !== null) throw new Error(`${path}: not an operation: ${broken.slice(0, 80)}`);
    try {
      operations.push(JSON.parse(line) as Operation);
    } catch {
      broken = line;
    }
  }
  return operations;
}
