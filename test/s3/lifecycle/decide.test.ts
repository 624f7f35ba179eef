// What rules decide: S3's own example of the day, each action on each place, conflicts; and, over random rules and
// versions, that nothing is done which no rule asks for, and that what is due stays due.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LifecycleRule } from '../../../src/s3/lifecycle/configuration.ts';
import { prefixesOf } from '../../../src/s3/lifecycle/configuration.ts';
import {
  decideUpload,
  decideVersion,
  expirationDue,
  type Place,
  type VersionFacts,
} from '../../../src/s3/lifecycle/decide.ts';
import { dueAfterMs } from '../../../src/s3/lifecycle/due.ts';
import { DAY, document, rule, version, WRITTEN } from './rules.ts';

const at = (...date: [number, number, number, number?]) => Date.UTC(...date);

describe('the day', () => {
  test('days are added and the next midnight is taken', () => {
    assert.equal(dueAfterMs(WRITTEN, 3, DAY), at(2024, 0, 19));
    assert.equal(dueAfterMs(WRITTEN, 0, DAY), at(2024, 0, 16));
    assert.equal(dueAfterMs(at(2024, 0, 15), 1, DAY), at(2024, 0, 17));
    assert.equal(dueAfterMs(at(2024, 1, 28, 23), 1, DAY), at(2024, 2, 1));
  });

  test('a shortened day is not rounded', () => {
    assert.equal(dueAfterMs(WRITTEN, 3, 10_000), WRITTEN + 30_000);
  });

  test('an object is there until its midnight, and not after it', () => {
    const rules = document(rule({ expiration: { days: 3 } }));
    const decide = (nowMs: number) => decideVersion(rules, version(), { nowMs, dayMs: DAY })?.do ?? null;
    assert.equal(decide(at(2024, 0, 19) - 1), null);
    assert.equal(decide(at(2024, 0, 19)), 'expire');
  });
});

const noncurrent = (newer = 0, sinceMs = WRITTEN): Place => ({ at: 'noncurrent', sinceMs, newer });
const LATE = WRITTEN + 10 * DAY;
const MIB = 1 << 20;

