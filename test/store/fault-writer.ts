// The process whose system calls faults.test.ts lets fail: puts one object after the other and says what became of each.
import { writeSync } from 'node:fs';
import { ZringError } from '../../src/common/errors.ts';
import { openStore } from '../../src/store/store.ts';
import { bytesOf, put } from './fixture.ts';

const say = (line: Record<string, unknown>): void => void writeSync(1, `${JSON.stringify(line)}\n`);
try {
  const store = await openStore(process.argv[2] ?? '', { term: { n: 1, node: 'a' } });
  say({ opened: true });
  for (let i = 0; i < 10; i++) {
    const size = i % 3 === 1 ? 40_000 : 2000;
    const key = `k${i % 7}`;
    try {
      await put(store, key, bytesOf(size, i));
      say({ key, i, size, code: null });
    } catch (error) {
      say({ key, i, size, code: error instanceof ZringError ? error.code : String(error) });
    }
    try {
      store.head(key);
    } catch (error) {
      say({ key, head: error instanceof ZringError ? error.code : String(error) });
    }
  }
  await store.sweepNow();
  await store.close();
  say({ closed: true });
} catch (error) {
  say({ failed: error instanceof ZringError ? error.code : String(error) });
}
