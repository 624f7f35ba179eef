import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress, parseAdvertised } from '../../src/config/address.ts';

const GOOD: readonly (readonly [string, string, number])[] = [
  ['10.0.0.1:9000', '10.0.0.1', 9000],
  ['[::1]:9000', '::1', 9000],
  ['[2001:DB8:0:0:0:0:0:1]:65535', '2001:db8::1', 65_535],
  ['node-a.example.org:1', 'node-a.example.org', 1],
  ['Node_A:9000', 'node_a', 9000],
  ['0.0.0.0:9000', '0.0.0.0', 9000],
];

for (const [text, host, port] of GOOD) {
  test(`address ${text}`, () => assert.deepEqual(parseAddress(text), { value: { host, port } }));
}

const BAD: readonly (readonly [string, RegExp])[] = [
  ['10.0.0.1', /not host:port/],
  [':9000', /neither an IP address nor a DNS name/],
  ['::1:9000', /without brackets/],
  ['[::1]', /not host:port/],
  ['[10.0.0.1]:9000', /no IPv6 address/],
  ['[fe80::1%eth0]:9000', /no IPv6 address/],
  ['10.0.0.256:9000', /neither/],
  ['10.0.1:9000', /neither/],
  ['a..b:9000', /neither/],
  ['-a:9000', /neither/],
  ['a b:9000', /neither/],
  ['host:0', /outside 1 to 65535/],
  ['host:65536', /outside 1 to 65535/],
  ['host:http', /not host:port/],
  [`${'a'.repeat(64)}:1`, /neither/],
];

for (const [text, problem] of BAD) {
  test(`not an address: ${text}`, () => {
    const parsed = parseAddress(text);
    assert.ok('problem' in parsed, JSON.stringify(parsed));
    assert.match(parsed.problem, problem);
  });
}

for (const text of ['0.0.0.0:9000', '[::]:9000', '[0:0::0]:9000']) {
  test(`${text} cannot be advertised`, () => {
    const parsed = parseAdvertised(text);
    assert.match('problem' in parsed ? parsed.problem : '', /cannot be connected to/);
  });
}

test('formatAddress is the inverse of parseAddress', () => {
  for (const text of ['10.0.0.1:9000', '[2001:db8::1]:9000', 'a.example.org:80']) {
    const parsed = parseAddress(text);
    assert.equal('value' in parsed && formatAddress(parsed.value), text);
  }
});
