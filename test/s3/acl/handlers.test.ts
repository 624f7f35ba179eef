// Get- and Put-Acl over a real store and socket, ACL headers on what is made, and the users they let in. Two users that
// may only make buckets, as most would: what they may do in each other's buckets is the lists' doing alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeletePublicAccessBlockCommand,
  GetBucketAclCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  type Grant,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketAclCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { StoredAcl } from '../../../src/s3/access/acl.ts';
import { overrideStore } from '../../support/memory-access.ts';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const CREATE = [{ buckets: '*', actions: 'create' }];
const node = await s3Fixture({
  objectOwnership: 'ObjectWriter',
  credentials: [
    { ...credential('main', CREATE), email: 'main@example.com' },
    { ...credential('alt', CREATE), email: 'alt@example.com' },
    credential('third', CREATE),
  ],
});
const main = node.client();
const alt = node.client({ accessKey: 'alt' });
const third = node.client({ accessKey: 'third' });
const ALL_USERS = 'http://acs.amazonaws.com/groups/global/AllUsers';

async function makeBucket(extra: Partial<ConstructorParameters<typeof CreateBucketCommand>[0]> = {}): Promise<string> {
  const Bucket = bucketName('acl');
  await main.send(new CreateBucketCommand({ ...extra, Bucket }));
  return Bucket;
}

/** `who permission`, groups by the end of their URI. */
const short = (grants: readonly Grant[] | undefined) =>
  grants?.map(({ Grantee, Permission }) => `${Grantee?.ID ?? Grantee?.URI?.split('/').at(-1)} ${Permission}`);
const bucketGrants = async (Bucket: string, client = main) =>
  short((await client.send(new GetBucketAclCommand({ Bucket }))).Grants);
const objectGrants = async (Bucket: string, Key: string, client = main) =>
  short((await client.send(new GetObjectAclCommand({ Bucket, Key }))).Grants);

async function refused(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof S3ServiceException, String(error));
    return `${error.$metadata.httpStatusCode} ${error.name}`;
  }
  return 'done';
}
const anonymous = (method: string, path: string, body?: string) =>
  node.raw({ method, path, sign: false, ...(body === undefined ? {} : { body }) });
const DENIED = '403 AccessDenied';

async function stored(Bucket: string, Key: string): Promise<Readonly<Record<string, unknown>>> {
  const held = await node.access.enter(Bucket, 'read');
  try {
    return held.store.head(Key)?.attributes ?? {};
  } finally {
    held.release();
  }
}

test('by default a bucket and its objects are their owner’s, and nothing is stored to say so', async () => {
  const Bucket = await makeBucket();
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  await main.send(new PutObjectCommand({ Bucket, Key: 'private', Body: 'x', ACL: 'private' }));
  const acl = await main.send(new GetBucketAclCommand({ Bucket }));
  assert.deepEqual(acl.Owner, { ID: 'id-main', DisplayName: 'main' });
  assert.deepEqual(acl.Grants, [
    { Grantee: { ID: 'id-main', DisplayName: 'main', Type: 'CanonicalUser' }, Permission: 'FULL_CONTROL' },
  ]);
  for (const Key of ['k', 'private']) {
    assert.deepEqual(await objectGrants(Bucket, Key), ['id-main FULL_CONTROL']);
    const { owner, acl: list } = await stored(Bucket, Key);
    assert.deepEqual([owner, list], [undefined, undefined]);
    assert.equal(await refused(alt.send(new GetObjectCommand({ Bucket, Key }))), DENIED);
    assert.equal(await refused(alt.send(new GetObjectAclCommand({ Bucket, Key }))), DENIED);
    assert.equal((await anonymous('GET', `/${Bucket}/${Key}`)).status, 403);
  }
  assert.equal(await refused(alt.send(new GetBucketAclCommand({ Bucket }))), DENIED);
  assert.equal(await refused(alt.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))), DENIED);
});

