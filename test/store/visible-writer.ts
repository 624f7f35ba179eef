// The process that durability.test.ts traces: one put after the other, saying when a reader sees it first.
import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/store.ts';
import { bytesOf, put } from './fixture.ts';

const store = await openStore(process.argv[2] ?? '', { term: { n: 1, node: 'a' } });
for (const [i, size] of [10, 50_000, 4000, 1_500_000, 300].entries()) {
  const key = `k${i}`;
  let seen = false;
  const pending = put(store, key, bytesOf(size));
  const settled = pending.then(() => true);
  while (!seen) {
    await Promise.race([settled, new Promise((resolve) => setImmediate(resolve))]);
    seen = store.head(key) !== null;
  }
  writeSync(1, `visible ${key}\n`);
  await pending;
}
await store.close();
