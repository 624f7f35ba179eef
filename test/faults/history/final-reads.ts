// After healing: reads every key that loads of this seed have named, and lists every bucket to its end. Asks again where
// there is no answer, each attempt an operation of its own, until patience ends. Owns nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { Driver, Session } from './driver.ts';
import { touchedBy } from './keys.ts';
import type { Operation } from './operation.ts';
import { Random } from './random.ts';
import type { WorkloadOptions } from './workload.ts';

const PATIENCE_MS = 60_000;
/** Nothing is at stake but whether it is there: a machine that is busy gets longer than a client would give it. */
const READ_TIMEOUT_MS = 30_000;
const PAUSE_MS = 100;
const PAGE_KEYS = 500;

export interface FinalOptions extends WorkloadOptions {
  /** All reads together may be refused for this long before they are left unanswered (which is a violation). */
  readonly patienceMs?: number;
}

export async function finalReads(options: FinalOptions): Promise<void> {
  const driver = new Driver({ ...options, endpoints: () => options.endpoints() });
  const touched = touchedBy(options.seed);
  const work: ((session: Session) => Promise<void>)[] = [];
  const patience = { untilMs: performance.now() + (options.patienceMs ?? PATIENCE_MS) };
  for (const bucket of new Set([...options.buckets, ...touched.buckets])) {
    if (bucket === '') continue;
    for (const key of touched.keys(bucket)) work.push(async (session) => readKey(session, bucket, key, patience));
    work.push((session) => listBucket(session, bucket, patience));
  }
  const random = new Random(options.seed);
  const queue = work.values();
  const client = async (at: number) => {
    const session = new Session(driver, `final-${at}`, random.fork(), true);
    for (const one of queue) await one(session);
  };
  await Promise.all(Array.from({ length: Math.max(1, options.clients) }, (_, at) => client(at)));
  driver.close();
}

interface Patience {
  readonly untilMs: number;
}

function answered({ outcome, code }: Operation): boolean {
  return outcome === 'ok' || code === 'NoSuchBucket';
}

async function readKey(session: Session, bucket: string, key: string, patience: Patience): Promise<void> {
  for (;;) {
    if (answered(await session.get(bucket, key, READ_TIMEOUT_MS)) || performance.now() > patience.untilMs) return;
    await delay(PAUSE_MS);
  }
}

async function listBucket(session: Session, bucket: string, patience: Patience): Promise<void> {
  let after = '';
  let token: string | null = null;
  for (;;) {
    const { operation, next }: { operation: Operation; next: string | null } = await session.listPage(
      bucket,
      '',
      after,
      token,
      PAGE_KEYS,
    );
    if (operation.outcome === 'ok') {
      if (next === null) return;
      token = next;
      after = operation.listing?.entries.at(-1)?.[0] ?? after;
      continue;
    }
    if (answered(operation) || performance.now() > patience.untilMs) return;
    await delay(PAUSE_MS);
  }
}
