// The checker against histories made by hand: every kind of anomaly is found under its name, and what merely looks like
// one (overlap, unknown outcomes, repeated completions) is not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkHistory } from './check.ts';
import type { Checked } from './index.ts';
import { IF_ABSENT, ifMatch, NO_SUCH_BUCKET, REFUSED, SLOW_DOWN, Story } from './story.ts';

function kindsOf(checked: Checked): string[] {
  return checked.violations.map(({ kind }) => kind).sort();
}

interface Case {
  readonly name: string;
  readonly story: (story: Story) => Story;
}

const GOOD: readonly Case[] = [
  {
    name: 'a write, its read, a delete, nothing',
    story: (s) =>
      s.get([0, 1], 'k', null).put([2, 3], 'k', 'v1').get([4, 5], 'k', 'v1').delete([6, 7], 'k').get([8, 9], 'k', null),
  },
  {
    name: 'a read during a write sees either value',
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([2, 10], 'k', 'v2')
        .get([3, 4], 'k', 'v1')
        .get([5, 6], 'k', 'v2')
        .get([11, 12], 'k', 'v2'),
  },
  {
    name: 'an unknown write may take effect late, or never',
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([2, null], 'k', 'v2')
        .put([2, null], 'k', 'v3')
        .get([3, 4], 'k', 'v1')
        .put([5, 6], 'k', 'v4')
        .get([7, 8], 'k', 'v4')
        .get([9, 10], 'k', 'v2')
        .get([11, 12], 'k', 'v2'),
  },
  {
    name: 'an unknown delete may take effect late',
    story: (s) => s.put([0, 1], 'k', 'v1').delete([2, null], 'k').get([3, 4], 'k', 'v1').get([5, 6], 'k', null),
  },
  {
    name: 'an unknown conditional write takes effect after an unknown delete',
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .delete([2, null], 'k')
        .put([3, null], 'k', 'v2', IF_ABSENT)
        .get([5, 6], 'k', 'v1')
        .get([7, 8], 'k', 'v2'),
  },
  {
    name: 'a refused create, because an unknown write is there',
    story: (s) =>
      s
        .put([0, null], 'k', 'v1')
        .put([2, 3], 'k', 'v2', { ...IF_ABSENT, ...REFUSED })
        .get([4, 5], 'k', 'v1'),
  },
  {
    name: 'of two creates at once one is refused',
    story: (s) =>
      s
        .put([0, 5], 'k', 'v1', IF_ABSENT)
        .put([0, 5], 'k', 'v2', { ...IF_ABSENT, ...REFUSED })
        .get([6, 7], 'k', 'v1'),
  },
  {
    name: 'a replacement of what is there, refused later, and 404 when nothing is there',
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([2, 3], 'k', 'v2', ifMatch('v1'))
        .put([4, 5], 'k', 'v3', { ...ifMatch('v1'), ...REFUSED })
        .delete([6, 7], 'k', ifMatch('v2'))
        .put([8, 9], 'k', 'v4', { ...ifMatch('v2'), outcome: 'failed', status: 404, code: 'NoSuchKey' })
        .get([10, 11], 'k', null),
  },
  {
    name: 'a refused write has no effect and may be tried again with another value',
    story: (s) =>
      s.put([0, 1], 'k', 'v1', SLOW_DOWN).get([2, 3], 'k', null).put([4, 5], 'k', 'v2').get([6, 7], 'k', 'v2'),
  },
  {
    name: 'a listing during a write and a delete',
    story: (s) =>
      s
        .put([0, 1], 'r/a', 'v1')
        .put([0, 1], 'r/b', 'v2')
        .delete([2, 6], 'r/a')
        .put([2, 6], 'r/c', 'v3')
        .list([3, 4], { 'r/b': 'v2', 'r/c': 'v3' })
        .list([3, 4], { 'r/b': 'v2' })
        .list([7, 8], { 'r/b': 'v2', 'r/c': 'v3' }),
  },
  {
    name: 'a page speaks of its range alone, and of keys of this load alone',
    story: (s) =>
      s
        .put([0, 1], 'r/a', 'v1')
        .put([0, 1], 'r/b', 'v2')
        .put([0, 1], 'r/c', 'v3')
        .put([0, 1], 's/d', 'v4')
        .list([2, 3], { 'r/b': 'v2' }, { after: 'r/a', truncated: true })
        .list([2, 3], { 'r/c': 'v3' }, { prefix: 'r/', after: 'r/b' })
        .list([2, 3], { 's/d': 'v4', 'zz/foreign': 'v9' }, { after: 'r/z' })
        .list([2, 3], {}, { prefix: 'r/', after: 'r/c' }),
  },
  {
    name: 'a completion that is repeated is one write',
    story: (s) =>
      s
        .add('create-upload', [0, 1], 'k', { upload: { id: 'u' } })
        .add('complete-upload', [2, null], 'k', { upload: { id: 'u' }, written: s.written('v1') })
        .get([4, 5], 'k', 'v1')
        .put([6, 7], 'k', 'v2')
        .add('complete-upload', [8, 9], 'k', { upload: { id: 'u' }, written: s.written('v1') })
        .get([10, 11], 'k', 'v2'),
  },
  {
    name: 'a copy reads its source and writes its destination',
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .add('copy', [2, 3], 'l', {
          written: { ...s.written('v1'), value: 'v2' },
          source: { bucket: 'b', key: 'k', etag: s.written('v1').etag },
        })
        .get([4, 5], 'l', null, { status: 200, code: null, seen: { ...s.written('v1'), value: 'v2' } })
        .put([6, 7], 'l', 'v3', ifMatch('v1')),
  },
  {
    name: 'a bucket that comes and goes',
    story: (s) =>
      s
        .add('head-bucket', [0, 1], null, { outcome: 'failed', status: 404 })
        .add('create-bucket', [2, 3], null)
        .put([4, 5], 'k', 'v1')
        .add('delete-bucket', [6, 7], null, { outcome: 'failed', status: 409, code: 'BucketNotEmpty' })
        .delete([8, 9], 'k')
        .add('delete-bucket', [10, 11], null, { status: 204 })
        .get([12, 13], 'k', null, { ...NO_SUCH_BUCKET })
        .put([12, 20], 'k', 'v2', { ...NO_SUCH_BUCKET })
        .add('create-bucket', [14, 15], null)
        .get([16, 17], 'k', null),
  },
  {
    name: 'an unknown deletion of a bucket explains a 404 later',
    story: (s) =>
      s
        .add('create-bucket', [2, 3], null)
        .add('delete-bucket', [4, null], null)
        .add('head-bucket', [5, 6], null)
        .get([7, 8], 'k', null, { ...NO_SUCH_BUCKET }),
  },
  {
    name: 'an upload that was aborted is gone',
    story: (s) =>
      s
        .add('create-upload', [0, 1], 'k', { upload: { id: 'u' } })
        .add('abort-upload', [2, null], 'k', { upload: { id: 'u' } })
        .add('abort-upload', [3, 4], 'k', {
          upload: { id: 'u' },
          outcome: 'failed',
          status: 404,
          code: 'NoSuchUpload',
        }),
  },
];

