// Every document that S3 takes, mutated: pieces doubled, dropped, exchanged, replaced by what XML parsers stumble over. Each
// is read or refused with an S3 error of the client, fast, and what is read does not depend on the order of attributes,
// comments or white space between elements. The seed is printed; ZRING_TEST_SEED repeats a run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { LIMITS } from '../../../src/s3/limits.ts';
import { parseAccessControlPolicy } from '../../../src/s3/xml/acl.ts';
import { parseCorsConfiguration } from '../../../src/s3/xml/cors.ts';
import { parseEncryptionConfiguration } from '../../../src/s3/xml/encryption.ts';
import { parseLifecycle } from '../../../src/s3/xml/lifecycle.ts';
import { parseLegalHold, parseLockConfiguration, parseRetention } from '../../../src/s3/xml/object-lock.ts';
import { parseOwnershipControls } from '../../../src/s3/xml/ownership-controls.ts';
import { parsePublicAccessBlock } from '../../../src/s3/xml/public-access.ts';
import { parseXml } from '../../../src/s3/xml/reader.ts';
import { parseCompleteRequest, parseCreateBucketRequest, parseDeleteRequest } from '../../../src/s3/xml/requests.ts';
import { parseTagging } from '../../../src/s3/xml/tagging.ts';
import { parseVersioningRequest } from '../../../src/s3/xml/versioning.ts';

const SEED = Number(process.env.ZRING_TEST_SEED ?? Date.now() % 2 ** 31);
const LONG = process.env.ZRING_TEST_LONG === '1';

const grantee =
  '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>a</ID></Grantee>';
const DOCUMENTS: Record<string, readonly [parse: (body: Buffer) => unknown, document: string]> = {
  Delete: [
    parseDeleteRequest,
    '<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key><VersionId>null</VersionId></Object><Object><Key>c</Key><ETag>"e"</ETag><Size>3</Size></Object></Delete>',
  ],
  CompleteMultipartUpload: [
    parseCompleteRequest,
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"a"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber><ETag>b</ETag></Part></CompleteMultipartUpload>',
  ],
  CreateBucketConfiguration: [
    parseCreateBucketRequest,
    '<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>',
  ],
  Tagging: [
    parseTagging,
    '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>',
  ],
  VersioningConfiguration: [
    parseVersioningRequest,
    '<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>',
  ],
  CORSConfiguration: [
    parseCorsConfiguration,
    '<CORSConfiguration><CORSRule><ID>x</ID><AllowedOrigin>http://*.a</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>x-a</ExposeHeader><MaxAgeSeconds>3</MaxAgeSeconds></CORSRule></CORSConfiguration>',
  ],
  LifecycleConfiguration: [
    parseLifecycle,
    '<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><Tag><Key>a</Key><Value>b</Value></Tag><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter><Expiration><Days>3</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>4</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>',
  ],
  ObjectLockConfiguration: [
    parseLockConfiguration,
    '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>',
  ],
  Retention: [
    parseRetention,
    '<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>',
  ],
  LegalHold: [parseLegalHold, '<LegalHold><Status>ON</Status></LegalHold>'],
  OwnershipControls: [
    parseOwnershipControls,
    '<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>',
  ],
  PublicAccessBlockConfiguration: [
    parsePublicAccessBlock,
    '<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>',
  ],
  AccessControlPolicy: [
    parseAccessControlPolicy,
    `<AccessControlPolicy><Owner><ID>a</ID><DisplayName>b</DisplayName></Owner><AccessControlList><Grant>${grantee}<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`,
  ],
  ServerSideEncryptionConfiguration: [
    (body) => parseEncryptionConfiguration(body, 10_000),
    '<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>',
  ],
};

const HOSTILE = [
  '<!DOCTYPE a [<!ENTITY b "c">]>',
  '&b;',
  '&amp;',
  '&#0;',
  '&#x1;',
  '&#xD800;',
  '&#x10FFFF;',
  '&#x110000;',
  '<![CDATA[',
  ']]>',
  '<![CDATA[true]]>',
  '<!--',
  '-->',
  '<?x y?>',
  '<?xml version="1.1"?>',
  'xmlns="x"',
  ' xsi:type="Group"',
  '\0',
  '\u0001',
  '\ufffe',
  '\ud800',
  '\ufeff',
  '<',
  '>',
  '"',
  '<A/>',
  '</A>',
  '-1',
  '99999999999999999999',
  '1e3',
  '0x10',
  ' ',
  '\r\n',
  '__proto__',
  '<__proto__>x</__proto__>',
  '<constructor/>',
  'true',
  '2030-13-45T99:99:99Z',
];

const tokens = (document: string) => document.match(/<[^>]*>|[^<]+/g) ?? [];
type Change = readonly [kind: number, at: number, other: number, hostile: string];
const change: fc.Arbitrary<Change> = fc.tuple(fc.nat(5), fc.nat(), fc.nat(), fc.constantFrom(...HOSTILE));

