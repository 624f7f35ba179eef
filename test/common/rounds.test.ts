import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rounds } from '../../src/common/rounds.ts';

/** Rounds whose end the test decides. */
function controlled() {
  const ends: { resolve(): void; reject(error: Error): void }[] = [];
  let inside = 0;
  const rounds = new Rounds(async () => {
    inside += 1;
    assert.equal(inside, 1, 'rounds never overlap');
    try {
      await new Promise<void>((resolve, reject) => ends.push({ resolve, reject }));
    } finally {
      inside -= 1;
    }
  });
  return { rounds, ends };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('calls during a round share the next one, and nobody waits for a third', async () => {
  const { rounds, ends } = controlled();
  const first = rounds.run();
  const early = [rounds.run(), rounds.run()];
  assert.equal(ends.length, 1);
  ends[0]?.resolve();
  await first;
  await turn();
  assert.equal(ends.length, 2);
  // A caller that comes now makes a third round, which those before it do not wait for.
  const late = rounds.run();
  ends[1]?.resolve();
  await Promise.all(early);
  await turn();
  assert.equal(ends.length, 3);
  ends[2]?.resolve();
  await late;
});

test('who calls as a round ends begins none beside the one that waits', async () => {
  const { rounds, ends } = controlled();
  const first = rounds.run();
  const waiting = rounds.run();
  const atTheEnd = first.then(() => rounds.run());
  ends[0]?.resolve();
  await turn();
  assert.equal(ends.length, 2);
  ends[1]?.resolve();
  await waiting;
  await turn();
  ends[2]?.resolve();
  await atTheEnd;
});

test('a round that fails fails its callers only; the next begins all the same', async () => {
  const { rounds, ends } = controlled();
  const failing = rounds.run();
  const next = rounds.run();
  ends[0]?.reject(new Error('lost'));
  await assert.rejects(failing, /lost/);
  await turn();
  ends[1]?.resolve();
  await next;
});

test('idle waits for what is under way and for what waits behind it', async () => {
  const { rounds, ends } = controlled();
  await rounds.idle();
  rounds.run();
  rounds.run();
  let idle = false;
  const waiting = rounds.idle().then(() => {
    idle = true;
  });
  ends[0]?.resolve();
  await turn();
  assert.equal(idle, false);
  ends[1]?.resolve();
  await waiting;
});
