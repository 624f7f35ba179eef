// Object ownership: who owns what under each setting, what is refused while ACLs are disabled, and that a bucket keeps
// the setting it was made with. Two users whose rules allow everything, so that only ownership differs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketOwnershipControlsCommand,
  GetBucketAclCommand,
  GetBucketOwnershipControlsCommand,
  GetObjectAclCommand,
  ListObjectsCommand,
  ListPartsCommand,
  type ObjectCannedACL,
  type ObjectOwnership,
  PutBucketAclCommand,
  PutBucketOwnershipControlsCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { credential } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const credentials = [credential('main'), credential('alt')];
const node = await s3Fixture({ credentials });
const writers = await s3Fixture({ credentials, objectOwnership: 'ObjectWriter' });
const main = node.client();
const alt = node.client({ accessKey: 'alt' });

async function refused(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof S3ServiceException, String(error));
    return `${error.$metadata.httpStatusCode} ${error.name}`;
  }
  return 'done';
}

async function makeBucket(ObjectOwnership?: ObjectOwnership, client = main): Promise<string> {
  const Bucket = bucketName('owned');
  await client.send(new CreateBucketCommand({ Bucket, ...(ObjectOwnership ? { ObjectOwnership } : {}) }));
  return Bucket;
}
async function setting(Bucket: string, client = main): Promise<string | undefined> {
  const { OwnershipControls } = await client.send(new GetBucketOwnershipControlsCommand({ Bucket }));
  assert.equal(OwnershipControls?.Rules?.length, 1);
  return OwnershipControls?.Rules?.[0]?.ObjectOwnership;
}
const set = (Bucket: string, ObjectOwnership: ObjectOwnership, client = main) =>
  client.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules: [{ ObjectOwnership }] } }));

/** Owner and grants of an object, asked by its writer. */
async function seen(Bucket: string, Key: string): Promise<string> {
  const acl = await alt.send(new GetObjectAclCommand({ Bucket, Key }));
  const grants = acl.Grants?.map(({ Grantee, Permission }) => `${Grantee?.ID} ${Permission}`) ?? [];
  return `${acl.Owner?.ID}: ${grants.join(', ')}`;
}

/** Puts, copies and uploads in parts as alt; returns the keys. */
async function writeAsAlt(Bucket: string, ACL?: ObjectCannedACL): Promise<string[]> {
  const acl = ACL ? { ACL } : {};
  const name = ACL ?? 'none';
  const keys = [`put-${name}`, `copy-${name}`, `parts-${name}`];
  const [put = '', copy = '', Key = ''] = keys;
  await alt.send(new PutObjectCommand({ Bucket, Key: put, Body: 'x', ...acl }));
  await alt.send(new CopyObjectCommand({ Bucket, Key: copy, CopySource: `${Bucket}/${put}`, ...acl }));
  const { UploadId } = await alt.send(new CreateMultipartUploadCommand({ Bucket, Key, ...acl }));
  const part = await alt.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'x' }));
  const parts = await alt.send(new ListPartsCommand({ Bucket, Key, UploadId }));
  const Parts = [{ PartNumber: 1, ETag: part.ETag }];
  await alt.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
  const { Owner } = await alt.send(new GetObjectAclCommand({ Bucket, Key }));
  assert.equal(parts.Owner?.ID, Owner?.ID, 'the upload was shown as whose the object is');
  return keys;
}

