import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import {
  CreateBucketCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';
import { encodePolicy, type FieldList, type FormShape, formBody, signV2, signV4 } from './form-bodies.ts';

const node = await s3Fixture({
  credentials: [
    credential('admin'),
    credential('reader', [{ buckets: '*', actions: 'read' }]),
    credential('maker', [{ buckets: '*', actions: 'create' }]),
  ],
});
const client = node.client();

async function newBucket(ObjectOwnership: 'BucketOwnerEnforced' | 'ObjectWriter' = 'BucketOwnerEnforced') {
  const Bucket = bucketName();
  await client.send(new CreateBucketCommand({ Bucket, ObjectOwnership }));
  return Bucket;
}

const Bucket = await newBucket();
/** Everything but the fields of the signature is covered by this one, when `bucket` is. */
const anything = (...fields: string[]) => fields.map((field) => ['starts-with', `$${field}`, '']);

function post(bucket: string, fields: FieldList, file: string | Buffer = 'body', shape: FormShape = {}) {
  const { body, contentType } = formBody(fields, file, shape);
  return node.raw({ method: 'POST', path: `/${bucket}`, body, headers: { 'content-type': contentType }, sign: false });
}

interface Signed {
  readonly bucket?: string;
  readonly fields?: FieldList;
  readonly conditions?: readonly unknown[];
  readonly file?: string | Buffer;
  readonly accessKey?: string;
  readonly secret?: string;
  readonly shape?: FormShape;
  readonly version?: 2 | 4;
  readonly expiration?: string;
}

let keys = 0;

/** A form signed by admin with every given field covered, unless told otherwise. */
async function upload(given: Signed) {
  const { bucket = Bucket, fields = [], accessKey = 'admin', version = 4 } = given;
  keys += 1;
  const key = fields.find(([name]) => name === 'key')?.[1] ?? `key-${keys}`;
  const all: FieldList = [['key', key], ...fields.filter(([name]) => name !== 'key')];
  const secret = given.secret ?? node.secretOf(accessKey);
  const conditions = [{ bucket }, ...(given.conditions ?? anything(...all.map(([name]) => name)))];
  const signature =
    version === 4
      ? signV4(conditions, { accessKey, secret }, given.expiration)
      : signV2(encodePolicy(conditions, given.expiration), accessKey, secret);
  const answer = await post(bucket, [...all, ...signature], given.file, given.shape);
  return { answer, key: String(key), path: `/${bucket}/${key}` };
}

async function exists(path: string): Promise<boolean> {
  return (await node.raw({ method: 'HEAD', path })).status === 200;
}

describe('who signed', () => {
  for (const version of [4, 2] as const) {
    test(`version ${version}: stored, 204 with ETag and Location`, async () => {
      const { answer, path } = await upload({ version, file: 'hello' });
      assert.equal(answer.status, 204, answer.text);
      const etag = `"${createHash('md5').update('hello').digest('hex')}"`;
      assert.deepEqual([answer.headers.etag, answer.headers.location], [etag, `${node.endpoint}${path}`]);
      const read = await node.raw({ path });
      assert.deepEqual([read.text, read.headers.etag], ['hello', etag]);
    });

    test(`version ${version}: as python's requests sends it, every field with a file name`, async () => {
      const { answer, path } = await upload({ version, shape: { named: true } });
      assert.deepEqual([answer.status, await exists(path)], [204, true]);
    });

    const FAULTS: [what: string, given: Signed, status: number, code: string][] = [
      ['another secret', { secret: 'other' }, 403, 'SignatureDoesNotMatch'],
      ['an unknown key', { accessKey: 'nobody', secret: 'x' }, 403, 'InvalidAccessKeyId'],
      ['a credential that may only read', { accessKey: 'reader' }, 403, 'AccessDenied'],
      ['a credential that has nothing here', { accessKey: 'maker' }, 403, 'AccessDenied'],
      ['an expired policy', { expiration: '2020-01-01T00:00:00Z' }, 403, 'AccessDenied'],
      ['no word about a field', { conditions: anything('key'), fields: [['x-amz-meta-a', '1']] }, 403, 'AccessDenied'],
      ['an expiration that is none', { expiration: 'soon' }, 400, 'InvalidPolicyDocument'],
    ];
    for (const [what, given, status, code] of FAULTS) {
      test(`version ${version}: ${what} is ${code}, and nothing is stored`, async () => {
        const { answer, path } = await upload({ ...given, version });
        assert.deepEqual([answer.status, answer.code, await exists(path)], [status, code, false]);
      });
    }
  }

  test('a policy changed after it was signed', async () => {
    const signed = new Map(signV4([{ bucket: Bucket }, ...anything('key')], sender()));
    signed.set('policy', encodePolicy([{ bucket: Bucket }, ...anything('key', 'x-amz-meta-a')]));
    const answer = await post(Bucket, [['key', 'changed'], ...signed]);
    assert.deepEqual([answer.status, answer.code], [403, 'SignatureDoesNotMatch']);
  });

  function sender() {
    return { accessKey: 'admin', secret: node.secretOf('admin') };
  }

  const conditions = [{ bucket: Bucket }, ...anything('key')];
  const v4 = () => signV4(conditions, sender());
  const v2 = () => signV2(encodePolicy(conditions), 'admin', node.secretOf('admin'));
  const replaced = (list: [string, string][], name: string, value: string | null): [string, string][] =>
    list.flatMap((field) => (field[0] !== name ? [field] : value === null ? [] : [[name, value] as [string, string]]));
  const MALFORMED: [what: string, fields: () => [string, string][], status: number, code: string][] = [
    ['version 4 without a signature', () => replaced(v4(), 'x-amz-signature', null), 400, 'InvalidArgument'],
    ['version 4 without a policy', () => replaced(v4(), 'policy', null), 400, 'InvalidArgument'],
    ['version 4 without a date', () => replaced(v4(), 'x-amz-date', null), 400, 'InvalidArgument'],
    ['version 4 without an algorithm', () => replaced(v4(), 'x-amz-algorithm', null), 400, 'InvalidArgument'],
    ['version 4A', () => replaced(v4(), 'x-amz-algorithm', 'AWS4-ECDSA-P256-SHA256'), 400, 'InvalidRequest'],
    [
      'another day in the date',
      () => replaced(v4(), 'x-amz-date', '20200101T000000Z'),
      400,
      'AuthorizationQueryParametersError',
    ],
    [
      'another region',
      () => signV4(conditions, { ...sender(), region: 'eu-west-1' }),
      400,
      'AuthorizationQueryParametersError',
    ],
    [
      'another service',
      () => signV4(conditions, { ...sender(), service: 'sqs' }),
      400,
      'AuthorizationQueryParametersError',
    ],
    ['version 2 without a signature', () => replaced(v2(), 'signature', null), 400, 'InvalidArgument'],
    ['version 2 without a key', () => replaced(v2(), 'AWSAccessKeyId', null), 400, 'InvalidArgument'],
    ['version 2 without a policy', () => replaced(v2(), 'policy', null), 400, 'InvalidArgument'],
    ['a policy that nobody signed', () => [['policy', encodePolicy(conditions)]], 400, 'InvalidArgument'],
    ['a session token', () => [...v4(), ['x-amz-security-token', 't']], 400, 'InvalidToken'],
    ['a field twice', () => [...v4(), ['KEY', 'other']], 400, 'InvalidArgument'],
  ];
  for (const [what, fields, status, code] of MALFORMED) {
    test(`${what}: ${status} ${code}`, async () => {
      const answer = await post(Bucket, [['key', 'malformed'], ...fields()]);
      assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
      assert.equal(await exists(`/${Bucket}/malformed`), false);
    });
  }

  test('nobody: refused where nobody may write, stored where the policy of the bucket lets him', async () => {
    const open = await newBucket();
    const refused = await post(open, [['key', 'k']]);
    assert.deepEqual([refused.status, refused.code], [403, 'AccessDenied']);
    const Statement = [
      { Effect: 'Allow', Principal: '*', Action: 's3:PutObject', Resource: `arn:aws:s3:::${open}/in/*` },
    ];
    const body = JSON.stringify({ Version: '2012-10-17', Statement });
    assert.ok((await node.raw({ method: 'PUT', path: `/${open}?policy`, body })).status < 300);
    assert.equal((await post(open, [['key', 'in/k']])).status, 204);
    assert.equal((await post(open, [['key', 'out/k']])).status, 403);
    assert.deepEqual([await exists(`/${open}/in/k`), await exists(`/${open}/out/k`)], [true, false]);
  });

  test('a policy of the bucket may refuse the old signature', async () => {
    const strict = await newBucket();
    const Condition = { StringEquals: { 's3:signatureversion': 'AWS' } };
    const Resource = `arn:aws:s3:::${strict}/*`;
    const Statement = [{ Effect: 'Deny', Principal: '*', Action: 's3:*', Resource, Condition }];
    const body = JSON.stringify({ Version: '2012-10-17', Statement });
    assert.ok((await node.raw({ method: 'PUT', path: `/${strict}?policy`, body })).status < 300);
    assert.equal((await upload({ bucket: strict, version: 2 })).answer.status, 403);
    assert.equal((await upload({ bucket: strict, version: 4 })).answer.status, 204);
  });
});

describe('the key', () => {
  test('${filename}, without the path that some browsers send', async () => {
    const shape = { filename: 'C:\\pictures\\cat.png' };
    const { answer } = await upload({ fields: [['key', 'user/${filename}']], shape });
    assert.equal(answer.status, 204);
    assert.equal(await exists(`/${Bucket}/user/cat.png`), true);
  });

  test('any text', async () => {
    const key = 'a b/ü+%2F?#&"/../漢';
    const { answer } = await upload({
      fields: [
        ['key', key],
        ['success_action_status', '201'],
      ],
    });
    assert.equal(answer.status, 201);
    const location = /<Location>(.*)<\/Location>/.exec(answer.text)?.[1] ?? '';
    const path = location.slice(node.endpoint.length);
    assert.equal((await node.raw({ path })).text, 'body');
    const listed = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'a b/' }));
    assert.deepEqual(
      listed.Contents?.map((object) => object.Key),
      [key],
    );
  });

  const FAULTS: [what: string, key: string | null, code: string][] = [
    ['none', null, 'InvalidArgument'],
    ['an empty one', '', 'InvalidArgument'],
    ['one that is empty without a file name', '${filename}', 'InvalidArgument'],
    ['1025 bytes', `${'ü'.repeat(512)}x`, 'KeyTooLongError'],
  ];
  for (const [what, key, code] of FAULTS) {
    test(`${what}: 400 ${code}`, async () => {
      const signature = signV4([{ bucket: Bucket }, ...anything('key')], {
        accessKey: 'admin',
        secret: node.secretOf('admin'),
      });
      const answer = await post(Bucket, [...(key === null ? [] : [['key', key] as const]), ...signature]);
      assert.deepEqual([answer.status, answer.code], [400, code]);
    });
  }
});

