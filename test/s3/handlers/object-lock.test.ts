// Object lock over the wire: configuration, retention, legal hold, what they refuse, and that no race gets around them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { defaultRetention, refuseLocked, refuseWeaker } from '../../../src/s3/handlers/lock-rules.ts';
import type { ObjectEntry } from '../../../src/store/types.ts';
import { credential, type RawRequest, type RawResponse } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture({
  credentials: [
    credential('admin'),
    credential('writer', [{ buckets: '*', actions: 'write' }]),
    credential('reader', [{ buckets: '*', actions: 'read' }]),
  ],
});
const DAY_MS = 86_400_000;
const FAR = '2140-01-01T00:00:00.000Z';
const BYPASS = { 'x-amz-bypass-governance-retention': 'true' };

const md5 = (text: string) => ({ 'content-md5': createHash('md5').update(text).digest('base64') });
const send = (method: string, path: string, body?: string, headers: Record<string, string> = {}, accessKey?: string) =>
  node.raw({
    method,
    path,
    headers: { ...(body === undefined ? {} : md5(body)), ...headers },
    ...(body === undefined ? {} : { body }),
    ...(accessKey === undefined ? {} : { accessKey }),
  } satisfies RawRequest);
const outcome = ({ status, code }: RawResponse) => [status, code];

