// `zring store ls|get|verify PATH`: reads a mounted dataset or snapshot without cluster, Redis or configuration. The
// data is never hostage to the service.
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { defineCommand } from 'citty';
import { ZringError } from '../common/errors.ts';
import { formatBytes } from '../common/text.ts';
import { openStore } from '../store/store.ts';
import type { ListVersionsResult, Store } from '../store/types.ts';
import { formatTable, print, printJson } from './output.ts';

const PAGE = 1000;
const SIZE_COLUMNS = 14;
/** As S3 calls the version that was written while versioning was off or suspended. */
const NULL_VERSION = 'null';

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
    versions: { type: 'boolean', default: false, description: 'All versions, and delete markers' },
    json: { type: 'boolean', default: false, description: 'One JSON object a line' },
  },
  run: ({ args }) =>
    withStore(args.path, async (store) => {
      if (args.versions) listVersions(store, args.prefix, args.json);
      else listObjects(store, args.prefix, args.json);
    }),
});

function listObjects(store: Store, prefix: string, json: boolean): void {
  let after: string | null = '';
  while (after !== null) {
    const page = store.list({ prefix, delimiter: '', after, limit: PAGE });
    for (const { key, size, etag, modifiedMs } of page.entries) {
      const modified = new Date(modifiedMs).toISOString();
      print(json ? JSON.stringify({ key, size, etag, modified }) : `${modified}  ${columnOf(size)}  ${key}`);
    }
    after = page.next;
  }
}

/** By key, the newest first; the latest one of each key is marked. */
function listVersions(store: Store, prefix: string, json: boolean): void {
  let next: ListVersionsResult['next'] = { key: '' };
  while (next !== null) {
    const { key: afterKey, version } = next;
    const start = { afterKey, ...(version !== undefined && { afterVersion: version }) };
    const page = store.listVersions({ prefix, delimiter: '', ...start, limit: PAGE });
    for (const { entry, isLatest: latest } of page.versions) {
      const { key, versionId, deleteMarker, size, etag, modifiedMs } = entry;
      const modified = new Date(modifiedMs).toISOString();
      const id = versionId ?? NULL_VERSION;
      const content = deleteMarker ? { deleteMarker } : { size, etag };
      if (json) print(JSON.stringify({ key, versionId: id, latest, ...content, modified }));
      else {
        const what = deleteMarker ? 'delete marker'.padStart(SIZE_COLUMNS) : columnOf(size);
        print(`${modified}  ${what}  ${id.padEnd(32)}  ${latest ? '*' : ' '} ${key}`);
      }
    }
    next = page.next;
  }
}

function columnOf(size: number): string {
  return String(size).padStart(SIZE_COLUMNS);
}

const getCommand = defineCommand({
  meta: { name: 'get', description: 'Write one object to stdout or a file; checksums are verified' },
  args: {
    ...pathArg,
    key: { type: 'positional', required: true, description: 'Key of the object' },
    'version-id': {
      type: 'string',
      description: 'Id of the version, or null (default: the current object)',
      valueHint: 'id',
    },
    output: { type: 'string', alias: 'o', description: 'File (default: stdout)', valueHint: 'file' },
  },
  run: ({ args }) =>
    withStore(args.path, async (store) => {
      const { key, 'version-id': version } = args;
      const entry =
        version === undefined ? store.head(key) : store.version(key, version === NULL_VERSION ? null : version);
      if (!entry || entry.deleteMarker) {
        const what = `${key}${version === undefined ? '' : ` in version ${version}`}`;
        throw new ZringError('OBJECT_MISSING', `no object ${what} in ${args.path}`, { subject: key });
      }
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
      else if (result.damaged.length === 0) {
        const versions = result.versions > 0 ? `, ${result.versions} other versions` : '';
        print(`${result.objects} objects${versions}, ${formatBytes(result.bytes)}: all sound`);
      } else
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