const MINE = 'id-alt: id-alt FULL_CONTROL';
const SHARED = 'id-alt: id-alt FULL_CONTROL, id-main FULL_CONTROL';
const THEIRS = 'id-main: id-main FULL_CONTROL';
const OWNERS: [setting: ObjectOwnership, acl: ObjectCannedACL | undefined, seen: string][] = [
  ['BucketOwnerEnforced', undefined, THEIRS],
  ['BucketOwnerEnforced', 'bucket-owner-full-control', THEIRS],
  ['BucketOwnerPreferred', undefined, MINE],
  ['BucketOwnerPreferred', 'private', MINE],
  ['BucketOwnerPreferred', 'bucket-owner-read', 'id-alt: id-alt FULL_CONTROL, id-main READ'],
  ['BucketOwnerPreferred', 'bucket-owner-full-control', THEIRS],
  ['ObjectWriter', undefined, MINE],
  ['ObjectWriter', 'private', MINE],
  ['ObjectWriter', 'bucket-owner-full-control', SHARED],
];
for (const [ownership, acl, expected] of OWNERS) {
  test(`${ownership}, written by another user with ${acl ?? 'no ACL'}: ${expected}`, async () => {
    const Bucket = await makeBucket(ownership);
    for (const key of await writeAsAlt(Bucket, acl)) assert.equal(await seen(Bucket, key), expected, key);
    const list = await main.send(new ListObjectsCommand({ Bucket }));
    const owner = expected.slice(0, expected.indexOf(':'));
    assert.deepEqual(
      list.Contents?.map(({ Owner }) => Owner?.ID),
      [owner, owner, owner],
    );
  });
}

test('BucketOwnerEnforced: every other ACL is refused, wherever it is set', async () => {
  const Bucket = await makeBucket('BucketOwnerEnforced');
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  const code = '400 AccessControlListNotSupported';
  for (const ACL of ['private', 'public-read', 'bucket-owner-read', 'aws-exec-read'] as const) {
    const copy = new CopyObjectCommand({ Bucket, Key: 'new', CopySource: `${Bucket}/k`, ACL });
    assert.equal(await refused(main.send(new PutObjectCommand({ Bucket, Key: 'new', Body: 'x', ACL }))), code, ACL);
    assert.equal(await refused(main.send(copy)), code, ACL);
    assert.equal(await refused(main.send(new CreateMultipartUploadCommand({ Bucket, Key: 'new', ACL }))), code, ACL);
    assert.equal(await refused(main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL }))), code, ACL);
  }
  for (const ACL of ['private', 'public-read'] as const) {
    assert.equal(await refused(main.send(new PutBucketAclCommand({ Bucket, ACL }))), code, ACL);
  }
  const grant = { GrantRead: 'id=id-alt' };
  assert.equal(await refused(main.send(new PutObjectCommand({ Bucket, Key: 'new', Body: 'x', ...grant }))), code);
  assert.equal(await refused(main.send(new PutBucketAclCommand({ Bucket, ...grant }))), code);
  assert.equal((await node.raw({ path: `/${Bucket}/new` })).code, 'NoSuchKey');
});

test('BucketOwnerEnforced by default: private passes and changes nothing, until somebody chooses the setting', async () => {
  const old = bucketName('owned');
  await node.access.create(old, { bucket: { owner: { id: 'id-main', displayName: 'main' }, region: 'us-east-1' } });
  for (const Bucket of [await makeBucket(), old]) {
    for (const key of await writeAsAlt(Bucket, 'private')) assert.equal(await seen(Bucket, key), THEIRS, key);
    const all = async () => [
      await refused(main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL: 'private' }))),
      await refused(main.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }))),
      await refused(main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'private' }))),
    ];
    assert.deepEqual(await all(), ['done', 'done', 'done']);
    const code = '400 AccessControlListNotSupported';
    for (const ACL of ['public-read', 'authenticated-read', 'bucket-owner-read'] as const) {
      assert.equal(await refused(main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL }))), code, ACL);
    }
    await set(Bucket, 'BucketOwnerEnforced');
    assert.deepEqual(await all(), [code, code, code]);
  }
});