describe('a version', () => {
  const cases: readonly [name: string, rules: LifecycleRule[], facts: Partial<VersionFacts>, wanted: string | null][] =
    [
      ['expires by days', [rule({ expiration: { days: 5 } })], {}, 'expire'],
      ['is too young', [rule({ expiration: { days: 10 } })], {}, null],
      ['expires by date', [rule({ expiration: { dateMs: LATE } })], {}, 'expire'],
      ['expires by date however young', [rule({ expiration: { dateMs: WRITTEN } })], { modifiedMs: LATE }, 'expire'],
      ['does not by a date to come', [rule({ expiration: { dateMs: LATE + 1 } })], {}, null],
      ['is kept by a disabled rule', [{ ...rule({ expiration: { days: 1 } }), enabled: false }], {}, null],
      ['has another prefix', [rule({ expiration: { days: 1 } }, { prefix: 'log/' })], {}, null],
      ['has the prefix', [rule({ expiration: { days: 1 } }, { prefix: 'logs/' })], {}, 'expire'],
      ['lacks the tag', [rule({ expiration: { days: 1 } }, { tags: [{ key: 'a', value: '1' }] })], {}, null],
      [
        'has the tag with another value',
        [rule({ expiration: { days: 1 } }, { tags: [{ key: 'a', value: '1' }] })],
        { tags: { a: '2' } },
        null,
      ],
      [
        'has one of two tags',
        [
          rule(
            { expiration: { days: 1 } },
            {
              tags: [
                { key: 'a', value: '1' },
                { key: 'b', value: '2' },
              ],
            },
          ),
        ],
        { tags: { a: '1' } },
        null,
      ],
      [
        'has the tag among others',
        [rule({ expiration: { days: 1 } }, { tags: [{ key: 'a', value: '1' }] })],
        { tags: { a: '1', b: '2' } },
        'expire',
      ],
      [
        'has no tag called constructor',
        [rule({ expiration: { days: 1 } }, { tags: [{ key: 'constructor', value: String(Object) }] })],
        {},
        null,
      ],
      ['is not larger', [rule({ expiration: { days: 1 } }, { sizeGreaterThan: 1000 })], {}, null],
      ['is larger', [rule({ expiration: { days: 1 } }, { sizeGreaterThan: 999 })], {}, 'expire'],
      ['is not smaller', [rule({ expiration: { days: 1 } }, { sizeLessThan: 1000 })], {}, null],
      ['is smaller', [rule({ expiration: { days: 1 } }, { sizeLessThan: 1001 })], {}, 'expire'],
      ['noncurrent: is not touched by Expiration', [rule({ expiration: { days: 1 } })], { place: noncurrent() }, null],
      [
        'latest: is not touched by NoncurrentVersionExpiration',
        [rule({ noncurrentExpiration: { noncurrentDays: 1 } })],
        {},
        null,
      ],
      [
        'noncurrent: goes',
        [rule({ noncurrentExpiration: { noncurrentDays: 5 } })],
        { place: noncurrent(), versioned: true },
        'remove',
      ],
      [
        'noncurrent: counts from when it became so, not from when it was written',
        [rule({ noncurrentExpiration: { noncurrentDays: 5 } })],
        { place: noncurrent(0, LATE - DAY) },
        null,
      ],
      [
        'noncurrent: one of the newest that stay',
        [rule({ noncurrentExpiration: { noncurrentDays: 1, newerNoncurrentVersions: 2 } })],
        { place: noncurrent(1) },
        null,
      ],
      [
        'noncurrent: behind the newest that stay',
        [rule({ noncurrentExpiration: { noncurrentDays: 1, newerNoncurrentVersions: 2 } })],
        { place: noncurrent(2) },
        'remove',
      ],
      [
        'noncurrent delete marker: goes as a version',
        [rule({ noncurrentExpiration: { noncurrentDays: 1 } })],
        { place: noncurrent(), deleteMarker: true, size: 0 },
        'remove',
      ],
      ...markerCases(),
      ...transitionCases(),
    ];
  for (const [name, rules, facts, wanted] of cases) {
    test(name, () => {
      const action = decideVersion(document(...rules), version(facts), { nowMs: LATE, dayMs: DAY });
      const shown = action && (action.do === 'transition' ? action.storageClass : action.do);
      assert.equal(shown, wanted);
    });
  }

  function markerCases(): typeof cases {
    const marker = { deleteMarker: true, size: 0, versioned: true };
    const alone = { ...marker, place: { at: 'latest', alone: true } as const };
    const hiding = { ...marker, place: { at: 'latest', alone: false } as const };
    const clean = rule({ expiration: { expiredObjectDeleteMarker: true } });
    return [
      ['marker that hides nothing: goes at once', [clean], { ...alone, modifiedMs: LATE }, 'remove'],
      ['marker that hides versions: stays', [clean], hiding, null],
      [
        'marker: stays when the rule says false',
        [rule({ expiration: { expiredObjectDeleteMarker: false } })],
        alone,
        null,
      ],
      ['marker that hides nothing: goes at the age of Days', [rule({ expiration: { days: 5 } })], alone, 'remove'],
      ['marker that hides nothing: too young for Days', [rule({ expiration: { days: 10 } })], alone, null],
      ['marker that hides nothing: goes from Date on', [rule({ expiration: { dateMs: LATE } })], alone, 'remove'],
      ['marker that hides versions: is not expired again', [rule({ expiration: { days: 1 } })], hiding, null],
      ['marker has no size', [rule({ expiration: { days: 1 } }, { sizeLessThan: 10 })], alone, null],
    ];
  }

  function transitionCases(): typeof cases {
    const large = { size: MIB };
    const to = (storageClass: string, days = 1) => rule({ transitions: [{ days, storageClass }] });
    const expire = rule({ expiration: { days: 2 } });
    return [
      ['changes its class', [to('GLACIER_IR')], large, 'GLACIER_IR'],
      ['changes to the last of the classes that are due', [to('GLACIER_IR'), to('STANDARD_IA')], large, 'GLACIER_IR'],
      ['not to the one that is not due', [to('GLACIER_IR', 99), to('STANDARD_IA')], large, 'STANDARD_IA'],
      ['has the class already', [to('GLACIER_IR')], { ...large, storageClass: 'GLACIER_IR' }, null],
      ['never back', [to('STANDARD_IA')], { ...large, storageClass: 'GLACIER_IR' }, null],
      ['small ones keep their class', [to('GLACIER_IR')], { size: 128 * 1024 - 1 }, null],
      [
        'small ones too, but for rules with sizes',
        [rule({ transitions: [{ days: 1, storageClass: 'GLACIER_IR' }] }, { sizeGreaterThan: 10 })],
        {},
        'GLACIER_IR',
      ],
      ['removal comes before a transition', [to('GLACIER_IR'), expire], large, 'expire'],
      ['a transition before a delete marker', [to('GLACIER_IR'), expire], { ...large, versioned: true }, 'GLACIER_IR'],
      [
        'noncurrent: by its own rule',
        [rule({ noncurrentTransitions: [{ noncurrentDays: 1, storageClass: 'ONEZONE_IA' }] }), to('GLACIER_IR')],
        { ...large, place: noncurrent() },
        'ONEZONE_IA',
      ],
      [
        'noncurrent: not the newest that stay',
        [
          rule({
            noncurrentTransitions: [{ noncurrentDays: 1, newerNoncurrentVersions: 1, storageClass: 'ONEZONE_IA' }],
          }),
        ],
        { ...large, place: noncurrent(0) },
        null,
      ],
    ];
  }
});

