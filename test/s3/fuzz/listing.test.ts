// Lists as clients page through them, against a plain model: v1 by markers, v2 by tokens, versions by both markers; any
// prefix, delimiter, start and page size, both encodings. And while keys are deleted and put: a key that is there all the
// time is met exactly once. The seed is printed; ZRING_TEST_SEED repeats a run.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import type { Store } from '../../../src/store/types.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
const LONG = process.env.ZRING_TEST_LONG === '1';
const node = await s3Fixture();
const Bucket = bucketName('listing');
let store: Store;
before(async () => {
  await node.raw({ method: 'PUT', path: `/${Bucket}` });
  await node.raw({ method: 'PUT', path: `/${Bucket}/probe`, body: 'x' });
  store = await node.access.store(Bucket);
  await store.remove({ key: 'probe' });
});

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const unit = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('a', 'b', '/', '//', '.', '-', ' ', '+', '%', '&', '<', 'é', '\uffff', '\u{10000}'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
);
const text = (min: number, max: number) =>
  fc.array(unit, { minLength: min, maxLength: max }).map((all) => all.join(''));

interface Query {
  readonly prefix: string;
  readonly delimiter: string;
  readonly start: string;
  readonly size: number;
}

/** Keys, and common prefixes with a mark, in the order of the list: as the documentation says it, without a page in mind. */
function model(keys: readonly string[], { prefix, delimiter, start }: Query): string[] {
  const found = new Set<string>();
  for (const key of [...keys].sort(byBytes)) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? null : key.slice(0, at + delimiter.length);
    if (byBytes(key, start) <= 0 || common === start) continue;
    found.add(common === null ? `key ${key}` : `prefix ${common}`);
  }
  return [...found];
}

interface Page {
  readonly entries: string[];
  readonly truncated: boolean;
  next(name: string): string | null;
}

/** Far more than any walk of these tests needs: one that gets nowhere fails instead of going on for ever. */
const PAGES_MAX = 300;

/** Both encodings are read: as url, and as XML where the keys can stand in it. */
async function page(parameters: Readonly<Record<string, string>>, url: boolean): Promise<Page> {
  const pairs = Object.entries({ ...parameters, ...(url ? { 'encoding-type': 'url' } : {}) });
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const { status, text: body } = await node.raw({ path: `/${Bucket}?${query}` });
  assert.equal(status, 200, body);
  const read = (value: string) => (url ? decodeURIComponent(value) : unescapeXml(value));
  const keys = [...body.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, value = '']) => `key ${read(value)}`);
  const commons = /<CommonPrefixes><Prefix>([^<]*)<\/Prefix><\/CommonPrefixes>/g;
  const prefixes = [...body.matchAll(commons)].map(([, value = '']) => `prefix ${read(value)}`);
  assert.ok(keys.length + prefixes.length <= Number(parameters['max-keys']), 'prefixes count');
  const count = /<KeyCount>(\d+)</.exec(body)?.[1];
  if (count !== undefined) assert.equal(Number(count), keys.length + prefixes.length);
  return {
    entries: [...keys, ...prefixes],
    truncated: body.includes('<IsTruncated>true</IsTruncated>'),
    next(name) {
      const value = new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1];
      if (value === undefined) return null;
      return name === 'NextContinuationToken' ? value : read(value);
    },
  };
}

