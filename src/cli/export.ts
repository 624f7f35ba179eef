// `zring export BUCKET DIR`: a bucket into a folder. Run it again after any interruption: files that are there already
// (same size and modification time) are passed over, and a file that was cut goes on where it stopped, provided that
// the object is still the same. A file appears under its name only when it is whole.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { loadConfig } from '../config/load.ts';
import { childrenOf, childText } from '../s3/xml/reader.ts';
import { connectionArgs, findConfig } from './admin-client.ts';
import { MTIME_HEADER, parseConcurrency } from './import.ts';
import { print, printJson } from './output.ts';
import { forEachLimited, Progress } from './progress.ts';
import { answerXml, isRetryable, S3Session } from './s3-session.ts';

const NAME_BYTES_MAX = 255;
const DOWNLOAD_TRIES_MAX = 10;
const DOWNLOAD_WAIT_MS = 500;

interface RemoteObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
}

export const exportCommand = defineCommand({
  meta: { name: 'export', description: 'Copy a bucket into a folder; can be repeated and resumed' },
  args: {
    config: connectionArgs.config,
    json: connectionArgs.json,
    bucket: { type: 'positional', required: true, description: 'Bucket to read' },
    folder: { type: 'positional', required: true, description: 'Folder to write (made when missing)' },
    prefix: { type: 'string', default: '', description: 'Only keys that start with it' },
    concurrency: { type: 'string', default: '8', description: 'Objects at a time (1 to 64)' },
    'access-key': { type: 'string', description: 'Credential of the configuration to use (default: the first)' },
  },
  async run({ args }) {
    const session = new S3Session(loadConfig(findConfig(args.config), process.env), args['access-key']);
    const concurrency = parseConcurrency(args.concurrency);
    await mkdir(args.folder, { recursive: true });
    const progress = new Progress('export');
    try {
      await forEachLimited(list(session, args.bucket, args.prefix), concurrency, async (object) => {
        try {
          await exportObject(session, args.bucket, object, args.folder, progress);
        } catch (error) {
          progress.failed(object.key, error);
        }
      });
    } catch (error) {
      progress.abandon();
      throw error;
    } finally {
      session.close();
    }
    const summary = progress.finish();
    if (args.json) printJson({ ...summary, failures: progress.failures });
    else if (summary.failed === 0) print(`s3://${args.bucket}/${args.prefix} is in ${args.folder}`);
    else print('some objects are missing; run the same command again to go on');
  },
});

async function* list(session: S3Session, bucket: string, prefix: string): AsyncGenerator<RemoteObject> {
  let token: string | undefined;
  do {
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      prefix,
      ...(token ? { 'continuation-token': token } : {}),
    };
    const page = answerXml(await session.send({ method: 'GET', bucket, query }));
    for (const item of childrenOf(page, 'Contents')) {
      yield {
        key: decodeURIComponent((childText(item, 'Key') ?? '').replaceAll('+', '%20')),
        size: Number(childText(item, 'Size')),
        etag: childText(item, 'ETag') ?? '',
      };
    }
    token = childText(page, 'IsTruncated') === 'true' ? childText(page, 'NextContinuationToken') : undefined;
  } while (token);
}

/** Why a key cannot be a file below a folder, or null. Keys are never bent into other names: two could meet in one. */
export function pathFault(key: string): string | null {
  if (key.endsWith('/')) return 'a key that ends with "/" is no file name';
  if (key.includes('\0')) return 'a NUL is in no file name';
  for (const name of key.split('/')) {
    if (name === '') return 'an empty name between slashes';
    if (name === '.' || name === '..') return `"${name}" is no file name`;
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) return `a name of over ${NAME_BYTES_MAX} bytes`;
  }
  return null;
}

async function exportObject(
  session: S3Session,
  bucket: string,
  object: RemoteObject,
  folder: string,
  progress: Progress,
): Promise<void> {
  const fault = pathFault(object.key);
  if (fault) throw new Error(`cannot be a file: ${fault}`);
  const path = join(folder, object.key);
  const { headers } = await session.send({ method: 'HEAD', bucket, key: object.key });
  const modified = Number(headers[MTIME_HEADER] ?? Date.parse(String(headers['last-modified'])) / 1000);
  const there = await stat(path).catch(() => null);
  if (there?.isFile() && there.size === object.size && Math.abs(there.mtimeMs / 1000 - modified) < 0.01) {
    return progress.skipped();
  }
  await mkdir(dirname(path), { recursive: true });
  // The name carries the ETag: a partial file of another version is never continued.
  const mark = createHash('sha256').update(`${object.key}\n${object.etag}`).digest('hex').slice(0, 16);
  const partial = join(dirname(path), `.zring-export-${mark}`);
  await downloadInto(session, bucket, object, partial, progress);
  await utimes(partial, modified, modified);
  await rename(partial, path);
  progress.done();
}

async function downloadInto(
  session: S3Session,
  bucket: string,
  object: RemoteObject,
  partial: string,
  progress: Progress,
): Promise<void> {
  let failures = 0;
  for (;;) {
    const start = (await stat(partial).catch(() => null))?.size ?? 0;
    if (start > object.size) await rm(partial);
    else if (start === object.size && start > 0) return;
    else {
      const headers = { 'if-match': object.etag, ...(start > 0 ? { range: `bytes=${start}-` } : {}) };
      try {
        const response = await session.download({ method: 'GET', bucket, key: object.key, headers });
        response.on('data', (chunk: Buffer) => progress.moved(chunk.length));
        await pipeline(response, createWriteStream(partial, { flags: 'a' }));
        if (object.size === 0) return;
      } catch (error) {
        // What has arrived is kept: the next try goes on behind it.
        failures += 1;
        if (!isRetryable(error) || failures >= DOWNLOAD_TRIES_MAX) throw error;
        session.useNextNode();
        await delay(DOWNLOAD_WAIT_MS * failures);
      }
    }
  }
}
