import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ERROR_CODES, ZringError } from '../../../src/common/errors.ts';
import { ERROR_MAPPING, S3_CODES, S3Error, type S3ErrorCode, toS3Error } from '../../../src/s3/errors.ts';
import { LIMITS } from '../../../src/s3/limits.ts';

/** Rows of the tables below a heading, cells trimmed. */
async function rows(page: string, heading: string): Promise<string[][]> {
  const text = await readFile(new URL(`../../../docs/${page}`, import.meta.url), 'utf8');
  const from = text.indexOf(`\n${heading}\n`);
  assert.ok(from >= 0, `${page} has no ${heading}`);
  const end = text.indexOf('\n## ', from + 1);
  return text
    .slice(from, end < 0 ? undefined : end)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

test("docs/ERRORS.md and the mapping of zring's codes say the same", async () => {
  const page = (await rows('ERRORS.md', "## zring's codes")).map(([code, s3, status, retry, when, what]) => {
    assert.ok(when !== undefined && when.length > 5 && what !== undefined && what !== '', `${code} is not explained`);
    return [code, s3, status, retry];
  });
  const code = ERROR_CODES.map((name) => {
    const { s3, retryAfterSeconds } = ERROR_MAPPING[name];
    return [`\`${name}\``, s3, String(S3_CODES[s3].status), String(retryAfterSeconds ?? '–')];
  });
  assert.deepEqual(page, code);
});

test("docs/ERRORS.md and the table of S3's codes say the same", async () => {
  const page = (await rows('ERRORS.md', "## S3's codes")).map(([code, status, when, what]) => {
    assert.ok(when !== undefined && when.length > 5 && what !== undefined && what !== '', `${code} is not explained`);
    return [code, status];
  });
  assert.deepEqual(
    page.sort(),
    Object.entries(S3_CODES)
      .map(([name, { status }]) => [`\`${name}\``, String(status)])
      .sort(),
  );
});

test('no S3 code and no limit stands in the tables that nothing uses', async () => {
  const folder = new URL('../../../src/s3/', import.meta.url);
  const names = await readdir(folder, { recursive: true });
  const files = names.filter((name) => name.endsWith('.ts') && name !== 'limits.ts');
  const text = (await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')))).join('\n');
  for (const code of Object.keys(S3_CODES)) {
    // Once as a name of the table; a use is the quoted name.
    assert.ok(text.includes(`'${code}'`) || ABOVE_S3.codes.includes(code), code);
  }
  for (const name of Object.keys(LIMITS)) {
    assert.ok(text.includes(`LIMITS.${name}`) || ABOVE_S3.limits.includes(name), name);
  }
});

/** Kept by the listener, from the same constants. */
const ABOVE_S3 = { codes: [] as string[], limits: ['headersMax', 'headerBytesMax'] };

test('only what a repetition can help has a Retry-After, and then it is a 503', () => {
  for (const name of ERROR_CODES) {
    const { s3, retryAfterSeconds } = ERROR_MAPPING[name];
    assert.equal(S3_CODES[s3].status === 503, retryAfterSeconds !== null, name);
    if (retryAfterSeconds !== null) assert.ok(Number.isInteger(retryAfterSeconds) && retryAfterSeconds > 0, name);
  }
});

test('an outcome that is not known is never SlowDown, which promises that nothing was applied', () => {
  for (const name of ERROR_CODES)
    if (name.endsWith('OUTCOME_UNKNOWN')) assert.equal(ERROR_MAPPING[name].s3, 'ServiceUnavailable');
});

test('the errors of limits are codes that a client gets', () => {
  for (const [name, { error, value, source }] of Object.entries(LIMITS)) {
    assert.ok(error === null || S3_CODES[error as S3ErrorCode].status < 500, name);
    assert.ok(value > 0 && source.length > 10, name);
  }
});

test('a ZringError: code, status, Retry-After, and the original as cause', () => {
  const original = new ZringError('DATASET_BUSY', 'gate of tank/zring/abc closed');
  const error = toS3Error(original);
  assert.equal(error.code, 'SlowDown');
  assert.equal(error.status, 503);
  assert.equal(error.headers['retry-after'], '1');
  assert.equal(error.cause, original);
  assert.ok(!error.message.includes('tank'));
});

test('an S3Error stays as it is; anything else is InternalError without its text', () => {
  const error = new S3Error('NoSuchKey', undefined, { fields: { Key: 'k' } });
  assert.equal(toS3Error(error), error);
  for (const thrown of [new Error('/secret/path'), 'text', null, undefined, { code: 'ENOENT' }]) {
    const mapped = toS3Error(thrown);
    assert.equal(mapped.code, 'InternalError');
    assert.equal(mapped.message, S3_CODES.InternalError.message);
    assert.equal(mapped.cause, thrown);
  }
});

test('storage that is gone is named by pool or dataset, never by path or command line', () => {
  const message = (subject: string) => toS3Error(new ZringError('STORAGE_UNAVAILABLE', 'x', { subject })).message;
  assert.match(message('tank/zring'), /\(tank\/zring\)$/);
  for (const subject of ['/var/lib/zring', 'zpool list -H tank', ''])
    assert.ok(!message(subject).includes('('), subject);
});

test('a limit is named', () => {
  const error = toS3Error(new ZringError('LIMIT_EXCEEDED', 'x', { details: { limit: 'uploads', max: 5 } }));
  assert.equal(error.message, 'The request exceeds the limit uploads of 5.');
  assert.equal(toS3Error(new ZringError('LIMIT_EXCEEDED', 'x')).code, 'InvalidRequest');
});