function unescapeXml(value: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return value.replace(/&(?:#x([0-9A-F]+)|(\w+));/g, (_, hex?: string, name = '') =>
    hex === undefined ? (named[name] ?? '?') : String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}

type Walk = (query: Query, url: boolean, between?: () => Promise<void>) => Promise<string[]>;

/** What comes first in the bytes, whatever it is: v1 and v2 give keys and prefixes apart. */
const lastOf = (entries: readonly string[]) =>
  entries
    .map((one) => one.slice(one.indexOf(' ') + 1))
    .sort(byBytes)
    .at(-1) ?? '';

const WALKS: Record<string, Walk> = {
  async v1({ prefix, delimiter, start, size }, url, between) {
    const all: string[] = [];
    for (let marker = start, pages = 0; ; ) {
      assert.ok(++pages < PAGES_MAX, 'the walk ends');
      const one = await page({ prefix, delimiter, marker, 'max-keys': String(size) }, url);
      all.push(...one.entries);
      if (!one.truncated) return all;
      const named = one.next('NextMarker');
      assert.equal(named !== null, delimiter !== '', 'only with a delimiter');
      marker = named ?? lastOf(one.entries);
      await between?.();
    }
  },
  async v2({ prefix, delimiter, start, size }, url, between) {
    const all: string[] = [];
    for (let token: string | null = null, pages = 0; ; ) {
      assert.ok(++pages < PAGES_MAX, 'the walk ends');
      const from: Record<string, string> =
        token === null ? { 'start-after': start } : { 'continuation-token': token, 'start-after': 'zzzz' };
      const one = await page({ 'list-type': '2', prefix, delimiter, 'max-keys': String(size), ...from }, url);
      all.push(...one.entries);
      token = one.next('NextContinuationToken');
      assert.equal(token !== null, one.truncated);
      if (token === null) return all;
      await between?.();
    }
  },
  async versions({ prefix, delimiter, start, size }, url, between) {
    const all: string[] = [];
    for (let markers: Record<string, string> = start === '' ? {} : { 'key-marker': start }, pages = 0; ; ) {
      assert.ok(++pages < PAGES_MAX, 'the walk ends');
      const one = await page({ versions: '', prefix, delimiter, 'max-keys': String(size), ...markers }, url);
      all.push(...one.entries);
      if (!one.truncated) return all;
      const [key, version] = [one.next('NextKeyMarker'), one.next('NextVersionIdMarker')];
      assert.ok(key !== null);
      markers = { 'key-marker': key, ...(version === null ? {} : { 'version-id-marker': version }) };
      await between?.();
    }
  },
};

async function fill(keys: readonly string[]): Promise<void> {
  const there: string[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const { entries, next } = store.list({ prefix: '', delimiter: '', after, limit: 1000 });
    there.push(...entries.map(({ key }) => key));
    after = next;
  }
  await Promise.all(there.filter((key) => !keys.includes(key)).map((key) => store.remove({ key })));
  await Promise.all(keys.filter((key) => !there.includes(key)).map(putKey));
}

async function putKey(key: string): Promise<void> {
  const writer = store.beginBlob(0);
  await store.put({ key, blob: await writer.finish(), etag: 'd41d8cd98f00b204e9800998ecf8427e', attributes: {} });
}

const sorted = (entries: readonly string[]) => [...entries].sort(byBytes);

test(`any keys, prefix, delimiter, start, page size and encoding (seed ${SEED})`, async () => {
  const keys = fc.uniqueArray(text(1, 6), { minLength: 1, maxLength: 30 });
  const near = fc.tuple(fc.nat(), fc.nat({ max: 6 }));
  const some = fc.oneof({ weight: 2, arbitrary: fc.constant('') }, { weight: 1, arbitrary: text(1, 3) }, near);
  const delimiter = fc.oneof({ weight: 3, arbitrary: fc.constant('/') }, fc.constant(''), text(1, 3));
  const query = fc.record({ prefix: some, delimiter, start: some, size: fc.constantFrom(1, 2, 3, 7, 1000) });
  await fc.assert(
    fc.asyncProperty(
      keys,
      fc.array(query, { minLength: 3, maxLength: 6 }),
      fc.boolean(),
      async (all, queries, wish) => {
        await fill(all);
        // Characters that no XML has are read from url-encoded lists only.
        const url = wish || /[\0\ufffe\uffff]/.test(all.join(''));
        const beginning = (of: string | [number, number]) =>
          typeof of === 'string' ? of : [...(all[of[0] % all.length] ?? '')].slice(0, of[1]).join('');
        for (const one of queries) {
          const asked = { ...one, prefix: beginning(one.prefix), start: beginning(one.start) };
          if (/[\0\ufffe\uffff]/.test(asked.prefix + asked.delimiter) && !url) continue;
          for (const [name, walk] of Object.entries(WALKS)) {
            const found = await walk(asked, url);
            assert.deepEqual(sorted(found), sorted(model(all, asked)), `${name} ${JSON.stringify(asked)}`);
          }
        }
      },
    ),
    { seed: SEED, numRuns: LONG ? 400 : 25 },
  );
});

test(`keys that stay are met once, in order, while others are deleted and put (seed ${SEED})`, async () => {
  const names = fc.uniqueArray(text(1, 5), { minLength: 8, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(names, fc.infiniteStream(fc.nat()), fc.constantFrom(1, 2, 3), async (all, numbers, size) => {
      const next = (): number => numbers.next().value;
      for (const [name, walk] of Object.entries(WALKS)) {
        const half = all.length / 2;
        const [staying, moving] = [all.filter((_, index) => index < half), all.filter((_, index) => index >= half)];
        await fill(all);
        const change = async () => {
          for (let changes = next() % 4; changes > 0; changes -= 1) {
            const key = moving[next() % moving.length] ?? '';
            if (store.head(key)) await store.remove({ key });
            else await putKey(key);
          }
        };
        const found = await walk({ prefix: '', delimiter: '', start: '', size }, true, change);
        const keys = found.map((one) => one.slice('key '.length));
        assert.deepEqual(keys, sorted([...new Set(keys)]), `${name}: in order, none twice`);
        assert.deepEqual(
          keys.filter((key) => staying.includes(key)),
          sorted(staying),
          `${name}: none is missed`,
        );
        const rolled = await walk({ prefix: '', delimiter: '/', start: '', size }, true, change);
        const expected = model(staying, { prefix: '', delimiter: '/', start: '', size });
        assert.deepEqual(
          expected.filter((one) => !rolled.includes(one)),
          [],
          `${name}: no prefix of one is missed`,
        );
        assert.equal(new Set(rolled).size, rolled.length, `${name}: no prefix twice`);
      }
    }),
    { seed: SEED, numRuns: LONG ? 200 : 12 },
  );
});

test('a client that deletes each page before it asks for the next one empties the bucket', async () => {
  const keys = Array.from({ length: 95 }, (_, n) => `folder ${n % 7}/${n}`);
  for (const [name, walk] of Object.entries(WALKS)) {
    await fill(keys);
    const met: string[] = [];
    const remove = async () => {
      for (const key of sorted(keys).slice(met.length, met.length + 10)) {
        met.push(key);
        await store.remove({ key });
      }
    };
    const found = await walk({ prefix: '', delimiter: '', start: '', size: 10 }, false, remove);
    await remove();
    assert.deepEqual(
      found,
      sorted(keys).map((key) => `key ${key}`),
      name,
    );
    assert.ok(store.isEmpty());
  }
});
