// Lists as text: the document in and out, grant headers, canned names, and everything that is not one of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Credential } from '../../../src/config/types.ts';
import {
  ACL_PERMISSIONS,
  defaultAcl,
  GROUPS,
  type Grant,
  isDefaultAcl,
  type StoredAcl,
} from '../../../src/s3/access/acl.ts';
import { type CannedFor, cannedAcl } from '../../../src/s3/access/acl-canned.ts';
import { GRANT_HEADERS, granteesOf, readGrantHeaders, resolveGrants } from '../../../src/s3/access/acl-grants.ts';
import { S3Error } from '../../../src/s3/errors.ts';
import { LIMITS } from '../../../src/s3/limits.ts';
import { accessControlPolicy, parseAccessControlPolicy } from '../../../src/s3/xml/acl.ts';
import { ownershipControls, parseOwnershipControls } from '../../../src/s3/xml/ownership-controls.ts';
import { credential } from '../../support/s3-client.ts';

function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
  return 'none';
}

const users: Credential[] = [
  { ...credential('main'), email: 'main@example.com' },
  { ...credential('alt'), email: 'Alt.User@example.com' },
  // A second credential of the same user, and two users with one address.
  { ...credential('alt-2'), canonicalId: 'id-alt', email: 'alt.user@example.com' },
  { ...credential('twin-1'), email: 'twin@example.com' },
  { ...credential('twin-2'), email: 'twin@example.com' },
];
const grantees = granteesOf(users, []);
const main = { id: 'id-main', displayName: 'main' };
const alt = { id: 'id-alt', displayName: 'alt' };

/** Text that an id or a name may have: whatever XML can carry, without the white space at its ends. */
const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((value) => value.trim() === value && !/[\p{Cc}\u2028\ufffe\uffff]/u.test(value));
const userGrant = (ids: readonly string[]): fc.Arbitrary<Grant> =>
  fc.record(
    {
      grantee: fc.constantFrom(...ids).map((id) => ({ kind: 'user' as const, id, displayName: `name of ${id}` })),
      permission: fc.constantFrom(...ACL_PERMISSIONS),
    },
    { noNullPrototype: true },
  );
const groupGrant: fc.Arbitrary<Grant> = fc.record(
  {
    grantee: fc.constantFrom(...Object.values(GROUPS)).map((uri) => ({ kind: 'group' as const, uri })),
    permission: fc.constantFrom(...ACL_PERMISSIONS),
  },
  { noNullPrototype: true },
);
const directory = (ids: readonly string[]): Credential[] =>
  ids.map((id) => ({ ...credential('x'), canonicalId: id, displayName: `name of ${id}` }));
const groupsFirst = (grants: readonly Grant[]) => [
  ...grants.filter(({ grantee }) => grantee.kind === 'group'),
  ...grants.filter(({ grantee }) => grantee.kind === 'user'),
];

test('any list comes back from its document, groups first', () => {
  const lists = fc
    .uniqueArray(text, { minLength: 1, maxLength: 5 })
    .chain((ids) =>
      fc.tuple(
        fc.constant(ids),
        fc.array(fc.oneof(userGrant(ids), groupGrant), { maxLength: LIMITS.aclGrantsMax.value }),
      ),
    );
  fc.assert(
    fc.property(lists, ([ids, grants]) => {
      const ownerId = ids[0] ?? '';
      const body = accessControlPolicy({ owner: { id: ownerId, displayName: 'Owner & "Co" <x>' }, grants });
      const claimed = parseAccessControlPolicy(Buffer.from(body));
      assert.equal(claimed.ownerId, ownerId);
      const back = resolveGrants(claimed.grants, granteesOf(directory(ids), []));
      assert.deepEqual(back.grants, groupsFirst(grants));
    }),
  );
});

