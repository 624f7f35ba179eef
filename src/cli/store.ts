// `zring store ls|get|verify PATH`: reads a mounted dataset or snapshot without cluster, Redis or configuration. The
// data is never hostage to the service.
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { defineCommand } from 'citty';
import { ZringError } from '../common/errors.ts';
import { formatBytes } from '../common/text.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/types.ts';
import { formatTable, print, printJson } from './output.ts';

const PAGE = 1000;

const pathArg = {
  path: { type: 'positional', required: true, description: 'A mounted dataset or one of its snapshots' },
} as const;

async function withStore<T>(path: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(path, { readonly: true });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

const lsCommand = defineCommand({
  meta: { name: 'ls', description: 'List objects' },
  args: {
    ...pathArg,
    prefix: { type: 'string', default: '', description: 'Only keys that start with it' },
    json: { type: 'boolean', default: false, description: 'One JSON object a line' },
  },
  run: ({ args }) =>
    withStore(args.path, async (store) => {
      let after: string | null = '';
      while (after !== null) {
        const page = store.list({ prefix: args.prefix, delimiter: '', after, limit: PAGE });
        for (const { key, size, etag, modifiedMs } of page.entries) {
          const modified = new Date(modifiedMs).toISOString();
          print(
            args.json
              ? JSON.stringify({ key, size, etag, modified })
              : `${modified}  ${String(size).padStart(14)}  ${key}`,
          );
        }
        after = page.next;
      }
    }),
});

const getCommand = defineCommand({
  meta: { name: 'get', description: 'Write one object to stdout or a file; checksums are verified' },
  args: {
    ...pathArg,
    key: { type: 'positional', required: true, description: 'Key of the object' },
    output: { type: 'string', alias: 'o', description: 'File (default: stdout)', valueHint: 'file' },
  },
  run: ({ args }) =>
    withStore(args.path, async (store) => {
      const entry = store.head(args.key);
      if (!entry)
        throw new ZringError('OBJECT_MISSING', `no object ${args.key} in ${args.path}`, { subject: args.key });
      await pipeline(store.read(entry), args.output ? createWriteStream(args.output) : stdout());
    }),
});

/** Stdout may not be closed by a pipeline. */
function stdout(): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      process.stdout.write(chunk, done);
    },
  });
}

const verifyCommand = defineCommand({
  meta: { name: 'verify', description: 'Read everything and compare every checksum' },
  args: { ...pathArg, json: { type: 'boolean', default: false, description: 'Print JSON for programs' } },
  run: ({ args }) =>
    withStore(args.path, async (store) => {
      const total = store.stats();
      const result = await store.verify((progress) => {
        if (!args.json && process.stderr.isTTY) {
          process.stderr.write(`\r${progress.objects} of ${total.objects} objects, ${formatBytes(progress.bytes)}`);
        }
      });
      if (process.stderr.isTTY && !args.json) process.stderr.write('\n');
      if (args.json) printJson(result);
      else if (result.damaged.length === 0) print(`${result.objects} objects, ${formatBytes(result.bytes)}: all sound`);
      else
        print(
          formatTable(
            ['DAMAGED', 'REASON'],
            result.damaged.map(({ key, reason }) => [key, reason]),
          ),
        );
      if (result.damaged.length > 0) process.exitCode = 1;
    }),
});

export const storeCommand = defineCommand({
  meta: { name: 'store', description: 'Read a mounted dataset or snapshot without any cluster' },
  subCommands: { ls: lsCommand, get: getCommand, verify: verifyCommand },
});