function mutate(document: string, changes: readonly Change[]): string {
  const all = tokens(document);
  for (const [kind, at, other, hostile] of changes) {
    const [a, b] = [at % all.length, other % all.length];
    const text = all[a] ?? '';
    if (kind === 0) all.splice(a, 0, hostile);
    else if (kind === 1) all[a] = hostile;
    else if (kind === 2) all.splice(a, 1);
    else if (kind === 3) all.splice(a, 0, ...all.slice(Math.min(a, b), Math.max(a, b)));
    else if (kind === 4) [all[a], all[b]] = [all[b] ?? '', text];
    else all[a] = text.slice(0, other % (text.length + 1)) + hostile + text.slice(other % (text.length + 1));
    if (all.length === 0) return '';
  }
  return all.join('');
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    assert.ok(error instanceof S3Error, `no S3 error: ${String(error)}`);
    assert.ok(error.status < 500 || error.code === 'NotImplemented', error.code);
    return error.code;
  }
}

for (const [name, [parse, document]] of Object.entries(DOCUMENTS)) {
  test(`${name}: what is mutated is read or refused (seed ${SEED})`, () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const code = codeOf(() => parse(Buffer.from(mutate(document, changes))));
        if (code !== 'none') refused += 1;
      }),
      { seed: SEED, numRuns: LONG ? 20_000 : 300 },
    );
    assert.ok(refused > 30, `only ${refused} were refused`);
  });

  test(`${name}: every beginning of it is refused`, () => {
    for (let end = 0; end < document.length; end += 1) {
      const code = codeOf(() => parse(Buffer.from(document.slice(0, end))));
      // CreateBucket may come without any.
      assert.ok(code !== 'none' || (end === 0 && name === 'CreateBucketConfiguration'), document.slice(0, end));
    }
  });

  test(`${name}: no DOCTYPE and no processing instruction, used or not`, () => {
    for (const head of [
      '<!DOCTYPE a>',
      '<!DOCTYPE a [<!ENTITY b "c">]>',
      '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
      '<?a b?>',
    ]) {
      assert.match(
        codeOf(() => parse(Buffer.from(head + document))),
        /^Malformed(XML|ACLError)$/,
        head,
      );
    }
  });

  test(`${name}: comments, white space between elements, a prefix, a namespace change nothing`, () => {
    const expected = parse(Buffer.from(document));
    const spaced = document.replace(/></g, '>\r\n\t <!-- <A>&b; --> <');
    const inSpace = document.replace(/^<(\w+)/, '<$1 xmlns="http://s3.amazonaws.com/doc/2006-03-01/"');
    const prefixed = document
      .replace(/<(\/?)(\w+)/g, '<$1s3:$2')
      .replace(/^<(s3:\w+)/, '<$1 xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/"');
    const declared = `\ufeff<?xml version="1.0" encoding="UTF-8"?>\n${document}\n<!-- end -->\n`;
    for (const other of [spaced, inSpace, prefixed, declared])
      assert.deepEqual(parse(Buffer.from(other)), expected, other);
  });
}

/** Cost of documents near the largest that is taken: what grows faster than its input would be seen for minutes. */
test('documents made to be slow are not', () => {
  const bytes = 2_000_000;
  const fill = (unit: string) => unit.repeat(Math.floor(bytes / unit.length));
  const bodies = [
    fill('<A>'),
    `<A>${fill('<B/>')}</A>`,
    `<A ${Array.from({ length: 100_000 }, (_, n) => `a${n}="b"`).join(' ')}/>`,
    `<A ${Array.from({ length: 50_000 }, (_, n) => `xmlns:a${n}="b"`).join(' ')}/>`,
    `<A a="${fill('&amp;')}"/>`,
    `<A>${fill('&amp;')}</A>`,
    `<A>${fill('&#x1;')}</A>`,
    `<A>&#x1;${fill('\u2028')}</A>`,
    `<A>${fill('<![CDATA[]]>')}</A>`,
    `<A><!--${fill('- ')}--></A>`,
    `<A>${fill('<!---->')}</A>`,
    `<A>${fill(']]')}</A>`,
    `<${fill('A')}/>`,
    `<A>&${fill('a')};</A>`,
    `<A>&#${fill('0')}65;</A>`,
    fill(' '),
    fill('<'),
    fill('&#x1;<'),
  ];
  const from = process.cpuUsage();
  for (const body of bodies) codeOf(() => parseXml(Buffer.from(body), LIMITS.deleteObjectsBytesMax.value));
  const { user, system } = process.cpuUsage(from);
  assert.ok(user + system < 60e6, `${(user + system) / 1e6} s`);
});
