// The contract of settings: quota, reservation and compression, over every implementation. What a storage cannot do is
// refused in words and changes nothing; what it can is read back. Runs where the rest of the contract runs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isZringError } from '../../../src/common/errors.ts';
import { storageErrorCode } from '../../../src/common/storage-errors.ts';
import type { StorageSettings } from '../../../src/dataset/driver.ts';
import { bytesOf, collect, streamOf, writeStore } from './content.ts';
import type { ContractHarness } from './suite.ts';

const MiB = 1 << 20;
/** Levels that are the default of their kind are shown by its name alone. */
const SHOWN_AS: Readonly<Record<string, string>> = {
  'gzip-6': 'gzip',
  'zstd-3': 'zstd',
  'zstd-fast-1': 'zstd-fast',
};

export function settingsContract(title: string, start: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let h: ContractHarness;
    let serial = 0;
    before(async () => {
      h = await start();
    });
    after(() => h?.stop());

    const enforced = () => h.a.capabilities.settings.quota === 'enforced';

    async function make(name = `settings-${++serial}`): Promise<{ name: string; path: string }> {
      await h.a.create(name, { id: name }, (path) => writeStore(path, {}, bytesOf('index', 20_000)));
      const { path } = await h.a.open(name, { id: name, readonly: false });
      return { name, path };
    }

    /** Resolves with what stopped it, as an ErrorCode, or null. */
    async function write(path: string, file: string, bytes: number): Promise<string | null> {
      await fs.mkdir(join(path, 'data/aa'), { recursive: true });
      const handle = await fs.open(join(path, 'data/aa', file), 'w');
      try {
        for (let left = bytes; left > 0; left -= MiB) await handle.write(randomBytes(Math.min(left, MiB)));
        await handle.sync();
        return null;
      } catch (error) {
        return storageErrorCode(error) ?? `${error}`;
      } finally {
        await handle.close().catch(() => {});
      }
    }

    const settingsOf = async (name: string): Promise<StorageSettings> => (await h.a.facts(name)).settings;

    it('settled facts count what was written before, and what was removed', async () => {
      const { name, path } = await make();
      const empty = (await h.a.facts(name, { settled: true })).referencedBytes;
      assert.equal(await write(path, 'aa1', 3 * MiB), null);
      const full = await h.a.facts(name, { settled: true });
      assert.ok(full.referencedBytes - empty >= 3 * MiB, `${full.referencedBytes} after ${empty}`);
      assert.ok(full.referencedBytes - empty < 4 * MiB);
      assert.ok(full.usedBytes >= full.referencedBytes);
      assert.ok(full.availableBytes > 0);
      await fs.rm(join(path, 'data/aa/aa1'));
      const { referencedBytes } = await h.a.facts(name, { settled: true });
      assert.ok(referencedBytes - empty < MiB, `${referencedBytes} after ${empty}`);
    });

    it('nothing is set at first, and nothing is changed by naming nothing', async () => {
      const { name } = await make();
      const before = await settingsOf(name);
      assert.equal(before.quotaBytes, null);
      assert.equal(before.reservationBytes, null);
      assert.deepEqual(await h.a.configure(name, {}), []);
      assert.deepEqual(await settingsOf(name), before);
      const nulls = { quotaBytes: null, reservationBytes: null, compression: null };
      assert.deepEqual(await h.a.configure(name, nulls), []);
      assert.deepEqual(await settingsOf(name), before);
    });

    it('a quota stops writes where the file system enforces it; raised or cleared, they go on', async () => {
      const { name, path } = await make();
      assert.deepEqual(await h.a.configure(name, { quotaBytes: 8 * MiB }), []);
      if (!enforced()) return assert.equal((await settingsOf(name)).quotaBytes, null);
      assert.equal((await settingsOf(name)).quotaBytes, 8 * MiB);
      assert.equal(await write(path, 'aa1', 16 * MiB), 'QUOTA_EXCEEDED');
      const { referencedBytes, availableBytes } = await h.a.facts(name, { settled: true });
      assert.ok(referencedBytes < 9 * MiB, String(referencedBytes));
      assert.ok(availableBytes < MiB, String(availableBytes));
      assert.deepEqual(await h.a.configure(name, { quotaBytes: 32 * MiB }), []);
      assert.equal(await write(path, 'aa2', 4 * MiB), null);
      assert.deepEqual(await h.a.configure(name, { quotaBytes: null }), []);
      assert.equal((await settingsOf(name)).quotaBytes, null);
      return undefined;
    });

    it('a quota below what is there is refused and changes nothing', async () => {
      if (!enforced()) return;
      const { name, path } = await make();
      assert.equal(await write(path, 'aa1', 4 * MiB), null);
      await h.a.configure(name, { quotaBytes: 64 * MiB });
      await h.a.facts(name, { settled: true });
      const [refusal, more] = await h.a.configure(name, { quotaBytes: 2 * MiB });
      assert.equal(refusal?.setting, 'quota');
      assert.equal(more, undefined);
      assert.equal((await settingsOf(name)).quotaBytes, 64 * MiB);
    });

    it('snapshots do not count in the quota', async () => {
      if (!enforced()) return;
      const { name, path } = await make();
      await h.a.configure(name, { quotaBytes: 12 * MiB });
      assert.equal(await write(path, 'aa1', 8 * MiB), null);
      await h.a.snapshot(name, 's1');
      await fs.rm(join(path, 'data/aa/aa1'));
      await h.a.facts(name, { settled: true });
      assert.equal(await write(path, 'aa2', 8 * MiB), null);
      const { usedBytes, referencedBytes } = await h.a.facts(name, { settled: true });
      assert.ok(usedBytes > 15 * MiB && referencedBytes < 12 * MiB, `${usedBytes} ${referencedBytes}`);
    });

    it('every value of compression that is announced can be set; another is refused by name', async () => {
      const { name } = await make();
      const { compression } = h.a.capabilities.settings;
      const before = await settingsOf(name);
      // Each would only take time: the ends of each row of levels.
      const some = compression.filter((value) => !/-([2-8]|1[0-8]|[2-9]0|100|500)$/.test(value));
      for (const value of some) {
        assert.deepEqual(await h.a.configure(name, { compression: value }), [], value);
        if (enforced()) assert.equal((await settingsOf(name)).compression, SHOWN_AS[value] ?? value);
      }
      const [refusal] = await h.a.configure(name, { compression: 'bogus-7', quotaBytes: 64 * MiB });
      assert.equal(refusal?.setting, 'compression');
      if (enforced()) {
        assert.match(refusal?.reason ?? '', /bogus-7.*accepts:.*\bon\b.*gzip-N \(1 to 9\)/);
        assert.equal((await settingsOf(name)).quotaBytes, 64 * MiB, 'the others are applied all the same');
      }
      assert.deepEqual(await h.a.configure(name, { compression: null }), []);
      assert.equal((await settingsOf(name)).compression, before.compression);
      for (const value of ['on\n', '-r', 'off quota=1', '']) {
        assert.equal((await h.a.configure(name, { compression: value }))[0]?.setting, 'compression', value);
      }
    });

    it('a reservation is kept free, or refused', async () => {
      const { name } = await make();
      const { availableBytes } = await h.a.facts(name);
      const refusals = await h.a.configure(name, { reservationBytes: 16 * MiB });
      if (!h.a.capabilities.settings.reservation) {
        assert.deepEqual(
          refusals.map(({ setting }) => setting),
          ['reservation'],
        );
        return;
      }
      assert.deepEqual(refusals, []);
      assert.equal((await settingsOf(name)).reservationBytes, 16 * MiB);
      const [refusal] = await h.a.configure(name, { reservationBytes: 100 * availableBytes });
      assert.equal(refusal?.setting, 'reservation');
      assert.equal((await settingsOf(name)).reservationBytes, 16 * MiB);
      const other = await make();
      assert.ok((await h.a.facts(other.name)).availableBytes <= availableBytes - 15 * MiB);
      assert.deepEqual(await h.a.configure(name, { reservationBytes: null }), []);
      assert.equal((await settingsOf(name)).reservationBytes, null);
    });

    it('limits move together, whichever way they go', async () => {
      if (!enforced()) return;
      const { name } = await make();
      const steps: Partial<StorageSettings>[] = [
        { quotaBytes: 32 * MiB, reservationBytes: 32 * MiB },
        { quotaBytes: 64 * MiB, reservationBytes: 48 * MiB },
        { quotaBytes: 24 * MiB, reservationBytes: 16 * MiB },
        { quotaBytes: null, reservationBytes: 40 * MiB },
        { quotaBytes: 20 * MiB, reservationBytes: null },
      ];
      for (const step of steps) {
        assert.deepEqual(await h.a.configure(name, step), []);
        const { quotaBytes, reservationBytes } = await settingsOf(name);
        assert.deepEqual({ quotaBytes, reservationBytes }, step);
      }
    });

    it('a copy takes increments beyond the quota that it once had, and is set aside without limits', async () => {
      const { name, path } = await make();
      const send = async (snapshot: string, fromGuid: string | null) => {
        const sent = await h.a.send(name, { snapshot, fromGuid });
        return streamOf(await collect(sent.stream));
      };
      const first = await h.a.snapshot(name, 's1');
      await h.b.receive(`_recv-${name}`, await send('s1', null), { incremental: false });
      await h.b.setProperties(`_recv-${name}`, { id: name });
      await h.b.rename(`_recv-${name}`, name);
      await h.b.configure(name, { quotaBytes: 8 * MiB, reservationBytes: 4 * MiB });
      assert.equal(await write(path, 'aa1', 16 * MiB), null);
      await h.a.snapshot(name, 's2');
      await h.b.receive(name, await send('s2', first.guid), { incremental: true });
      const { settings, referencedBytes } = await h.b.facts(name);
      assert.ok(referencedBytes > 15 * MiB);
      assert.equal(settings.quotaBytes, null);
      assert.equal(settings.reservationBytes, null);
      await h.b.configure(name, { quotaBytes: 64 * MiB, reservationBytes: 32 * MiB });
      await h.b.rename(name, `_aside-${name}`);
      const aside = (await h.b.facts(`_aside-${name}`)).settings;
      assert.equal(aside.quotaBytes, null);
      assert.equal(aside.reservationBytes, null);
    });

    it('a snapshot is taken although a reservation leaves no room for it', async () => {
      if (!h.b.capabilities.settings.reservation) return;
      await h.b.create('ballast', { id: 'ballast' }, (path) => writeStore(path, {}, null));
      await h.b.create('tight', { id: 'tight' }, (path) => writeStore(path, {}, null));
      const { path } = await h.b.open('tight', { id: 'tight', readonly: false });
      assert.deepEqual(await h.b.configure('tight', { reservationBytes: 24 * MiB }), []);
      assert.equal(await write(path, 'aa1', 16 * MiB), null);
      const { availableBytes } = await h.b.facts('ballast', { settled: true });
      assert.deepEqual(await h.b.configure('ballast', { reservationBytes: availableBytes - 8 * MiB }), []);
      await h.b.snapshot('tight', 's1');
      assert.deepEqual(
        (await h.b.snapshots('tight')).map((snapshot) => snapshot.name),
        ['s1'],
      );
      assert.equal((await h.b.facts('tight')).settings.reservationBytes, null, 'what does not fit is not claimed');
      await h.b.configure('ballast', { reservationBytes: null });
      assert.deepEqual(await h.b.configure('tight', { reservationBytes: 24 * MiB }), []);
      await h.b.snapshot('tight', 's2');
      assert.equal((await h.b.facts('tight')).settings.reservationBytes, 24 * MiB, 'kept where there is room');
    });

    it('a foreign dataset has no settings here', async () => {
      await h.makeForeign('foreign-settings');
      for (const attempt of [h.a.facts('foreign-settings'), h.a.configure('foreign-settings', { quotaBytes: MiB })]) {
        await assert.rejects(attempt, (error: unknown) => isZringError(error, 'DATASET_NOT_FOUND'));
      }
      await assert.rejects(h.a.configure('a@b', { quotaBytes: MiB }), (error: unknown) =>
        isZringError(error, 'DATASET_NAME_INVALID'),
      );
    });
  });
}
