// What grants allow, as a table: for each ACL permission on a bucket or an object the actions that it stands for, taken
// from the User Guide ("Mapping of ACL permissions and access policy permissions"), and nothing else.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ACL_PERMISSIONS,
  ACL_RULES,
  type AclPermission,
  type AclQuestion,
  aclAllows,
  GROUPS,
  type Grantee,
  isPublicAcl,
  parseStoredAcl,
  type StoredAcl,
} from '../../../src/s3/access/acl.ts';
import type { Permission } from '../../../src/s3/access/authorizer.ts';
import type { Identity } from '../../../src/s3/types.ts';

const user = (name: string): Identity => ({
  accessKey: name,
  displayName: name,
  canonicalId: `id-${name}`,
  account: `id-${name}`,
  allow: [],
});
const owner = (name: string) => ({ id: `id-${name}`, displayName: name });
const main = user('main');
const alt = user('alt');
const third = user('third');
/** With the id that S3 gives to nobody: an id alone makes no user. */
const anonymous: Identity = { ...user('x'), accessKey: '', canonicalId: '65a011a29cdf8ec533ec3d1ccaae921c' };

const BUCKET_READ: Permission[] = ['s3:ListBucket', 's3:ListBucketVersions', 's3:ListBucketMultipartUploads'];
const BUCKET_WRITE: Permission[] = ['s3:PutObject', 's3:DeleteObject'];
const OBJECT_READ: Permission[] = [
  's3:GetObject',
  's3:GetObjectVersion',
  's3:GetObjectTorrent',
  's3:GetObjectAttributes',
  's3:GetObjectVersionAttributes',
];
const OBJECT_READ_ACP: Permission[] = ['s3:GetObjectAcl', 's3:GetObjectVersionAcl'];
const OBJECT_WRITE_ACP: Permission[] = ['s3:PutObjectAcl', 's3:PutObjectVersionAcl'];

const ON_BUCKET: Record<AclPermission, Permission[]> = {
  READ: BUCKET_READ,
  WRITE: BUCKET_WRITE,
  READ_ACP: ['s3:GetBucketAcl'],
  WRITE_ACP: ['s3:PutBucketAcl'],
  FULL_CONTROL: [...BUCKET_READ, ...BUCKET_WRITE, 's3:GetBucketAcl', 's3:PutBucketAcl'],
};
const ON_OBJECT: Record<AclPermission, Permission[]> = {
  READ: OBJECT_READ,
  WRITE: [],
  READ_ACP: OBJECT_READ_ACP,
  WRITE_ACP: OBJECT_WRITE_ACP,
  FULL_CONTROL: [...OBJECT_READ, ...OBJECT_READ_ACP, ...OBJECT_WRITE_ACP],
};
const NEVER: Permission[] = [
  's3:DeleteObjectVersion',
  's3:PutBucketPolicy',
  's3:GetBucketPolicy',
  's3:DeleteBucket',
  's3:GetBucketLocation',
  's3:PutBucketVersioning',
  's3:PutBucketOwnershipControls',
  's3:PutBucketPublicAccessBlock',
  's3:GetObjectTagging',
  's3:PutObjectTagging',
  's3:PutObjectRetention',
  's3:BypassGovernanceRetention',
  's3:CreateBucket',
  's3:NoSuchAction',
];
const ALL = [...new Set([...Object.values(ON_BUCKET).flat(), ...Object.values(ON_OBJECT).flat(), ...NEVER])];

const grants = (...list: [Grantee, AclPermission][]): StoredAcl => ({
  grants: list.map(([grantee, permission]) => ({ grantee, permission })),
});
const toUser = (name: string): Grantee => ({ kind: 'user', id: `id-${name}` });
const toGroup = (uri: string): Grantee => ({ kind: 'group', uri });

/** A bucket of main's with an object of main's; both without a list of their own. */
const QUESTION: Omit<AclQuestion, 'permission'> = {
  identity: alt,
  bucketAcl: null,
  objectAcl: null,
  bucketOwner: owner('main'),
  objectOwner: owner('main'),
  aclsEnabled: true,
  ignorePublicAcls: false,
};

function allowed(question: Partial<AclQuestion>): Permission[] {
  return ALL.filter((permission) => aclAllows({ ...QUESTION, ...question, permission })).sort();
}
const sorted = (list: Permission[]) => [...list].sort();