test('canned ACLs of a bucket: at its creation and later, for users and for nobody', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read' });
  assert.deepEqual(await bucketGrants(Bucket), ['AllUsers READ', 'id-main FULL_CONTROL']);
  assert.equal(await refused(alt.send(new ListObjectsCommand({ Bucket }))), 'done');
  assert.equal((await anonymous('GET', `/${Bucket}`)).status, 200);
  assert.equal((await anonymous('PUT', `/${Bucket}/k`, 'x')).status, 403);

  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'authenticated-read' }));
  assert.deepEqual(await bucketGrants(Bucket), ['AuthenticatedUsers READ', 'id-main FULL_CONTROL']);
  assert.equal(await refused(alt.send(new ListObjectsCommand({ Bucket }))), 'done');
  assert.equal((await anonymous('GET', `/${Bucket}`)).status, 403);

  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read-write' }));
  assert.deepEqual(await bucketGrants(Bucket), ['AllUsers READ', 'AllUsers WRITE', 'id-main FULL_CONTROL']);
  assert.equal((await anonymous('PUT', `/${Bucket}/k`, 'x')).status, 200);
  assert.equal((await anonymous('DELETE', `/${Bucket}/k`)).status, 204);

  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }));
  assert.deepEqual(await bucketGrants(Bucket), ['id-main FULL_CONTROL']);
  assert.equal(await refused(alt.send(new ListObjectsCommand({ Bucket }))), DENIED);
});

test('canned ACLs of an object: with its upload, its copy and later; the date and ETag stay', async () => {
  const Bucket = await makeBucket();
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' }));
  assert.deepEqual(await objectGrants(Bucket, 'k'), ['AllUsers READ', 'id-main FULL_CONTROL']);
  assert.equal((await anonymous('GET', `/${Bucket}/k`)).text, 'x');
  assert.equal((await anonymous('GET', `/${Bucket}/k?acl`)).status, 403);

  await main.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/k` }));
  assert.deepEqual(await objectGrants(Bucket, 'copy'), ['id-main FULL_CONTROL'], 'a copy starts private');
  await main.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/k`, ACL: 'authenticated-read' }));
  assert.equal(await refused(alt.send(new GetObjectCommand({ Bucket, Key: 'copy' }))), 'done');
  assert.equal((await anonymous('GET', `/${Bucket}/copy`)).status, 403);

  const before = await main.send(new HeadObjectCommand({ Bucket, Key: 'k' }));
  await main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'private' }));
  const after = await main.send(new HeadObjectCommand({ Bucket, Key: 'k' }));
  assert.deepEqual([after.LastModified, after.ETag], [before.LastModified, before.ETag]);
  assert.equal((await anonymous('GET', `/${Bucket}/k`)).status, 403);
  assert.equal((await stored(Bucket, 'k')).acl, undefined);

  await main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'public-read-write' }));
  assert.deepEqual(await objectGrants(Bucket, 'k'), ['AllUsers READ', 'AllUsers WRITE', 'id-main FULL_CONTROL']);
  assert.equal((await anonymous('PUT', `/${Bucket}/k`, 'y')).status, 403, 'WRITE means nothing on an object');
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'y' }));
  assert.deepEqual(await objectGrants(Bucket, 'k'), ['id-main FULL_CONTROL'], 'a new object starts anew');
});

test('grant headers: the grants and nothing else, in upload, multipart upload and new bucket', async () => {
  const grants = { GrantRead: 'id="id-alt"', GrantReadACP: `uri="${ALL_USERS}", emailAddress=ALT@example.com` };
  const expected = ['AllUsers READ_ACP', 'id-alt READ', 'id-alt READ_ACP'];
  const Bucket = await makeBucket(grants);
  assert.deepEqual(await bucketGrants(Bucket), expected);
  assert.equal(await refused(alt.send(new ListObjectsV2Command({ Bucket }))), 'done');
  assert.equal(await refused(third.send(new ListObjectsV2Command({ Bucket }))), DENIED);
  assert.deepEqual(await bucketGrants(Bucket, third), expected);

  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...grants }));
  assert.deepEqual(await objectGrants(Bucket, 'k'), expected);
  assert.equal(await refused(alt.send(new GetObjectCommand({ Bucket, Key: 'k' }))), 'done');
  assert.equal(await refused(alt.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'private' }))), DENIED);

  const { UploadId } = await main.send(new CreateMultipartUploadCommand({ Bucket, Key: 'mp', ...grants }));
  const part = await main.send(new UploadPartCommand({ Bucket, Key: 'mp', UploadId, PartNumber: 1, Body: 'x' }));
  const Parts = [{ PartNumber: 1, ETag: part.ETag }];
  await main.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'mp', UploadId, MultipartUpload: { Parts } }));
  assert.deepEqual(await objectGrants(Bucket, 'mp'), expected);
});