test('any list of grants comes back from its headers, by permission', () => {
  const ids = ['id-main', 'id-alt', 'a=b', 'with space', 'uri', 'semi;colon', 'é'];
  const grant = fc.oneof(userGrant(ids), groupGrant);
  const value = ({ grantee }: Grant, quotes: boolean, spaces: string) => {
    const [type, name] = grantee.kind === 'user' ? ['id', grantee.id] : ['uri', grantee.uri];
    return `${spaces}${type}=${quotes ? `"${name}"` : name}${spaces}`;
  };
  fc.assert(
    fc.property(fc.array(fc.tuple(grant, fc.boolean(), fc.constantFrom('', ' ', '  ')), { maxLength: 30 }), (rows) => {
      const headers: Record<string, string> = {};
      for (const [header, permission] of GRANT_HEADERS) {
        const own = rows.filter(([one]) => one.permission === permission);
        if (own.length > 0) headers[header] = own.map(([one, quotes, spaces]) => value(one, quotes, spaces)).join(',');
      }
      const claims = readGrantHeaders(headers);
      if (rows.length === 0) return assert.equal(claims, null);
      assert.ok(claims);
      const acl = resolveGrants(claims, granteesOf(directory(ids), []));
      const order = GRANT_HEADERS.map(([, permission]) => permission);
      const expected = order.flatMap((wanted) => rows.map(([one]) => one).filter((one) => one.permission === wanted));
      assert.deepEqual(acl.grants, expected);
      const body = accessControlPolicy({ owner: main, ...acl });
      const again = resolveGrants(parseAccessControlPolicy(Buffer.from(body)).grants, granteesOf(directory(ids), []));
      assert.deepEqual(again.grants, groupsFirst(expected));
    }),
  );
});

const HEADERS: [header: string, value: string, claims: [by: string, value: string][] | string][] = [
  ['x-amz-grant-read', 'id="a"', [['id', 'a']]],
  ['x-amz-grant-read', 'id=a', [['id', 'a']]],
  [
    'x-amz-grant-read',
    ' ID = "a" , Id=b ',
    [
      ['id', 'a'],
      ['id', 'b'],
    ],
  ],
  [
    'x-amz-grant-read',
    'emailAddress="a,b@example.com",uri="http://x"',
    [
      ['emailAddress', 'a,b@example.com'],
      ['uri', 'http://x'],
    ],
  ],
  ['x-amz-grant-read', 'emailaddress=a@example.com', [['emailAddress', 'a@example.com']]],
  ['x-amz-grant-read', '', []],
  ['x-amz-grant-read', 'id=a,', [['id', 'a']]],
  ['x-amz-grant-read', 'a', 'InvalidArgument'],
  ['x-amz-grant-read', 'id:a', 'InvalidArgument'],
  ['x-amz-grant-read', 'user=a', 'InvalidArgument'],
  ['x-amz-grant-read', 'id="a', 'InvalidArgument'],
  ['x-amz-grant-read', 'id=a"b', 'InvalidArgument'],
  ['x-amz-grant-read', 'id="a" b', 'InvalidArgument'],
  ['x-amz-grant-read', 'id="a"id="b"', 'InvalidArgument'],
  ['x-amz-grant-execute', 'id=a', 'InvalidArgument'],
];
for (const [header, value, expected] of HEADERS) {
  test(`header ${header}: ${value || '(empty)'}`, () => {
    if (typeof expected === 'string')
      return assert.equal(
        failure(() => readGrantHeaders({ [header]: value })),
        expected,
      );
    const claims = readGrantHeaders({ [header]: value });
    assert.deepEqual(
      claims,
      expected.map(([by, name]) => ({ by, value: name, permission: 'READ' })),
    );
  });
}