const configuration = (rule = '') =>
  `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
const rule = (inside: string) => `<Rule><DefaultRetention>${inside}</DefaultRetention></Rule>`;
const retention = (mode: string, until: string) =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
const hold = (status: string) => `<LegalHold><Status>${status}</Status></LegalHold>`;

async function locked(rules = ''): Promise<string> {
  const name = bucketName('locked');
  const created = await send('PUT', `/${name}`, undefined, { 'x-amz-bucket-object-lock-enabled': 'true' });
  assert.equal(created.status, 200, created.text);
  if (rules) assert.equal((await send('PUT', `/${name}?object-lock`, configuration(rules))).status, 200);
  return name;
}

async function put(bucket: string, key = 'k', headers: Record<string, string> = {}, body = 'body'): Promise<string> {
  const answer = await send('PUT', `/${bucket}/${key}`, body, headers);
  assert.equal(answer.status, 200, answer.text);
  return String(answer.headers['x-amz-version-id']);
}

describe('the configuration of a bucket', () => {
  test('a bucket made with object lock has versions from the start, and for ever', async () => {
    const bucket = await locked();
    assert.match((await send('GET', `/${bucket}?versioning`)).text, /<Status>Enabled</);
    assert.match(
      (await send('GET', `/${bucket}?object-lock`)).text,
      /<ObjectLockEnabled>Enabled<\/ObjectLockEnabled><\/O/,
    );
    const suspend = '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>';
    assert.deepEqual(outcome(await send('PUT', `/${bucket}?versioning`, suspend)), [409, 'InvalidBucketState']);
    const disable =
      '<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>';
    assert.deepEqual(outcome(await send('PUT', `/${bucket}?object-lock`, disable)), [400, 'MalformedXML']);
    assert.match((await send('GET', `/${bucket}?versioning`)).text, /<Status>Enabled</);
  });

  test('a default retention is kept, shown, replaced and taken away', async () => {
    const bucket = await locked(rule('<Mode>GOVERNANCE</Mode><Days>3</Days>'));
    const shown = async () => (await send('GET', `/${bucket}?object-lock`)).text;
    assert.match(
      await shown(),
      /<Rule><DefaultRetention><Mode>GOVERNANCE<\/Mode><Days>3<\/Days><\/DefaultRetention><\/Rule>/,
    );
    await send('PUT', `/${bucket}?object-lock`, configuration(rule('<Mode>COMPLIANCE</Mode><Years>2</Years>')));
    assert.match(await shown(), /<Mode>COMPLIANCE<\/Mode><Years>2<\/Years>/);
    await send('PUT', `/${bucket}?object-lock`, configuration());
    assert.doesNotMatch(await shown(), /Rule/);
  });

  test('without object lock there is none to read, and versioning has to come first', async () => {
    const bucket = bucketName('plain');
    await send('PUT', `/${bucket}`, undefined, { 'x-amz-bucket-object-lock-enabled': 'False' });
    assert.deepEqual(outcome(await send('GET', `/${bucket}?object-lock`)), [
      404,
      'ObjectLockConfigurationNotFoundError',
    ]);
    const enable = () => send('PUT', `/${bucket}?object-lock`, configuration());
    const versioning = (status: string) =>
      send(
        'PUT',
        `/${bucket}?versioning`,
        `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`,
      );
    assert.deepEqual(outcome(await enable()), [409, 'InvalidBucketState']);
    await versioning('Suspended');
    assert.deepEqual(outcome(await enable()), [409, 'InvalidBucketState']);
    await versioning('Enabled');
    assert.equal((await enable()).status, 200);
    assert.deepEqual(outcome(await versioning('Suspended')), [409, 'InvalidBucketState']);
  });

  const FAULTS: [document: string, code: string][] = [
    [configuration(rule('<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>')), 'MalformedXML'],
    [configuration(rule('<Mode>GOVERNANCE</Mode>')), 'MalformedXML'],
    [configuration(rule('<Mode>governance</Mode><Days>1</Days>')), 'MalformedXML'],
    [configuration(rule('<Days>1</Days>')), 'MalformedXML'],
    [configuration('<Rule/>'), 'MalformedXML'],
    [configuration(rule('<Mode>GOVERNANCE</Mode><Days>one</Days>')), 'MalformedXML'],
    [configuration(rule('<Mode>GOVERNANCE</Mode><Days>0</Days>')), 'InvalidRetentionPeriod'],
    [configuration(rule('<Mode>GOVERNANCE</Mode><Years>-1</Years>')), 'InvalidRetentionPeriod'],
    [configuration(rule('<Mode>GOVERNANCE</Mode><Days>36501</Days>')), 'InvalidRetentionPeriod'],
    [configuration(rule('<Mode>GOVERNANCE</Mode><Years>101</Years>')), 'InvalidRetentionPeriod'],
    ['<ObjectLockConfiguration/>', 'MalformedXML'],
  ];
  test('documents that make no sense change nothing', async () => {
    const bucket = await locked(rule('<Mode>GOVERNANCE</Mode><Days>3</Days>'));
    for (const [document, code] of FAULTS) {
      assert.deepEqual(outcome(await send('PUT', `/${bucket}?object-lock`, document)), [400, code], document);
    }
    const bare = await node.raw({ method: 'PUT', path: `/${bucket}?object-lock`, body: configuration() });
    assert.deepEqual(outcome(bare), [400, 'InvalidRequest'], 'without a digest');
    assert.match((await send('GET', `/${bucket}?object-lock`)).text, /<Days>3<\/Days>/);
  });

  test('event holds are not built: refused, never dropped', async () => {
    const bucket = await locked();
    const id = await put(bucket);
    const configured = configuration(
      rule('<Mode>GOVERNANCE</Mode><Days>1</Days><DefaultEventHold><Days>1</Days></DefaultEventHold>'),
    );
    assert.deepEqual(outcome(await send('PUT', `/${bucket}?object-lock`, configured)), [501, 'NotImplemented']);
    const held = retention('GOVERNANCE', FAR).replace('</Retention>', '<EventHold>ON</EventHold></Retention>');
    assert.deepEqual(outcome(await send('PUT', `/${bucket}/k?retention`, held)), [501, 'NotImplemented']);
    assert.equal((await send('HEAD', `/${bucket}/k?versionId=${id}`)).headers['x-amz-object-lock-mode'], undefined);
  });

  test('CreateBucket: a value that is none; object lock for a bucket that exists without', async () => {
    const bucket = bucketName('plain');
    const create = (value?: string) =>
      send('PUT', `/${bucket}`, undefined, value === undefined ? {} : { 'x-amz-bucket-object-lock-enabled': value });
    assert.deepEqual(outcome(await create('maybe')), [400, 'InvalidArgument']);
    const namespace = { 'x-amz-bucket-namespace': 'account-regional' };
    assert.deepEqual(outcome(await send('PUT', `/${bucket}`, undefined, namespace)), [501, 'NotImplemented']);
    assert.equal((await create()).status, 200);
    assert.deepEqual(outcome(await create('true')), [409, 'BucketAlreadyOwnedByYou']);
  });

  test('enabling a lock and suspending versions at once: never both', async () => {
    for (let round = 0; round < 10; round++) {
      const bucket = bucketName('race');
      await send('PUT', `/${bucket}`);
      const versioning = (status: string) =>
        send(
          'PUT',
          `/${bucket}?versioning`,
          `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`,
        );
      await versioning('Enabled');
      const answers = await Promise.all([
        send('PUT', `/${bucket}?object-lock`, configuration()),
        versioning('Suspended'),
      ]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
    }
  });
});

describe('a version under retention', () => {
  test('governance: kept from everybody who does not bypass it, and from who may not', async () => {
    const bucket = await locked();
    const id = await put(bucket, 'k', {
      'x-amz-object-lock-mode': 'GOVERNANCE',
      'x-amz-object-lock-retain-until-date': FAR,
    });
    const path = `/${bucket}/k?versionId=${id}`;
    const head = await send('HEAD', `/${bucket}/k`);
    assert.equal(head.headers['x-amz-object-lock-mode'], 'GOVERNANCE');
    assert.equal(head.headers['x-amz-object-lock-retain-until-date'], FAR);
    assert.equal(head.headers['x-amz-object-lock-legal-hold'], undefined);
    assert.deepEqual(outcome(await send('DELETE', path)), [403, 'AccessDenied']);
    assert.deepEqual(outcome(await send('DELETE', path, undefined, BYPASS, 'writer')), [403, 'AccessDenied']);
    const document = `<Delete><Object><Key>k</Key><VersionId>${id}</VersionId></Object></Delete>`;
    assert.match((await send('POST', `/${bucket}?delete`, document)).text, /<Error>.*<Code>AccessDenied</);
    assert.equal((await send('GET', path)).text, 'body');

    assert.equal((await send('DELETE', `/${bucket}/k`)).status, 204, 'a delete marker destroys nothing');
    assert.deepEqual(outcome(await send('DELETE', path)), [403, 'AccessDenied'], 'nor is it less locked below one');
    assert.match((await send('POST', `/${bucket}?delete`, document, BYPASS)).text, /<Deleted>/);
    assert.deepEqual(outcome(await send('GET', path)), [404, 'NoSuchVersion']);
  });

  test('compliance: kept from everybody; may only last longer', async () => {
    const bucket = await locked();
    const id = await put(bucket);
    const set = (mode: string, until: string, headers = {}) =>
      send('PUT', `/${bucket}/k?retention`, retention(mode, until), headers);
    assert.equal((await set('COMPLIANCE', '2140-01-01T00:00:00Z')).status, 200);
    for (const [mode, until] of [
      ['COMPLIANCE', '2139-12-31T23:59:59Z'],
      ['GOVERNANCE', '2141-01-01T00:00:00Z'],
    ] as const) {
      assert.deepEqual(outcome(await set(mode, until, BYPASS)), [403, 'AccessDenied'], `${mode} ${until}`);
    }
    assert.deepEqual(outcome(await send('PUT', `/${bucket}/k?retention`, '<Retention/>', BYPASS)), [
      403,
      'AccessDenied',
    ]);
    assert.deepEqual(outcome(await send('DELETE', `/${bucket}/k?versionId=${id}`, undefined, BYPASS)), [
      403,
      'AccessDenied',
    ]);
    assert.equal((await set('COMPLIANCE', '2140-01-02T00:00:00Z')).status, 200);
    const shown = await send('GET', `/${bucket}/k?retention&versionId=${id}`);
    assert.match(shown.text, /<Mode>COMPLIANCE<\/Mode><RetainUntilDate>2140-01-02T00:00:00.000Z</);
  });

  test('governance is made longer by anybody, weaker with the bypass only', async () => {
    const bucket = await locked();
    await put(bucket);
    const set = (mode: string, until: string, headers = {}) =>
      send('PUT', `/${bucket}/k?retention`, retention(mode, until), headers);
    assert.equal((await set('GOVERNANCE', '2140-01-01T00:00:00.123456Z')).status, 200);
    assert.equal((await set('GOVERNANCE', '2140-01-01T02:00:00+01:00')).status, 200);
    assert.deepEqual(outcome(await set('GOVERNANCE', '2139-01-01T00:00:00Z')), [403, 'AccessDenied']);
    assert.deepEqual(outcome(await set('COMPLIANCE', '2141-01-01T00:00:00Z')), [403, 'AccessDenied']);
    assert.match((await send('GET', `/${bucket}/k?retention`)).text, /2140-01-01T01:00:00.000Z/);
    assert.equal((await set('GOVERNANCE', '2139-01-01T00:00:00Z', BYPASS)).status, 200);
    assert.equal((await send('PUT', `/${bucket}/k?retention`, '<Retention/>', BYPASS)).status, 200);
    assert.deepEqual(outcome(await send('GET', `/${bucket}/k?retention`)), [404, 'NoSuchObjectLockConfiguration']);
  });

  test('it belongs to one version, changes in place and leaves ETag and date', async () => {
    const bucket = await locked();
    const [one, two] = [await put(bucket), await put(bucket)];
    const before = await send('HEAD', `/${bucket}/k?versionId=${one}`);
    await send('PUT', `/${bucket}/k?retention&versionId=${one}`, retention('GOVERNANCE', FAR));
    const after = await send('HEAD', `/${bucket}/k?versionId=${one}`);
    for (const name of ['etag', 'last-modified', 'x-amz-version-id'])
      assert.equal(after.headers[name], before.headers[name]);
    assert.equal(after.headers['x-amz-object-lock-mode'], 'GOVERNANCE');
    assert.equal((await send('HEAD', `/${bucket}/k`)).headers['x-amz-object-lock-mode'], undefined);
    assert.equal((await send('DELETE', `/${bucket}/k?versionId=${two}`)).status, 204);
    assert.deepEqual(outcome(await send('DELETE', `/${bucket}/k?versionId=${one}`)), [403, 'AccessDenied']);
  });

  test('an overwrite leaves the locked version below', async () => {
    const bucket = await locked();
    const id = await put(bucket, 'k', { 'x-amz-object-lock-legal-hold': 'ON' }, 'kept');
    await put(bucket, 'k', {}, 'new');
    assert.equal((await send('GET', `/${bucket}/k?versionId=${id}`)).text, 'kept');
  });

  test('a retention that is set while the version is deleted: one of the two is refused', async () => {
    const bucket = await locked();
    for (let round = 0; round < 25; round++) {
      const id = await put(bucket);
      const [kept, gone] = await Promise.all([
        send('PUT', `/${bucket}/k?retention&versionId=${id}`, retention('COMPLIANCE', '2140-01-01T00:00:00Z')),
        send('DELETE', `/${bucket}/k?versionId=${id}`),
      ]);
      const answers = [kept.status, gone.status].join();
      assert.ok(['200,403', '404,204'].includes(answers), answers);
      assert.equal((await send('HEAD', `/${bucket}/k?versionId=${id}`)).status, kept.status);
    }
  });
});

describe('legal hold', () => {
  test('keeps a version whatever the bypass, until it is taken off', async () => {
    const bucket = await locked();
    const id = await put(bucket);
    const path = `/${bucket}/k?versionId=${id}`;
    assert.deepEqual(outcome(await send('GET', `/${bucket}/k?legal-hold`)), [404, 'NoSuchObjectLockConfiguration']);
    assert.equal((await send('PUT', `/${bucket}/k?legal-hold`, hold('ON'))).status, 200);
    assert.match((await send('GET', `/${bucket}/k?legal-hold`)).text, /<LegalHold .*<Status>ON</);
    assert.equal((await send('HEAD', path)).headers['x-amz-object-lock-legal-hold'], 'ON');
    assert.deepEqual(outcome(await send('DELETE', path, undefined, BYPASS)), [403, 'AccessDenied']);
    assert.equal((await send('PUT', `/${bucket}/k?legal-hold&versionId=${id}`, hold('OFF'))).status, 200);
    assert.equal((await send('HEAD', path)).headers['x-amz-object-lock-legal-hold'], 'OFF');
    assert.equal((await send('DELETE', path)).status, 204);
  });

  test('malformed documents, missing objects, delete markers', async () => {
    const bucket = await locked();
    await put(bucket);
    for (const document of [hold('on'), '<LegalHold/>', hold('ON').replaceAll('LegalHold', 'Hold')]) {
      assert.deepEqual(
        outcome(await send('PUT', `/${bucket}/k?legal-hold`, document)),
        [400, 'MalformedXML'],
        document,
      );
    }
    for (const [document, code] of [
      [retention('governance', FAR), 'MalformedXML'],
      [retention('GOVERNANCE', 'tomorrow'), 'MalformedXML'],
      ['<Retention><Mode>GOVERNANCE</Mode></Retention>', 'MalformedXML'],
      [`<Retention><RetainUntilDate>${FAR}</RetainUntilDate></Retention>`, 'MalformedXML'],
      [retention('GOVERNANCE', '2001-01-01T00:00:00Z'), 'InvalidArgument'],
    ] as const) {
      assert.deepEqual(outcome(await send('PUT', `/${bucket}/k?retention`, document)), [400, code], document);
    }
    for (const sub of ['retention', 'legal-hold']) {
      const document = sub === 'retention' ? retention('GOVERNANCE', FAR) : hold('ON');
      const bare = await node.raw({ method: 'PUT', path: `/${bucket}/k?${sub}`, body: document });
      assert.deepEqual(outcome(bare), [400, 'InvalidRequest'], 'without a digest');
      assert.deepEqual(outcome(await send('PUT', `/${bucket}/none?${sub}`, document)), [404, 'NoSuchKey']);
      assert.deepEqual(outcome(await send('GET', `/${bucket}/none?${sub}`)), [404, 'NoSuchKey']);
    }
    const marker = String((await send('DELETE', `/${bucket}/k`)).headers['x-amz-version-id']);
    assert.deepEqual(outcome(await send('PUT', `/${bucket}/k?legal-hold`, hold('ON'))), [404, 'NoSuchKey']);
    const named = await send('PUT', `/${bucket}/k?legal-hold&versionId=${marker}`, hold('ON'));
    assert.deepEqual(outcome(named), [405, 'MethodNotAllowed']);
  });

  test('in a bucket without object lock there is none', async () => {
    const bucket = bucketName('plain');
    await send('PUT', `/${bucket}`);
    await send('PUT', `/${bucket}/k`, 'x');
    const requests = [
      send('GET', `/${bucket}/k?retention`),
      send('GET', `/${bucket}/k?legal-hold`),
      send('PUT', `/${bucket}/k?retention`, retention('GOVERNANCE', FAR)),
      send('PUT', `/${bucket}/k?legal-hold`, hold('ON')),
      send('PUT', `/${bucket}/k`, 'x', { 'x-amz-object-lock-legal-hold': 'OFF' }),
      send('POST', `/${bucket}/k?uploads`, undefined, { 'x-amz-object-lock-legal-hold': 'ON' }),
      send('PUT', `/${bucket}/c`, undefined, {
        'x-amz-copy-source': `${bucket}/k`,
        'x-amz-object-lock-legal-hold': 'ON',
      }),
    ];
    for (const answer of await Promise.all(requests)) assert.deepEqual(outcome(answer), [400, 'InvalidRequest']);
  });
});

describe('locks of new objects', () => {
  const HEADERS: [headers: Record<string, string>, code: string][] = [
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-retain-until-date': FAR }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-mode': 'governance', 'x-amz-object-lock-retain-until-date': FAR }, 'InvalidArgument'],
    [
      { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': '2140-01-01' },
      'InvalidArgument',
    ],
    [
      { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': '2001-01-01T00:00:00Z' },
      'InvalidArgument',
    ],
    [{ 'x-amz-object-lock-legal-hold': 'yes' }, 'InvalidArgument'],
  ];
  test('headers that make no sense store nothing', async () => {
    const bucket = await locked();
    for (const [headers, code] of HEADERS) {
      assert.deepEqual(outcome(await send('PUT', `/${bucket}/k`, 'x', headers)), [400, code], JSON.stringify(headers));
    }
    assert.equal((await send('GET', `/${bucket}/k`)).status, 404);
  });

  test('no body is locked without a digest of it', async () => {
    const bucket = await locked(rule('<Mode>GOVERNANCE</Mode><Days>1</Days>'));
    const bare = await node.raw({ method: 'PUT', path: `/${bucket}/k`, body: 'x' });
    assert.deepEqual(outcome(bare), [400, 'InvalidRequest']);
    const checksum = { 'x-amz-checksum-crc32': 'jNwZxA==' };
    const kept = await node.raw({ method: 'PUT', path: `/${bucket}/k`, body: 'x', headers: checksum });
    assert.deepEqual(outcome(kept), [400, 'BadDigest'], 'and the digest is checked');
    await put(bucket, 'k', {}, 'x');
  });

  test('the default is counted from the commit; a lock of its own wins; copies take the default of their bucket', async () => {
    const bucket = await locked(rule('<Mode>GOVERNANCE</Mode><Days>2</Days>'));
    const until = async (key: string) =>
      Date.parse(String((await send('HEAD', `/${bucket}/${key}`)).headers['x-amz-object-lock-retain-until-date']));
    const before = Date.now();
    await put(bucket);
    const [low, high] = [before + 2 * DAY_MS, Date.now() + 2 * DAY_MS];
    assert.ok((await until('k')) >= low && (await until('k')) <= high);
    await put(bucket, 'own', { 'x-amz-object-lock-mode': 'COMPLIANCE', 'x-amz-object-lock-retain-until-date': FAR });
    const own = await send('HEAD', `/${bucket}/own`);
    assert.deepEqual(
      [own.headers['x-amz-object-lock-mode'], own.headers['x-amz-object-lock-retain-until-date']],
      ['COMPLIANCE', FAR],
    );
    const copied = await send('PUT', `/${bucket}/copy`, undefined, { 'x-amz-copy-source': `${bucket}/own` });
    assert.equal(copied.status, 200, copied.text);
    const copy = await send('HEAD', `/${bucket}/copy`);
    assert.equal(copy.headers['x-amz-object-lock-mode'], 'GOVERNANCE', 'a lock is never copied');
  });

  test('an upload gets the lock that it was begun with, else the default at its completion', async () => {
    const bucket = await locked();
    const begin = async (key: string, headers = {}) =>
      /<UploadId>([^<]*)</.exec((await send('POST', `/${bucket}/${key}?uploads`, undefined, headers)).text)?.[1] ?? '';
    const held = await begin('held', { 'x-amz-object-lock-legal-hold': 'ON' });
    const plain = await begin('plain');
    const bare = await node.raw({ method: 'PUT', path: `/${bucket}/held?partNumber=1&uploadId=${held}`, body: 'x' });
    assert.deepEqual(outcome(bare), [400, 'InvalidRequest'], 'a part of a locked upload needs a digest');
    await send('PUT', `/${bucket}?object-lock`, configuration(rule('<Mode>COMPLIANCE</Mode><Days>1</Days>')));
    for (const [key, upload] of [
      ['held', held],
      ['plain', plain],
    ]) {
      const part = await send('PUT', `/${bucket}/${key}?partNumber=1&uploadId=${upload}`, 'x');
      const document = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
      const done = await send('POST', `/${bucket}/${key}?uploadId=${upload}`, document);
      assert.equal(done.status, 200, done.text);
      const { headers } = await send('HEAD', `/${bucket}/${key}`);
      assert.equal(headers['x-amz-object-lock-mode'], 'COMPLIANCE');
      assert.equal(headers['x-amz-object-lock-legal-hold'], key === 'held' ? 'ON' : undefined);
      const id = String(done.headers['x-amz-version-id']);
      assert.deepEqual(outcome(await send('DELETE', `/${bucket}/${key}?versionId=${id}`, undefined, BYPASS)), [
        403,
        'AccessDenied',
      ]);
    }
  });
});

describe('the rules, with times as arguments', () => {
  const entry = (attributes: Record<string, unknown>) => ({ attributes }) as unknown as ObjectEntry;
  const question = (nowMs: number, bypass = false) => ({ nowMs, mayBypass: () => bypass });

  test('a retention ends at its date', () => {
    const victim = entry({ retention: { mode: 'COMPLIANCE', untilMs: 1000 } });
    assert.throws(() => refuseLocked(victim, question(999)), { code: 'AccessDenied' });
    refuseLocked(victim, question(1000));
    refuseWeaker({ mode: 'COMPLIANCE', untilMs: 1000 }, null, question(1000));
    assert.throws(() => refuseWeaker({ mode: 'COMPLIANCE', untilMs: 1000 }, null, question(999, true)));
  });

  test('who may bypass is asked only when it matters', () => {
    const never = {
      nowMs: 0,
      mayBypass: () => assert.fail('asked'),
    };
    refuseLocked(entry({}), never);
    refuseLocked(entry({ legalHold: false }), never);
    assert.throws(() => refuseLocked(entry({ legalHold: true }), never), { code: 'AccessDenied' });
    assert.throws(() => refuseLocked(entry({ retention: { mode: 'COMPLIANCE', untilMs: 1 } }), never));
    refuseLocked(entry({ retention: { mode: 'GOVERNANCE', untilMs: 1 } }), question(0, true));
  });

  test('default periods', () => {
    const from = Date.parse('2024-02-29T12:00:00Z');
    const of = (rule: object) => defaultRetention({ enabled: true, retention: { mode: 'GOVERNANCE', ...rule } }, from);
    assert.equal(of({ days: 1 })?.untilMs, from + DAY_MS);
    assert.equal(new Date(of({ years: 4 })?.untilMs ?? 0).toISOString(), '2028-02-29T12:00:00.000Z');
    assert.equal(defaultRetention({ enabled: true }, from), undefined);
    assert.equal(defaultRetention(null, from), undefined);
  });
});
