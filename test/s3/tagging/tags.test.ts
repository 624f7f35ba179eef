import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import {
  bucketTags,
  objectTags,
  readTaggingHeader,
  requestTagConditions,
  type Tag,
  taggingHeader,
  tagList,
} from '../../../src/s3/handlers/tags.ts';
import { parseTagging, taggingResult } from '../../../src/s3/xml/tagging.ts';

function code(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    assert(error instanceof S3Error, String(error));
    return error.code;
  }
}

const ALLOWED = 'abzAZ059 _.:/=+-@äßжФ漢字٣५𝒳\u00a0\u3000';
const character = fc.constantFrom(...ALLOWED);
const keys = fc.string({ unit: character, minLength: 1, maxLength: 64 }).filter((key) => !/^aws:/i.test(key));
const values = fc.string({ unit: character, maxLength: 128 });
const sets: fc.Arbitrary<Tag[]> = fc
  .uniqueArray(fc.record({ key: keys, value: values }), { selector: ({ key }) => key, maxLength: 10 })
  .map((list) => list.map(({ key, value }) => ({ key, value })));

function sorted(list: readonly Tag[]): Tag[] {
  return [...list].sort((a, b) => (a.key < b.key ? -1 : 1));
}

test('any valid set survives the header, the document and the table', () => {
  fc.assert(
    fc.property(sets, (list) => {
      const tags = objectTags(list);
      assert.deepEqual(tagList(tags), sorted(list));
      assert.deepEqual(tagList(readTaggingHeader({ 'x-amz-tagging': taggingHeader(tags) })), sorted(list));
      assert.deepEqual(tagList(objectTags(parseTagging(Buffer.from(taggingResult(tagList(tags)))))), sorted(list));
    }),
  );
});

test('names that mean something to JavaScript are names', () => {
  const list = ['__proto__', 'constructor', '10', '2', 'toString'].map((key) => ({ key, value: key }));
  const tags = JSON.parse(JSON.stringify(objectTags(list))) as Record<string, string>;
  assert.deepEqual(tagList(tags), sorted(list));
  assert.deepEqual(tagList(readTaggingHeader({ 'x-amz-tagging': '__proto__=1' })), [{ key: '__proto__', value: '1' }]);
});

describe('what is no valid set is InvalidTag', () => {
  const CASES: [what: string, list: Tag[]][] = [
    ['11 tags', Array.from({ length: 11 }, (_, index) => ({ key: String(index), value: '' }))],
    [
      'a key twice',
      [
        { key: 'a', value: '1' },
        { key: 'a', value: '1' },
      ],
    ],
    ['an empty key', [{ key: '', value: '1' }]],
    ['a key of 129 characters', [{ key: 'k'.repeat(129), value: '' }]],
    ['a key of 65 characters of two each', [{ key: '𝒳'.repeat(65), value: '' }]],
    ['a value of 257 characters', [{ key: 'k', value: 'v'.repeat(257) }]],
    ['a key of AWS', [{ key: 'aws:created', value: '1' }]],
    ['a key of AWS in capitals', [{ key: 'AWS:created', value: '1' }]],
    ['a sign that is not allowed in a key', [{ key: 'a!', value: '1' }]],
    ['a sign that is not allowed in a value', [{ key: 'a', value: '<1>' }]],
    ['a line break', [{ key: 'a', value: '1\n' }]],
  ];
  for (const [what, list] of CASES) {
    test(what, () =>
      assert.equal(
        code(() => objectTags(list)),
        'InvalidTag',
      ),
    );
  }

  test('what just fits', () => {
    const list = Array.from({ length: 10 }, (_, index) => ({
      key: `${index}`.padEnd(128, 'k'),
      value: 'v'.repeat(256),
    }));
    assert.deepEqual(tagList(objectTags(list)), list);
    assert.deepEqual(objectTags([{ key: 'awsome', value: '' }]), { awsome: '' });
  });

  test('a bucket has 50', () => {
    const list = Array.from({ length: 51 }, (_, index) => ({ key: `k${index}`, value: '' }));
    assert.equal(
      code(() => bucketTags(list)),
      'InvalidTag',
    );
    assert.equal(Object.keys(bucketTags(list.slice(1))).length, 50);
  });
});

describe('the header', () => {
  const CASES: [header: string, outcome: Record<string, string> | string | undefined][] = [
    ['', undefined],
    ['foo=bar&bar', { foo: 'bar', bar: '' }],
    ['a=b=c', { a: 'b=c' }],
    ['a+b=c%20d&', { 'a b': 'c d' }],
    ['%C3%A4=%F0%9D%92%B3', { ä: '𝒳' }],
    ['a=1&a=2', 'InvalidArgument'],
    ['a=1&%61=1', 'InvalidArgument'],
    ['a=%zz', 'InvalidArgument'],
    ['a=%ff', 'InvalidArgument'],
    ['ä=1', 'InvalidArgument'],
    ['=1', 'InvalidTag'],
    ['a=%3C', 'InvalidTag'],
    [Array.from({ length: 11 }, (_, index) => `k${index}=`).join('&'), 'InvalidTag'],
  ];
  for (const [header, outcome] of CASES) {
    test(header.slice(0, 40) || '(empty)', () => {
      const read = () => readTaggingHeader({ 'x-amz-tagging': header });
      if (typeof outcome === 'string') assert.equal(code(read), outcome);
      else assert.deepEqual(read(), outcome);
    });
  }

  test('none', () => assert.equal(readTaggingHeader({}), undefined));
});

describe('the document', () => {
  const tag = '<Tag><Key>a</Key><Value>b</Value></Tag>';
  const CASES: [inner: string, outcome: Tag[] | string][] = [
    [`<TagSet>${tag}</TagSet>`, [{ key: 'a', value: 'b' }]],
    ['<TagSet/>', []],
    ['<TagSet><Tag><Key>a</Key><Value/></Tag></TagSet>', [{ key: 'a', value: '' }]],
    ['', 'MalformedXML'],
    ['<TagSet/><TagSet/>', 'MalformedXML'],
    ['<TagSet/><Other/>', 'MalformedXML'],
    ['<TagSet><Tag><Key>a</Key></Tag></TagSet>', 'MalformedXML'],
    ['<TagSet><Tag><Value>a</Value></Tag></TagSet>', 'MalformedXML'],
    ['<TagSet><Tag><Key>a</Key><Key>b</Key><Value/></Tag></TagSet>', 'MalformedXML'],
    ['<TagSet><Other/></TagSet>', 'MalformedXML'],
  ];
  for (const [inner, outcome] of CASES) {
    test(inner || '(empty)', () => {
      const read = () => parseTagging(Buffer.from(`<Tagging>${inner}</Tagging>`));
      if (typeof outcome === 'string') assert.equal(code(read), outcome);
      else assert.deepEqual(read(), outcome);
    });
  }
});

test('condition keys of policies', () => {
  assert.deepEqual(requestTagConditions({ Team: 'a' }), { 's3:requestobjecttag/Team': 'a' });
  assert.deepEqual(requestTagConditions(undefined), {});
});
