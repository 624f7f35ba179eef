// One row per fault of a signed request: what is changed, and the S3 code (and status) a client gets.
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Credential } from '../../../src/config/types.ts';
import { PEER_LISTENER_LIMITS } from '../../../src/routing/limits.ts';
import { ANONYMOUS } from '../../../src/s3/access/anonymous.ts';
import { S3Error } from '../../../src/s3/errors.ts';
import { createAuthenticator } from '../../../src/s3/sigv4/authenticate.ts';
import type { Authenticated, Identity } from '../../../src/s3/types.ts';
import { authenticator, EMPTY_SHA256, EXAMPLE, EXAMPLE_MS, request } from './requests.ts';

type Headers = Record<string, string>;

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** A signer of its own, straight from the rules, for requests whose canonical form the test itself writes down. */
function sign(canonical: string, iso: string, secret = EXAMPLE.secretKeys[0] ?? ''): string {
  const day = iso.slice(0, 8);
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), 'us-east-1'), 's3'), 'aws4_request');
  const hash = createHash('sha256').update(canonical, 'latin1').digest('hex');
  return hmac(key, `AWS4-HMAC-SHA256\n${iso}\n${day}/us-east-1/s3/aws4_request\n${hash}`).toString('hex');
}

const ISO = '20130524T000000Z';
const SIGNED = 'host;x-amz-content-sha256;x-amz-date';

