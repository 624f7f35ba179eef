// `zring import DIR BUCKET`: a folder into a bucket. Run it again after any interruption: what is there already (same
// size and modification time) is passed over, and a large file goes on with the parts whose MD5 matches.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Readable } from 'node:stream';
import { defineCommand } from 'citty';
import { ZringError } from '../common/errors.ts';
import { loadConfig } from '../config/load.ts';
import { childrenOf, childText } from '../s3/xml/reader.ts';
import { connectionArgs, findConfig } from './admin-client.ts';
import { print, printJson } from './output.ts';
import { forEachLimited, Progress } from './progress.ts';
import { answerXml, S3Session, S3SessionError } from './s3-session.ts';

const PART_BYTES_MIN = 64 * 1024 * 1024;
const PARTS_MAX = 10_000;
/** User metadata that rclone and s3cmd-like tools know: seconds since the epoch. */
export const MTIME_HEADER = 'x-amz-meta-mtime';

interface LocalFile {
  readonly path: string;
  readonly key: string;
}

export const importCommand = defineCommand({
  meta: { name: 'import', description: 'Copy a folder into a bucket; can be repeated and resumed' },
  args: {
    config: connectionArgs.config,
    json: connectionArgs.json,
    folder: { type: 'positional', required: true, description: 'Folder to read' },
    bucket: { type: 'positional', required: true, description: 'Bucket (made when missing)' },
    prefix: { type: 'string', default: '', description: 'Put before every key' },
    concurrency: { type: 'string', default: '8', description: 'Files at a time (1 to 64)' },
    'access-key': { type: 'string', description: 'Credential of the configuration to use (default: the first)' },
  },
  async run({ args }) {
    const session = new S3Session(loadConfig(findConfig(args.config), process.env), args['access-key']);
    const concurrency = parseConcurrency(args.concurrency);
    if (!(await stat(args.folder)).isDirectory()) {
      throw new ZringError('CONFIG_INVALID', `${args.folder} is not a folder`, { subject: args.folder });
    }
    await ensureBucket(session, args.bucket);
    const progress = new Progress('import');
    try {
      await forEachLimited(walk(args.folder, args.folder, args.prefix, progress), concurrency, async (file) => {
        try {
          await importFile(session, args.bucket, file, progress);
        } catch (error) {
          progress.failed(file.path, error);
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
    else if (summary.failed === 0) print(`${args.folder} is in s3://${args.bucket}/${args.prefix}`);
    else print('some files are missing; run the same command again to go on');
  },
});

export function parseConcurrency(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 64) {
    throw new ZringError('CONFIG_INVALID', '--concurrency takes a whole number from 1 to 64');
  }
  return value;
}

async function ensureBucket(session: S3Session, bucket: string): Promise<void> {
  try {
    await session.send({ method: 'HEAD', bucket });
  } catch (error) {
    if (!(error instanceof S3SessionError) || error.status !== 404) throw error;
    await session.send({ method: 'PUT', bucket });
  }
}

/** Regular files below the folder; what is neither file nor folder is named as not imported. */
async function* walk(root: string, folder: string, prefix: string, progress: Progress): AsyncGenerator<LocalFile> {
  for await (const entry of await opendir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(root, path, prefix, progress);
    else if (entry.isFile()) yield { path, key: prefix + relative(root, path).split(sep).join('/') };
    else progress.failed(path, 'not a regular file (links and devices are not imported)');
  }
}

async function importFile(session: S3Session, bucket: string, file: LocalFile, progress: Progress): Promise<void> {
  const { size, mtimeMs } = await stat(file.path);
  const mtime = (mtimeMs / 1000).toFixed(3);
  if (await isThere(session, bucket, file.key, size, mtime)) return progress.skipped();
  if (size > PART_BYTES_MIN) await uploadParts(session, bucket, file, size, mtime, progress);
  else {
    await session.send({
      method: 'PUT',
      bucket,
      key: file.key,
      headers: { [MTIME_HEADER]: mtime },
      body: { size, open: () => (size === 0 ? Readable.from([]) : createReadStream(file.path, { end: size - 1 })) },
    });
    progress.moved(size);
  }
  progress.done();
}

async function isThere(session: S3Session, bucket: string, key: string, size: number, mtime: string): Promise<boolean> {
  try {
    const { headers } = await session.send({ method: 'HEAD', bucket, key });
    return Number(headers['content-length']) === size && headers[MTIME_HEADER] === mtime;
  } catch (error) {
    if (error instanceof S3SessionError && error.status === 404) return false;
    throw error;
  }
}

async function uploadParts(
  session: S3Session,
  bucket: string,
  file: LocalFile,
  size: number,
  mtime: string,
  progress: Progress,
): Promise<void> {
  const { key } = file;
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX));
  const uploadId = (await findUpload(session, bucket, key)) ?? (await createUpload(session, bucket, key, mtime));
  const stored = await storedParts(session, bucket, key, uploadId);
  const parts: string[] = [];
  for (let number = 1; (number - 1) * partBytes < size; number += 1) {
    const start = (number - 1) * partBytes;
    const end = Math.min(start + partBytes, size) - 1;
    const open = () => createReadStream(file.path, { start, end });
    let etag = stored.get(number);
    // Only an equal MD5 proves that the stored part is this file's: the file may have changed since.
    if (etag === undefined || etag !== (await md5(open()))) {
      const query = { partNumber: String(number), uploadId };
      const answer = await session.send({ method: 'PUT', bucket, key, query, body: { size: end - start + 1, open } });
      etag = String(answer.headers.etag ?? '').replaceAll('"', '');
      progress.moved(end - start + 1);
    }
    parts.push(`<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`);
  }
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
  await session.send({
    method: 'POST',
    bucket,
    key,
    query: { uploadId },
    body: { size: body.length, open: () => Readable.from([body]) },
  });
  // The parts of another modification time may have been kept under the metadata of an older start.
  if (!(await isThere(session, bucket, key, size, mtime))) {
    const source = `/${encodeURIComponent(bucket)}/${key.split('/').map(encodeURIComponent).join('/')}`;
    await session.send({
      method: 'PUT',
      bucket,
      key,
      headers: { 'x-amz-copy-source': source, 'x-amz-metadata-directive': 'REPLACE', [MTIME_HEADER]: mtime },
    });
  }
}

async function findUpload(session: S3Session, bucket: string, key: string): Promise<string | null> {
  const answer = await session.send({
    method: 'GET',
    bucket,
    query: { uploads: '', prefix: key, 'max-uploads': '100' },
  });
  const uploads = childrenOf(answerXml(answer), 'Upload').filter((upload) => childText(upload, 'Key') === key);
  return uploads.length > 0 ? (childText(uploads[uploads.length - 1] as never, 'UploadId') ?? null) : null;
}

async function createUpload(session: S3Session, bucket: string, key: string, mtime: string): Promise<string> {
  const headers = { [MTIME_HEADER]: mtime };
  const answer = await session.send({ method: 'POST', bucket, key, query: { uploads: '' }, headers });
  const id = childText(answerXml(answer), 'UploadId');
  if (!id) throw new Error(`no UploadId in the answer for ${key}`);
  return id;
}

async function storedParts(
  session: S3Session,
  bucket: string,
  key: string,
  uploadId: string,
): Promise<Map<number, string>> {
  const parts = new Map<number, string>();
  let marker = '0';
  for (;;) {
    const query = { uploadId, 'part-number-marker': marker, 'max-parts': '1000' };
    const page = answerXml(await session.send({ method: 'GET', bucket, key, query }));
    for (const part of childrenOf(page, 'Part')) {
      parts.set(Number(childText(part, 'PartNumber')), (childText(part, 'ETag') ?? '').replaceAll('"', ''));
    }
    if (childText(page, 'IsTruncated') !== 'true') return parts;
    marker = childText(page, 'NextPartNumberMarker') ?? '';
  }
}

async function md5(stream: Readable): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
