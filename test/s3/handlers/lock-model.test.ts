// Random requests to a bucket with object lock against a plain model, with a clock of its own: whatever is asked, by
// whomever, a version that is protected is there with its body until its protection has run out, and the list of versions
// is the model's. ZRING_TEST_LONG=1: a hundred thousand requests instead of some thousands. The seed is printed.
import '../../support/in-memory.ts';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const LONG = process.env.ZRING_TEST_LONG === '1';
/** Until that many requests have changed something, or tried to. */
const COMMANDS = LONG ? 100_000 : 2500;
const STEPS = { minLength: 40, maxLength: LONG ? 250 : 100 };
const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
/** Signatures bear 15 minutes; the model's whole life fits into ten. */
const ADVANCE_MAX_MS = 600_000;
const SECOND_MS = 1000;

let nowMs = Date.now();
const node = await s3Fixture({
  nowMs: () => nowMs,
  credentials: [credential('admin'), credential('writer', [{ buckets: '*', actions: 'write' }])],
});

type Mode = 'GOVERNANCE' | 'COMPLIANCE';
interface Retention {
  readonly mode: Mode;
  readonly untilMs: number;
}
interface Version {
  readonly id: string;
  readonly body: string | null;
  retention: Retention | null;
  hold: boolean;
}

type Step =
  | { do: 'put'; key: string; lock: { mode: Mode; seconds: number } | null; hold: boolean }
  | { do: 'copy'; key: string; nth: number; to: string }
  | { do: 'upload'; key: string; lock: { mode: Mode; seconds: number } | null; hold: boolean; wait: number }
  | { do: 'hide'; key: string; ifMatch: 'current' | 'other' | null }
  | { do: 'removeAll'; key: string; bypass: boolean; by: 'admin' | 'writer' }
  | { do: 'remove'; key: string; nth: number; bypass: boolean; by: 'admin' | 'writer'; many: boolean }
  | { do: 'retain'; key: string; nth: number; lock: { mode: Mode; seconds: number } | null; bypass: boolean }
  | { do: 'hold'; key: string; nth: number; on: boolean }
  | { do: 'default'; days: boolean }
  | { do: 'wait'; seconds: number };

const key = fc.constantFrom('a', 'a/b');
const nth = fc.nat({ max: 4 });
const mode = fc.constantFrom<Mode>('GOVERNANCE', 'COMPLIANCE');
const lock = fc.option(fc.record({ mode, seconds: fc.integer({ min: 1, max: 20 }) }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), key, lock, hold: fc.boolean() }) },
  fc.record({ do: fc.constant('copy' as const), key, nth, to: key }),
  fc.record({ do: fc.constant('upload' as const), key, lock, hold: fc.boolean(), wait: fc.nat({ max: 5 }) }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('hide' as const),
      key,
      ifMatch: fc.constantFrom(null, null, 'current' as const, 'other' as const),
    }),
  },
  fc.record({
    do: fc.constant('removeAll' as const),
    key,
    bypass: fc.boolean(),
    by: fc.constantFrom('admin' as const, 'writer' as const),
  }),
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('remove' as const),
      key,
      nth,
      bypass: fc.boolean(),
      by: fc.constantFrom('admin' as const, 'writer' as const),
      many: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('retain' as const), key, nth, lock, bypass: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('hold' as const), key, nth, on: fc.boolean() }) },
  fc.record({ do: fc.constant('default' as const), days: fc.boolean() }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 15 }) }) },
);

class Model {
  readonly keys = new Map<string, Version[]>();
  defaultMs: number | null = null;

  of(key: string): Version[] {
    const versions = this.keys.get(key) ?? [];
    this.keys.set(key, versions);
    return versions;
  }

  lines(): string[] {
    return [...this.keys]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, versions]) => versions.map(({ id, body }) => `${body === null ? 'm' : 'v'} ${name} ${id}`));
  }
}

function active(retention: Retention | null): Retention | null {
  return retention && retention.untilMs > nowMs ? retention : null;
}

function isProtected(version: Version, mayBypass: boolean): boolean {
  const retention = active(version.retention);
  return version.hold || (retention !== null && (retention.mode === 'COMPLIANCE' || !mayBypass));
}

const BYPASS = { 'x-amz-bypass-governance-retention': 'true' };
const iso = (ms: number) => new Date(ms).toISOString();
const retentionFrom = (asked: { mode: Mode; seconds: number } | null): Retention | null =>
  asked && { mode: asked.mode, untilMs: nowMs + asked.seconds * SECOND_MS };