describe('what the fields say of the object', () => {
  test('headers, metadata, storage class, tags', async () => {
    const tags = '<Tagging><TagSet><Tag><Key>a b</Key><Value>ü&amp;</Value></Tag></TagSet></Tagging>'.replace(
      '&amp;',
      '=',
    );
    const { answer, path, key } = await upload({
      fields: [
        ['Content-Type', 'text/plain; charset=utf-8'],
        ['Cache-Control', 'max-age=1'],
        ['Content-Disposition', 'attachment; filename="ü"'],
        ['Content-Encoding', 'identity'],
        ['Expires', 'Thu, 01 Jan 2030 00:00:00 GMT'],
        ['X-Amz-Meta-Umlaut-less', 'gräßlich'],
        ['x-amz-storage-class', 'STANDARD_IA'],
        ['x-amz-website-redirect-location', '/elsewhere'],
        ['tagging', tags],
        ['submit', 'Upload'],
      ],
    });
    assert.equal(answer.status, 204, answer.text);
    const { headers } = await node.raw({ method: 'HEAD', path });
    assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(headers['cache-control'], 'max-age=1');
    assert.equal(headers['content-encoding'], 'identity');
    assert.equal(headers.expires, 'Thu, 01 Jan 2030 00:00:00 GMT');
    assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA');
    assert.equal(headers['x-amz-website-redirect-location'], '/elsewhere');
    const utf8 = (value: unknown) => Buffer.from(String(value), 'latin1').toString('utf8');
    assert.equal(utf8(headers['content-disposition']), 'attachment; filename="ü"');
    assert.equal(utf8(headers['x-amz-meta-umlaut-less']), 'gräßlich');
    const { TagSet } = await client.send(new GetObjectTaggingCommand({ Bucket, Key: key }));
    assert.deepEqual(TagSet, [{ Key: 'a b', Value: 'ü=' }]);
  });

  test('no type: the default one; the type of the part does not count', async () => {
    const { path } = await upload({});
    assert.equal((await node.raw({ method: 'HEAD', path })).headers['content-type'], 'binary/octet-stream');
  });

  test('an access control list, where the bucket has them', async () => {
    const lists = await newBucket('ObjectWriter');
    const { answer, path } = await upload({ bucket: lists, fields: [['acl', 'public-read']] });
    assert.equal(answer.status, 204, answer.text);
    assert.equal((await node.raw({ path, sign: false })).text, 'body');
    const refused = await upload({ fields: [['acl', 'public-read']] });
    assert.deepEqual([refused.answer.code, await exists(refused.path)], ['AccessControlListNotSupported', false]);
  });

  const FAULTS: [name: string, value: string, status: number, code: string][] = [
    ['x-amz-server-side-encryption-customer-algorithm', 'AES256', 501, 'NotImplemented'],
    ['x-amz-storage-class', 'COLD', 400, 'InvalidStorageClass'],
    ['x-amz-meta-long', 'x'.repeat(2048), 400, 'MetadataTooLarge'],
    ['x-amz-meta-lines', 'a\r\nset-cookie: b', 400, 'InvalidArgument'],
    ['x-amz-meta-a b', '1', 400, 'InvalidArgument'],
    ['tagging', '<Tagging/>', 400, 'MalformedXML'],
    ['tagging', 'a=b', 400, 'MalformedXML'],
    ['tagging', '<Tagging><TagSet><Tag><Key>aws:x</Key><Value/></Tag></TagSet></Tagging>', 400, 'InvalidTag'],
    ['acl', 'everybody', 400, 'InvalidArgument'],
    ['x-amz-object-lock-mode', 'GOVERNANCE', 400, 'InvalidArgument'],
    ['Content-MD5', 'x', 400, 'InvalidDigest'],
    ['x-amz-checksum-sha256', 'x', 400, 'BadDigest'],
    ['x-amz-checksum-sha256', createHash('sha256').update('other').digest('base64'), 400, 'BadDigest'],
    ['Content-MD5', createHash('md5').update('other').digest('base64'), 400, 'BadDigest'],
  ];
  for (const [name, value, status, code] of FAULTS) {
    test(`${name}: ${value.slice(0, 30)} is ${code}, and nothing is stored`, async () => {
      const { answer, path } = await upload({ fields: [[name, value]] });
      assert.deepEqual([answer.status, answer.code, await exists(path)], [status, code, false], answer.text);
    });
  }

  test('a checksum that nobody signed is verified and kept', async () => {
    const sha256 = createHash('sha256').update('body').digest('base64');
    const { answer, key } = await upload({
      conditions: anything('key'),
      fields: [['x-amz-checksum-sha256', sha256]],
    });
    assert.equal(answer.status, 204, answer.text);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: key, ChecksumMode: 'ENABLED' }));
    assert.equal(head.ChecksumSHA256, sha256);
  });
});

