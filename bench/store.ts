// Rates of the store alone, without HTTP: durable puts and checked gets. Run: node --import tsx bench/store.ts [folder]
// The folder decides what is measured (its file system, its disk); default is below the system's temporary folder.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStore, openStore } from '../src/store/store.ts';
import type { ObjectEntry, Store } from '../src/store/types.ts';

const SECONDS = Number(process.env.ZRING_BENCH_SECONDS ?? 3);
const CHUNK_BYTES = 64 << 10;

async function put(store: Store, key: string, body: Buffer): Promise<ObjectEntry> {
  const writer = store.beginBlob(body.length);
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const written = writer.write(body.subarray(at, at + CHUNK_BYTES));
    if (written) await written;
  }
  const attributes = { contentType: 'application/octet-stream', metadata: {} };
  return store.put({ key, blob: await writer.finish(), etag: '9e107d9d372bb6826bd81d3542a419d6', attributes });
}

async function get(store: Store, key: string): Promise<number> {
  const entry = store.head(key);
  if (!entry) throw new Error(`no ${key}`);
  const inline = store.readInline(entry);
  if (inline) return inline.length;
  let bytes = 0;
  for await (const chunk of store.read(entry)) bytes += chunk.length;
  return bytes;
}

/** Runs `act` in `workers` loops for a while; prints operations and bytes per second. */
async function measure(
  name: string,
  workers: number,
  bytes: number,
  act: (n: number) => Promise<unknown>,
): Promise<void> {
  let count = 0;
  const started = performance.now();
  const until = started + SECONDS * 1000;
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (performance.now() < until) {
        await act(count++);
        // An act that never waits would starve the other loops and the clock of everything else.
        if (count % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const rate = count / seconds;
  const volume = ((rate * bytes) / 2 ** 20).toFixed(1);
  console.log(`${name.padEnd(34)} ${rate.toFixed(rate < 100 ? 1 : 0).padStart(8)} /s ${volume.padStart(9)} MiB/s`);
}

const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'zring-bench-store-'));
try {
  await createStore(folder, { id: 'bench' });
  const inline = process.env.ZRING_BENCH_INLINE;
  const store = await openStore(folder, {
    term: { n: 1, node: 'bench' },
    ...(inline === undefined ? {} : { inlineBytesMax: Number(inline) }),
  });
  const sizes = [4 << 10, 16 << 10, 32 << 10, 64 << 10, 1 << 20, 64 << 20];
  for (const size of sizes) {
    const label = size < 1 << 20 ? `${size >> 10} KiB` : `${size >> 20} MiB`;
    const body = randomBytes(size);
    const keys = size > 1 << 20 ? 4 : size >= 1 << 20 ? 64 : 10_000;
    const workers = size > 1 << 20 ? 2 : size >= 1 << 20 ? 16 : 64;
    const key = (n: number): string => `${label}/${(n * 7919) % keys}`;
    for (let n = 0; n < Math.min(keys, 64); n++) await put(store, key(n), body);
    await measure(`put ${label}, ${workers} writers`, workers, size, (n) => put(store, key(n), body));
    await measure(`get ${label}, ${workers} readers`, workers, size, (n) => get(store, key(n % 64)));
  }
  await measure('put 4 KiB, 1 writer', 1, 4 << 10, (n) => put(store, `one/${n}`, Buffer.alloc(4 << 10)));
  await measure('list 1000 keys', 1, 0, async () =>
    store.list({ prefix: '4 KiB/', delimiter: '', after: '', limit: 1000 }),
  );
  await measure('list 5 common prefixes', 1, 0, async () =>
    store.list({ prefix: '', delimiter: '/', after: '', limit: 1000 }),
  );
  await store.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