test('BucketOwnerEnforced: full control for the bucket’s owner is accepted in every form, for it is so', async () => {
  const Bucket = await makeBucket();
  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', GrantFullControl: 'id="id-main"' }));
  const { Owner, Grants } = await main.send(new GetBucketAclCommand({ Bucket }));
  const AccessControlPolicy = { Owner, Grants };
  await main.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy }));
  await main.send(new PutObjectAclCommand({ Bucket, Key: 'k', AccessControlPolicy }));
  await main.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'bucket-owner-full-control' }));
  const headers = { 'x-amz-acl': 'bucket-owner-full-control' };
  assert.equal((await node.raw({ method: 'PUT', path: `/${Bucket}?acl`, headers })).status, 200);
  // Some clients send an empty header for "no ACL".
  assert.equal((await node.raw({ method: 'PUT', path: `/${Bucket}/k`, headers: { 'x-amz-acl': '' } })).status, 200);
});

test('CreateBucket: private passes, an ACL for others does not go with BucketOwnerEnforced, asked for or default', async () => {
  const create = (extra: object) => main.send(new CreateBucketCommand({ Bucket: bucketName('owned'), ...extra }));
  const code = '400 InvalidBucketAclWithObjectOwnership';
  assert.equal(await refused(create({ ACL: 'private' })), 'done');
  assert.equal(await refused(create({ ACL: 'public-read' })), code);
  assert.equal(await refused(create({ GrantRead: 'id=id-alt' })), code);
  assert.equal(await refused(create({ GrantRead: 'id=id-main' })), code, 'less than full control is another list');
  assert.equal(await refused(create({ ACL: 'public-read', ObjectOwnership: 'BucketOwnerEnforced' })), code);
  assert.equal(await refused(create({ ACL: 'public-read', ObjectOwnership: 'ObjectWriter' })), 'done');
});

test('the setting of the configuration is fixed when a bucket is made', async () => {
  assert.equal(await setting(await makeBucket()), 'BucketOwnerEnforced');
  const client = writers.client();
  const Bucket = await makeBucket(undefined, client);
  assert.equal(await refused(setting(Bucket, client)), '404 OwnershipControlsNotFoundError', 'ObjectWriter is none');
  const held = await writers.access.enter(Bucket, 'read');
  try {
    assert.deepEqual(held.store.document('ownership-controls'), { objectOwnership: null });
  } finally {
    held.release();
  }
  assert.equal(await setting(await makeBucket('BucketOwnerEnforced', client), client), 'BucketOwnerEnforced');
});

test('a bucket that is older than the setting has ACLs disabled', async () => {
  const Bucket = bucketName('owned');
  await writers.access.create(Bucket, {
    bucket: { owner: { id: 'id-main', displayName: 'main' }, region: 'us-east-1' },
  });
  const client = writers.client();
  assert.equal(await setting(Bucket, client), 'BucketOwnerEnforced');
  const put = new PutBucketAclCommand({ Bucket, ACL: 'public-read' });
  assert.equal(await refused(client.send(put)), '400 AccessControlListNotSupported');
});

test('ownership controls: set, read, removed; then ACLs count', async () => {
  const Bucket = await makeBucket();
  await set(Bucket, 'BucketOwnerPreferred');
  assert.equal(await setting(Bucket), 'BucketOwnerPreferred');
  await main.send(new DeleteBucketOwnershipControlsCommand({ Bucket }));
  assert.equal(await refused(setting(Bucket)), '404 OwnershipControlsNotFoundError');
  await main.send(new DeleteBucketOwnershipControlsCommand({ Bucket }));
  await alt.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL: 'bucket-owner-full-control' }));
  assert.equal(await seen(Bucket, 'k'), SHARED);
  for (const body of ['', '<OwnershipControls/>', '<OwnershipControls><Rule>x</Rule></OwnershipControls>']) {
    const path = `/${Bucket}?ownershipControls`;
    assert.equal((await node.raw({ method: 'PUT', path, body })).code, 'MalformedXML', body);
  }
  assert.equal(await refused(setting(Bucket)), '404 OwnershipControlsNotFoundError');
});