test('an upload is given up by its age and prefix alone', () => {
  const give = rule({ abortUpload: { daysAfterInitiation: 2 } }, { prefix: 'a' });
  const decide = (key: string, nowMs: number) =>
    decideUpload(document(give), { key, createdMs: WRITTEN }, { nowMs, dayMs: DAY });
  assert.equal(decide('abc', at(2024, 0, 18)), give.id);
  assert.equal(decide('abc', at(2024, 0, 18) - 1), null);
  assert.equal(decide('b', LATE), null);
});

test('the earliest of several expirations is the one that is told', () => {
  const late = rule({ expiration: { days: 9 } });
  const early = rule({ expiration: { days: 3 } });
  const due = expirationDue(document(late, early), { key: 'k', tags: {}, size: 1, modifiedMs: WRITTEN }, DAY);
  assert.deepEqual(due, { rule: early.id, atMs: at(2024, 0, 19) });
});

test('only prefixes that enabled rules can match are visited, none twice', () => {
  const expire = { expiration: { days: 1 } };
  const rules = [
    rule(expire, { prefix: 'logs/2024/' }),
    rule(expire, { prefix: 'logs/' }),
    rule(expire, { prefix: 'a' }),
    { ...rule(expire, { prefix: '' }), enabled: false },
    rule({ abortUpload: { daysAfterInitiation: 1 } }),
  ];
  assert.deepEqual(prefixesOf(document(...rules), 'versions'), ['a', 'logs/']);
  assert.deepEqual(prefixesOf(document(...rules), 'uploads'), ['']);
});

// --- properties -------------------------------------------------------------------------------------------------

const days = fc.integer({ min: 1, max: 6 });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const tagKey = fc.constantFrom('a', 'b');
const tagValue = fc.constantFrom('1', '2');
const expiration = fc.oneof(
  days.map((n) => ({ days: n })),
  days.map((n) => ({ dateMs: at(2024, 0, 14 + n) })),
  fc.boolean().map((expiredObjectDeleteMarker) => ({ expiredObjectDeleteMarker })),
);
const noncurrentExpiration = fc.record({
  noncurrentDays: days,
  newerNoncurrentVersions: fc.integer({ min: 0, max: 3 }),
});
const randomRule: fc.Arbitrary<LifecycleRule> = fc
  .record({
    enabled: fc.boolean(),
    prefix: fc.constantFrom('', 'l', 'logs/', 'x'),
    tags: fc.uniqueArray(fc.record({ key: tagKey, value: tagValue }), { selector: ({ key }) => key, maxLength: 2 }),
    sizeGreaterThan: maybe(fc.constantFrom(0, 100, 2000)),
    expiration: maybe(expiration),
    noncurrentExpiration: maybe(noncurrentExpiration),
  })
  .map(({ enabled, prefix, tags, sizeGreaterThan, ...actions }) => ({
    ...rule(JSON.parse(JSON.stringify(actions)), {
      prefix,
      tags,
      ...(sizeGreaterThan === undefined ? {} : { sizeGreaterThan }),
    }),
    enabled,
  }));
