import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRecord, serializeRecord } from '../../src/cluster/record.ts';
import { coded, recordOf } from '../contract/coordinator/suite.ts';

const record = recordOf('photos', 'a');

describe('record text', () => {
  test('round trip, and the same text whatever the order of keys', () => {
    const moving = { ...record, phase: 'draining' as const, target: 'b', pin: 'c', inSync: ['b', 'a'] };
    assert.deepEqual(parseRecord(serializeRecord(moving), 'photos'), moving);
    const shuffled = Object.fromEntries(Object.entries(moving).reverse());
    assert.equal(serializeRecord(shuffled as never), serializeRecord(moving));
  });

  test('golden: version 1 as the first release wrote it', () => {
    const text =
      '{"version":1,"dataset":"photos","id":"0123456789abcdef0123456789abcdef","owner":"a","term":{"n":12,"node":"a"},' +
      '"phase":"copying","target":"b","pin":"b","inSync":["a"],"createdMs":1763000000000}';
    assert.equal(serializeRecord(parseRecord(text, 'photos')), text);
  });

  test('golden: version 2 has a creator; without one the text stays what older releases read', () => {
    const made = { ...record, version: 2 as const, creator: 'testx$9876' };
    const text =
      '{"version":2,"dataset":"photos","id":"0123456789abcdef0123456789abcdef","owner":"a","term":{"n":1,"node":"a"},' +
      '"phase":"stable","target":null,"pin":null,"inSync":["a"],"createdMs":1,"creator":"testx$9876"}';
    assert.equal(serializeRecord(made), text);
    assert.deepEqual(parseRecord(text, 'photos'), made);
    // Whatever the object claims: the text says the version that it needs.
    assert.equal(serializeRecord({ ...made, version: 1 }), text);
    assert.match(serializeRecord({ ...made, creator: null }), /^\{"version":1,.*"createdMs":1\}$/);
  });

  test('a newer version is refused by name', () => {
    const newer = JSON.stringify({ ...record, version: 3, shards: [] });
    assert.throws(() => parseRecord(newer, 'photos'), coded('VERSION_UNSUPPORTED'));
  });

  const broken: Record<string, unknown> = {
    'another dataset than asked for': { ...record, dataset: 'videos' },
    'no id': { ...record, id: undefined },
    'an id of another form': { ...record, id: '0123' },
    'an owner that is no node id': { ...record, owner: 'A b' },
    'a term of text': { ...record, term: '1@a' },
    'term 0': { ...record, term: { n: 0, node: 'a' } },
    'a term with more in it': { ...record, term: { n: 1, node: 'a', x: 1 } },
    'an unknown phase': { ...record, phase: 'moving' },
    'stable with a target': { ...record, target: 'b' },
    'draining without a target': { ...record, phase: 'draining' },
    'an in-sync set without the owner': { ...record, inSync: ['b'] },
    'an in-sync set with a node twice': { ...record, inSync: ['a', 'a'] },
    'a time that is no number': { ...record, createdMs: '1' },
    'a creator that is no name': { ...record, version: 2, creator: 'a b' },
    'an empty creator': { ...record, version: 2, creator: '' },
    'an unknown field': { ...record, extra: true },
  };
  for (const [title, value] of Object.entries(broken)) {
    test(`refused: ${title}`, () => {
      assert.throws(() => parseRecord(JSON.stringify(value), 'photos'), coded('COORDINATOR_CORRUPT'));
    });
  }
  test('refused: text that is not JSON', () => {
    assert.throws(() => parseRecord('{', 'photos'), coded('COORDINATOR_CORRUPT'));
  });
});