test('grantees: by id, by address whatever its case, once per user; what nobody is, is refused', () => {
  const resolve = (by: 'id' | 'emailAddress' | 'uri', value: string) =>
    resolveGrants([{ by, value, permission: 'READ' }], grantees).grants[0]?.grantee;
  assert.deepEqual(resolve('id', 'id-alt'), { kind: 'user', ...alt });
  assert.deepEqual(resolve('emailAddress', 'alt.user@EXAMPLE.com'), { kind: 'user', ...alt });
  assert.deepEqual(resolve('uri', GROUPS.logDelivery), { kind: 'group', uri: GROUPS.logDelivery });
  const refused: ['id' | 'emailAddress' | 'uri', string, string][] = [
    ['id', 'id-nobody', 'InvalidArgument'],
    ['id', '', 'InvalidArgument'],
    ['id', '__proto__', 'InvalidArgument'],
    ['emailAddress', 'nobody@example.com', 'UnresolvableGrantByEmailAddress'],
    ['emailAddress', '', 'UnresolvableGrantByEmailAddress'],
    ['emailAddress', 'twin@example.com', 'AmbiguousGrantByEmailAddress'],
    ['uri', 'http://acs.amazonaws.com/groups/global/Nobody', 'InvalidArgument'],
    ['uri', GROUPS.allUsers.toLowerCase(), 'InvalidArgument'],
  ];
  for (const [by, value, code] of refused)
    assert.equal(
      failure(() => resolve(by, value)),
      code,
      `${by} ${value}`,
    );
});

test('an owner may be named when no credential of it is left', () => {
  const gone = { id: 'id-gone', displayName: 'gone' };
  const acl = resolveGrants([{ by: 'id', value: 'id-gone', permission: 'READ' }], granteesOf(users, [null, gone]));
  assert.deepEqual(acl.grants[0]?.grantee, { kind: 'user', ...gone });
});

test('at most 100 grants, in headers and in documents', () => {
  const max = LIMITS.aclGrantsMax.value;
  const header = (count: number) => ({ 'x-amz-grant-read': Array(count).fill('id=id-alt').join(',') });
  const resolve = (count: number) => resolveGrants(readGrantHeaders(header(count)) ?? [], grantees);
  assert.equal(resolve(max).grants.length, 100);
  assert.equal(
    failure(() => resolve(max + 1)),
    'MalformedACLError',
  );
  const grant: Grant = { grantee: { kind: 'user', ...alt }, permission: 'READ' };
  const parse = (count: number) =>
    parseAccessControlPolicy(Buffer.from(accessControlPolicy({ owner: main, grants: Array(count).fill(grant) })));
  assert.equal(parse(max).grants.length, 100);
  assert.equal(
    failure(() => parse(max + 1)),
    'MalformedACLError',
  );
});

// --- documents -------------------------------------------------------------------------------------------------------

const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
const OWNER = '<Owner><ID>id-main</ID></Owner>';
const GRANT = `<Grant><Grantee ${XSI} xsi:type="CanonicalUser"><ID>id-alt</ID></Grantee><Permission>READ</Permission></Grant>`;
const policy = (inner: string) => `<AccessControlPolicy>${inner}</AccessControlPolicy>`;
const list = (inner: string) => policy(`${OWNER}<AccessControlList>${inner}</AccessControlList>`);
const grantee = (attributes: string, inner: string) =>
  list(`<Grant><Grantee ${attributes}>${inner}</Grantee><Permission>READ</Permission></Grant>`);