const place: fc.Arbitrary<Place> = fc.oneof(
  fc.boolean().map((alone) => ({ at: 'latest' as const, alone })),
  fc.record({
    at: fc.constant('noncurrent' as const),
    sinceMs: fc.integer({ min: 0, max: 3 * DAY }).map((ms) => WRITTEN + ms),
    newer: fc.integer({ min: 0, max: 4 }),
  }),
);
const facts: fc.Arbitrary<VersionFacts> = fc
  .record({
    key: fc.constantFrom('logs/a', 'l', 'x/y', 'other'),
    deleteMarker: fc.boolean(),
    size: fc.constantFrom(0, 1, 100, 101, 5000),
    tags: fc.dictionary(tagKey, tagValue, { maxKeys: 2 }),
    place,
    versioned: fc.boolean(),
  })
  .map(version);
const dayMs = fc.constantFrom(DAY, 10_000);
const time = fc.integer({ min: 0, max: 10 * DAY }).map((ms) => WRITTEN + ms);

describe('over random rules and versions', () => {
  test('what is done, an enabled rule asks for: it matches, and its time has come', () => {
    fc.assert(
      fc.property(fc.array(randomRule, { maxLength: 4 }), facts, time, dayMs, (rules, one, nowMs, day) => {
        const action = decideVersion(document(...rules), one, { nowMs, dayMs: day });
        if (!action) return;
        const by = rules.find(({ id }) => id === action.rule);
        assert(by?.enabled && one.key.startsWith(by.filter.prefix ?? ''));
        const selective = (by.filter.tags?.length ?? 0) > 0 || by.filter.sizeGreaterThan !== undefined;
        assert(!(one.deleteMarker && selective), 'a marker has neither tags nor size');
        assert(by.filter.tags?.every(({ key, value }) => one.tags[key] === value));
        assert(one.size > (by.filter.sizeGreaterThan ?? -1));
        const { place } = one;
        if (place.at === 'noncurrent') {
          const { noncurrentDays = Number.NaN, newerNoncurrentVersions = 0 } = by.noncurrentExpiration ?? {};
          assert.equal(action.do, 'remove');
          assert(nowMs >= place.sinceMs + noncurrentDays * day && place.newer >= newerNoncurrentVersions);
          return;
        }
        assert.equal(action.do, one.deleteMarker ? 'remove' : 'expire');
        assert(!one.deleteMarker || place.alone);
        const { days: age, dateMs, expiredObjectDeleteMarker } = by.expiration ?? {};
        const aged = age !== undefined && nowMs >= one.modifiedMs + age * day;
        const dated = dateMs !== undefined && nowMs >= dateMs;
        assert(aged || dated || (one.deleteMarker && expiredObjectDeleteMarker));
      }),
      { numRuns: 5000 },
    );
  });

  test('what is due at one time is due at every later one', () => {
    fc.assert(
      fc.property(fc.array(randomRule, { maxLength: 4 }), facts, time, time, dayMs, (rules, one, a, b, day) => {
        const decide = (nowMs: number) => decideVersion(document(...rules), one, { nowMs, dayMs: day })?.do;
        const early = decide(Math.min(a, b));
        if (early) assert.equal(decide(Math.max(a, b)), early);
      }),
      { numRuns: 5000 },
    );
  });

  test('another rule takes nothing away: what is destroyed without it is destroyed with it', () => {
    fc.assert(
      fc.property(
        fc.array(randomRule, { maxLength: 3 }),
        randomRule,
        facts,
        time,
        dayMs,
        (rules, more, one, nowMs, day) => {
          const decide = (all: LifecycleRule[]) => decideVersion(document(...all), one, { nowMs, dayMs: day })?.do;
          const without = decide(rules);
          if (without) assert.equal(decide([more, ...rules]), without);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
