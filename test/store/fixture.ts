// A store in a temporary folder, with the few steps that nearly every test of it takes. Owns what it made: call remove().
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStore, type LocalStore, openStore } from '../../src/store/store.ts';
import type { ListRequest, ObjectEntry, OpenStoreOptions, Store, WriteCondition } from '../../src/store/types.ts';

export const TERM = { n: 1, node: 'a' };

export class StoreFixture {
  readonly folder: string;
  store: LocalStore;
  readonly #options: OpenStoreOptions;

  private constructor(folder: string, store: LocalStore, options: OpenStoreOptions) {
    this.folder = folder;
    this.store = store;
    this.#options = options;
  }

  static async make(options: Partial<OpenStoreOptions> = {}): Promise<StoreFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'zring-store-'));
    await createStore(folder, { id: 'test' });
    const all = { term: TERM, ...options };
    return new StoreFixture(folder, await openStore(folder, all), all);
  }

  async reopen(options: Partial<OpenStoreOptions> = {}): Promise<LocalStore> {
    await this.store.close();
    this.store = await openStore(this.folder, { ...this.#options, ...options });
    return this.store;
  }

  async remove(): Promise<void> {
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  put(key: string, body: Buffer | string, condition?: WriteCondition): Promise<ObjectEntry> {
    return put(this.store, key, body, condition);
  }

  get(key: string, range?: { start: number; end: number }): Promise<Buffer | null> {
    return get(this.store, key, range);
  }
}

export function md5(body: Buffer | string): string {
  return createHash('md5').update(body).digest('hex');
}

/** In pieces of odd size, so that nothing depends on how a body arrives. */
export async function putBlob(store: Store, body: Buffer | string, sizeHint: number | null = null) {
  const bytes = Buffer.from(body);
  const writer = store.beginBlob(sizeHint);
  const piece = 70_001;
  for (let at = 0; at < bytes.length; at += piece) await writer.write(bytes.subarray(at, at + piece));
  return writer.finish();
}

export async function put(
  store: Store,
  key: string,
  body: Buffer | string,
  condition?: WriteCondition,
): Promise<ObjectEntry> {
  const blob = await putBlob(store, body, Buffer.byteLength(body));
  return store.put({ key, blob, etag: md5(body), attributes: { type: 'text/plain' }, ...(condition && { condition }) });
}

export async function get(store: Store, key: string, range?: { start: number; end: number }): Promise<Buffer | null> {
  const entry = store.head(key);
  return entry ? read(store, entry, range) : null;
}

export async function read(store: Store, entry: ObjectEntry, range?: { start: number; end: number }): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of store.read(entry, range)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** All pages of a listing, as texts: keys, and common prefixes with a mark. Stops at a page that makes no progress. */
export function listAll(store: Store, request: Partial<ListRequest> & { limit: number }): string[] {
  const found: string[] = [];
  let after = request.after ?? '';
  let pages = 0;
  for (;;) {
    const page = store.list({ prefix: '', delimiter: '', ...request, after });
    const names = [...page.entries.map(({ key }) => key), ...page.commonPrefixes.map((prefix) => `${prefix}\tprefix`)];
    if (names.length > request.limit) throw new Error(`a page of ${names.length}, asked for ${request.limit}`);
    found.push(...names.sort((a, b) => byBytes(a.replace('\tprefix', ''), b.replace('\tprefix', ''))));
    if (page.next === null) return found;
    // A first page that starts inside a common prefix ends with it, which sorts before the start; later ones advance.
    if (++pages > 1 && byBytes(page.next, after) <= 0) throw new Error('the listing does not advance');
    after = page.next;
  }
}

export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Names of all data files. */
export async function dataFiles(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const fan of await readdir(join(folder, 'data'))) names.push(...(await readdir(join(folder, 'data', fan))));
  return names.sort();
}

/** Reproducible bytes. */
export function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 1_000_000_000);
