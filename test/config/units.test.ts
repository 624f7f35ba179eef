import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMinFree } from '../../src/config/schema.ts';
import {
  type Parsed,
  parseDuration,
  parseInteger,
  parseNumber,
  parsePercent,
  parseRate,
  parseSize,
} from '../../src/config/units.ts';

type Parser = (text: string) => Parsed<unknown>;

const GOOD: readonly (readonly [Parser, string, unknown])[] = [
  [parseDuration, '250ms', 250],
  [parseDuration, '10s', 10_000],
  [parseDuration, '1.5 m', 90_000],
  [parseDuration, '15m', 900_000],
  [parseDuration, '24h', 86_400_000],
  [parseDuration, '7d', 604_800_000],
  [parseDuration, '0s', 0],
  [parseSize, '64MiB', 67_108_864],
  [parseSize, '10GB', 10_000_000_000],
  [parseSize, '512B', 512],
  [parseSize, '1kB', 1000],
  [parseSize, '2TiB', 2_199_023_255_552],
  [parseRate, '100MB/s', 100_000_000],
  [parseRate, '1.5 MiB/s', 1_572_864],
  [parseRate, 'unlimited', null],
  [parsePercent, '2%', 2],
  [parsePercent, '0.5 %', 0.5],
  [parseNumber, '1.25', 1.25],
  [parseInteger, '007', 7],
  [parseMinFree, '2%', { percent: 2, bytes: 67_108_864 }],
  [parseMinFree, '10GiB', { percent: 0, bytes: 10_737_418_240 }],
  [parseMinFree, '5% 1GB', { percent: 5, bytes: 1_000_000_000 }],
  [parseMinFree, '0B', { percent: 0, bytes: 0 }],
];

for (const [parser, text, value] of GOOD) {
  test(`${parser.name} reads "${text}"`, () => assert.deepEqual(parser(text), { value }));
}

const BAD: readonly (readonly [Parser, string, RegExp])[] = [
  [parseDuration, '10', /no unit/],
  [parseDuration, '10 min', /unknown unit "min"/],
  [parseDuration, '-1s', /not a number with a unit/],
  [parseDuration, '1e3s', /not a number with a unit/],
  [parseDuration, '', /not a number with a unit/],
  [parseDuration, '1toString', /unknown unit/],
  [parseSize, '64', /no unit/],
  [parseSize, '64mb', /unknown unit "mb"/],
  [parseSize, '64Mb', /unknown unit "Mb"/],
  [parseRate, '100MB', /\/s/],
  [parsePercent, '2', /not a percentage/],
  [parsePercent, '-2%', /not a percentage/],
  [parseNumber, '0x10', /not a number/],
  [parseNumber, 'NaN', /not a number/],
  [parseInteger, '1.0', /not a whole number/],
  [parseInteger, '9999999999999999', /not a whole number/],
  [parseMinFree, '51%', /too large/],
  [parseMinFree, '2% 3%', /more than one/],
  [parseMinFree, '2', /no unit/],
];

for (const [parser, text, problem] of BAD) {
  test(`${parser.name} refuses "${text}"`, () => {
    const parsed = parser(text);
    assert.ok('problem' in parsed, `accepted as ${JSON.stringify(parsed)}`);
    assert.match(parsed.problem, problem);
  });
}