const TAKEN: [name: string, body: string, claims: [string, string][]][] = [
  ['without grants', list(''), []],
  ['with white space', list(` \n${GRANT}\n `), [['id', 'id-alt']]],
  [
    'by e-mail',
    grantee(`${XSI} xsi:type="AmazonCustomerByEmail"`, '<EmailAddress>a@b</EmailAddress>'),
    [['emailAddress', 'a@b']],
  ],
  ['a group', grantee(`${XSI} xsi:type="Group"`, `<URI>${GROUPS.allUsers}</URI>`), [['uri', GROUPS.allUsers]]],
  [
    'another prefix',
    grantee('xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="CanonicalUser"', '<ID> id-alt </ID>'),
    [['id', 'id-alt']],
  ],
  ['a type with a prefix', grantee(`${XSI} xsi:type="s3:CanonicalUser"`, '<ID>id-alt</ID>'), [['id', 'id-alt']]],
  [
    'a display name that lies',
    grantee(`${XSI} xsi:type="CanonicalUser"`, '<ID>id-alt</ID><DisplayName>main</DisplayName>'),
    [['id', 'id-alt']],
  ],
  [
    'a namespace',
    list(GRANT).replace(
      '<AccessControlPolicy>',
      '<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    ),
    [['id', 'id-alt']],
  ],
];
for (const [name, body, expected] of TAKEN) {
  test(`a document ${name}`, () => {
    const claimed = parseAccessControlPolicy(Buffer.from(body));
    assert.equal(claimed.ownerId, 'id-main');
    assert.deepEqual(
      claimed.grants,
      expected.map(([by, value]) => ({ by, value, permission: 'READ' })),
    );
  });
}

const REFUSED: [name: string, body: string | Buffer, code?: string][] = [
  ['no XML', 'public-read'],
  ['another root', list(GRANT).replaceAll('AccessControlPolicy', 'Policy')],
  ['no owner', policy(`<AccessControlList>${GRANT}</AccessControlList>`)],
  ['an owner without an id', policy(`<Owner><DisplayName>main</DisplayName></Owner><AccessControlList/>`)],
  ['an empty owner', policy(`<Owner><ID/></Owner><AccessControlList/>`)],
  ['two owners', policy(`${OWNER}${OWNER}<AccessControlList/>`)],
  ['no list', policy(OWNER)],
  ['two lists', policy(`${OWNER}<AccessControlList>${GRANT}</AccessControlList><AccessControlList/>`)],
  ['a list of something else', list('<Granted/>')],
  ['a grant without a grantee', list('<Grant><Permission>READ</Permission></Grant>')],
  ['a grant without a permission', list(GRANT.replace(/<Permission>.*<\/Permission>/, ''))],
  ['an unknown permission', list(GRANT.replace('>READ<', '>Write<'))],
  ['two permissions', list(GRANT.replace('</Permission>', '</Permission><Permission>WRITE</Permission>'))],
  [
    'two grantees',
    list(GRANT.replace('<Permission>', `<Grantee ${XSI} xsi:type="Group"><URI>x</URI></Grantee><Permission>`)),
  ],
  ['a grantee without a type', grantee('', '<ID>id-alt</ID>')],
  ['an unknown type', grantee(`${XSI} xsi:type="Role"`, '<ID>id-alt</ID>')],
  ['a type of every object', grantee(`${XSI} xsi:type="constructor"`, '<ID>id-alt</ID>')],
  ['two types', grantee(`${XSI} xsi:type="CanonicalUser" type="Group"`, '<ID>id-alt</ID><URI>x</URI>')],
  ['a user without an id', grantee(`${XSI} xsi:type="CanonicalUser"`, '<URI>x</URI>')],
  ['a group with an id', grantee(`${XSI} xsi:type="Group"`, '<ID>id-alt</ID>')],
  ['an id with elements', grantee(`${XSI} xsi:type="CanonicalUser"`, '<ID>id-<b>alt</b></ID>')],
  ['an entity', `<!DOCTYPE a [<!ENTITY e "id-alt">]>${grantee(`${XSI} xsi:type="CanonicalUser"`, '<ID>&e;</ID>')}`],
  ['deep nesting', policy(`${'<a>'.repeat(50)}${'</a>'.repeat(50)}`)],
  ['bytes that are no UTF-8', Buffer.from(list(GRANT).replace('id-alt', '\xff'), 'latin1')],
  ['more than 64 KiB', list(`<!--${'x'.repeat(70_000)}-->`), 'MaxMessageLengthExceeded'],
];
for (const [name, body, code = 'MalformedACLError'] of REFUSED) {
  test(`${name} is no document`, () => {
    assert.equal(
      failure(() => parseAccessControlPolicy(Buffer.from(body))),
      code,
    );
  });
}

test('no document, however it was cut or changed, does anything but grant or fail cleanly', () => {
  const whole = accessControlPolicy({
    owner: main,
    grants: [
      { grantee: { kind: 'user', ...alt }, permission: 'READ' },
      { grantee: { kind: 'group', uri: GROUPS.allUsers }, permission: 'WRITE' },
    ],
  });
  const piece = fc.constantFrom(
    '<',
    '>',
    '</',
    '"',
    '&',
    '&#0;',
    ']]>',
    '<![CDATA[',
    '<!--',
    'xsi:type=',
    '<Grant>',
    '\0',
  );
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length), piece, (start, end, inserted) => {
      const body = Buffer.from(whole.slice(0, start) + inserted + whole.slice(Math.max(start, end)));
      const code = failure(() => parseAccessControlPolicy(body));
      assert.ok(['none', 'MalformedACLError'].includes(code), code);
    }),
    { numRuns: 2000 },
  );
});

