import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_CLOCK_WINDOW_MS, signAdminRequest, verifyAdminRequest } from '../../src/admin/auth.ts';

const NOW = 1_700_000_000_000;
const request = (
  authorization: string | undefined,
  change: { method?: string; target?: string; body?: string } = {},
) => ({
  method: 'POST',
  target: '/move?x=1',
  body: '{"a":1}',
  authorization,
  ...change,
});
const signed = signAdminRequest('old', 'POST', '/move?x=1', NOW, '{"a":1}');

const cases: [string, ReturnType<typeof request>, readonly string[], number, string | null][] = [
  ['the signed request passes', request(signed), ['old'], NOW, null],
  ['any of the secrets verifies (rotation)', request(signed), ['new', 'old'], NOW, null],
  ['another secret does not', request(signed), ['new'], NOW, 'signature'],
  ['no secret at all does not', request(signed), [], NOW, 'signature'],
  ['no header', request(undefined), ['old'], NOW, 'missing'],
  ['another scheme', request('Bearer abc'), ['old'], NOW, 'malformed'],
  ['the method is covered', request(signed, { method: 'GET' }), ['old'], NOW, 'signature'],
  ['the query is covered', request(signed, { target: '/move?x=2' }), ['old'], NOW, 'signature'],
  ['the body is covered', request(signed, { body: '{"a":2}' }), ['old'], NOW, 'signature'],
  ['late within the window', request(signed), ['old'], NOW + ADMIN_CLOCK_WINDOW_MS, null],
  ['too late', request(signed), ['old'], NOW + ADMIN_CLOCK_WINDOW_MS + 1, 'clock'],
  ['from the future', request(signed), ['old'], NOW - ADMIN_CLOCK_WINDOW_MS - 1, 'clock'],
];

for (const [name, sent, secrets, nowMs, expected] of cases) {
  test(`admin signature: ${name}`, () => {
    assert.equal(verifyAdminRequest(secrets, sent, nowMs), expected);
  });
}
