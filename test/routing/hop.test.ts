import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHop, type Hop, parseHop, parseVersion } from '../../src/routing/hop.ts';

const message = { version: 1, versionMax: 2, from: 'a', to: 'b-2', requestId: '0123456789ABCDEF' };
const forward = { ...message, kind: 'forward' as const, epoch: 12, address: '10.0.0.9', secure: false, expects: false };
const hops: Hop[] = [
  { ...message, kind: 'control', bodySha256: 'ab'.repeat(32) },
  { ...forward, body: { kind: 'none' } },
  { ...forward, body: { kind: 'empty' }, secure: true },
  { ...forward, body: { kind: 'exact' }, address: 'fe80::1%eth0' },
  { ...forward, body: { kind: 'stream', length: 5 * 2 ** 40 }, expects: true },
  { ...forward, body: { kind: 'stream', length: null } },
];
for (const hop of hops) {
  test(`survives the wire: ${formatHop(hop)}`, () => assert.deepEqual(parseHop(formatHop(hop)), hop));
}

test('golden: version 1 as it is on the wire', () => {
  assert.equal(
    formatHop({ ...forward, expects: true, body: { kind: 'stream', length: 9 } }),
    'v=1;max=2;kind=forward;from=a;to=b-2;id=0123456789ABCDEF;epoch=12;addr=10.0.0.9;secure=0;expects=1;body=stream:9',
  );
});

test('fields of a newer release are ignored', () => {
  const [, hop] = hops;
  assert.ok(hop);
  assert.deepEqual(parseHop(`${formatHop(hop)};trace=00-ff;x`), hop);
});

const good = formatHop({ ...forward, body: { kind: 'none' } });
const broken: [string, string][] = [
  ['empty', ''],
  ['no version', good.replace('v=1;', '')],
  ['version with sign', good.replace('v=1;', 'v=+1;')],
  ['unknown kind', good.replace('kind=forward', 'kind=x')],
  ['bad node id', good.replace('from=a', 'from=A_')],
  ['bad request id', good.replace('0123456789ABCDEF', '0123456789abcdef')],
  ['no epoch', good.replace('epoch=12;', '')],
  ['address with a separator', good.replace('10.0.0.9', '10.0.0.9 x')],
  ['unknown body', good.replace('body=none', 'body=x')],
  ['negative length', good.replace('body=none', 'body=stream:-1')],
  ['hex length', good.replace('body=none', 'body=stream:0x10')],
];
for (const [name, text] of broken) test(`refused: ${name}`, () => assert.equal(parseHop(text), null));

test('the version can be read of a message whose fields cannot', () => {
  assert.deepEqual(parseVersion('v=7;max=9;kind=telepathy'), { version: 7, versionMax: 9 });
});