// --- canned ----------------------------------------------------------------------------------------------------------

const OF_MAIN: CannedFor = { resource: 'object', owner: main, bucketOwner: main };
const OF_ALT: CannedFor = { resource: 'object', owner: alt, bucketOwner: main };
const BUCKET: CannedFor = { resource: 'bucket', owner: main, bucketOwner: main };

const short = (acl: StoredAcl) =>
  acl.grants.map(({ grantee: who, permission }) => {
    return `${who.kind === 'user' ? who.id : (who.uri.split('/').at(-1) ?? '')} ${permission}`;
  });

const CANNED: [name: string, subject: CannedFor, added: string[] | string][] = [
  ['private', OF_ALT, []],
  ['public-read', OF_ALT, ['AllUsers READ']],
  ['public-read-write', OF_ALT, ['AllUsers READ', 'AllUsers WRITE']],
  ['authenticated-read', OF_ALT, ['AuthenticatedUsers READ']],
  ['aws-exec-read', OF_ALT, []],
  ['bucket-owner-read', OF_ALT, ['id-main READ']],
  ['bucket-owner-full-control', OF_ALT, ['id-main FULL_CONTROL']],
  ['log-delivery-write', OF_ALT, 'InvalidArgument'],
  ['bucket-owner-read', OF_MAIN, []],
  ['bucket-owner-full-control', OF_MAIN, []],
  ['public-read-write', BUCKET, ['AllUsers READ', 'AllUsers WRITE']],
  ['bucket-owner-read', BUCKET, []],
  ['bucket-owner-full-control', BUCKET, []],
  ['log-delivery-write', BUCKET, ['LogDelivery WRITE', 'LogDelivery READ_ACP']],
  ['Private', BUCKET, 'InvalidArgument'],
  ['public', BUCKET, 'InvalidArgument'],
  ['toString', BUCKET, 'InvalidArgument'],
];
for (const [name, subject, expected] of CANNED) {
  test(`${name} of ${subject.resource === 'bucket' ? 'a bucket' : `${subject.owner?.id}'s object`}`, () => {
    if (typeof expected === 'string')
      return assert.equal(
        failure(() => cannedAcl(name, subject)),
        expected,
      );
    assert.deepEqual(short(cannedAcl(name, subject)), [`${subject.owner?.id} FULL_CONTROL`, ...expected]);
  });
}

test('the default is full control for the owner, and nothing else', () => {
  assert.equal(isDefaultAcl(defaultAcl(main), main), true);
  assert.equal(isDefaultAcl(defaultAcl(main), alt), false);
  assert.equal(isDefaultAcl({ grants: [] }, main), false);
  assert.equal(isDefaultAcl({ grants: [] }, null), false);
  assert.equal(isDefaultAcl(cannedAcl('public-read', BUCKET), main), false);
  assert.equal(
    isDefaultAcl(resolveGrants([{ by: 'id', value: 'id-main', permission: 'READ' }], grantees), main),
    false,
  );
});

// --- ownership controls ----------------------------------------------------------------------------------------------

test('ownership controls come back from their document', () => {
  for (const setting of ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const) {
    assert.equal(parseOwnershipControls(Buffer.from(ownershipControls(setting))), setting);
  }
  const controls = (inner: string) => Buffer.from(`<OwnershipControls>${inner}</OwnershipControls>`);
  const rule = (setting: string) => `<Rule><ObjectOwnership>${setting}</ObjectOwnership></Rule>`;
  for (const inner of ['', '<Rule/>', rule(''), rule('objectwriter'), rule('ObjectWriter').repeat(2), 'ObjectWriter']) {
    assert.equal(
      failure(() => parseOwnershipControls(controls(inner))),
      'MalformedXML',
      inner,
    );
  }
  assert.equal(
    failure(() => parseOwnershipControls(Buffer.from(rule('ObjectWriter')))),
    'MalformedXML',
  );
});
