// The configuration over the wire: what goes in comes out, what S3 refuses is refused with its code, and what answers say
// of expiry.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketLifecycleCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type LifecycleRule,
  ListPartsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { dueAfterMs } from '../../../src/s3/lifecycle/due.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';
import { DAY } from './rules.ts';

const node = await s3Fixture();
let client: S3Client;
let Bucket: string;

async function newBucket(): Promise<string> {
  Bucket = bucketName();
  client = node.client();
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

function set(...Rules: LifecycleRule[]) {
  return client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
}

async function shown(): Promise<LifecycleRule[] | undefined> {
  return (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules;
}

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

/** As written, with a Content-MD5 that the signer's body hash stands in for. */
async function putText(rules: string, headers: Record<string, string> = {}) {
  const body = `<LifecycleConfiguration ${NS}>${rules}</LifecycleConfiguration>`;
  const md5 = createHash('md5').update(body).digest('base64');
  return node.raw({ method: 'PUT', path: `/${Bucket}?lifecycle`, body, headers: { 'content-md5': md5, ...headers } });
}

const enabled = (inner: string) => `<Rule><ID>r</ID><Status>Enabled</Status>${inner}</Rule>`;
const EXPIRE = '<Expiration><Days>1</Days></Expiration>';
const ALL = '<Filter><Prefix/></Filter>';

describe('the configuration', () => {
  before(newBucket);

  test('comes back as it was put, both forms and every action', async () => {
    const rules: LifecycleRule[] = [
      { ID: 'old form', Prefix: 'a/<&>"é', Status: 'Enabled', Expiration: { Days: 31 } },
      {
        ID: 'prefix',
        Filter: { Prefix: 'b/' },
        Status: 'Disabled',
        Expiration: { Date: new Date('2031-01-01T00:00:00Z') },
      },
      { ID: 'marker', Filter: { Prefix: '' }, Status: 'Enabled', Expiration: { ExpiredObjectDeleteMarker: true } },
      { ID: 'tag', Filter: { Tag: { Key: 'k', Value: '' } }, Status: 'Enabled', Expiration: { Days: 1 } },
      { ID: 'greater', Filter: { ObjectSizeGreaterThan: 0 }, Status: 'Enabled', Expiration: { Days: 1 } },
      { ID: 'less', Filter: { ObjectSizeLessThan: 5 }, Status: 'Enabled', Expiration: { Days: 1 } },
      {
        ID: 'and',
        Filter: {
          And: {
            Prefix: 'c/',
            Tags: [
              { Key: 'x', Value: '1' },
              { Key: 'y', Value: '2' },
            ],
            ObjectSizeGreaterThan: 10,
            ObjectSizeLessThan: 20,
          },
        },
        Status: 'Enabled',
        NoncurrentVersionExpiration: { NoncurrentDays: 3, NewerNoncurrentVersions: 100 },
      },
      {
        ID: 'classes',
        Filter: { Prefix: 'd/' },
        Status: 'Enabled',
        Transitions: [
          { Days: 0, StorageClass: 'INTELLIGENT_TIERING' },
          { Days: 30, StorageClass: 'ONEZONE_IA' },
        ],
        NoncurrentVersionTransitions: [{ NoncurrentDays: 4, NewerNoncurrentVersions: 2, StorageClass: 'GLACIER_IR' }],
        Expiration: { Days: 31 },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ];
    await set(...rules);
    assert.deepEqual(await shown(), rules);
  });

  test('a put takes the place of all that was there; a delete of all, also of nothing', async () => {
    await set({ ID: 'one', Prefix: '', Status: 'Enabled', Expiration: { Days: 1 } });
    await set({ ID: 'two', Prefix: '', Status: 'Enabled', Expiration: { Days: 1 } });
    assert.deepEqual(
      (await shown())?.map(({ ID }) => ID),
      ['two'],
    );
    for (let i = 0; i < 2; i++) {
      await client.send(new DeleteBucketLifecycleCommand({ Bucket }));
      await assert.rejects(shown(), { name: 'NoSuchLifecycleConfiguration' });
    }
  });

  test('rules without an id get one each', async () => {
    const one: LifecycleRule = { ID: undefined, Prefix: 'a', Status: 'Enabled', Expiration: { Days: 1 } };
    await set(one, { ...one, Prefix: 'b' });
    const ids = (await shown())?.map(({ ID }) => ID);
    assert.equal(new Set(ids).size, 2);
    assert(ids?.every((id) => id && id.length <= 255));
  });

  test('the empty filter is one', async () => {
    const text = await putText(enabled(`<Filter/>${EXPIRE}`));
    assert.equal(text.status, 200, text.text);
    assert.match((await node.raw({ path: `/${Bucket}?lifecycle` })).text, /<Filter\/>/);
  });

  test('the minimum for transitions is kept and shown', async () => {
    const header = 'x-amz-transition-default-minimum-object-size';
    const get = async () => (await node.raw({ path: `/${Bucket}?lifecycle` })).headers[header];
    assert.equal((await putText(enabled(ALL + EXPIRE))).headers[header], 'all_storage_classes_128K');
    assert.equal(await get(), 'all_storage_classes_128K');
    const put = await putText(enabled(ALL + EXPIRE), { [header]: 'varies_by_storage_class' });
    assert.equal(put.headers[header], 'varies_by_storage_class');
    assert.equal(await get(), 'varies_by_storage_class');
    assert.equal((await putText(enabled(ALL + EXPIRE), { [header]: 'none' })).code, 'InvalidRequest');
  });

  test('a document without a digest is refused', async () => {
    const body = `<LifecycleConfiguration ${NS}>${enabled(ALL + EXPIRE)}</LifecycleConfiguration>`;
    const answer = await node.raw({ method: 'PUT', path: `/${Bucket}?lifecycle`, body });
    assert.equal(answer.code, 'InvalidRequest');
  });

  test('several conditions beside each other mean all of them', async () => {
    const filter =
      '<Filter><Prefix>days1/</Prefix><Tag><Key>a</Key><Value>1</Value></Tag>' +
      '<And><Prefix>days1</Prefix><Tag><Key>b</Key><Value>2</Value></Tag></And></Filter>';
    assert.equal((await putText(enabled(filter + EXPIRE))).status, 200);
    const [rule] = (await shown()) ?? [];
    assert.deepEqual(rule?.Filter?.And, {
      Prefix: 'days1/',
      Tags: [
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: '2' },
      ],
    });
  });
});

describe('what S3 refuses', () => {
  before(newBucket);
  const tag = '<Filter><Tag><Key>a</Key><Value>1</Value></Tag></Filter>';
  const filter = (inner: string) => `<Filter>${inner}</Filter>`;
  const move = (inner: string) => `<Transition>${inner}</Transition>`;
  const noncurrent = (inner: string) => `<NoncurrentVersionExpiration>${inner}</NoncurrentVersionExpiration>`;
  const cases: readonly [name: string, rules: string, code: string][] = [
    ['no rules', '', 'MalformedXML'],
    ['1001 rules', `<Rule><Status>Enabled</Status>${ALL}${EXPIRE}</Rule>`.repeat(1001), 'MalformedXML'],
    ['an id of 256 characters', enabled(ALL + EXPIRE).replace('<ID>r', `<ID>${'r'.repeat(256)}`), 'InvalidArgument'],
    ['the same id twice', enabled(ALL + EXPIRE).repeat(2), 'InvalidArgument'],
    ['no status', `<Rule>${ALL}${EXPIRE}</Rule>`, 'MalformedXML'],
    ['a status in lower case', `<Rule><Status>enabled</Status>${ALL}${EXPIRE}</Rule>`, 'MalformedXML'],
    ['no action', enabled(ALL), 'InvalidRequest'],
    ['neither prefix nor filter', enabled(EXPIRE), 'MalformedXML'],
    ['prefix and filter', enabled(`<Prefix>a</Prefix>${ALL}${EXPIRE}`), 'InvalidRequest'],
    ['two filters', enabled(ALL + ALL + EXPIRE), 'MalformedXML'],
    ['an element that is not known', enabled(`${ALL}${EXPIRE}<Other/>`), 'MalformedXML'],
    ['a condition that is not known', enabled(filter('<Suffix>a</Suffix>') + EXPIRE), 'MalformedXML'],
    ['an empty And', enabled(filter('<And/>') + EXPIRE), 'MalformedXML'],
    ['a prefix of 1025 bytes', enabled(filter(`<Prefix>${'é'.repeat(513)}</Prefix>`) + EXPIRE), 'InvalidRequest'],
    ['a tag without a key', enabled(filter('<Tag><Key/><Value>1</Value></Tag>') + EXPIRE), 'InvalidRequest'],
    [
      'one tag key twice',
      enabled(filter(`<And>${'<Tag><Key>a</Key><Value>1</Value></Tag>'.repeat(2)}</And>`) + EXPIRE),
      'InvalidRequest',
    ],
    [
      'sizes that exclude each other',
      enabled(
        filter(
          '<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And>',
        ) + EXPIRE,
      ),
      'InvalidRequest',
    ],
    ['a size below 0', enabled(filter('<ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan>') + EXPIRE), 'InvalidRequest'],
    ['days of 0', enabled(`${ALL}<Expiration><Days>0</Days></Expiration>`), 'InvalidArgument'],
    ['days below 0', enabled(`${ALL}<Expiration><Days>-1</Days></Expiration>`), 'InvalidArgument'],
    ['days beyond an integer', enabled(`${ALL}<Expiration><Days>2147483648</Days></Expiration>`), 'InvalidArgument'],
    ['days that are no number', enabled(`${ALL}<Expiration><Days>one</Days></Expiration>`), 'MalformedXML'],
    ['an empty expiration', enabled(`${ALL}<Expiration/>`), 'MalformedXML'],
    [
      'days and a date',
      enabled(`${ALL}<Expiration><Days>1</Days><Date>2031-01-01T00:00:00Z</Date></Expiration>`),
      'MalformedXML',
    ],
    ['a date at noon', enabled(`${ALL}<Expiration><Date>2031-01-01T12:00:00Z</Date></Expiration>`), 'InvalidArgument'],
    ['a date that is none', enabled(`${ALL}<Expiration><Date>20310101</Date></Expiration>`), 'MalformedXML'],
    [
      'a marker with tags',
      enabled(`${tag}<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>`),
      'InvalidRequest',
    ],
    [
      'uploads with tags',
      enabled(
        `${tag}<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>`,
      ),
      'InvalidRequest',
    ],
    [
      'uploads after 0 days',
      enabled(
        `${ALL}<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>`,
      ),
      'InvalidArgument',
    ],
    ['noncurrent without days', enabled(ALL + noncurrent('')), 'MalformedXML'],
    ['noncurrent after 0 days', enabled(ALL + noncurrent('<NoncurrentDays>0</NoncurrentDays>')), 'InvalidArgument'],
    [
      '101 newer versions',
      enabled(
        ALL + noncurrent('<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions>'),
      ),
      'InvalidArgument',
    ],
    [
      '0 newer versions',
      enabled(
        ALL + noncurrent('<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>0</NewerNoncurrentVersions>'),
      ),
      'InvalidArgument',
    ],
    ['an archive class', enabled(ALL + move('<Days>1</Days><StorageClass>GLACIER</StorageClass>')), 'NotImplemented'],
    ['STANDARD', enabled(ALL + move('<Days>1</Days><StorageClass>STANDARD</StorageClass>')), 'MalformedXML'],
    [
      'a bad date before an archive class',
      enabled(ALL + move('<Date>2031-01-01T01:00:00Z</Date><StorageClass>GLACIER</StorageClass>')),
      'InvalidArgument',
    ],
    [
      '29 days to STANDARD_IA',
      enabled(ALL + move('<Days>29</Days><StorageClass>STANDARD_IA</StorageClass>')),
      'InvalidArgument',
    ],
    [
      'one class twice',
      enabled(ALL + [1, 2].map((n) => move(`<Days>${n}</Days><StorageClass>GLACIER_IR</StorageClass>`)).join('')),
      'InvalidRequest',
    ],
    [
      'days and dates in one rule',
      enabled(`${ALL}${EXPIRE}${move('<Date>2031-01-01T00:00:00Z</Date><StorageClass>GLACIER_IR</StorageClass>')}`),
      'InvalidRequest',
    ],
    [
      'a transition that is not before the expiration',
      enabled(`${ALL}${EXPIRE}${move('<Days>1</Days><StorageClass>GLACIER_IR</StorageClass>')}`),
      'InvalidArgument',
    ],
  ];
  for (const [name, rules, code] of cases) {
    test(name, async () => {
      const answer = await putText(rules);
      assert.equal(answer.code, code, answer.text);
      assert.equal((await node.raw({ path: `/${Bucket}?lifecycle` })).code, 'NoSuchLifecycleConfiguration');
    });
  }
});

describe('what answers say', () => {
  before(newBucket);
  const about = (ms: number, rule: string) => `expiry-date="${new Date(ms).toUTCString()}", rule-id="${rule}"`;

  test('of the current version: date and rule, with every answer about it', async () => {
    await set(
      { ID: 'late', Prefix: 'days1/', Status: 'Enabled', Expiration: { Days: 10 } },
      { ID: 'a rule, “quoted”', Prefix: 'days1/', Status: 'Enabled', Expiration: { Days: 1 } },
    );
    const Key = 'days1/k';
    const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: 'v' }));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    const expected = about(
      dueAfterMs(head.LastModified?.getTime() ?? 0, 1, DAY),
      encodeURIComponent('a rule, “quoted”'),
    );
    assert.equal(put.Expiration, expected);
    assert.equal(head.Expiration, expected);
    assert.equal((await client.send(new GetObjectCommand({ Bucket, Key }))).Expiration, expected);
    const copy = await client.send(new CopyObjectCommand({ Bucket, Key: 'days1/c', CopySource: `${Bucket}/${Key}` }));
    assert.equal(copy.Expiration, expected);
    const other = await client.send(new PutObjectCommand({ Bucket, Key: 'other', Body: 'v' }));
    assert.equal(other.Expiration, undefined);
  });

  test('by tags, as they are now', async () => {
    await set({ ID: 'tagged', Filter: { Tag: { Key: 'a', Value: '1' } }, Status: 'Enabled', Expiration: { Days: 1 } });
    const Key = 'tagged';
    const expiration = async () => (await client.send(new HeadObjectCommand({ Bucket, Key }))).Expiration;
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'v' }));
    assert.equal(await expiration(), undefined);
    const tag = (Value: string) =>
      client.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: [{ Key: 'a', Value }] } }));
    await tag('1');
    assert.match((await expiration()) ?? '', /rule-id="tagged"$/);
    await tag('2');
    assert.equal(await expiration(), undefined);
  });

  test('not of noncurrent versions, nor of what no time can tell', async () => {
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
    await set({ ID: 'r', Prefix: '', Status: 'Enabled', Expiration: { Days: 1 } });
    const Key = 'versions';
    const { VersionId } = await client.send(new PutObjectCommand({ Bucket, Key, Body: '1' }));
    const of = async (id: string | undefined) =>
      (await client.send(new HeadObjectCommand({ Bucket, Key, VersionId: id }))).Expiration;
    assert(await of(VersionId));
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '2' }));
    assert.equal(await of(VersionId), undefined);
    assert(await of(undefined));
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    await set({ ID: 'r', Prefix: '', Status: 'Enabled', Expiration: { Days: 2_147_483_647 } });
    assert.equal((await client.send(new PutObjectCommand({ Bucket, Key, Body: '3' }))).Expiration, undefined);
  });

  test('of an upload: when it is given up', async () => {
    const abort: LifecycleRule = {
      ID: 'give up',
      Prefix: 'up/',
      Status: 'Enabled',
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 },
    };
    await set(abort);
    const Key = 'up/k';
    const { UploadId, AbortDate, AbortRuleId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    assert.equal(AbortRuleId, 'give%20up');
    const midnight = AbortDate?.getTime() ?? 0;
    assert.equal(midnight % DAY, 0);
    assert(midnight > Date.now() + 2 * DAY && midnight <= Date.now() + 3 * DAY);
    const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    assert.deepEqual([listed.AbortDate, listed.AbortRuleId], [AbortDate, AbortRuleId]);
    const other = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'other' }));
    assert.equal(other.AbortDate, undefined);
  });
});
