import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAmzDate, parseAmzDate, parseHttpDate } from '../../../src/s3/sigv4/amz-date.ts';

test('real moments, there and back', () => {
  for (const ms of [0, 951_782_400_000, 1_709_164_800_000, 1_369_353_600_000, 253_402_300_799_000]) {
    const text = formatAmzDate(ms);
    assert.deepEqual(parseAmzDate(text), { ms, iso: text, day: text.slice(0, 8) });
  }
  assert.equal(formatAmzDate(Date.UTC(2013, 4, 24)), '20130524T000000Z');
});

for (const text of [
  '',
  '20130524',
  '20130524T000000',
  '20130524T000000z',
  '2013-05-24T00:00:00Z',
  '20130524T000000.000Z',
  ' 20130524T000000Z',
  '20130524T000000Z ',
  '20130024T000000Z',
  '20131324T000000Z',
  '20130500T000000Z',
  '20130532T000000Z',
  '20130431T000000Z',
  '20130229T000000Z',
  '20130524T240000Z',
  '20130524T006000Z',
  '20130524T000060Z',
  '-0130524T000000Z',
  '2013052aT000000Z',
]) {
  test(`'${text}' is no time stamp`, () => assert.equal(parseAmzDate(text), null));
}

test('the Date header: RFC 1123 in GMT, or the basic form', () => {
  const expected = { ms: Date.UTC(2013, 4, 24), iso: '20130524T000000Z', day: '20130524' };
  assert.deepEqual(parseHttpDate('Fri, 24 May 2013 00:00:00 GMT'), expected);
  assert.deepEqual(parseHttpDate('20130524T000000Z'), expected);
  for (const text of ['', '1', '2013-05-24', 'Fri, 24 May 2013 00:00:00 EST', 'Fri, 24 Nay 2013 00:00:00 GMT', 'now']) {
    assert.equal(parseHttpDate(text), null, text);
  }
});
