import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createKeyedMutex } from '../../src/dataset/mutex.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('keyed mutex', () => {
  it('runs one task per key at a time, in order of arrival', async () => {
    const mutex = createKeyedMutex();
    const log: string[] = [];
    const task = (name: string) => async () => {
      log.push(`${name}+`);
      await turn();
      log.push(`${name}-`);
    };
    await Promise.all([mutex.run(['a'], task('1')), mutex.run(['a'], task('2')), mutex.run(['a'], task('3'))]);
    assert.deepEqual(log, ['1+', '1-', '2+', '2-', '3+', '3-']);
  });

  it('does not make other keys wait', async () => {
    const mutex = createKeyedMutex();
    let finish = () => {};
    const slow = mutex.run(['a'], () => new Promise<void>((resolve) => (finish = resolve)));
    assert.equal(await mutex.run(['b'], async () => 'b'), 'b');
    finish();
    await slow;
  });

  it('goes on after a failure', async () => {
    const mutex = createKeyedMutex();
    const failing = mutex.run(['a'], () => Promise.reject(new Error('no')));
    const next = mutex.run(['a'], async () => 1);
    await assert.rejects(failing, /no/);
    assert.equal(await next, 1);
  });

  it('takes two keys without deadlock, in whatever order they are named', async () => {
    const mutex = createKeyedMutex();
    const both = Array.from({ length: 20 }, (_, n) => mutex.run(n % 2 ? ['a', 'b'] : ['b', 'a'], turn));
    await Promise.all(both);
  });
});