describe('the answer', () => {
  test('200 and 201 when they are asked for, else 204', async () => {
    for (const [asked, status] of [
      ['200', 200],
      ['201', 201],
      ['204', 204],
      ['404', 204],
      ['', 204],
    ] as const) {
      const { answer } = await upload({ fields: [['success_action_status', asked]] });
      assert.equal(answer.status, status, asked);
    }
  });

  test('201 is a document', async () => {
    const { answer, key } = await upload({
      fields: [
        ['key', 'a&b'],
        ['success_action_status', '201'],
      ],
    });
    assert.equal(key, 'a&b');
    const etag = createHash('md5').update('body').digest('hex');
    const location = `${node.endpoint}/${Bucket}/a%26b`;
    assert.equal(
      answer.text.replace(/^.*\n/, ''),
      `<PostResponse><Location>${location}</Location><Bucket>${Bucket}</Bucket><Key>a&amp;b</Key><ETag>&quot;${etag}&quot;</ETag></PostResponse>`,
    );
    assert.equal(answer.headers['content-type'], 'application/xml');
  });

  const etag = `%22${createHash('md5').update('body').digest('hex')}%22`;
  const query = `bucket=${Bucket}&key=k%20%26%2F&etag=${etag}`;
  const REDIRECTS: [field: string, url: string, location: string | null][] = [
    ['success_action_redirect', 'http://a.org/done', `http://a.org/done?${query}`],
    ['redirect', 'https://a.org/?x=1#part', `https://a.org/?x=1&${query}#part`],
    ['success_action_redirect', 'https://a.org/ü', `https://a.org/%C3%BC?${query}`],
    ['success_action_redirect', 'javascript:alert(1)', null],
    ['success_action_redirect', 'not an address', null],
    ['success_action_redirect', '/relative', null],
  ];
  for (const [field, url, location] of REDIRECTS) {
    test(`${field} ${url}`, async () => {
      const { answer } = await upload({
        fields: [
          ['key', 'k &/'],
          [field, url],
        ],
      });
      if (location === null)
        assert.deepEqual([answer.status, answer.headers.location], [204, `${node.endpoint}/${Bucket}/k%20%26/`]);
      else assert.deepEqual([answer.status, answer.headers.location], [303, location]);
    });
  }

  test('names the version in a bucket that has them', async () => {
    const versioned = await newBucket();
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }));
    const first = await upload({ bucket: versioned, fields: [['key', 'k']], file: '1' });
    await upload({ bucket: versioned, fields: [['key', 'k']], file: '2' });
    const version = first.answer.headers['x-amz-version-id'];
    assert.equal((await node.raw({ path: `/${versioned}/k?versionId=${String(version)}` })).text, '1');
  });

  test('has the CORS headers of the bucket', async () => {
    const rules = '<CORSRule><AllowedOrigin>http://a</AllowedOrigin><AllowedMethod>POST</AllowedMethod></CORSRule>';
    const shared = await newBucket();
    const body = `<CORSConfiguration>${rules}</CORSConfiguration>`;
    await node.raw({ method: 'PUT', path: `/${shared}?cors`, body });
    const form = formBody([['key', 'k']], 'x');
    const headers = { 'content-type': form.contentType, origin: 'http://a' };
    const answer = await node.raw({ method: 'POST', path: `/${shared}`, body: form.body, headers, sign: false });
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [403, 'http://a']);
  });
});

