// What the sessions of real S3 clients talk to: a cluster, files to send, and for every session a bucket name together
// with a node that will not own it. Owns the cluster, the certificates and a folder; a session is a function in a file
// named after its client, and runs the client's own program with retries off.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, DeleteBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { certificateFolder } from '../../routing/certificates.ts';
import { ACCESS_KEY, SECRET_KEY, startCluster, type TestCluster } from '../../support/cluster.ts';

export const run = promisify(execFile);
export const SMALL = Buffer.from('small object, small enough to be inline\n');
/** Over the multipart thresholds of every client here (the default of AWS CLI and boto3 is 8 MiB). */
export const LARGE = randomBytes(11 * 1024 * 1024 + 3);
const TREE_FILES = 12;
/** pgBackRest looks for an address among the names; `localhost` may be an IPv6 address first. */
const NAMES = 'IP:127.0.0.1,DNS:localhost,DNS:127.0.0.1';

/** A bucket that a session makes, uses and deletes, through `endpoint`. */
export interface Place {
  readonly bucket: string;
  readonly endpoint: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  /** A client that enters where the session does. */
  readonly sdk: S3Client;
  /** The session has made the bucket: checks that the node it talks to is not the owner. */
  created(): Promise<void>;
  /** The session has deleted the bucket: checks that it is gone. */
  deleted(): Promise<void>;
}

export interface Subject {
  readonly cluster: TestCluster;
  /** The authority that a client must trust; null without TLS. */
  readonly caFile: string | null;
  readonly files: { readonly small: string; readonly large: string };
  /** A folder of small files, some in a folder inside it, with names that need escapes. */
  readonly tree: string;
  /** A new folder of this session. */
  folder(name: string): Promise<string>;
  place(name: string): Promise<Place>;
  /** Variables for a client's process; nothing of the user's own configuration. */
  environment(home: string): NodeJS.ProcessEnv;
  /** Fetches a presigned URL with nothing but a plain HTTP client. */
  fetch(url: string): Promise<{ status: number; body: Buffer }>;
  close(): Promise<void>;
}

export async function startSubject(options: { storage: 'dir' | 'zfs'; tls?: boolean }): Promise<Subject> {
  const certificates = options.tls ? await certificateFolder() : null;
  const tls = certificates ? await (await certificates.authority('ours')).issue('node', NAMES) : null;
  const work = await mkdtemp(join(tmpdir(), 'zring-clients-'));
  const files = { small: join(work, 'small.txt'), large: join(work, 'large.bin') };
  const tree = join(work, 'tree');
  await writeFile(files.small, SMALL);
  await writeFile(files.large, LARGE);
  await mkdir(join(tree, 'deep'), { recursive: true });
  for (let i = 0; i < TREE_FILES; i += 1)
    await writeFile(join(tree, i % 2 ? 'deep' : '.', `file ${i}+ü`), `content ${i}`);
  const cluster = await startCluster({ storage: options.storage, ...(tls && { tls }) });
  const ca = tls ? readFileSync(tls.caFile) : undefined;

  return {
    cluster,
    caFile: tls?.caFile ?? null,
    files,
    tree,
    async folder(name) {
      const path = join(work, name);
      await mkdir(path);
      return path;
    },
    place: (name) => placeOf(cluster, `${name}-bucket`),
    environment: (home) => ({
      PATH: process.env.PATH,
      HOME: home,
      LANG: 'C.UTF-8',
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_MAX_ATTEMPTS: '1',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...(tls && { AWS_CA_BUNDLE: tls.caFile }),
    }),
    fetch: (url) =>
      new Promise((resolve, reject) => {
        const request = (ca ? httpsGet : httpGet)(url, { agent: false, ...(ca && { ca }) }, async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk);
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
        });
        request.once('error', reject);
      }),
    async close() {
      await cluster.close();
      await certificates?.remove();
      await rm(work, { recursive: true, force: true });
    },
  };
}

/** A name alone says where a bucket will live, so one that was made and deleted tells where the next will be. */
async function placeOf(cluster: TestCluster, bucket: string): Promise<Place> {
  const first = cluster.nodes[0]?.id ?? '';
  await cluster.client(first).send(new CreateBucketCommand({ Bucket: bucket }));
  const owner = await ownerOf(cluster, first, bucket);
  await cluster.client(first).send(new DeleteBucketCommand({ Bucket: bucket }));
  const entry = cluster.nodes.find(({ id }) => id !== owner);
  assert.ok(entry);
  return {
    bucket,
    endpoint: entry.endpoint,
    host: `127.0.0.1:${entry.s3Port}`,
    port: entry.s3Port,
    sdk: cluster.client(entry.id),
    async created() {
      assert.notEqual(
        await ownerOf(cluster, entry.id, bucket),
        entry.id,
        'the session goes to a node that owns nothing',
      );
    },
    async deleted() {
      await cluster.until(
        () => cluster.datasets(entry.id),
        (list) => list.every(({ dataset }) => dataset !== bucket),
        `the end of ${bucket}`,
      );
    },
  };
}

async function ownerOf(cluster: TestCluster, id: string, bucket: string): Promise<string | undefined> {
  const records = await cluster.until(
    () => cluster.datasets(id),
    (list) => list.some(({ dataset, owner }) => dataset === bucket && owner),
    `the record of ${bucket}`,
  );
  return records.find(({ dataset }) => dataset === bucket)?.owner;
}

/** Relative name → content of every file below a folder. */
export async function readTree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(paths.sort().map((path) => readFile(path)));
  return Object.fromEntries(paths.map((path, i) => [relative(folder, path), md5(contents[i] ?? Buffer.alloc(0))]));
}

export async function assertLarge(path: string): Promise<void> {
  assert.equal(md5(await readFile(path)), md5(LARGE));
}

export function md5(data: Uint8Array): string {
  return createHash('md5').update(data).digest('hex');
}