test('ACLs are not disabled over a list that gives the bucket to others', async () => {
  const Bucket = await makeBucket('ObjectWriter');
  for (const extra of [{ ACL: 'public-read' }, { GrantRead: 'id=id-alt' }] as const) {
    await main.send(new PutBucketAclCommand({ Bucket, ...extra }));
    assert.equal(await refused(set(Bucket, 'BucketOwnerEnforced')), '400 InvalidBucketAclWithObjectOwnership');
    assert.equal(await setting(Bucket), 'ObjectWriter');
  }
  const AccessControlPolicy = { Owner: { ID: 'id-main' }, Grants: [] };
  await main.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy }));
  await set(Bucket, 'BucketOwnerEnforced');
  assert.equal(await setting(Bucket), 'BucketOwnerEnforced');
  const { Grants } = await main.send(new GetBucketAclCommand({ Bucket }));
  assert.deepEqual(
    Grants?.map(({ Grantee, Permission }) => `${Grantee?.ID} ${Permission}`),
    ['id-main FULL_CONTROL'],
    'what the list says while ACLs are disabled',
  );
});

test('what objects say of owner and list is kept while ACLs are disabled, and counts again after', async () => {
  const Bucket = await makeBucket('ObjectWriter');
  await alt.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' }));
  const get = () => node.raw({ path: `/${Bucket}/k`, sign: false });
  assert.equal((await get()).status, 200);
  await set(Bucket, 'BucketOwnerEnforced');
  assert.equal((await get()).status, 403);
  assert.equal(await seen(Bucket, 'k'), THEIRS);
  const list = await main.send(new ListObjectsCommand({ Bucket }));
  assert.deepEqual(
    list.Contents?.map(({ Owner }) => Owner?.ID),
    ['id-main'],
  );
  await alt.send(new PutObjectCommand({ Bucket, Key: 'later', Body: 'x' }));
  await set(Bucket, 'ObjectWriter');
  assert.equal((await get()).status, 200);
  assert.equal(await seen(Bucket, 'k'), 'id-alt: undefined READ, id-alt FULL_CONTROL');
  assert.equal(await seen(Bucket, 'later'), THEIRS, 'what was written meanwhile is the bucket owner’s');
});

test('CreateBucket of one’s own bucket sets its ACL anew, and nothing else', async () => {
  const client = writers.client();
  const Bucket = await makeBucket(undefined, client);
  const grants = async () =>
    (await client.send(new GetBucketAclCommand({ Bucket }))).Grants?.map(({ Permission }) => Permission);
  await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
  await client.send(new CreateBucketCommand({ Bucket, ACL: 'public-read' }));
  assert.deepEqual(await grants(), ['READ', 'FULL_CONTROL']);
  const other = writers.client({ accessKey: 'alt' });
  const again = new CreateBucketCommand({ Bucket, ACL: 'private' });
  assert.equal(await refused(other.send(again)), '409 BucketAlreadyExists');
  assert.deepEqual(await grants(), ['READ', 'FULL_CONTROL']);
  await client.send(new CreateBucketCommand({ Bucket }));
  assert.deepEqual(await grants(), ['FULL_CONTROL']);
  const enforced = new CreateBucketCommand({ Bucket, ObjectOwnership: 'BucketOwnerEnforced' });
  assert.equal(await refused(client.send(enforced)), '409 BucketAlreadyOwnedByYou');
  await set(Bucket, 'ObjectWriter', client);
  const same = new CreateBucketCommand({ Bucket, ObjectOwnership: 'ObjectWriter' });
  assert.equal(await refused(client.send(same)), 'done');
  assert.equal((await writers.raw({ path: `/${Bucket}/k` })).text, 'x');
  await set(Bucket, 'BucketOwnerEnforced', client);
  const open = new CreateBucketCommand({ Bucket, ACL: 'public-read' });
  assert.equal(await refused(client.send(open)), '400 InvalidBucketAclWithObjectOwnership');
});
