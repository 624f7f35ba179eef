// Storage settings from any node: where the question goes, and what is taken for a change at all.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bucketMethods, createBucketDesk, parseSettingsChange } from '../../src/admin/bucket-settings.ts';
import { ZringError } from '../../src/common/errors.ts';
import type { PeerTransport } from '../../src/common/peer.ts';
import type { StorageDesk, Whereabouts } from '../../src/ownership/access.ts';

/** Nodes that know where a bucket lives, or think so. */
function cluster(where: Readonly<Record<string, Whereabouts>>, owner: string | null) {
  const asked: string[] = [];
  const storageOf = (node: string): StorageDesk => {
    const answer = (what: string) => async (dataset: string, change?: object) => {
      asked.push(`${node} ${what} ${dataset}${change ? ` ${JSON.stringify(change)}` : ''}`);
      if (node === owner) return { storage: `zfs:${node}` } as never;
      // Without an owner each names another.
      const details = { epoch: 1, owner: owner ?? (node === 'b' ? 'c' : 'b'), term: null };
      throw new ZringError('NOT_OWNER', 'not here', { details });
    };
    return { describe: answer('describe'), configure: answer('configure') };
  };
  const peers = {
    call: async (node, method, request) => {
      const wire = JSON.parse(JSON.stringify(request));
      const handler = bucketMethods(storageOf(node)).calls[method];
      assert.ok(handler, method);
      return handler(wire, 'x');
    },
  } as PeerTransport;
  const desk = (self: string) =>
    createBucketDesk({
      self,
      access: { locate: () => where[self] ?? { kind: 'absent' } },
      storage: storageOf(self),
      peers,
    });
  return { asked, desk };
}

describe('storage settings from any node', () => {
  const known: Whereabouts = { kind: 'remote', node: 'b', certain: true };

  it('the owner answers itself; another node asks it', async () => {
    const { asked, desk } = cluster({ a: known, b: { kind: 'local' } }, 'b');
    const expected = { bucket: 'photos', node: 'b', storage: 'zfs:b' };
    assert.deepEqual(await desk('a').get('photos'), expected);
    assert.deepEqual(await desk('b').get('photos'), expected);
    assert.deepEqual(await desk('a').set('photos', { quotaBytes: 5 }), expected);
    assert.deepEqual(asked, ['b describe photos', 'b describe photos', 'b configure photos {"quotaBytes":5}']);
  });

  it('one outdated word about the owner is followed, no more', async () => {
    const moved = cluster({ a: known }, 'c');
    assert.equal((await moved.desk('a').get('photos')).node, 'c');
    assert.deepEqual(moved.asked, ['b describe photos', 'c describe photos']);
    const here = cluster({ a: { kind: 'local' } }, 'c');
    assert.equal((await here.desk('a').get('photos')).node, 'c');
    const lost = cluster({ a: known }, null);
    await assert.rejects(lost.desk('a').set('photos', { quotaBytes: null }), { code: 'NOT_OWNER' });
    assert.equal(lost.asked.length, 2);
  });

  it('what does not exist, cannot be told, or is no bucket is said', async () => {
    const { asked, desk } = cluster({ b: { kind: 'unavailable', reason: 'no map' } }, 'b');
    await assert.rejects(desk('a').get('photos'), { code: 'DATASET_MISSING' });
    await assert.rejects(desk('b').get('photos'), { code: 'DATASET_UNAVAILABLE', message: /no map/ });
    for (const name of ['', '_zring', 'a/b', '../x', '-r']) {
      await assert.rejects(desk('a').get(name), { code: 'DATASET_NAME_INVALID' });
      await assert.rejects(
        async () => bucketMethods({} as StorageDesk).calls['storage.describe']?.({ dataset: name }, 'b'),
        { code: 'DATASET_NAME_INVALID' },
      );
    }
    assert.deepEqual(asked, []);
  });

  it('a change names settings that there are, as values that they can be', () => {
    const change = { quotaBytes: 1, reservationBytes: null, compression: 'zstd' };
    assert.deepEqual(parseSettingsChange(change), change);
    const wrong = [
      null,
      [],
      'x',
      {},
      { quota: 1 },
      { quotaBytes: '1' },
      { compression: 1 },
      { compression: undefined },
    ];
    for (const value of wrong) assert.throws(() => parseSettingsChange(value), { code: 'CONFIG_REFUSED' });
  });
});