const PERMISSIONS = ['FULL_CONTROL', 'READ', 'WRITE', 'READ_ACP', 'WRITE_ACP'] as const;
for (const Permission of PERMISSIONS) {
  test(`${Permission} of a bucket, granted by document to one user`, async () => {
    const Bucket = await makeBucket();
    const { Owner, Grants = [] } = await main.send(new GetBucketAclCommand({ Bucket }));
    const grant: Grant = { Grantee: { Type: 'CanonicalUser', ID: 'id-alt' }, Permission };
    const AccessControlPolicy = { Owner, Grants: [...Grants, grant] };
    await main.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy }));
    assert.deepEqual(await bucketGrants(Bucket), ['id-main FULL_CONTROL', `id-alt ${Permission}`]);
    const may = async (call: Promise<unknown>) => (await refused(call)) === 'done';
    const has = (...list: string[]) => list.includes(Permission);
    assert.equal(await may(alt.send(new ListObjectsV2Command({ Bucket }))), has('READ', 'FULL_CONTROL'));
    assert.equal(await may(alt.send(new GetBucketAclCommand({ Bucket }))), has('READ_ACP', 'FULL_CONTROL'));
    const put = new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' });
    assert.equal(await may(alt.send(put)), has('WRITE', 'FULL_CONTROL'));
    assert.equal(await may(third.send(put)), false);
    const putAcl = new PutBucketAclCommand({ Bucket, ACL: 'private' });
    assert.equal(await may(alt.send(putAcl)), has('WRITE_ACP', 'FULL_CONTROL'));
  });
}

test('by document: e-mail addresses become users; groups come first; the owner may take everything from itself', async () => {
  const Bucket = await makeBucket();
  const Owner = { ID: 'id-main' };
  const Grants: Grant[] = [
    { Grantee: { Type: 'AmazonCustomerByEmail', EmailAddress: 'alt@example.com' }, Permission: 'READ' },
    { Grantee: { Type: 'Group', URI: ALL_USERS }, Permission: 'READ_ACP' },
  ];
  await main.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner, Grants } }));
  const acl = await alt.send(new GetBucketAclCommand({ Bucket }));
  assert.deepEqual(acl.Grants, [
    { Grantee: { Type: 'Group', URI: ALL_USERS }, Permission: 'READ_ACP' },
    { Grantee: { Type: 'CanonicalUser', ID: 'id-alt', DisplayName: 'alt' }, Permission: 'READ' },
  ]);
  await main.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner, Grants: [] } }));
  assert.deepEqual(await bucketGrants(Bucket), []);
  assert.equal(await refused(alt.send(new ListObjectsV2Command({ Bucket }))), DENIED);
  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }));
  assert.deepEqual(await bucketGrants(Bucket), ['id-main FULL_CONTROL']);
});

const XML_GRANT =
  '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>WHO</ID></Grantee><Permission>READ</Permission></Grant>';
const document = (who: string, owner = 'id-main') =>
  `<AccessControlPolicy><Owner><ID>${owner}</ID></Owner><AccessControlList>${XML_GRANT.replace('WHO', who)}</AccessControlList></AccessControlPolicy>`;
