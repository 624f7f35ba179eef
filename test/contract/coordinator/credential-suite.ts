// The coordinator's contract for kept credentials: texts under access keys, the highest revision wins, a stamp tells a
// change. Run over every implementation beside suite.ts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Coordinator, StoredCredential } from '../../../src/cluster/coordinator.ts';
import { OFFER_MAX, STORED_CREDENTIAL_CHARACTERS_MAX } from '../../../src/cluster/coordinator-call.ts';
import { availability, coded, type Harness, recordOf } from './suite.ts';

const entry = (accessKey: string, revision: number, text = `text ${revision} of ${accessKey}`): StoredCredential => ({
  accessKey,
  revision,
  text,
});

export function credentialContract(name: string, open: () => Promise<Harness>): void {
  describe(`coordinator contract, credentials: ${name}`, () => {
    let harness: Harness;
    let a: Coordinator;
    let b: Coordinator;
    before(async () => {
      harness = await open();
      a = await harness.connect();
      b = await harness.connect();
    });
    after(() => harness?.close());

    const all = async (coordinator: Coordinator) => {
      const page = await coordinator.readCredentials(null);
      assert.ok(page, 'no stamp was given, so there is an answer');
      const sorted = [...page.credentials].sort((x, y) => (x.accessKey < y.accessKey ? -1 : 1));
      return { stamp: page.stamp, credentials: sorted };
    };

    test("nothing kept: an empty page of the stamp ''", async () => {
      assert.deepEqual(await all(a), { stamp: '', credentials: [] });
      assert.equal(await a.readCredentials(''), null);
    });

    test('the higher revision is kept, whoever offers it; a lower or the same one changes nothing', async () => {
      assert.deepEqual(await a.offerCredentials([entry('AK1', 1)]), [entry('AK1', 1)]);
      assert.deepEqual(await b.offerCredentials([entry('AK1', 5)]), [entry('AK1', 5)]);
      const { stamp } = await all(a);
      for (const lost of [entry('AK1', 4), entry('AK1', 5, 'other text')]) {
        assert.deepEqual(await a.offerCredentials([lost]), [entry('AK1', 5)]);
      }
      assert.deepEqual(await all(b), { stamp, credentials: [entry('AK1', 5)] }, 'and is no change');
      assert.deepEqual(await a.offerCredentials([]), []);
    });

    test('several at once are judged one by one', async () => {
      const kept = await b.offerCredentials([entry('AK1', 2), entry('AK2', 1), entry('a.b_c-d', 999_999_999_999_999)]);
      assert.deepEqual(kept, [entry('AK1', 5), entry('AK2', 1), entry('a.b_c-d', 999_999_999_999_999)]);
      const { credentials } = await all(a);
      assert.deepEqual(credentials, [entry('AK1', 5), entry('AK2', 1), entry('a.b_c-d', 999_999_999_999_999)]);
    });

    test('revisions compare as numbers, and texts come back as they were', async () => {
      const text = JSON.stringify({ name: 'Zoë \u{1f5dd} "q" \n', empty: '' });
      await a.offerCredentials([entry('AK3', 9, text)]);
      assert.deepEqual(await b.offerCredentials([entry('AK3', 10, `${text} `)]), [entry('AK3', 10, `${text} `)]);
      assert.deepEqual(await b.offerCredentials([entry('AK3', 9, text)]), [entry('AK3', 10, `${text} `)]);
      const largest = 'x'.repeat(STORED_CREDENTIAL_CHARACTERS_MAX);
      assert.deepEqual(await b.offerCredentials([entry('AK4', 1, largest)]), [entry('AK4', 1, largest)]);
    });

    test('the stamp: another one after each change, null while it is the same', async () => {
      const { stamp } = await all(a);
      assert.equal(await b.readCredentials(stamp), null);
      await b.offerCredentials([entry('AK2', 2)]);
      const page = await a.readCredentials(stamp);
      assert.ok(page);
      assert.notEqual(page.stamp, stamp);
      // Back to nothing new: neither a record nor a lost race moves it.
      await a.offerCredentials([entry('AK2', 1)]);
      await a.casRecord('unrelated', null, recordOf('unrelated', 'a'));
      assert.equal(await a.readCredentials(page.stamp), null);
    });

    test('what cannot be kept is refused and changes nothing', async () => {
      const before = await all(a);
      const bad: readonly (readonly StoredCredential[])[] = [
        [entry('a/b', 1)],
        [entry(' stamp', 1)],
        [entry('AK', 1)],
        [entry('AK9', 0)],
        [entry('AK9', 1.5)],
        [entry('AK9', -1)],
        [entry('AK9', 1, 'x'.repeat(STORED_CREDENTIAL_CHARACTERS_MAX + 1))],
        [entry('AK8', 1), entry('AK9', Number.NaN)],
        Array.from({ length: OFFER_MAX + 1 }, (_, i) => entry(`many-${i}`, 1)),
        [null as never],
      ];
      for (const offers of bad) await assert.rejects(a.offerCredentials(offers), coded('COORDINATOR_CORRUPT'));
      assert.deepEqual(await all(a), before);
    });

    test('of 50 that race for one revision one wins, and all others see it', async () => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => (i % 2 ? a : b).offerCredentials([entry('raced', 1, `by ${i}`)])),
      );
      const texts = answers.map(([kept]) => kept?.text);
      assert.equal(new Set(texts).size, 1);
      assert.equal(texts.filter((text, i) => text === `by ${i}`).length, 1);
    });

    test('a change is hinted to other connections', async () => {
      const hinted = new Promise<void>((resolve) => {
        const stop = b.onHint((hint) => {
          if (hint.kind !== 'credentials') return;
          stop();
          resolve();
        });
      });
      await a.offerCredentials([entry('hinted', 1)]);
      await hinted;
    });

    test('a lost reply is told apart from a call never made, and the same offer again is the same', async () => {
      await harness.withoutReplies(async (lossy) => {
        await assert.rejects(lossy.offerCredentials([entry('unknown', 3)]), coded('COORDINATOR_OUTCOME_UNKNOWN'));
      });
      assert.deepEqual(await b.offerCredentials([entry('unknown', 3)]), [entry('unknown', 3)]);
    });

    test('all is there after it was down', async () => {
      const before = await all(a);
      const lost = [availability(a, false), availability(b, false)];
      await harness.stop();
      await Promise.all(lost);
      await assert.rejects(a.readCredentials(null), coded('COORDINATOR_UNAVAILABLE'));
      await assert.rejects(a.offerCredentials([entry('AK1', 99)]), coded('COORDINATOR_UNAVAILABLE'));
      const back = [availability(a, true), availability(b, true)];
      await harness.start();
      await Promise.all(back);
      assert.deepEqual(await all(b), before);
    });

    test('writes that were lost leave no stamp behind that could pass for the new one', async () => {
      let during = '';
      await harness.loseWritesOf(async () => {
        await a.offerCredentials([entry('lost', 1)]);
        during = (await all(a)).stamp;
      });
      const c = await harness.connect();
      const page = await c.readCredentials(during);
      assert.ok(page);
      assert.equal(
        page.credentials.find(({ accessKey }) => accessKey === 'lost'),
        undefined,
      );
      assert.deepEqual(await c.offerCredentials([entry('lost', 1, 'again')]), [entry('lost', 1, 'again')]);
      await c.close();
    });

    test("after a flush: empty, of the stamp '', and a remembered one is no longer the stamp", async () => {
      const c = await harness.connect();
      const { stamp } = await all(c);
      await harness.flush();
      const d = await harness.connect();
      assert.deepEqual(await d.readCredentials(stamp), { stamp: '', credentials: [] });
      assert.deepEqual(await d.offerCredentials([entry('AK1', 5)]), [entry('AK1', 5)], 'filled again as it was');
      await Promise.all([c.close(), d.close()]);
    });
  });
}
