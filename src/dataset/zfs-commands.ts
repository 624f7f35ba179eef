// The commands `zfs` and `zpool` for one storage root: argument vectors in, values and typed errors out. Owns nothing.
// Names that arrive here were checked by names.ts.
import { ZringError } from '../common/errors.ts';
import type { CommandResult, CommandRunner, StreamingCommand } from './command.ts';
import { zfsError } from './errors.ts';
import { GET_COLUMNS, type PropertyTable, type PropertyValue, parseGet } from './zfs-parse.ts';

export interface ZfsCommands {
  /** @throws the error that ZFS's words stand for. */
  zfs(args: readonly string[], subject: string): Promise<string>;
  /** For callers who tell failures apart themselves. */
  tryZfs(args: readonly string[]): Promise<CommandResult>;
  /**
   * Tried again for a while as long as the dataset is busy: zfs-fuse lets go of one some milliseconds after its unmount
   * was reported done, and tells nobody when.
   */
  zfsPatiently(args: readonly string[], subject: string): Promise<string>;
  tryZfsPatiently(args: readonly string[], patienceMs?: number): Promise<CommandResult>;
  zpool(args: readonly string[], subject: string, timeoutMs?: number): Promise<string>;
  get(target: string, properties: string, options?: { depth?: number; localOnly?: boolean }): Promise<PropertyTable>;
  /** null when there is no such dataset or snapshot. */
  find(target: string, properties: string, timeoutMs?: number): Promise<ReadonlyMap<string, PropertyValue> | null>;
  /** One command where ZFS takes several properties at a time, else one each. Durable when it returns. */
  set(target: string, values: readonly string[]): Promise<void>;
  stream(args: readonly string[], direction: 'in' | 'out'): StreamingCommand;
}

const BUSY_PATIENCE_MS = 5_000;
const BUSY_PAUSE_MS = 20;

export function createZfsCommands(runner: CommandRunner, timeoutMs: number, setsMany: boolean): ZfsCommands {
  async function run(args: readonly string[], subject: string, limitMs = timeoutMs): Promise<string> {
    const { code, stdout, stderr } = await runner.run(args, { timeoutMs: limitMs });
    if (code === 0) return stdout;
    throw zfsError(args.slice(0, 2).join(' '), stderr || stdout, subject);
  }

  const commands: ZfsCommands = {
    zfs: (args, subject) => run(['zfs', ...args], subject),
    tryZfs: (args) => runner.run(['zfs', ...args], { timeoutMs }),
    async zfsPatiently(args, subject) {
      const { code, stdout, stderr } = await commands.tryZfsPatiently(args);
      if (code === 0) return stdout;
      throw zfsError(`zfs ${args[0]}`, stderr || stdout, subject);
    },
    async tryZfsPatiently(args, patienceMs = BUSY_PATIENCE_MS) {
      const untilMs = performance.now() + patienceMs;
      for (;;) {
        const result = await commands.tryZfs(args);
        const busy = result.code !== 0 && /(dataset|target) is busy|Device or resource busy/.test(result.stderr);
        if (!busy || performance.now() > untilMs) return result;
        await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
      }
    },
    zpool: (args, subject, limitMs) => run(['zpool', ...args], subject, limitMs),
    async get(target, properties, options = {}) {
      const scope = [
        ...(options.depth === undefined ? [] : ['-r', '-d', String(options.depth)]),
        ...(options.localOnly ? ['-s', 'local'] : []),
      ];
      return parseGet(await run(['zfs', 'get', '-H', '-p', ...scope, '-o', GET_COLUMNS, properties, target], target));
    },
    async find(target, properties, limitMs) {
      try {
        const args = ['zfs', 'get', '-H', '-p', '-o', GET_COLUMNS, properties, target];
        return parseGet(await run(args, target, limitMs)).get(target) ?? null;
      } catch (error) {
        if (error instanceof ZringError && error.code === 'DATASET_NOT_FOUND') return null;
        throw error;
      }
    },
    async set(target, values) {
      if (values.length === 0) return;
      if (setsMany) await commands.zfs(['set', ...values, target], target);
      else for (const value of values) await commands.zfs(['set', value, target], target);
    },
    stream: (args, direction) => runner.stream(['zfs', ...args], direction),
  };
  return commands;
}
