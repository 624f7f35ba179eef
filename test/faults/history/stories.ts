// Operations that only mean something in a row: multipart uploads that are held open while buckets move, and buckets that
// are created, used, emptied, deleted and created again. Each attempt is an operation of its own. Owns nothing.
import { bodyOf, multipartEtag, singlePartEtag } from './content.ts';
import { LARGE_TIMEOUT_MS, type Session } from './driver.ts';
import type { Operation, Written } from './operation.ts';
import type { Load } from './workload.ts';

const MIB = 1024 * 1024;
/** The least that S3 allows for a part that is not the last. */
const PART_BYTES = 5 * MIB;
const HOLD_MS = 15_000;
const TRIES_MAX = 60;
const PAUSE_MS = 150;
/** Keys of uploads, for each client and bucket: old ones are replaced, so that a pool does not fill. */
const UPLOAD_KEYS = 2;

/** Asks until the answer is definite. Every attempt is in the history; null: the load ended, or nobody ever answered. */
async function insist(load: Load, ask: () => Promise<Operation>): Promise<Operation | null> {
  for (let tries = 0; tries < TRIES_MAX && !load.stopped; tries += 1) {
    const operation = await ask();
    if (operation.outcome === 'ok' || (operation.status !== null && operation.status < 500)) return operation;
    await load.pause(PAUSE_MS);
  }
  return null;
}

export async function runUploads(load: Load, session: Session): Promise<void> {
  const { random } = session;
  while (!load.stopped) {
    const bucket = load.driver.bucket(random, load.options.buckets);
    const key = load.keys.named(`${session.client.split('-').slice(-2).join('-')}/${random.below(UPLOAD_KEYS)}`);
    await oneUpload(load, session, bucket, key);
    if (load.stopped) return;
    await session.get(bucket, key, LARGE_TIMEOUT_MS);
    await load.pause(random.between(0, PAUSE_MS));
  }
}

async function oneUpload(load: Load, session: Session, bucket: string, key: string): Promise<void> {
  const { random } = session;
  const { written, parts } = uploadOf(load, session);
  const created = await insist(load, () => session.createUpload(bucket, key, written));
  const id = created?.outcome === 'ok' ? created.upload?.id : undefined;
  if (id === undefined) return;
  const hold = () => load.pause(random.between(0, load.options.uploadHoldMs ?? HOLD_MS) / (parts.length + 1));
  for (const [at, part] of parts.entries()) {
    await hold();
    const sent = await insist(load, () => session.uploadPart(bucket, key, id, at + 1, part));
    if (sent?.outcome !== 'ok') {
      await session.abortUpload(bucket, key, id);
      return;
    }
  }
  await hold();
  if (random.chance(0.1)) {
    await session.abortUpload(bucket, key, id);
    return;
  }
  const complete = () => session.completeUpload(bucket, key, id, written, parts.map(singlePartEtag));
  if (load.stopped) await complete();
  else await insist(load, complete);
}

function uploadOf(load: Load, session: Session): { written: Written; parts: Buffer[] } {
  const bytes = PART_BYTES + session.random.between(1, MIB / 4);
  const { value } = load.content(session, 0).written;
  const body = bodyOf(value, bytes);
  const parts = [body.subarray(0, PART_BYTES), body.subarray(PART_BYTES)];
  const written = { value, body: value, etag: multipartEtag(parts), bytes };
  load.remember(written);
  return { written, parts };
}

// --- buckets that come and go ----------------------------------------------------------------------------------------

const LIFE_WEIGHTS = { create: 10, put: 25, get: 20, head: 5, delete: 20, list: 10, headBucket: 10, deleteBucket: 14 };
const LIFE_KEYS = 3;
const LIFE_PAUSE_MS = 100;

export async function runBucketLife(load: Load, session: Session, bucket: string): Promise<void> {
  const { random } = session;
  await session.createBucket(bucket);
  while (!load.stopped) {
    const key = load.keys.named(`life-${random.below(LIFE_KEYS)}`);
    // Now and then emptied on purpose: else it would hardly ever be deleted.
    if (random.chance(0.05)) await emptyAndDelete(load, session, bucket);
    else await lifeStep(load, session, bucket, key);
    await load.pause(random.between(0, LIFE_PAUSE_MS));
  }
}

function lifeStep(load: Load, session: Session, bucket: string, key: string): Promise<unknown> {
  switch (session.random.weighted(LIFE_WEIGHTS)) {
    case 'create':
      return session.createBucket(bucket);
    case 'put':
      return session.put(bucket, key, load.content(session, 200));
    case 'get':
      return session.get(bucket, key);
    case 'head':
      return session.head(bucket, key);
    case 'delete':
      return session.delete(bucket, key);
    case 'list':
      return session.listPage(bucket, '', '', null, 100);
    case 'headBucket':
      return session.headBucket(bucket);
    case 'deleteBucket':
      return session.deleteBucket(bucket);
  }
}

async function emptyAndDelete(load: Load, session: Session, bucket: string): Promise<void> {
  for (let at = 0; at < LIFE_KEYS && !load.stopped; at += 1)
    await session.delete(bucket, load.keys.named(`life-${at}`));
  await session.deleteBucket(bucket);
  await session.get(bucket, load.keys.named('life-0'));
}