const REFUSED: [name: string, headers: Record<string, string>, body: string, answer: string][] = [
  ['nothing', {}, '', '400 MissingSecurityHeader'],
  ['an empty canned ACL', { 'x-amz-acl': '' }, '', '400 MissingSecurityHeader'],
  ['an unknown canned ACL', { 'x-amz-acl': 'public' }, '', '400 InvalidArgument'],
  ['a canned ACL and grants', { 'x-amz-acl': 'private', 'x-amz-grant-read': 'id=id-alt' }, '', '400 InvalidRequest'],
  ['a canned ACL and a document', { 'x-amz-acl': 'private' }, document('id-alt'), '400 UnexpectedContent'],
  ['grants and a document', { 'x-amz-grant-read': 'id=id-alt' }, document('id-alt'), '400 UnexpectedContent'],
  ['a user whom nobody knows', {}, document('_foo'), '400 InvalidArgument'],
  ['a header with such a user', { 'x-amz-grant-read': 'id=_foo' }, '', '400 InvalidArgument'],
  ['such an e-mail address', { 'x-amz-grant-read': 'emailAddress=a@b' }, '', '400 UnresolvableGrantByEmailAddress'],
  ['a header that is none', { 'x-amz-grant-read': 'id-alt' }, '', '400 InvalidArgument'],
  ['an unknown grant', { 'x-amz-grant-execute': 'id=id-alt' }, '', '400 InvalidArgument'],
  ['another owner', {}, document('id-alt', 'id-alt'), '403 AccessDenied'],
  ['a document cut short', {}, document('id-alt').slice(0, -3), '400 MalformedACLError'],
  [
    'a document that is too large',
    {},
    `${document('id-alt')}<!--${'x'.repeat(66_000)}-->`,
    '400 MaxMessageLengthExceeded',
  ],
];
for (const [name, headers, body, answer] of REFUSED) {
  test(`Put…Acl with ${name} is refused and changes nothing`, async () => {
    const Bucket = await makeBucket({ ACL: 'public-read' });
    await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' }));
    for (const path of [`/${Bucket}?acl`, `/${Bucket}/k?acl`]) {
      const got = await node.raw({ method: 'PUT', path, headers, body });
      assert.equal(`${got.status} ${got.code}`, answer, path);
    }
    assert.deepEqual(await bucketGrants(Bucket), ['AllUsers READ', 'id-main FULL_CONTROL']);
    assert.deepEqual(await objectGrants(Bucket, 'k'), ['AllUsers READ', 'id-main FULL_CONTROL']);
  });
}

test('a bucket or object with a wrong ACL is not made', async () => {
  const Bucket = bucketName('acl');
  const wrong: [Record<string, string>, string][] = [
    [{ 'x-amz-acl': 'public' }, '400 InvalidArgument'],
    [{ 'x-amz-acl': 'private', 'x-amz-grant-read': 'id=id-alt' }, '400 InvalidRequest'],
    [{ 'x-amz-grant-read': 'id=_foo' }, '400 InvalidArgument'],
    [{ 'x-amz-object-ownership': 'Nobody' }, '400 InvalidArgument'],
  ];
  for (const [headers, answer] of wrong) {
    const got = await node.raw({ method: 'PUT', path: `/${Bucket}`, headers });
    assert.equal(`${got.status} ${got.code}`, answer);
  }
  assert.equal((await node.raw({ path: `/${Bucket}` })).code, 'NoSuchBucket');
  const existing = await makeBucket();
  for (const [headers, answer] of wrong.slice(0, 3)) {
    const got = await node.raw({ method: 'PUT', path: `/${existing}/k`, headers, body: 'x' });
    assert.equal(`${got.status} ${got.code}`, answer);
  }
  assert.equal((await node.raw({ path: `/${existing}/k` })).code, 'NoSuchKey');
});

test('ACLs of what is not there', async () => {
  const Bucket = await makeBucket();
  for (const [path, code] of [
    [`/${Bucket}/none?acl`, 'NoSuchKey'],
    [`/${Bucket}-none?acl`, 'NoSuchBucket'],
  ] as const) {
    assert.equal((await node.raw({ path })).code, code);
    assert.equal((await node.raw({ method: 'PUT', path, headers: { 'x-amz-acl': 'private' } })).code, code);
  }
});

