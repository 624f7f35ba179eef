// Child process of dir-crash.test.ts: receives prepared steps one after the other, says which are done, and is killed.
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { openDirDriver } from '../../src/dataset/dir.ts';

const [root = '', streams = '', first = '1', last = '1'] = process.argv.slice(2);
const driver = await openDirDriver(root, 'test');
for (let step = Number(first); step <= Number(last); step++) {
  const stream = createReadStream(join(streams, String(step)));
  await driver.receive('_copy', stream, { incremental: step > 1 });
  process.stdout.write(`${step}\n`);
}
