// Run after a power cut, where the store can be reached: opens it as a restart would, and says what is there.
import { openStore } from '../../src/store/store.ts';
import { bytesOf, read } from './fixture.ts';

const [folder = '', term = '1'] = process.argv.slice(2);
const store = await openStore(folder, { term: { n: Number(term), node: 'a' } });
await store.sweepNow();
const found: [string, string][] = [];
const torn: string[] = [];
for (const entry of store.list({ prefix: '', delimiter: '', after: '', limit: 1000 }).entries) {
  const [size = '', from = ''] = entry.etag.split('-');
  const whole = (await read(store, entry)).equals(bytesOf(Number(size), Number(from)));
  if (!whole) torn.push(entry.key);
  found.push([entry.key, entry.etag]);
}
const { damaged } = await store.verify();
console.log(JSON.stringify({ found, torn, damaged, sequence: store.stats().sequence }));
await store.close();