for (const permission of ACL_PERMISSIONS) {
  for (const [who, identity, grantee] of [
    ['a user', alt, toUser('alt')],
    ['everybody, asked by a user', alt, toGroup(GROUPS.allUsers)],
    ['everybody, asked by nobody', anonymous, toGroup(GROUPS.allUsers)],
    ['every user', alt, toGroup(GROUPS.authenticatedUsers)],
  ] as const) {
    test(`${permission} on a bucket for ${who}`, () => {
      const acl = grants([grantee, permission]);
      assert.deepEqual(allowed({ identity, bucketAcl: acl }), sorted(ON_BUCKET[permission]));
    });
    test(`${permission} on an object for ${who}`, () => {
      const acl = grants([grantee, permission]);
      assert.deepEqual(allowed({ identity, objectAcl: acl }), sorted(ON_OBJECT[permission]));
    });
  }
  test(`${permission} for somebody else, for every user or for log delivery gives nothing`, () => {
    const others: [Identity, Grantee][] = [
      [third, toUser('alt')],
      [anonymous, toUser('alt')],
      [anonymous, { kind: 'user', id: anonymous.canonicalId }],
      [
        { ...alt, canonicalId: '' },
        { kind: 'user', id: '' },
      ],
      [anonymous, toGroup(GROUPS.authenticatedUsers)],
      [alt, toGroup(GROUPS.logDelivery)],
      [alt, toGroup('http://acs.amazonaws.com/groups/global/Others')],
    ];
    for (const [identity, grantee] of others) {
      const acl = grants([grantee, permission]);
      assert.deepEqual(allowed({ identity, bucketAcl: acl, objectAcl: acl }), []);
    }
  });
}

test('without a list everything is the owner’s, and nobody else’s', () => {
  const everything = sorted([...ON_BUCKET.FULL_CONTROL, ...ON_OBJECT.FULL_CONTROL, 's3:DeleteObjectVersion']);
  assert.deepEqual(allowed({ identity: main }), everything);
  assert.deepEqual(allowed({ identity: alt }), []);
  assert.deepEqual(allowed({ identity: anonymous }), []);
});

test('an object that another user owns: its owner reads it, the owner of the bucket removes it', () => {
  const foreign = { objectOwner: owner('alt') };
  assert.deepEqual(allowed({ ...foreign, identity: alt }), sorted(ON_OBJECT.FULL_CONTROL));
  assert.deepEqual(
    allowed({ ...foreign, identity: main }),
    sorted([...ON_BUCKET.FULL_CONTROL, 's3:DeleteObjectVersion']),
  );
});

test('a list that grants nothing leaves its owner the list itself, and no more', () => {
  const none: StoredAcl = { grants: [] };
  const question = { bucketAcl: none, objectAcl: none, objectOwner: owner('alt') };
  assert.deepEqual(allowed({ ...question, identity: main }), ['s3:GetBucketAcl', 's3:PutBucketAcl']);
  assert.deepEqual(allowed({ ...question, identity: alt }), sorted([...OBJECT_READ_ACP, ...OBJECT_WRITE_ACP]));
});

test('versions are removed for good by the owner of the bucket alone', () => {
  const bucketAcl = grants(
    [toUser('alt'), 'FULL_CONTROL'],
    [toGroup(GROUPS.allUsers), 'WRITE'],
    [toUser('main'), 'WRITE'],
  );
  const question = { ...QUESTION, bucketAcl, permission: 's3:DeleteObjectVersion' } as const;
  assert.equal(aclAllows({ ...question, identity: alt }), false);
  assert.equal(aclAllows({ ...question, identity: main }), true);
});

test('an object that does not exist has no list; who may write it may give it tags and a list at once', () => {
  const all = grants([toGroup(GROUPS.allUsers), 'FULL_CONTROL']);
  assert.deepEqual(allowed({ objectOwner: null, objectAcl: all }), []);
  const given = sorted(['s3:PutObjectAcl', 's3:PutObjectTagging']);
  for (const permission of ['WRITE', 'FULL_CONTROL'] as const) {
    const question = { objectOwner: null, bucketAcl: grants([toGroup(GROUPS.allUsers), permission]) };
    assert.deepEqual(allowed(question), sorted([...ON_BUCKET[permission], ...given]));
  }
  for (const permission of ['READ', 'READ_ACP', 'WRITE_ACP'] as const) {
    const question = { objectOwner: null, bucketAcl: grants([toGroup(GROUPS.allUsers), permission]) };
    assert.deepEqual(allowed(question), sorted(ON_BUCKET[permission]));
  }
});

test('the list of the bucket says nothing of its objects, nor the other way round', () => {
  const acl = grants([toUser('alt'), 'FULL_CONTROL']);
  const ofObject = new Set<string>(ON_OBJECT.FULL_CONTROL);
  assert.ok(allowed({ bucketAcl: acl }).every((permission) => !ofObject.has(permission)));
  assert.ok(allowed({ objectAcl: acl }).every((permission) => ofObject.has(permission)));
});

