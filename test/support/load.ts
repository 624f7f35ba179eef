// Writers and readers over many buckets, and what they were promised: every acknowledged write is remembered with its
// bytes, every answer that a client may not get (anything but success or a retryable 503) is kept as a fault.
// Owns the tasks; nothing here retries: retries hide what a test wants to see.
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';

export interface LoadOptions {
  /** Requests go to these in turn: every node is an entry. */
  readonly clients: () => readonly S3Client[];
  readonly buckets: readonly string[];
  readonly writers: number;
  readonly readers: number;
  /** Pause between the requests of one task. */
  readonly pauseMs: number;
  readonly seed: number;
  /** Errors that this test expects beside a retryable 503, e.g. connections to a node that it killed. */
  readonly tolerate?: (error: unknown) => boolean;
}

export interface LoadCounts {
  readonly writes: number;
  readonly reads: number;
  readonly retryable: number;
  readonly tolerated: number;
  readonly faults: readonly string[];
}

export interface Load {
  counts(): LoadCounts;
  /** Resolves when that many more writes have been acknowledged. */
  moreWrites(count: number): Promise<void>;
  /** Bytes of acknowledged objects. */
  bytesByBucket(): ReadonlyMap<string, number>;
  stop(): Promise<void>;
  /** Reads back everything acknowledged and lists every bucket. @returns what is wrong; empty when all is there. */
  verify(client: S3Client): Promise<string[]>;
}

/** A value nobody else writes; its bytes follow from its name, so that memory stays small. */
export function contentOf(bucket: string, key: string, size: number): Buffer {
  const seed = createHash('sha256').update(`${bucket}/${key}`).digest();
  return Buffer.alloc(size, seed);
}

export function isRetryable(error: unknown): boolean {
  const { name, $metadata } = (error ?? {}) as { name?: string; $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode === 503 && (name === 'SlowDown' || name === 'ServiceUnavailable');
}

export function startLoad(options: LoadOptions): Load {
  const acknowledged: { bucket: string; key: string; size: number }[] = [];
  const faults: string[] = [];
  let stopped = false;
  let reads = 0;
  let retryable = 0;
  let tolerated = 0;
  let turn = 0;
  let state = options.seed >>> 0;
  const waiting: { count: number; resolve: () => void }[] = [];

  /** mulberry32: small, seeded, good enough to spread requests. */
  const random = (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
  const next = (): S3Client => {
    const clients = options.clients();
    turn += 1;
    const client = clients[turn % clients.length];
    if (!client) throw new Error('no clients');
    return client;
  };
  const failed = (what: string, error: unknown) => {
    if (isRetryable(error)) retryable += 1;
    else if (options.tolerate?.(error)) tolerated += 1;
    else faults.push(`${what}: ${describe(error)}`);
  };
  const pick = (): string => options.buckets[random(options.buckets.length)] ?? '';

  const write = async (writer: number) => {
    for (let n = 0; !stopped; n += 1) {
      const bucket = pick();
      const key = `w${writer}/${n}`;
      const size = random(10) === 0 ? 100_000 + random(200_000) : 1 + random(8_000);
      try {
        await next().send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: contentOf(bucket, key, size) }));
        acknowledged.push({ bucket, key, size });
        for (const waiter of waiting.splice(0)) {
          if (acknowledged.length >= waiter.count) waiter.resolve();
          else waiting.push(waiter);
        }
      } catch (error) {
        failed(`PUT ${bucket}/${key}`, error);
      }
      await delay(options.pauseMs);
    }
  };

  const read = async () => {
    while (!stopped) {
      const object = acknowledged[random(Math.max(acknowledged.length, 1))];
      if (object) {
        try {
          const fault = await readBack(next(), object);
          if (fault) faults.push(fault);
          reads += 1;
        } catch (error) {
          failed(`GET ${object.bucket}/${object.key}`, error);
        }
      }
      await delay(options.pauseMs);
    }
  };

  const tasks = [
    ...Array.from({ length: options.writers }, (_, i) => write(i)),
    ...Array.from({ length: options.readers }, () => read()),
  ];

  return {
    counts: () => ({ writes: acknowledged.length, reads, retryable, tolerated, faults }),
    moreWrites(count) {
      return new Promise((resolve) => waiting.push({ count: acknowledged.length + count, resolve }));
    },
    bytesByBucket() {
      const bytes = new Map<string, number>();
      for (const { bucket, size } of acknowledged) bytes.set(bucket, (bytes.get(bucket) ?? 0) + size);
      return bytes;
    },
    async stop() {
      stopped = true;
      await Promise.all(tasks);
    },
    async verify(client) {
      const wrong: string[] = [];
      const byBucket = new Map<string, Set<string>>();
      for (const object of acknowledged) {
        const keys = byBucket.get(object.bucket) ?? new Set();
        byBucket.set(object.bucket, keys.add(object.key));
        const fault = await readBack(client, object).catch(
          (error) => `${object.bucket}/${object.key}: ${describe(error)}`,
        );
        if (fault) wrong.push(fault);
      }
      for (const [bucket, keys] of byBucket) {
        const listed = await listAll(client, bucket);
        for (const key of keys) if (!listed.has(key)) wrong.push(`${bucket}/${key} is not listed`);
      }
      return wrong;
    },
  };
}

async function readBack(
  client: S3Client,
  object: { bucket: string; key: string; size: number },
): Promise<string | null> {
  const answer = await client.send(new GetObjectCommand({ Bucket: object.bucket, Key: object.key }));
  const body = Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
  const right = body.equals(contentOf(object.bucket, object.key, object.size));
  return right ? null : `${object.bucket}/${object.key}: wrong bytes (${body.length} of ${object.size})`;
}

export async function listAll(client: S3Client, bucket: string): Promise<Set<string>> {
  const keys = new Set<string>();
  let token: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
    for (const { Key } of page.Contents ?? []) keys.add(Key ?? '');
    token = page.NextContinuationToken;
  } while (token);
  return keys;
}

function describe(error: unknown): string {
  const { name, message, $metadata, code } = (error ?? {}) as {
    name?: string;
    message?: string;
    code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  return `${$metadata?.httpStatusCode ?? code ?? ''} ${name}: ${message}`.trim();
}