function lockHeaders(retention: Retention | null, hold: boolean): Record<string, string> {
  return {
    ...(retention
      ? { 'x-amz-object-lock-mode': retention.mode, 'x-amz-object-lock-retain-until-date': iso(retention.untilMs) }
      : {}),
    ...(hold ? { 'x-amz-object-lock-legal-hold': 'ON' } : {}),
  };
}

let commands = 0;

function send(method: string, path: string, body?: string, headers: Record<string, string> = {}, accessKey = 'admin') {
  if (method !== 'GET') commands += 1;
  const digest = body === undefined ? {} : { 'content-md5': createHash('md5').update(body).digest('base64') };
  return node.raw({
    method,
    path,
    headers: { ...digest, ...headers },
    accessKey,
    ...(body === undefined ? {} : { body }),
  });
}

/** A year of default retention outlives every run, so it is told apart from one that was asked for. */
const CONFIGURED = '<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Years>1</Years></DefaultRetention></Rule>';
let bodies = 0;

async function run(model: Model, bucket: string, one: Step): Promise<void> {
  switch (one.do) {
    case 'wait':
      nowMs += one.seconds * SECOND_MS;
      return;
    case 'default': {
      const document = `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${one.days ? CONFIGURED : ''}</ObjectLockConfiguration>`;
      assert.equal((await send('PUT', `/${bucket}?object-lock`, document)).status, 200);
      model.defaultMs = one.days ? nowMs : null;
      return;
    }
    case 'put': {
      const body = `body ${++bodies}`;
      const retention = retentionFrom(one.lock);
      const answer = await send('PUT', `/${bucket}/${one.key}`, body, lockHeaders(retention, one.hold));
      assert.equal(answer.status, 200, answer.text);
      const id = String(answer.headers['x-amz-version-id']);
      model.of(one.key).unshift({ id, body, retention: retention ?? byDefault(model), hold: one.hold });
      return;
    }
    case 'upload': {
      const body = `body ${++bodies}`;
      const retention = retentionFrom(one.lock);
      const begun = await send('POST', `/${bucket}/${one.key}?uploads`, undefined, lockHeaders(retention, one.hold));
      const upload = `uploadId=${/<UploadId>([^<]*)</.exec(begun.text)?.[1]}`;
      const part = await send('PUT', `/${bucket}/${one.key}?partNumber=1&${upload}`, body);
      // What was asked for counts from the beginning, the default of the bucket from the completion.
      nowMs += one.wait * SECOND_MS;
      const list = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part>`;
      const document = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
      const answer = await send('POST', `/${bucket}/${one.key}?${upload}`, document);
      assert.equal(answer.status, 200, answer.text);
      const id = String(answer.headers['x-amz-version-id']);
      model.of(one.key).unshift({ id, body, retention: retention ?? byDefault(model), hold: one.hold });
      return;
    }
    case 'hide': {
      const path = `/${bucket}/${one.key}`;
      const there = (model.of(one.key)[0]?.body ?? null) !== null;
      const etag = one.ifMatch === 'current' && there ? (await send('GET', path)).headers.etag : '"other"';
      const condition = one.ifMatch === null ? {} : { 'if-match': String(etag) };
      const answer = await send('DELETE', path, undefined, condition);
      if (one.ifMatch !== null && (one.ifMatch === 'other' || !there)) {
        assert.equal(answer.status, there ? 412 : 404);
        return;
      }
      assert.equal(answer.status, 204);
      const id = String(answer.headers['x-amz-version-id']);
      model.of(one.key).unshift({ id, body: null, retention: null, hold: false });
      return;
    }
    case 'removeAll': {
      const versions = model.of(one.key);
      if (versions.length === 0) return;
      const items = versions.map(({ id }) => `<Object><Key>${one.key}</Key><VersionId>${id}</VersionId></Object>`);
      const kept = versions.filter((version) => isProtected(version, one.bypass && one.by === 'admin'));
      const headers = one.bypass ? BYPASS : {};
      const { text } = await send('POST', `/${bucket}?delete`, `<Delete>${items.join('')}</Delete>`, headers, one.by);
      const refused = [...text.matchAll(/<Error><Key>[^<]*<\/Key>(?:<VersionId>([^<]*)<)?/g)].map(([, id]) => id);
      assert.deepEqual(
        refused,
        kept.map(({ id }) => id),
        text,
      );
      model.keys.set(one.key, kept);
      return;
    }
    case 'copy': {
      const source = model.of(one.key)[one.nth];
      if (!source) return;
      const header = { 'x-amz-copy-source': `${bucket}/${one.key}?versionId=${source.id}` };
      const answer = await send('PUT', `/${bucket}/${one.to}`, undefined, header);
      assert.equal(answer.status, source.body === null ? 400 : 200, answer.text);
      if (source.body === null) return;
      const id = String(answer.headers['x-amz-version-id']);
      model.of(one.to).unshift({ id, body: source.body, retention: byDefault(model), hold: false });
      return;
    }
    default:
      return runOnVersion(model, bucket, one);
  }
}

function byDefault(model: Model): Retention | null {
  if (model.defaultMs === null) return null;
  const until = new Date(nowMs);
  until.setUTCFullYear(until.getUTCFullYear() + 1);
  return { mode: 'GOVERNANCE', untilMs: until.getTime() };
}

async function runOnVersion(
  model: Model,
  bucket: string,
  one: Step & { do: 'remove' | 'retain' | 'hold' },
): Promise<void> {
  const versions = model.of(one.key);
  const version = versions[one.nth];
  if (!version) return;
  const path = (sub = '') => `/${bucket}/${one.key}?${sub}versionId=${version.id}`;
  if (one.do === 'remove') {
    const kept = isProtected(version, one.bypass && one.by === 'admin');
    const headers = one.bypass ? BYPASS : {};
    if (one.many) {
      const item = `<Object><Key>${one.key}</Key><VersionId>${version.id}</VersionId></Object>`;
      const { text } = await send('POST', `/${bucket}?delete`, `<Delete>${item}</Delete>`, headers, one.by);
      assert.equal(/<Code>AccessDenied</.test(text), kept, text);
    } else {
      assert.equal((await send('DELETE', path(), undefined, headers, one.by)).status, kept ? 403 : 204);
    }
    if (!kept) versions.splice(one.nth, 1);
    return;
  }
  if (one.do === 'hold') {
    const document = `<LegalHold><Status>${one.on ? 'ON' : 'OFF'}</Status></LegalHold>`;
    const answer = await send('PUT', path('legal-hold&'), document);
    assert.equal(answer.status, version.body === null ? 405 : 200);
    if (version.body !== null) version.hold = one.on;
    return;
  }
  const wanted = retentionFrom(one.lock);
  const inside = wanted ? `<Mode>${wanted.mode}</Mode><RetainUntilDate>${iso(wanted.untilMs)}</RetainUntilDate>` : '';
  const answer = await send('PUT', path('retention&'), `<Retention>${inside}</Retention>`, one.bypass ? BYPASS : {});
  const before = active(version.retention);
  const weaker = before !== null && (wanted?.mode !== before.mode || wanted.untilMs < before.untilMs);
  const refused = weaker && (before.mode === 'COMPLIANCE' || !one.bypass);
  assert.equal(answer.status, version.body === null ? 405 : refused ? 403 : 200, answer.text);
  if (answer.status === 200) version.retention = wanted;
}

async function compare(model: Model, bucket: string): Promise<void> {
  const { text } = await send('GET', `/${bucket}?versions`);
  const listed = [...text.matchAll(/<(Version|DeleteMarker)><Key>([^<]*)<.*?<VersionId>([^<]*)</g)].map(
    ([, kind, name, id]) => `${kind === 'Version' ? 'v' : 'm'} ${name} ${id}`,
  );
  assert.deepEqual(listed, model.lines());
  for (const [name, versions] of model.keys) {
    for (const { id, body, retention, hold } of versions) {
      if (body === null) continue;
      const got = await send('GET', `/${bucket}/${name}?versionId=${id}`);
      assert.equal(got.text, body);
      assert.equal(got.headers['x-amz-object-lock-mode'], retention?.mode);
      const until = got.headers['x-amz-object-lock-retain-until-date'];
      assert.equal(until, retention ? iso(retention.untilMs) : undefined);
      assert.equal(got.headers['x-amz-object-lock-legal-hold'] === 'ON', hold);
    }
  }
}

async function life(steps: readonly Step[]): Promise<void> {
  nowMs = Date.now();
  const startedMs = nowMs;
  const bucket = bucketName('lock-model');
  await send('PUT', `/${bucket}`, undefined, { 'x-amz-bucket-object-lock-enabled': 'true' });
  const model = new Model();
  for (const [index, one] of steps.entries()) {
    if (nowMs - startedMs < ADVANCE_MAX_MS) await run(model, bucket, one);
    if (index % 50 === 49) await compare(model, bucket);
  }
  await compare(model, bucket);
  await node.access.forget(bucket);
}

test(`${COMMANDS} random requests to a bucket with object lock (seed ${SEED})`, async (t) => {
  const property = fc.asyncProperty(fc.array(step, STEPS), life);
  // Each round has a seed of its own, which a failure names.
  for (let round = 0; commands < COMMANDS; round += 1) {
    await fc.assert(property, { seed: SEED + round, numRuns: 10, endOnFailure: LONG });
  }
  t.diagnostic(`${commands} requests, seed ${SEED}`);
});
