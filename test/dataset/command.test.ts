import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import { createDatabase } from '../../src/common/lmdb.ts';
import { createCommands, systemCommands } from '../../src/dataset/command.ts';

const TIMEOUT_MS = 60_000;
const node = (script: string, ...args: string[]) => [process.execPath, '-e', script, ...args];

describe('commands', () => {
  it('get their arguments as they are, in the C locale, with no shell in between', async () => {
    const odd = '$(id) `id` "x" \'y\' ; & | * \\ \n';
    const script = 'process.stdout.write(JSON.stringify([process.argv.slice(1), process.env.LC_ALL]))';
    const { code, stdout } = await systemCommands.run(node(script, odd), { timeoutMs: TIMEOUT_MS });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), [[odd], 'C']);
  });

  it('report status and what they said', async () => {
    const script = 'console.log("out"); console.error("err"); process.exitCode = 3';
    const result = await systemCommands.run(node(script), { timeoutMs: TIMEOUT_MS });
    assert.deepEqual(result, { code: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('that do not answer in time are given up', async () => {
    const hanging = systemCommands.run(node('setInterval(() => {}, 1000)'), { timeoutMs: 50 });
    await assert.rejects(hanging, (error: unknown) => {
      return isZringError(error, 'STORAGE_UNAVAILABLE') && /not answering/.test(error.message);
    });
  });

  it('that are not there are named', async () => {
    const absent = systemCommands.run(['zring-no-such-program'], { timeoutMs: TIMEOUT_MS });
    await assert.rejects(absent, (error: unknown) => {
      return isZringError(error, 'STORAGE_UNAVAILABLE') && /not installed/.test(error.message);
    });
    await assert.rejects(systemCommands.stream(['zring-no-such-program'], 'out').exited, (error: unknown) =>
      isZringError(error, 'STORAGE_UNAVAILABLE'),
    );
  });

  it('keep only the beginning of an endless complaint', async () => {
    const script = 'process.stderr.write("e".repeat(10_000_000))';
    const { stderr } = await systemCommands.run(node(script), { timeoutMs: TIMEOUT_MS });
    assert.ok(stderr.length > 0 && stderr.length <= 65_536, `${stderr.length}`);
  });

  it('take a stream and can be ended', async () => {
    const copy = systemCommands.stream(node('process.stdin.resume()'), 'in');
    copy.stdin?.write(Buffer.alloc(100_000));
    copy.kill();
    assert.equal((await copy.exited).code, null);
  });

  it('hold no index open: a long stream would keep other datasets from being unmounted', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'zring-command-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const list = `for (const fd of fs.readdirSync('/proc/self/fd')) {
      try { console.log(fs.readlinkSync('/proc/self/fd/' + fd)) } catch {}
    }`;
    const filesOf = async (open: number) => {
      const { stdout } = await systemCommands.run(node(list), { timeoutMs: TIMEOUT_MS });
      assert.equal(stdout.split('\n').filter((file) => file.startsWith(folder)).length, 0, `${open} are open`);
    };
    const databases = [];
    for (let n = 1; n <= 20; n++) databases.push(await createDatabase(join(folder, `index-${n}`), { tables: ['t'] }));
    await filesOf(20);
    for (const database of databases.splice(3, 10)) await database.close();
    await filesOf(10);
    const stream = systemCommands.stream(node(list), 'out');
    let text = '';
    for await (const chunk of stream.stdout ?? []) text += chunk;
    assert.equal((await stream.exited).code, 0);
    assert.ok(text.length > 0 && !text.includes(folder), text);
    for (const database of databases) await database.close();
  });

  it('that do not end keep their places: no more are started than there are', async () => {
    const commands = createCommands({ max: 2, waitingMax: 1 });
    const hanging = Array.from({ length: 2 }, () =>
      commands.run(node('setInterval(() => {}, 1000)'), { timeoutMs: 300 }),
    );
    const given = Promise.allSettled(hanging);
    const waiting = commands.run(node(''), { timeoutMs: 50 });
    await assert.rejects(commands.run(node(''), { timeoutMs: TIMEOUT_MS }), /others do not end/, 'the line is full');
    await assert.rejects(waiting, /others do not end/, 'no place came free in time');
    for (const { status } of await given) assert.equal(status, 'rejected');
    assert.equal((await commands.run(node(''), { timeoutMs: TIMEOUT_MS })).code, 0, 'they have ended: there is room');
  });

  it('that end give their place to the next', async () => {
    const commands = createCommands({ max: 1, waitingMax: 100 });
    const runs = Array.from({ length: 4 }, (_, i) =>
      commands.run(node(`console.log(${i})`), { timeoutMs: TIMEOUT_MS }),
    );
    assert.deepEqual(
      (await Promise.all(runs)).map(({ stdout }) => stdout),
      ['0\n', '1\n', '2\n', '3\n'],
    );
    const absent = () => commands.run(['zring-no-such-program'], { timeoutMs: TIMEOUT_MS });
    for (let i = 0; i < 3; i++) await assert.rejects(absent(), /not installed/);
    assert.equal((await commands.run(node(''), { timeoutMs: TIMEOUT_MS })).code, 0);
  });
});