describe('the file', () => {
  const range = (min: number, max: number) => [...anything('key'), ['content-length-range', min, max]];

  test('0 bytes, and 5 MB with lines that look like a boundary', async () => {
    const empty = await upload({ file: '' });
    assert.deepEqual([empty.answer.status, (await node.raw({ path: empty.path })).text], [204, '']);
    const file = Buffer.from('\r\n------zring\r\n--\r\n'.repeat(280_000));
    const large = await upload({ file });
    assert.equal(large.answer.status, 204);
    assert.ok((await node.raw({ path: large.path })).body.equals(file));
  });

  const LENGTHS: [file: string, min: number, max: number, code: string | null][] = [
    ['abc', 3, 3, null],
    ['', 0, 0, null],
    ['abcd', 3, 3, 'EntityTooLarge'],
    ['ab', 3, 3, 'EntityTooSmall'],
    ['', 1, 9, 'EntityTooSmall'],
  ];
  for (const [file, min, max, code] of LENGTHS) {
    test(`${file.length} bytes where ${min} to ${max} are allowed: ${code ?? 'stored'}`, async () => {
      const { answer, path } = await upload({ file, conditions: range(min, max) });
      assert.deepEqual([answer.status, answer.code], code === null ? [204, null] : [400, code]);
      assert.equal(await exists(path), code === null);
      if (code === 'EntityTooLarge') assert.match(answer.text, /<MaxSizeAllowed>3<\/MaxSizeAllowed>/);
      if (code === 'EntityTooSmall') assert.match(answer.text, new RegExp(`<MinSizeAllowed>${min}</MinSizeAllowed>`));
    });
  }

  test('what was there before a refused upload stays', async () => {
    await upload({ fields: [['key', 'kept']], file: 'before' });
    const refused = await upload({ fields: [['key', 'kept']], file: 'after', conditions: range(0, 3) });
    assert.equal(refused.answer.code, 'EntityTooLarge');
    assert.equal((await node.raw({ path: `/${Bucket}/kept` })).text, 'before');
  });

  test('fields behind it are ignored', async () => {
    const { answer, path } = await upload({
      shape: {
        after: [
          ['x-amz-meta-late', '1'],
          ['key', 'other'],
        ],
      },
    });
    assert.equal(answer.status, 204);
    assert.equal((await node.raw({ method: 'HEAD', path })).headers['x-amz-meta-late'], undefined);
  });

  test('a body that is no form, or ends early', async () => {
    const signature = signV4([{ bucket: Bucket }, ...anything('key')], {
      accessKey: 'admin',
      secret: node.secretOf('admin'),
    });
    const { body, contentType } = formBody([['key', 'cut'], ...signature], 'x'.repeat(1000));
    const send = (part: Buffer, type: string) =>
      node.raw({ method: 'POST', path: `/${Bucket}`, body: part, headers: { 'content-type': type }, sign: false });
    const cut = await send(body.subarray(0, body.length - 500), contentType);
    assert.deepEqual([cut.status, cut.code], [400, 'MalformedPOSTRequest']);
    const empty = await send(Buffer.alloc(0), contentType);
    assert.deepEqual([empty.status, empty.code], [400, 'MalformedPOSTRequest']);
    const encoded = await send(Buffer.from('key=k&file=x'), 'application/x-www-form-urlencoded');
    assert.deepEqual([encoded.status, encoded.code], [412, 'PreconditionFailed']);
    assert.equal(await exists(`/${Bucket}/cut`), false);
  });

  test('a client that goes in the middle leaves nothing', async () => {
    const signature = signV4([{ bucket: Bucket }, ...anything('key')], {
      accessKey: 'admin',
      secret: node.secretOf('admin'),
    });
    const { body, contentType } = formBody([['key', 'gone'], ...signature], Buffer.alloc(300_000, 'x'));
    const socket = connect(node.port, '127.0.0.1');
    await once(socket, 'connect');
    const head = `POST /${Bucket} HTTP/1.1\r\nHost: 127.0.0.1:${node.port}\r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n`;
    const entered = new Promise<void>((resolve) => {
      node.access.onEnter = () => resolve();
    });
    const released = new Promise<void>((resolve) => {
      node.access.onRelease = () => resolve();
    });
    socket.write(head);
    socket.write(body.subarray(0, 200_000));
    await entered;
    socket.destroy();
    await released;
    node.access.onEnter = () => undefined;
    node.access.onRelease = () => undefined;
    assert.equal(await exists(`/${Bucket}/gone`), false);
  });

  test('100 Continue comes before the form, for nobody can be asked for anything before it', async () => {
    const { body, contentType } = formBody([['key', 'k']], 'x');
    const socket = connect(node.port, '127.0.0.1');
    await once(socket, 'connect');
    const lines = [`POST /${Bucket} HTTP/1.1`, `Host: 127.0.0.1:${node.port}`, `Content-Type: ${contentType}`];
    socket.write(
      `${[...lines, `Content-Length: ${body.length}`, 'Expect: 100-continue', 'Connection: close'].join('\r\n')}\r\n\r\n`,
    );
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.match(first.toString(), /^HTTP\/1\.1 100 /);
    socket.end(body);
    const rest: Buffer[] = [];
    for await (const chunk of socket) rest.push(chunk as Buffer);
    assert.match(Buffer.concat(rest).toString(), /^HTTP\/1\.1 403 .*AccessDenied/s);
  });
});