function signedHeaders(
  headers: Headers = {},
  options: { iso?: string; secret?: string; accessKey?: string } = {},
): Headers {
  const iso = options.iso ?? ISO;
  const canonical = `GET\n/bucket/key\n\nhost:h\nx-amz-content-sha256:${EMPTY_SHA256}\nx-amz-date:${iso}\n\n${SIGNED}\n${EMPTY_SHA256}`;
  const scope = `${options.accessKey ?? EXAMPLE.accessKey}/${iso.slice(0, 8)}/us-east-1/s3/aws4_request`;
  return {
    Host: 'h',
    'X-Amz-Content-Sha256': EMPTY_SHA256,
    'X-Amz-Date': iso,
    Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${SIGNED}, Signature=${sign(canonical, iso, options.secret)}`,
    ...headers,
  };
}

function failure(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  return assert.fail('it was accepted');
}

function refused(headers: Headers | string[], target = '/bucket/key', nowMs = EXAMPLE_MS): S3Error {
  return failure(() => authenticator({ nowMs }).authenticate(request('GET', target, headers)));
}

const GOOD = signedHeaders();
const AUTHORIZATION = GOOD.Authorization ?? '';

function identified(ask: () => Authenticated): Identity | null {
  try {
    return ask().identity;
  } catch {
    return null;
  }
}

test('the request that the faults are made from is accepted', () => {
  assert.equal(authenticator().authenticate(request('GET', '/bucket/key', GOOD)).identity.accessKey, EXAMPLE.accessKey);
});

const ROWS: readonly (readonly [
  name: string,
  headers: Headers | string[],
  code: string,
  status: number,
  text?: RegExp,
])[] = [
  [
    'chunks that nobody signed',
    { Host: 'h', 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
    'InvalidRequest',
    400,
    /signed/,
  ],
  ['one word', signedHeaders({ Authorization: 'nonsense' }), 'InvalidArgument', 400, /one and only one/],
  ['unknown mechanism', signedHeaders({ Authorization: 'Bearer abc' }), 'InvalidArgument', 400, /Unsupported/],
  ['Signature Version 2', signedHeaders({ Authorization: 'AWS AKID:c2ln' }), 'InvalidRequest', 400, /AWS4-HMAC-SHA256/],
  [
    'Signature Version 4A',
    signedHeaders({ Authorization: AUTHORIZATION.replace('HMAC-SHA256', 'ECDSA-P256-SHA256') }),
    'InvalidRequest',
    400,
  ],
  ['two components', edited(/, Signature=.*/, ''), 'AuthorizationHeaderMalformed', 400, /three components/],
  ['a component without =', edited(/SignedHeaders=/, 'SignedHeaders-'), 'AuthorizationHeaderMalformed', 400],
  ['no Credential', edited(/Credential=/, 'Creds='), 'AuthorizationHeaderMalformed', 400, /missing Credential/],
  ['no SignedHeaders', edited(/SignedHeaders=/, 'Headers='), 'AuthorizationHeaderMalformed', 400, /missing SignedH/],
  ['no Signature', edited(/Signature=/, 'Sig='), 'AuthorizationHeaderMalformed', 400, /missing Signature/],
  ['component twice', edited(/SignedHeaders=[^,]*/, 'Signature=x'), 'AuthorizationHeaderMalformed', 400],
  ['short credential', edited(/\/us-east-1/, ''), 'AuthorizationHeaderMalformed', 400, /mal-formed/],
  ['long credential', edited(/aws4_request/, 'extra/aws4_request'), 'AuthorizationHeaderMalformed', 400],
  ['wrong terminal', edited(/aws4_request/, 'aws_request'), 'AuthorizationHeaderMalformed', 400, /terminal/],
  ['wrong service', edited(/\/s3\//, '/ec2/'), 'AuthorizationHeaderMalformed', 400, /service "ec2"/],
  ['wrong region', edited(/us-east-1/, 'eu-west-1'), 'AuthorizationHeaderMalformed', 400, /expecting 'us-east-1'/],
  ['date of another form', edited(/20130524/, '2013-05-24'), 'AuthorizationHeaderMalformed', 400, /yyyyMMdd/],
  ['another day than x-amz-date', edited(/20130524/, '20130523'), 'AuthorizationHeaderMalformed', 400, /not the same/],
  ['unknown access key', edited(/AKIA[^/]*/, 'NOBODY'), 'InvalidAccessKeyId', 403],
  ['empty access key', edited(/AKIA[^/]*/, ''), 'AuthorizationHeaderMalformed', 400],
  ['no date', without('X-Amz-Date'), 'AccessDenied', 403, /Date or x-amz-date/],
  ['a date that is none', signedHeaders({ 'X-Amz-Date': '20130230T000000Z' }), 'AccessDenied', 403],
  ['empty date', signedHeaders({ 'X-Amz-Date': '' }), 'AccessDenied', 403],
  ['no content hash', without('X-Amz-Content-Sha256'), 'InvalidRequest', 400, /x-amz-content-sha256/],
  ['content hash of another form', signedHeaders({ 'X-Amz-Content-Sha256': 'abc' }), 'InvalidArgument', 400],
  ['another content hash', signedHeaders({ 'X-Amz-Content-Sha256': 'a'.repeat(64) }), 'SignatureDoesNotMatch', 403],
  ['x-amz- header not signed', signedHeaders({ 'x-amz-acl': 'public-read' }), 'AccessDenied', 403, /not signed/],
  ['metadata not signed', signedHeaders({ 'X-Amz-Meta-A': '1' }), 'AccessDenied', 403, /not signed/],
  ['host not signed', edited(/SignedHeaders=host;/, 'SignedHeaders='), 'AccessDenied', 403, /not signed/],
  [
    'a header signed that is not there',
    edited(/SignedHeaders=host/, 'SignedHeaders=host;range'),
    'SignatureDoesNotMatch',
    403,
  ],
  ['another host', signedHeaders({ Host: 'other' }), 'SignatureDoesNotMatch', 403],
  ['another signature', edited(/Signature=../, 'Signature=zz'), 'SignatureDoesNotMatch', 403],
  ['upper-case signature', signedHeaders({ Authorization: upperSignature() }), 'SignatureDoesNotMatch', 403],
  ['short signature', edited(/Signature=...../, 'Signature='), 'SignatureDoesNotMatch', 403],
  ['wrong secret', signedHeaders({}, { secret: 'wrong' }), 'SignatureDoesNotMatch', 403],
  ['a session token', signedHeaders({ 'X-Amz-Security-Token': 't' }), 'InvalidToken', 400],
  [
    'Authorization twice',
    [...Object.entries(GOOD).flat(), 'authorization', 'x'],
    'InvalidRequest',
    400,
    /more than once/,
  ],
  ['x-amz-date twice', [...Object.entries(GOOD).flat(), 'x-amz-date', ISO], 'InvalidRequest', 400, /more than once/],
  ['content hash twice', [...Object.entries(GOOD).flat(), 'x-amz-content-sha256', EMPTY_SHA256], 'InvalidRequest', 400],
  ['a second host', [...Object.entries(GOOD).flat(), 'Host', 'h'], 'SignatureDoesNotMatch', 403],
  [
    'a flood of headers',
    Array.from({ length: 2 * (PEER_LISTENER_LIMITS.headersMax + 1) }, (_, index) =>
      index % 2 === 0 ? `h${index}` : 'v',
    ),
    'RequestHeaderSectionTooLarge',
    400,
  ],
];

function edited(pattern: RegExp, replacement: string): Headers {
  const changed = AUTHORIZATION.replace(pattern, replacement);
  assert.notEqual(changed, AUTHORIZATION, String(pattern));
  return signedHeaders({ Authorization: changed });
}

function upperSignature(): string {
  return AUTHORIZATION.replace(/Signature=(.*)$/, (_, hex: string) => `Signature=${hex.toUpperCase()}`);
}

function without(name: string): Headers {
  const { [name]: _, ...rest } = GOOD;
  return rest;
}

for (const [name, headers, code, status, text] of ROWS) {
  test(`${name}: ${status} ${code}`, () => {
    const error = refused(headers);
    assert.equal(error.code, code);
    assert.equal(error.status, status);
    if (text !== undefined) assert.match(error.message, text);
  });
}

test('both an Authorization header and a presigned query: one mechanism only', () => {
  const error = refused(GOOD, '/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256');
  assert.equal(error.code, 'InvalidArgument');
  assert.match(error.message, /Only one auth mechanism/);
});

test('the expected region is an element of its own, from which clients correct themselves', () => {
  assert.equal(refused(edited(/us-east-1/, 'eu-west-1')).fields.Region, 'us-east-1');
});

test('the headers that were not signed are named', () => {
  const error = refused(signedHeaders({ 'x-amz-acl': 'private', 'x-amz-copy-source': 'a/b' }));
  assert.equal(error.fields.HeadersNotSigned, 'x-amz-acl, x-amz-copy-source');
});

test('a wrong signature comes with what was signed here, and never with a secret', () => {
  const error = refused(signedHeaders({}, { secret: 'wrong' }));
  assert.match(error.fields.CanonicalRequest ?? '', /^GET\n\/bucket\/key\n\nhost:h\n/);
  assert.match(error.fields.StringToSign ?? '', /^AWS4-HMAC-SHA256\n20130524T000000Z\n/);
  assert.ok(!JSON.stringify(error.fields).includes(EXAMPLE.secretKeys[0] ?? ''));
});

for (const [name, offsetSeconds, accepted] of [
  ['15 minutes slow', 900, true],
  ['15 minutes fast', -900, true],
  ['one second more', 901, false],
  ['one second more the other way', -901, false],
] as const) {
  test(`clock ${name}: ${accepted ? 'accepted' : 'RequestTimeTooSkewed'}`, () => {
    const run = () =>
      authenticator({ nowMs: EXAMPLE_MS + offsetSeconds * 1000 }).authenticate(request('GET', '/bucket/key', GOOD));
    if (accepted) run();
    else {
      const error = failure(run);
      assert.equal(error.code, 'RequestTimeTooSkewed');
      assert.equal(error.fields.MaxAllowedSkewMilliseconds, '900000');
    }
  });
}

test('the method, the path and the query are under the signature', () => {
  for (const [method, target] of [
    ['PUT', '/bucket/key'],
    ['GET', '/bucket/key2'],
    ['GET', '/bucket//key'],
    ['GET', '/bucket/./key'],
    ['GET', '/bucket/key?a=b'],
  ] as const) {
    const error = failure(() => authenticator().authenticate(request(method, target, GOOD)));
    assert.equal(error.code, 'SignatureDoesNotMatch', `${method} ${target}`);
  }
});

test('every secret of a credential verifies, and one taken away no longer does', () => {
  let credentials: Credential[] = [{ ...EXAMPLE, secretKeys: ['new', ...EXAMPLE.secretKeys] }];
  const live = createAuthenticator({ region: 'us-east-1', credentials: () => credentials, nowMs: () => EXAMPLE_MS });
  const run = (headers: Headers) => live.authenticate(request('GET', '/bucket/key', headers));
  run(GOOD);
  run(signedHeaders({}, { secret: 'new' }));
  credentials = [{ ...EXAMPLE, secretKeys: ['new'] }];
  run(signedHeaders({}, { secret: 'new' }));
  assert.equal(failure(() => run(GOOD)).code, 'SignatureDoesNotMatch');
  credentials = [];
  assert.equal(failure(() => run(GOOD)).code, 'InvalidAccessKeyId');
});

test('a second host of the same value changes the canonical request', () => {
  // Otherwise a proxy and this server could each believe another Host.
  const error = refused([...Object.entries(GOOD).flat(), 'host', 'h']);
  assert.match(error.fields.CanonicalRequest ?? '', /host:h,h\n/);
});

test('expect, answered by a node on the way, is taken as it must have been', () => {
  const names = 'expect;host;x-amz-content-sha256;x-amz-date';
  const canonical = `GET\n/bucket/key\n\nexpect:100-continue\nhost:h\nx-amz-content-sha256:${EMPTY_SHA256}\nx-amz-date:${ISO}\n\n${names}\n${EMPTY_SHA256}`;
  const Authorization = `AWS4-HMAC-SHA256 Credential=${EXAMPLE.accessKey}/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${sign(canonical, ISO)}`;
  authenticator().authenticate(request('GET', '/bucket/key', { ...GOOD, Authorization }));
});

test('the Date header serves where x-amz-date is absent', () => {
  const names = 'date;host;x-amz-content-sha256';
  const date = 'Fri, 24 May 2013 00:00:00 GMT';
  const canonical = `GET\n/bucket/key\n\ndate:${date}\nhost:h\nx-amz-content-sha256:${EMPTY_SHA256}\n\n${names}\n${EMPTY_SHA256}`;
  const Authorization = `AWS4-HMAC-SHA256 Credential=${EXAMPLE.accessKey}/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${sign(canonical, ISO)}`;
  const headers = { Host: 'h', 'X-Amz-Content-Sha256': EMPTY_SHA256, Date: date, Authorization };
  authenticator().authenticate(request('GET', '/bucket/key', headers));
  assert.equal(refused({ ...headers, Date: 'yesterday' }).code, 'AccessDenied');
});

// Presigned URLs ------------------------------------------------------------------------------------------------

function presigned(changes: Readonly<Record<string, string | null>> = {}, extra = ''): string {
  const values: Record<string, string | null> = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${EXAMPLE.accessKey}/20130524/us-east-1/s3/aws4_request`,
    'X-Amz-Date': ISO,
    'X-Amz-Expires': '3600',
    'X-Amz-SignedHeaders': 'host',
    ...changes,
  };
  const query = Object.entries(values)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${encodeURIComponent(value ?? '')}`)
    .concat(extra === '' ? [] : [extra])
    .sort()
    .join('&');
  const canonical = `GET\n/bucket/key\n${query}\nhost:h\n\nhost\nUNSIGNED-PAYLOAD`;
  return `/bucket/key?${query}&X-Amz-Signature=${sign(canonical, ISO)}`;
}

const PRESIGNED_ROWS: readonly (readonly [
  name: string,
  target: string,
  code: string,
  status: number,
  nowMs?: number,
])[] = [
  ['expired by a second', presigned(), 'AccessDenied', 403, EXAMPLE_MS + 3_601_000],
  ['more than 15 minutes ahead', presigned(), 'AccessDenied', 403, EXAMPLE_MS - 901_000],
  ['for zero seconds', presigned({ 'X-Amz-Expires': '0' }), 'AccessDenied', 403],
  ['for a negative time', presigned({ 'X-Amz-Expires': '-1' }), 'AccessDenied', 403],
  ['for more than a week', presigned({ 'X-Amz-Expires': '604801' }), 'AccessDenied', 403],
  ['for no number', presigned({ 'X-Amz-Expires': 'soon' }), 'AuthorizationQueryParametersError', 400],
  ['without Expires', presigned({ 'X-Amz-Expires': null }), 'AuthorizationQueryParametersError', 400],
  ['without Date', presigned({ 'X-Amz-Date': null }), 'AuthorizationQueryParametersError', 400],
  ['without SignedHeaders', presigned({ 'X-Amz-SignedHeaders': null }), 'AuthorizationQueryParametersError', 400],
  ['without Credential', presigned({ 'X-Amz-Credential': null }), 'AuthorizationQueryParametersError', 400],
  ['without Algorithm', presigned({ 'X-Amz-Algorithm': null }), 'AuthorizationQueryParametersError', 400],
  ['without Signature', presigned().replace(/&X-Amz-Signature=.*/, ''), 'AuthorizationQueryParametersError', 400],
  ['with two signatures', `${presigned()}&X-Amz-Signature=a`, 'AuthorizationQueryParametersError', 400],
  ['of another algorithm', presigned({ 'X-Amz-Algorithm': 'AWS4' }), 'AuthorizationQueryParametersError', 400],
  ['of Signature Version 4A', presigned({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }), 'InvalidRequest', 400],
  ['with a date of another form', presigned({ 'X-Amz-Date': '2013' }), 'AuthorizationQueryParametersError', 400],
  [
    'of another day',
    presigned({ 'X-Amz-Credential': `${EXAMPLE.accessKey}/20130525/us-east-1/s3/aws4_request` }),
    'AuthorizationQueryParametersError',
    400,
  ],
  [
    'of another region',
    presigned({ 'X-Amz-Credential': `${EXAMPLE.accessKey}/20130524/eu-west-1/s3/aws4_request` }),
    'AuthorizationQueryParametersError',
    400,
  ],
  [
    'of an unknown key',
    presigned({ 'X-Amz-Credential': 'NOBODY/20130524/us-east-1/s3/aws4_request' }),
    'InvalidAccessKeyId',
    403,
  ],
  ['with a host that is not signed', presigned({ 'X-Amz-SignedHeaders': 'range' }), 'AccessDenied', 403],
  ['with an override added later', `${presigned()}&response-content-type=text%2Fhtml`, 'SignatureDoesNotMatch', 403],
  ['with a session token', `${presigned()}&X-Amz-Security-Token=t`, 'InvalidToken', 400],
  ['of Signature Version 2', '/bucket/key?AWSAccessKeyId=a&Expires=1&Signature=b', 'InvalidRequest', 400],
];

test('the presigned URL that the faults are made from is accepted, to its last second', () => {
  for (const nowMs of [EXAMPLE_MS, EXAMPLE_MS + 3_600_000, EXAMPLE_MS - 900_000]) {
    assert.equal(authenticator({ nowMs }).authenticate(request('GET', presigned(), { Host: 'h' })).presigned, true);
  }
});

for (const [name, target, code, status, nowMs] of PRESIGNED_ROWS) {
  test(`presigned ${name}: ${status} ${code}`, () => {
    const error = refused({ Host: 'h' }, target, nowMs);
    assert.equal(error.code, code);
    assert.equal(error.status, status);
  });
}

test('an x-amz- header added to a presigned request is not covered by it', () => {
  assert.equal(refused({ Host: 'h', 'x-amz-acl': 'public-read' }, presigned()).code, 'AccessDenied');
});

test('a presigned URL may carry the hash of the body', () => {
  const hash = `X-Amz-Content-Sha256=${EMPTY_SHA256}`;
  const target = presigned({}, hash);
  const canonical = `GET\n/bucket/key\n${(target.split('?')[1] ?? '').replace(/&X-Amz-Signature=.*/, '')}\nhost:h\n\nhost\n${EMPTY_SHA256}`;
  const signed = target.replace(/Signature=[0-9a-f]+$/, `Signature=${sign(canonical, ISO)}`);
  const found = authenticator().authenticate(request('GET', signed, { Host: 'h' }));
  assert.deepEqual(found.payload, { kind: 'sha256', hex: EMPTY_SHA256 });
});

test('Signature Version 2 in the query says what to do about it', () => {
  assert.match(refused({ Host: 'h' }, '/bucket/key?AWSAccessKeyId=a&Expires=1&Signature=b').message, /s3v4/);
});

for (const [name, headers] of [
  ['no Authorization', { Host: 'h' }],
  ['an empty Authorization', signedHeaders({ Authorization: '' })],
] as const) {
  test(`${name}: nobody`, () => {
    const found = authenticator().authenticate(request('GET', '/bucket/key', headers));
    assert.deepEqual([found.identity, found.presigned], [ANONYMOUS, false]);
  });
}

test('the payload of a request by nobody is framed or hashed as it says', () => {
  const payloadOf = (hash: string) =>
    authenticator().authenticate(request('PUT', '/bucket/key', { Host: 'h', 'x-amz-content-sha256': hash })).payload;
  assert.deepEqual(payloadOf('A'.repeat(64)), { kind: 'sha256', hex: 'a'.repeat(64) });
  assert.deepEqual(payloadOf('STREAMING-UNSIGNED-PAYLOAD-TRAILER'), { kind: 'chunked', signed: null, trailer: true });
});

test('whatever stands in the headers and the query, it is nobody or refused with an S3 error of the client', () => {
  const word = fc.constantFrom(
    'AWS4-HMAC-SHA256',
    'AWS',
    ' ',
    '  ',
    ',',
    '=',
    ';',
    '/',
    'Credential=',
    'SignedHeaders=',
    'Signature=',
    'host',
    'x-amz-date',
    EXAMPLE.accessKey,
    '20130524',
    'us-east-1',
    's3',
    'aws4_request',
    '\xff',
    '%',
    '__proto__',
    'a'.repeat(64),
  );
  const text = fc.array(word, { maxLength: 14 }).map((parts) => parts.join(''));
  const header = fc.constantFrom(
    'Authorization',
    'x-amz-date',
    'date',
    'x-amz-content-sha256',
    'Host',
    'x-amz-meta-a',
    '__proto__',
  );
  const parameter = fc.constantFrom(
    'X-Amz-Algorithm',
    'X-Amz-Credential',
    'X-Amz-Date',
    'X-Amz-Expires',
    'X-Amz-SignedHeaders',
    'X-Amz-Signature',
    'Signature',
    'AWSAccessKeyId',
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(header, text), { maxLength: 6 }),
      fc.array(fc.tuple(parameter, text), { maxLength: 8 }),
      (headers, query) => {
        const target = `/bucket/key?${query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
        const ask = () => authenticator().authenticate({ ...request('GET', target, {}), rawHeaders: headers.flat() });
        const claims = headers.some(([name, value]) => name === 'Authorization' && value.trim() !== '');
        if (!claims && identified(ask) === ANONYMOUS) return;
        const error = failure(ask);
        assert.ok(error.status >= 400 && error.status < 500, error.code);
      },
    ),
    { numRuns: 3000 },
  );
});