test('each version has a list of its own', async () => {
  const Bucket = await makeBucket();
  await main.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const first = await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '1' }));
  const second = await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '2' }));
  await main.send(new PutObjectAclCommand({ Bucket, Key: 'k', VersionId: first.VersionId ?? '', ACL: 'public-read' }));
  const grantsOf = async (VersionId?: string) =>
    short((await main.send(new GetObjectAclCommand({ Bucket, Key: 'k', VersionId }))).Grants);
  assert.deepEqual(await grantsOf(first.VersionId), ['AllUsers READ', 'id-main FULL_CONTROL']);
  assert.deepEqual(await grantsOf(second.VersionId), ['id-main FULL_CONTROL']);
  assert.deepEqual(await grantsOf(), ['id-main FULL_CONTROL']);
  assert.equal((await anonymous('GET', `/${Bucket}/k?versionId=${first.VersionId}`)).text, '1');
  assert.equal((await anonymous('GET', `/${Bucket}/k`)).status, 403);

  const answer = await node.raw({ method: 'PUT', path: `/${Bucket}/k?acl`, headers: { 'x-amz-acl': 'public-read' } });
  assert.equal(answer.headers['x-amz-version-id'], second.VersionId);
  assert.equal((await anonymous('GET', `/${Bucket}/k`)).text, '2');
  assert.deepEqual(await grantsOf(second.VersionId), ['AllUsers READ', 'id-main FULL_CONTROL']);

  const marker = await node.raw({ method: 'DELETE', path: `/${Bucket}/k` });
  assert.equal((await node.raw({ path: `/${Bucket}/k?acl` })).code, 'NoSuchKey');
  const ofMarker = `/${Bucket}/k?acl&versionId=${marker.headers['x-amz-version-id']}`;
  assert.equal((await node.raw({ path: ofMarker })).code, 'MethodNotAllowed');
  const put = await node.raw({ method: 'PUT', path: ofMarker, headers: { 'x-amz-acl': 'public-read' } });
  assert.equal(put.code, 'MethodNotAllowed');
});

test('an object in somebody else’s bucket is its writer’s, and every list says so', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read-write' });
  await main.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'main' }));
  await alt.send(new PutObjectCommand({ Bucket, Key: 'b', Body: 'alt' }));
  await anonymous('PUT', `/${Bucket}/c`, 'nobody');
  assert.deepEqual((await stored(Bucket, 'b')).owner, { id: 'id-alt', displayName: 'alt' });
  assert.deepEqual(await objectGrants(Bucket, 'b', alt), ['id-alt FULL_CONTROL']);
  assert.equal(await refused(main.send(new GetObjectCommand({ Bucket, Key: 'b' }))), DENIED);
  assert.equal(await refused(main.send(new GetObjectAclCommand({ Bucket, Key: 'b' }))), DENIED);
  assert.equal(await refused(alt.send(new GetObjectCommand({ Bucket, Key: 'a' }))), DENIED);
  assert.deepEqual(
    await objectGrants(Bucket, 'c'),
    ['id-main FULL_CONTROL'],
    'what nobody wrote is the bucket owner’s',
  );

  const v1 = await main.send(new ListObjectsCommand({ Bucket }));
  const v2 = await main.send(new ListObjectsV2Command({ Bucket, FetchOwner: true }));
  const versions = await main.send(new ListObjectVersionsCommand({ Bucket }));
  for (const list of [v1.Contents, v2.Contents, versions.Versions]) {
    assert.deepEqual(
      list?.map(({ Owner }) => Owner?.ID),
      ['id-main', 'id-alt', 'id-main'],
    );
  }
  const { UploadId } = await alt.send(new CreateMultipartUploadCommand({ Bucket, Key: 'mp' }));
  const uploads = await main.send(new ListMultipartUploadsCommand({ Bucket }));
  assert.deepEqual(
    uploads.Uploads?.map(({ Owner, Initiator }) => [Owner?.ID, Initiator?.ID]),
    [['id-alt', 'id-alt']],
  );
  const parts = await main.send(new ListPartsCommand({ Bucket, Key: 'mp', UploadId }));
  assert.equal(parts.Owner?.ID, 'id-alt');
});

test('bucket-owner-read and bucket-owner-full-control share an object with the bucket’s owner', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read-write' });
  await alt.send(new PutObjectCommand({ Bucket, Key: 'r', Body: 'x', ACL: 'bucket-owner-read' }));
  assert.deepEqual(await objectGrants(Bucket, 'r', alt), ['id-alt FULL_CONTROL', 'id-main READ']);
  assert.equal(await refused(main.send(new GetObjectCommand({ Bucket, Key: 'r' }))), 'done');
  assert.equal(await refused(main.send(new GetObjectAclCommand({ Bucket, Key: 'r' }))), DENIED);
  await alt.send(new PutObjectCommand({ Bucket, Key: 'f', Body: 'x', ACL: 'bucket-owner-full-control' }));
  assert.deepEqual(await objectGrants(Bucket, 'f'), ['id-alt FULL_CONTROL', 'id-main FULL_CONTROL']);
});