test('a dataset without an owner belongs to nobody', () => {
  for (const identity of [main, alt, anonymous]) {
    assert.deepEqual(allowed({ identity, bucketOwner: null, objectOwner: null }), []);
  }
});

test('with ACLs disabled no grant counts, and every object is the bucket owner’s', () => {
  const acl = grants([toUser('alt'), 'FULL_CONTROL'], [toGroup(GROUPS.allUsers), 'FULL_CONTROL']);
  const question = { bucketAcl: acl, objectAcl: acl, objectOwner: owner('alt'), aclsEnabled: false };
  assert.deepEqual(allowed({ ...question, identity: alt }), []);
  assert.deepEqual(allowed({ ...question, identity: anonymous }), []);
  const everything = sorted([...ON_BUCKET.FULL_CONTROL, ...ON_OBJECT.FULL_CONTROL, 's3:DeleteObjectVersion']);
  assert.deepEqual(allowed({ ...question, identity: main }), everything);
});

test('IgnorePublicAcls: grants to groups do not count, those to users do', () => {
  for (const uri of [GROUPS.allUsers, GROUPS.authenticatedUsers]) {
    const acl = grants([toGroup(uri), 'FULL_CONTROL'], [toUser('third'), 'READ']);
    const question = { bucketAcl: acl, objectAcl: acl, ignorePublicAcls: true };
    assert.deepEqual(allowed({ ...question, identity: alt }), []);
    assert.deepEqual(allowed({ ...question, identity: third }), sorted([...BUCKET_READ, ...OBJECT_READ]));
  }
});

test('more grants never allow less', () => {
  const grantee = fc.constantFrom<Grantee>(
    toUser('main'),
    toUser('alt'),
    toUser('third'),
    ...Object.values(GROUPS).map(toGroup),
  );
  const grant = fc.record({ grantee, permission: fc.constantFrom(...ACL_PERMISSIONS) });
  const list = fc.array(grant, { maxLength: 6 });
  fc.assert(
    fc.property(
      list,
      list,
      fc.constantFrom(main, alt, third, anonymous),
      fc.boolean(),
      (some, more, identity, ignorePublicAcls) => {
        const acl = { grants: some };
        const larger = { grants: [...more, ...some] };
        const before = allowed({ identity, ignorePublicAcls, bucketAcl: acl, objectAcl: acl });
        const after = new Set(allowed({ identity, ignorePublicAcls, bucketAcl: larger, objectAcl: larger }));
        assert.ok(before.every((permission) => after.has(permission)));
      },
    ),
  );
});

test('public is what grants anything to everybody or to every user', () => {
  assert.equal(isPublicAcl(null), false);
  for (const permission of ACL_PERMISSIONS) {
    assert.equal(isPublicAcl(grants([toGroup(GROUPS.allUsers), permission])), true);
    assert.equal(
      isPublicAcl(grants([toUser('alt'), permission], [toGroup(GROUPS.authenticatedUsers), permission])),
      true,
    );
    assert.equal(isPublicAcl(grants([toGroup(GROUPS.logDelivery), permission], [toUser('alt'), permission])), false);
  }
});

test('what was stored otherwise is no grant', () => {
  for (const value of [null, undefined, 1, 'public-read', [], {}, { grants: 'READ' }]) {
    assert.equal(parseStoredAcl(value), null, JSON.stringify(value));
  }
  const good = { grantee: { kind: 'user', id: 'id-alt' }, permission: 'READ' };
  const bad = [
    null,
    'READ',
    {},
    { ...good, permission: 'EVERYTHING' },
    { ...good, grantee: null },
    { ...good, grantee: { kind: 'user' } },
    { ...good, grantee: { kind: 'group', id: 'id-alt' } },
    { ...good, grantee: { kind: 'role', id: 'id-alt' } },
  ];
  assert.deepEqual(parseStoredAcl({ grants: [...bad, good] }), { grants: [good] });
});

test('docs/ACCESS.md has the same table', async () => {
  const page = await readFile(new URL('../../../docs/ACCESS.md', import.meta.url), 'utf8');
  const from = page.indexOf('\n## Access control lists\n');
  const section = page.slice(from, page.indexOf('\n## ', from + 1));
  const rows = [...section.matchAll(/^\| `(s3:\w+)` \| (.*?) \|$/gm)].map(([, action, by]) => [action, by]);
  const code = Object.entries(ACL_RULES).map(([action, { of, needs, bucketOwnerOnly, withNew }]) => {
    const by = needs === 'never' ? [] : [`${needs} of the ${of}${bucketOwnerOnly ? ", for the bucket's owner" : ''}`];
    return [action, [...by, ...(withNew ? ['WRITE of the bucket with a new object'] : [])].join(', or ')];
  });
  assert.deepEqual(rows, code);
});