const noSuchUpload = { upload: { id: 'u' }, outcome: 'failed', status: 404, code: 'NoSuchUpload' } as const;
const final = { final: true } as const;

const BAD: readonly (Case & { readonly kinds: readonly string[] })[] = [
  {
    name: 'stale read',
    kinds: ['stale-read'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v2').get([4, 5], 'k', 'v1'),
  },
  {
    name: 'stale read by HEAD',
    kinds: ['stale-read'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v2').head([4, 5], 'k', 'v1'),
  },
  {
    name: 'two reads in a row go back',
    kinds: ['stale-read'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 9], 'k', 'v2').get([3, 4], 'k', 'v2').get([5, 6], 'k', 'v1'),
  },
  {
    name: 'an unknown write is read, replaced, and read again',
    kinds: ['stale-read'],
    story: (s) =>
      s
        .put([0, null], 'k', 'v1')
        .get([1, 2], 'k', 'v1')
        .put([3, 4], 'k', 'v2')
        .get([5, 6], 'k', 'v2')
        .get([7, 8], 'k', 'v1'),
  },
  {
    name: 'lost write',
    kinds: ['acknowledged-lost', 'stale-read'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v2').get([9, 10], 'k', 'v1', final),
  },
  {
    name: 'lost write, the first one',
    kinds: ['acknowledged-lost', 'false-404'],
    story: (s) => s.put([0, 1], 'k', 'v1').get([9, 10], 'k', null, final),
  },
  {
    name: 'a rollback loses the last write',
    kinds: ['acknowledged-lost', 'stale-read'],
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([2, 3], 'k', 'v2')
        .put([4, 5], 'k', 'v3')
        .get([6, 7], 'k', 'v3')
        .get([9, 10], 'k', 'v1', final),
  },
  {
    name: 'resurrected delete',
    kinds: ['resurrected-delete'],
    story: (s) => s.put([0, 1], 'k', 'v1').delete([2, 3], 'k').get([4, 5], 'k', 'v1'),
  },
  {
    name: 'resurrected delete, in the end',
    kinds: ['resurrected-delete', 'resurrected-delete'],
    story: (s) => s.put([0, 1], 'k', 'v1').delete([2, 3], 'k').get([4, 5], 'k', null).get([9, 10], 'k', 'v1', final),
  },
  {
    name: 'a refused conditional write took effect',
    kinds: ['failed-write-took-effect'],
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([2, 3], 'k', 'v2', { ...IF_ABSENT, ...REFUSED })
        .get([4, 5], 'k', 'v2'),
  },
  {
    name: 'SlowDown, and applied all the same',
    kinds: ['failed-write-took-effect'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v2', SLOW_DOWN).get([4, 5], 'k', 'v2'),
  },
  {
    name: 'two creates succeed',
    kinds: ['condition-ignored'],
    story: (s) => s.put([0, 5], 'k', 'v1', IF_ABSENT).put([0, 5], 'k', 'v2', IF_ABSENT),
  },
  {
    name: 'two replacements of the same content succeed',
    kinds: ['condition-ignored'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 5], 'k', 'v2', ifMatch('v1')).put([2, 5], 'k', 'v3', ifMatch('v1')),
  },
  {
    name: 'a create is refused though nothing can be there',
    kinds: ['condition-refused'],
    story: (s) => s.get([0, 1], 'k', null).put([2, 3], 'k', 'v2', { ...IF_ABSENT, ...REFUSED }),
  },
  {
    name: 'a replacement is refused though its content is there',
    kinds: ['condition-refused'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v2', { ...ifMatch('v1'), ...REFUSED }),
  },
  {
    name: 'truncated body',
    kinds: ['truncated-body'],
    story: (s) => s.put([0, 1], 'k', 'v1').get([2, 3], 'k', 'v1', { fault: 'truncated-body' }),
  },
  {
    name: 'the headers of one value and the bytes of another',
    kinds: ['headers-differ-from-body'],
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([0, 9], 'k', 'v2')
        .get([2, 3], 'k', null, { status: 200, code: null, seen: { ...s.written('v1'), body: 'v2' } }),
  },
  {
    name: 'a value that belongs to another key',
    kinds: ['phantom'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([0, 1], 'l', 'v2').get([2, 3], 'l', 'v1'),
  },
  {
    name: 'a read before the write',
    kinds: ['phantom'],
    story: (s) => s.get([0, 1], 'k', 'v1').put([2, 3], 'k', 'v1'),
  },
  {
    name: 'phantom in a listing: deleted',
    kinds: ['listing-phantom'],
    story: (s) =>
      s
        .put([0, 1], 'r/a', 'v1')
        .put([0, 1], 'r/b', 'v2')
        .delete([2, 3], 'r/a')
        .list([4, 5], { 'r/a': 'v1', 'r/b': 'v2' }),
  },
  {
    name: 'phantom in a listing: never written',
    kinds: ['listing-phantom'],
    story: (s) => s.put([0, 1], 'r/a', 'v1').list([4, 5], { 'r/a': 'v1', 'r/b': 'v2' }),
  },
  {
    name: 'a listing shows what was replaced',
    kinds: ['listing-stale'],
    story: (s) => s.put([0, 1], 'r/a', 'v1').put([2, 3], 'r/a', 'v2').list([4, 5], { 'r/a': 'v1' }),
  },
  {
    name: 'missing in a listing',
    kinds: ['listing-missing'],
    story: (s) => s.put([0, 1], 'r/a', 'v1').put([0, 1], 'r/b', 'v2').list([4, 5], { 'r/b': 'v2' }),
  },
  {
    name: 'missing on a page: its range goes to its last key',
    kinds: ['listing-missing'],
    story: (s) =>
      s
        .put([0, 1], 'r/a', 'v1')
        .put([0, 1], 'r/b', 'v2')
        .put([0, 1], 'r/c', 'v3')
        .list([4, 5], { 'r/c': 'v3' }, { after: 'r/a', truncated: true }),
  },
  {
    name: 'empty listing of a bucket that is not',
    kinds: ['false-404'],
    story: (s) => s.put([0, 1], 'r/a', 'v1').put([0, 1], 'r/b', 'v2').list([4, 5], {}),
  },
  {
    name: 'a listing out of order',
    kinds: ['listing-malformed'],
    story: (s) => s.put([0, 1], 'r/a', 'v1').put([0, 1], 'r/b', 'v2').list([4, 5], { 'r/b': 'v2', 'r/a': 'v1' }),
  },
  {
    name: 'false 404 of a key',
    kinds: ['false-404'],
    story: (s) => s.put([0, 1], 'k', 'v1').get([2, 3], 'k', null).get([4, 5], 'k', 'v1'),
  },
  {
    name: 'every false 404 of a key is reported',
    kinds: ['false-404', 'false-404'],
    story: (s) => s.put([0, 1], 'k', 'v1').get([2, 3], 'k', null).head([4, 5], 'k', null),
  },
  {
    name: 'absent once seen, though the write is still under way',
    kinds: ['missing'],
    story: (s) => s.put([0, 9], 'k', 'v1').get([1, 2], 'k', 'v1').get([3, 4], 'k', null),
  },
  {
    name: 'NoSuchBucket during a move',
    kinds: ['false-404'],
    story: (s) => s.put([0, 1], 'k', 'v1').get([2, 3], 'k', null, { ...NO_SUCH_BUCKET, seen: undefined as never }),
  },
  {
    name: 'NoSuchBucket to a write',
    kinds: ['false-404'],
    story: (s) => s.get([0, 1], 'k', null).put([2, 3], 'k', 'v1', NO_SUCH_BUCKET),
  },
  {
    name: 'HeadBucket 404 of a bucket that nobody deleted',
    kinds: ['false-404'],
    story: (s) => s.put([0, 1], 'k', 'v1').add('head-bucket', [2, 3], null, { outcome: 'failed', status: 404 }),
  },
  {
    name: 'ListBuckets without a bucket that nobody deleted',
    kinds: ['false-404'],
    story: (s) => {
      s.put([0, 1], 'k', 'v1').add('list-buckets', [2, 3], null, { buckets: ['other'] });
      return s;
    },
  },
  {
    name: 'a created bucket is 404',
    kinds: ['false-404'],
    story: (s) =>
      s.add('create-bucket', [0, 1], null).get([2, 3], 'k', null, { ...NO_SUCH_BUCKET, seen: undefined as never }),
  },
  {
    name: 'a deleted bucket is there again',
    kinds: ['bucket-resurrected'],
    story: (s) =>
      s
        .add('create-bucket', [0, 1], null)
        .add('delete-bucket', [2, 3], null, { status: 204 })
        .add('head-bucket', [4, 5], null),
  },
  {
    name: 'a bucket with a key in it is deleted',
    kinds: ['nonempty-bucket-deleted'],
    story: (s) =>
      s.add('create-bucket', [0, 1], null).put([2, 3], 'k', 'v1').add('delete-bucket', [4, 5], null, { status: 204 }),
  },
  {
    name: 'keys of a former bucket of the name',
    kinds: ['resurrected-delete'],
    story: (s) =>
      s
        .add('create-bucket', [0, 1], null)
        .put([2, 3], 'k', 'v1')
        .delete([4, 5], 'k')
        .add('delete-bucket', [6, 7], null, { status: 204 })
        .add('create-bucket', [8, 9], null)
        .get([10, 11], 'k', 'v1'),
  },
  {
    name: 'an upload in flight is lost',
    kinds: ['upload-lost'],
    story: (s) =>
      s.add('create-upload', [0, 1], 'k', { upload: { id: 'u' } }).add('upload-part', [2, 3], 'k', noSuchUpload),
  },
  {
    name: 'an upload is lost at its completion',
    kinds: ['upload-lost'],
    story: (s) =>
      s
        .add('create-upload', [0, 1], 'k', { upload: { id: 'u' } })
        .add('complete-upload', [2, 3], 'k', { ...noSuchUpload, written: s.written('v1') }),
  },
  {
    name: 'a part that was acknowledged is lost',
    kinds: ['upload-lost'],
    story: (s) =>
      s
        .add('create-upload', [0, 1], 'k', { upload: { id: 'u' } })
        .add('upload-part', [2, 3], 'k', { upload: { id: 'u', part: 1 } })
        .add('complete-upload', [4, 5], 'k', {
          ...noSuchUpload,
          status: 400,
          code: 'InvalidPart',
          written: s.written('v1'),
        }),
  },
  {
    name: 'a copy of what the source was not any more',
    kinds: ['stale-read'],
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .put([2, 3], 'k', 'v2')
        .add('copy', [4, 5], 'l', {
          written: { ...s.written('v1'), value: 'v3' },
          source: { bucket: 'b', key: 'k', etag: s.written('v1').etag },
        }),
  },
  {
    name: 'nothing but refusals after healing',
    kinds: ['unreadable'],
    story: (s) =>
      s
        .put([0, 1], 'k', 'v1')
        .get([2, 3], 'k', null, { ...SLOW_DOWN, seen: undefined as never, ...final })
        .get([4, 5], 'k', null, { ...SLOW_DOWN, seen: undefined as never, ...final }),
  },
  {
    name: 'a value of two writers',
    kinds: ['history-malformed'],
    story: (s) => s.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v1'),
  },
];

describe('histories that are right', () => {
  for (const { name, story } of GOOD)
    test(name, () => {
      const checked = checkHistory(story(new Story()).operations);
      assert.deepEqual(checked.violations, []);
      assert.equal(checked.acknowledgedLost + checked.false404, 0);
    });
});

describe('histories that are not', () => {
  for (const { name, kinds, story } of BAD)
    test(name, () => {
      const { operations } = story(new Story());
      const checked = checkHistory(operations);
      assert.deepEqual(kindsOf(checked), [...kinds].sort());
      const counted = Object.values(checked.byKind).reduce((sum, count) => sum + count, 0);
      assert.equal(counted, checked.violations.length);
      const false404 = checked.violations.filter(({ kind }) => kind === 'false-404').length;
      assert.equal(checked.false404, false404);
      for (const { operations: shown } of checked.violations)
        assert.ok(shown.every((one) => operations.some(({ id }) => id === one.id)));
    });
});

test('acknowledged writes that are lost are counted, one by one, and deletes too', () => {
  const story = new Story();
  story.put([0, 1], 'k', 'v1').put([2, 3], 'k', 'v2').put([4, 5], 'k', 'v3').get([9, 10], 'k', 'v1', final);
  story.put([0, 1], 'l', 'w1').delete([2, 3], 'l').get([9, 10], 'l', 'w1', final);
  story.put([0, 1], 'm', 'x1').put([2, null], 'm', 'x2').get([9, 10], 'm', 'x2', final);
  story.put([0, 3], 'n', 'y1').put([0, 3], 'n', 'y2').get([9, 10], 'n', null, final);
  assert.equal(checkHistory(story.operations).acknowledgedLost, 4);
});

test('a violation names what is needed to see it: the changes before, the answer, the smallest prefix', () => {
  const story = new Story();
  story
    .put([0, 1], 'k', 'v1')
    .put([2, 3], 'k', 'v2')
    .get([4, 5], 'k', 'v1')
    .put([6, 7], 'k', 'v3')
    .get([8, 9], 'k', 'v3');
  const [violation] = checkHistory(story.operations).violations;
  assert.deepEqual([violation?.bucket, violation?.key, violation?.prefix], ['b', 'k', 3]);
  assert.deepEqual(
    violation?.operations.map(({ id }) => id),
    [1, 2, 3],
  );
  assert.match(violation?.explanation ?? '', /v1 .*possible before: v2|v1 .*possible before: present/);
});

test('a search that is given up is said to be so, not passed', () => {
  const story = new Story();
  for (let at = 0; at < 12; at += 1) story.put([0, 100], 'k', `v${at}`);
  for (let at = 0; at < 12; at += 1) story.get([50 + at, 150], 'k', `v${at}`);
  const checked = checkHistory(story.operations, { stepsMax: 10 });
  assert.deepEqual(kindsOf(checked), ['undecided']);
});
