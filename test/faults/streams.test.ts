// The wrapper that cuts streams, over a `zfs` that is a script: what passes, what is cut, and that only a stream longer
// than ordered counts as cut.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createCutter, readFired, type StreamCutter } from './lab/streams.ts';

let folder = '';
let cutter: StreamCutter;

/** `send` prints 1000 bytes and ends with what $CODE says, `receive` keeps what it gets, anything else is echoed. */
const REAL = `#!/bin/sh
case "$1" in
  send) head -c 1000 /dev/zero; exit \${CODE:-0} ;;
  receive) cat >"${'$'}{0%/*}/got"; exit \${CODE:-0} ;;
  *) echo "$@" ;;
esac
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zring-cuts-'));
  await writeFile(join(folder, 'zfs'), REAL);
  await chmod(join(folder, 'zfs'), 0o755);
  cutter = await createCutter({ folder, node: 'n', zfs: join(folder, 'zfs') });
});
after(() => rm(folder, { recursive: true, force: true }));

async function zfs(args: string[], options: { input?: Buffer; code?: number } = {}) {
  const env = { ...process.env, CODE: String(options.code ?? 0) };
  const child = spawn(join(cutter.binFolder, 'zfs'), args, { env });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  child.stderr.resume();
  const [code] = (await once(child, 'close')) as [number];
  return { code, bytes: Buffer.concat(chunks) };
}

const cutsOf = async (id: string) => (await readFired(folder)).filter((cut) => cut.id === id);

describe('the wrapper that cuts streams', () => {
  test('passes everything through without an order', async () => {
    assert.equal((await zfs(['list', '-H', 'a b'])).bytes.toString(), 'list -H a b\n');
    assert.equal((await zfs(['send', 'p/d@s'])).bytes.length, 1000);
    assert.equal((await zfs(['send', 'p/d@s'], { code: 3 })).code, 3);
  });

  for (const [end, code] of [
    ['badly', 1],
    ['well', 0],
  ] as const) {
    test(`send ends ${end} after so many bytes, once`, async () => {
      await cutter.order({ id: `s-${end}`, direction: 'send', end, bytes: 312 });
      const cut = await zfs(['send', '-i', '@a', 'p/d@s']);
      assert.deepEqual([cut.bytes.length, cut.code], [312, code]);
      const fired = { direction: 'send', end, bytes: 312, stream: 'incremental', node: 'n' };
      assert.deepEqual(await cutsOf(`s-${end}`), [{ id: `s-${end}`, ...fired }]);
      assert.equal((await zfs(['send', 'p/d@s'])).bytes.length, 1000);
    });

    test(`receive ends ${end} after so many bytes, once`, async () => {
      await cutter.order({ id: `r-${end}`, direction: 'receive', end, bytes: 100 });
      assert.equal((await zfs(['receive', '-u', 'p/_recv-x'], { input: Buffer.alloc(5000) })).code, code);
      const [fired] = await cutsOf(`r-${end}`);
      assert.deepEqual([fired?.stream, fired?.bytes], ['full', 100]);
      assert.equal((await zfs(['receive', '-u', 'p/d'], { input: Buffer.alloc(5000) })).code, 0);
      assert.equal((await readFile(join(folder, 'got'))).length, 5000);
    });
  }

  test('a stream that is shorter is no cut; the order waits for a longer one', async () => {
    await cutter.order({ id: 'long', direction: 'send', end: 'badly', bytes: 1000 });
    const whole = await zfs(['send', 'p/d@s']);
    assert.deepEqual([whole.bytes.length, whole.code], [1000, 0]);
    assert.equal((await zfs(['send', 'p/d@s'], { code: 4 })).code, 4);
    assert.deepEqual(await cutsOf('long'), []);
    await cutter.order({ id: 'long', direction: 'send', end: 'badly', bytes: 999 });
    assert.equal((await zfs(['send', 'p/d@s'])).bytes.length, 999);
    assert.equal((await cutsOf('long')).length, 1);
  });

  test('an order that is withdrawn cuts nothing', async () => {
    await cutter.order({ id: 'gone', direction: 'send', end: 'badly', bytes: 1 });
    await cutter.withdraw({ id: 'gone', direction: 'send' });
    assert.equal((await zfs(['send', 'p/d@s'])).bytes.length, 1000);
  });
});