test('who got full control may change the list, but not whose object it is', async () => {
  const Bucket = await makeBucket();
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', GrantFullControl: 'id=id-alt' }));
  const Grants: Grant[] = [{ Grantee: { Type: 'CanonicalUser', ID: 'id-alt' }, Permission: 'READ_ACP' }];
  const put = (ID: string) =>
    alt.send(new PutObjectAclCommand({ Bucket, Key: 'k', AccessControlPolicy: { Owner: { ID }, Grants } }));
  assert.equal(await refused(put('id-alt')), DENIED);
  await put('id-main');
  const acl = await alt.send(new GetObjectAclCommand({ Bucket, Key: 'k' }));
  assert.equal(acl.Owner?.ID, 'id-main');
  assert.equal(await refused(put('id-main')), DENIED, 'it gave that right away');
});

test('a user who may write with the list of a bucket may give its own objects to everybody', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read-write' });
  const put = (Key: string) => new PutObjectCommand({ Bucket, Key, Body: 'x', ACL: 'public-read' });
  await alt.send(put('alt'));
  assert.equal((await anonymous('GET', `/${Bucket}/alt`)).text, 'x');
  const nobody = await node.raw({
    method: 'PUT',
    path: `/${Bucket}/nobody`,
    body: 'x',
    sign: false,
    headers: { 'x-amz-acl': 'public-read' },
  });
  assert.equal(nobody.status, 200);
  assert.equal((await anonymous('GET', `/${Bucket}/nobody`)).text, 'x');
});

test('who may write by the list of a bucket may give a new object tags; by a policy it takes both', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read-write' });
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  const put = new PutObjectCommand({ Bucket, Key: 'k', Body: 'y', Tagging: 'a=b' });
  assert.equal(await refused(alt.send(put)), 'done', 'over an object of somebody else, too');
  assert.deepEqual((await stored(Bucket, 'k')).tags, { a: 'b' });

  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }));
  const allow = async (...actions: string[]) => {
    const Resource = `arn:aws:s3:::${Bucket}/*`;
    const Statement = { Effect: 'Allow', Principal: '*', Action: actions, Resource };
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
    await main.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  };
  await allow('s3:PutObject');
  assert.equal(await refused(alt.send(put)), DENIED);
  await allow('s3:PutObject', 's3:PutObjectTagging');
  assert.equal(await refused(alt.send(put)), 'done');
});

test('a policy that lets nobody in particular write does not let him make objects public', async () => {
  const Bucket = await makeBucket();
  const Statement = (...Action: string[]) => ({
    Effect: 'Allow',
    Principal: '*',
    Action,
    Resource: `arn:aws:s3:::${Bucket}/*`,
  });
  const write = (acl: string) =>
    node.raw({ method: 'PUT', path: `/${Bucket}/k`, body: 'x', sign: false, headers: { 'x-amz-acl': acl } });
  const policy = (statement: object) => JSON.stringify({ Version: '2012-10-17', Statement: statement });
  await main.send(new PutBucketPolicyCommand({ Bucket, Policy: policy(Statement('s3:PutObject')) }));
  assert.equal((await write('private')).status, 200);
  assert.equal((await write('public-read')).code, 'AccessDenied');
  assert.deepEqual(await objectGrants(Bucket, 'k'), ['id-main FULL_CONTROL']);
  const both = Statement('s3:PutObject', 's3:PutObjectAcl');
  await main.send(new PutBucketPolicyCommand({ Bucket, Policy: policy(both) }));
  assert.equal((await write('public-read')).status, 200);
});

test('a policy that forbids s3:PutObjectAcl holds for the ACL of a new object of one’s own', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read-write' });
  const Statement = { Effect: 'Deny', Principal: '*', Action: 's3:PutObjectAcl', Resource: `arn:aws:s3:::${Bucket}/*` };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  await main.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  const put = (ACL: 'private' | 'public-read') => new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL });
  assert.equal(await refused(alt.send(put('public-read'))), DENIED);
  assert.equal(await refused(alt.send(put('private'))), 'done');
});

