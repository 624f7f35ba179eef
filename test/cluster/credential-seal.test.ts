// Seals: the right key and context open, everything else does not, and says only why.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CredentialRecord, sealedContext } from '../../src/cluster/credential-record.ts';
import { open, seal, sealKeyId, sealKeys } from '../../src/cluster/credential-seal.ts';

const [first, second] = sealKeys(['first-key-of-the-seal-tests-0123456789', 'second-key-of-the-seal-tests-012345678']);
assert(first && second);

describe('sealing', () => {
  test('what was sealed opens, under any of the keys, and each seal is another text', () => {
    const sealed = seal(second, 'secret ü', 'context');
    assert.deepEqual(open([first, second], sealed, 'context'), { ok: true, text: 'secret ü' });
    assert.notEqual(seal(second, 'secret ü', 'context'), sealed);
    assert.equal(sealKeyId(sealed), second.id);
    assert.ok(!sealed.includes('secret'));
  });

  test('keys come from the text alone: every node derives the same', () => {
    // Fixed for ever: what is sealed on disks opens in every later release.
    assert.equal(first.id, 'fbab29a9');
    const golden = 'z1.fbab29a9.DccDxU6VcDGsjRNR.DkO0nMpOTEUpadpzCHXEF9iek8mWOM5thLqezda0nn0_z85zH6Nb7jqJlQGwQw';
    assert.deepEqual(open([first], golden, 'context'), { ok: true, text: 'as the first release sealed it' });
  });

  test('another key: named, not tried', () => {
    const sealed = seal(second, 'secret', 'context');
    assert.deepEqual(open([first], sealed, 'context'), { ok: false, why: 'unknown-key' });
    assert.deepEqual(open([], sealed, 'context'), { ok: false, why: 'unknown-key' });
    // A key that only claims the id.
    assert.deepEqual(open([{ ...first, id: second.id }], sealed, 'context'), { ok: false, why: 'damaged' });
  });

  test('altered anywhere, or in another context, it does not open', () => {
    const sealed = seal(first, 'secret', 'context');
    assert.deepEqual(open([first], sealed, 'another context'), { ok: false, why: 'damaged' });
    const [scheme = '', id = '', nonce = '', body = ''] = sealed.split('.');
    for (const [part, at] of [
      [nonce, 2],
      [body, 3],
    ] as const) {
      for (let i = 0; i < part.length; i += 1) {
        const bytes = Buffer.from(part, 'base64url');
        const at8 = Math.floor((i * 6) / 8);
        bytes[at8] = (bytes[at8] ?? 0) ^ (1 << (i % 8));
        const parts = [scheme, id, nonce, body];
        parts[at] = bytes.toString('base64url');
        assert.equal(open([first], parts.join('.'), 'context').ok, false);
      }
    }
    for (const bad of [
      '',
      'z1',
      `z2.${id}.${nonce}.${body}`,
      `z1.${id}.${nonce}.AAAA`,
      `z1.${id}.AAAA.${body}`,
      `${sealed}.x`,
    ]) {
      assert.deepEqual(open([first], bad, 'context'), { ok: false, why: 'damaged' }, bad);
    }
    for (let bytes = 1; bytes < 40; bytes += 1) {
      const short = Buffer.from(body, 'base64url').subarray(0, bytes).toString('base64url');
      if (short !== body) assert.equal(open([first], `z1.${id}.${nonce}.${short}`, 'context').ok, false);
    }
  });

  test('the context of an entry: every field of it counts', () => {
    const record: CredentialRecord = {
      version: 1,
      accessKey: 'AK1',
      revision: 3,
      state: 'active',
      changedMs: 17,
      profile: {
        displayName: 'me',
        canonicalId: 'id',
        email: 'a@b.c',
        account: 'acc',
        allow: [{ buckets: 'x', actions: 'read' }],
      },
      sealed: '-',
    };
    const { profile } = record;
    assert(profile);
    const others: CredentialRecord[] = [
      { ...record, accessKey: 'AK2' },
      { ...record, revision: 4 },
      { ...record, state: 'disabled' },
      { ...record, changedMs: 18 },
      ...Object.entries({
        displayName: 'you',
        canonicalId: 'id2',
        email: null,
        account: 'acc2',
        allow: [{ buckets: 'x', actions: '*' }],
      }).map(([key, value]) => ({ ...record, profile: { ...profile, [key]: value } })),
      { ...record, profile: { ...profile, allow: [] } },
      { ...record, profile: { ...profile, allow: [{ buckets: 'xread', actions: '' }] } },
    ];
    const contexts = [record, ...others].map((one) => sealedContext('lab', one));
    contexts.push(sealedContext('other cluster', record));
    assert.equal(new Set(contexts).size, contexts.length);
    assert.equal(sealedContext('lab', { ...record, profile: { ...profile, canonicalId: 'id' } }), contexts[0]);
  });
});
