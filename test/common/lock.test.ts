import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isZringError } from '../../src/common/errors.ts';
import { acquireExclusiveLock, type Lock } from '../../src/common/lock.ts';

const HOLDER = fileURLToPath(new URL('../support/lock-holder.mjs', import.meta.url));
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zring-lock-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** @returns the process and its first word: 'held' or an error code. */
async function holder(path: string, wrap: readonly string[] = []): Promise<{ child: ChildProcess; word: string }> {
  const argv = [...wrap, process.execPath, '--import', 'tsx', HOLDER, path];
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, word: line.toString().trim() };
}

function isLocked(pid: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isZringError(error, 'LOCKED'), `${error}`);
    assert.deepEqual(error.details, { pid });
    return true;
  };
}

test('a second one is refused until the first is released, in one process', async () => {
  const path = join(folder, 'one');
  const first = await acquireExclusiveLock(path);
  await assert.rejects(acquireExclusiveLock(path), isLocked(process.pid));
  // A refusal takes nothing away from the holder.
  await assert.rejects(acquireExclusiveLock(path), isLocked(process.pid));
  await first.release();
  await first.release();
  const second = await acquireExclusiveLock(path);
  await assert.rejects(acquireExclusiveLock(path), isLocked(process.pid));
  await second.release();
});

test('another process is refused by name, and kill -9 sets the lock free', async () => {
  const path = join(folder, 'two');
  const { child, word } = await holder(path);
  assert.equal(word, 'held');
  await assert.rejects(acquireExclusiveLock(path), isLocked(child.pid ?? 0));
  // Stopped is not dead.
  child.kill('SIGSTOP');
  await assert.rejects(acquireExclusiveLock(path), (error) => isZringError(error, 'LOCKED'));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await acquireExclusiveLock(path);
  assert.equal((await holder(path)).word, 'LOCKED');
  await lock.release();
});

test('a process in another network namespace is refused too', async (t) => {
  const probe = spawn('unshare', ['-n', 'true'], { stdio: 'ignore' });
  const allowed = await once(probe, 'exit').then(
    ([code]) => code === 0,
    () => false,
  );
  if (!allowed) return t.skip('needs unshare and root');
  const path = join(folder, 'namespace');
  const lock = await acquireExclusiveLock(path);
  assert.equal((await holder(path, ['unshare', '-n'])).word, 'LOCKED');
  await lock.release();
  const { child, word } = await holder(path, ['unshare', '-n']);
  assert.equal(word, 'held');
  await assert.rejects(acquireExclusiveLock(path), (error) => isZringError(error, 'LOCKED'));
  child.kill('SIGKILL');
  await once(child, 'exit');
});

test('never two at a time, whoever comes and goes; and nothing piles up', async () => {
  const path = join(folder, 'race');
  let holders = 0;
  let rounds = 0;
  const contend = async () => {
    while (rounds < 300) {
      const lock = await acquireExclusiveLock(path).catch((error: unknown) => {
        assert.ok(isZringError(error, 'LOCKED'), `${error}`);
        return null;
      });
      if (!lock) continue;
      assert.equal(++holders, 1);
      rounds++;
      await readdir(folder);
      holders--;
      await lock.release();
    }
  };
  await Promise.all(Array.from({ length: 12 }, contend));
  const left = (await readdir(folder)).filter((name) => name.startsWith('race'));
  assert.ok(left.length <= 2, left.join());
});

test('a contender that found the lock free long ago does not get it, though its number has been cleared away', async () => {
  const path = join(folder, 'slow');
  await (await acquireExclusiveLock(path)).release();
  let held: Lock | null = null;
  let attempts = 0;
  const slow = acquireExclusiveLock(path, {
    async beforeLink() {
      // It is about to take number 2. Meanwhile 2 is taken and released, and 3 is taken, which clears 2 away.
      if (++attempts > 1) return;
      await (await acquireExclusiveLock(path)).release();
      held = await acquireExclusiveLock(path);
    },
  });
  await assert.rejects(slow, isLocked(process.pid));
  assert.equal(attempts, 1);
  await (held as Lock | null)?.release();
});

test('leftovers: dead sockets, foreign files and gaps in the numbers', async () => {
  const path = join(folder, 'leftovers');
  const first = await acquireExclusiveLock(path);
  await first.release();
  await writeFile(`${path}.7`, 'copied from elsewhere by a tool that turns sockets into files');
  await writeFile(`${path}.note`, 'kept');
  await writeFile(`${path}-0123456789ab`, 'a contender that died');
  const second = await acquireExclusiveLock(path);
  await assert.rejects(acquireExclusiveLock(path), isLocked(process.pid));
  const left = (await readdir(folder)).filter((name) => name.startsWith('leftovers'));
  assert.deepEqual(left.sort(), ['leftovers.8', 'leftovers.note']);
  await second.release();
});

test('a path longer than any socket path', async () => {
  const deep = join(folder, 'd'.repeat(120), 'e'.repeat(120));
  await mkdir(deep, { recursive: true });
  const lock = await acquireExclusiveLock(join(deep, 'lock'));
  await assert.rejects(acquireExclusiveLock(join(deep, 'lock')), isLocked(process.pid));
  const other = await acquireExclusiveLock(join(deep, 'other'));
  await other.release();
  await lock.release();
});

test('a folder that is not there is an error of storage', async () => {
  const missing = acquireExclusiveLock(join(folder, 'missing', 'lock'));
  await assert.rejects(missing, (error) => isZringError(error, 'MOUNT_INVALID'));
});