test('an object that is replaced while its list is set: the new one is judged anew, and keeps its own', async (t) => {
  const Bucket = await makeBucket({ ACL: 'public-read-write' });
  t.after(() => {
    node.access.wrapStore = (store) => store;
  });
  /** Right before the list is stored, `owner` puts another object in its place. */
  const replacedBy = (owner: string, grants: StoredAcl['grants']) => {
    node.access.wrapStore = (store) =>
      overrideStore(store, {
        async annotate(request) {
          node.access.wrapStore = (inner) => inner;
          const writer = store.beginBlob(3);
          await writer.write(Buffer.from('new'));
          const attributes = { owner: { id: `id-${owner}`, displayName: owner }, acl: { grants } };
          await store.put({ key: 'k', blob: await writer.finish(), etag: 'e', attributes });
          return store.annotate(request);
        },
      });
  };
  const full = (name: string) =>
    ({ grantee: { kind: 'user', id: `id-${name}`, displayName: name }, permission: 'FULL_CONTROL' }) as const;
  const put = () => refused(main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'public-read' })));

  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  replacedBy('alt', [full('alt')]);
  assert.equal(await put(), DENIED);
  assert.deepEqual(await objectGrants(Bucket, 'k', alt), ['id-alt FULL_CONTROL']);

  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  replacedBy('alt', [full('alt'), full('main')]);
  assert.equal(await put(), '409 OperationAborted', 'the list would have been written for another owner');
  assert.deepEqual(await objectGrants(Bucket, 'k', alt), ['id-alt FULL_CONTROL', 'id-main FULL_CONTROL']);
});

test('BlockPublicAcls refuses public lists, IgnorePublicAcls disregards them', async () => {
  const Bucket = await makeBucket({ ACL: 'public-read' });
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' }));
  const block = (flags: { BlockPublicAcls?: boolean; IgnorePublicAcls?: boolean }) =>
    main.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: flags }));

  await block({ BlockPublicAcls: true });
  for (const ACL of ['public-read', 'public-read-write', 'authenticated-read'] as const) {
    assert.equal(await refused(main.send(new PutBucketAclCommand({ Bucket, ACL }))), DENIED);
    assert.equal(await refused(main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL }))), DENIED);
    assert.equal(await refused(main.send(new PutObjectCommand({ Bucket, Key: 'new', Body: '', ACL }))), DENIED);
    const copy = new CopyObjectCommand({ Bucket, Key: 'new', CopySource: `${Bucket}/k`, ACL });
    assert.equal(await refused(main.send(copy)), DENIED);
    assert.equal(await refused(main.send(new CreateMultipartUploadCommand({ Bucket, Key: 'new', ACL }))), DENIED);
    assert.equal(await refused(main.send(new CreateBucketCommand({ Bucket, ACL }))), DENIED, 'made again');
  }
  assert.equal(await refused(main.send(new PutObjectCommand({ Bucket, Key: 'p', Body: '', ACL: 'private' }))), 'done');
  assert.equal(await refused(main.send(new PutBucketAclCommand({ Bucket, GrantRead: 'id=id-third' }))), 'done');
  assert.equal((await anonymous('GET', `/${Bucket}/k`)).status, 200, 'what was public stays so');

  await main.send(new DeletePublicAccessBlockCommand({ Bucket }));
  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }));
  await block({ IgnorePublicAcls: true });
  assert.equal(await refused(alt.send(new ListObjectsV2Command({ Bucket }))), DENIED);
  assert.equal(await refused(alt.send(new GetObjectCommand({ Bucket, Key: 'k' }))), DENIED);
  assert.equal((await anonymous('GET', `/${Bucket}/k`)).status, 403);
  assert.deepEqual(await bucketGrants(Bucket), ['AllUsers READ', 'id-main FULL_CONTROL'], 'it is shown all the same');
  await block({});
  assert.equal(await refused(alt.send(new ListObjectsV2Command({ Bucket }))), 'done');
});

test('fifty at once: each Put of a list succeeds, and one of them is the list', async () => {
  const Bucket = await makeBucket();
  const acls = ['public-read', 'private', 'authenticated-read'] as const;
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => main.send(new PutBucketAclCommand({ Bucket, ACL: acls[n % 3] ?? 'private' }))),
  );
  const grants = (await bucketGrants(Bucket)) ?? [];
  assert.equal(grants.at(-1), 'id-main FULL_CONTROL');
});
