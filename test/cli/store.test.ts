// `zring store`: a dataset read without any cluster, the fixture of format 2 as it lies in the repository.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { programArguments } from '../support/cluster.ts';

const FIXTURE = fileURLToPath(new URL('../store/fixtures/v2', import.meta.url));

interface Described {
  readonly key: string;
  readonly versionId?: string;
  readonly deleteMarker?: boolean;
  readonly isLatest: boolean;
  readonly etag: string;
  readonly size: number;
}

let folder: string;
let versions: Described[];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zring-cli-store-'));
  await cp(FIXTURE, folder, { recursive: true });
  versions = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')).versioning.versions;
});
after(() => rm(folder, { recursive: true, force: true }));

async function store(...args: string[]): Promise<string[]> {
  const child = spawn(process.execPath, [...programArguments(), 'store', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.deepEqual([code, err], [0, '']);
  return out.split('\n').slice(0, -1);
}

test('ls --versions lists every version, the newest first, and marks the latest', async () => {
  const lines = await store('ls', folder, '--versions', '--prefix', 'versioned', '--json');
  const listed = lines.map((line) => JSON.parse(line));
  const expected = versions.filter(({ key }) => key.startsWith('versioned'));
  assert.deepEqual(
    listed.map(({ modified, ...rest }) => rest),
    expected.map(({ key, versionId = 'null', isLatest, deleteMarker, size, etag }) => ({
      key,
      versionId,
      latest: isLatest,
      ...(deleteMarker ? { deleteMarker } : { size, etag }),
    })),
  );
  const plain = await store('ls', folder, '--versions');
  assert.equal(plain.length, versions.length);
  assert.match(plain.join('\n'), /Z {2} +delete marker {2}[0-9a-f]{32} {2}\* versioned\/marked\n/);
  assert.match(plain.join('\n'), /Z {2} +29 {2}null {30}(\*| ) versioned\n/);
});

test('ls without it lists what can be read, and get reads a version by its id', async () => {
  const current = versions.filter(({ isLatest, deleteMarker }) => isLatest && !deleteMarker);
  assert.equal((await store('ls', folder)).length, current.length);
  const marked = versions.find(({ key, deleteMarker }) => key === 'versioned/marked' && !deleteMarker);
  assert.ok(marked?.versionId);
  const file = join(folder, 'out');
  await store('get', folder, 'versioned/marked', '--version-id', marked.versionId, '-o', file);
  assert.equal(await readFile(file, 'utf8'), 'below a marker');
  await store('get', folder, 'versioned', '--version-id', 'null', '-o', file);
  assert.equal(await readFile(file, 'utf8'), 'the null version, from before');
});

test('verify counts them', async () => {
  const [line] = await store('verify', folder);
  assert.match(line ?? '', /^\d+ objects, \d+ other versions, .*: all sound$/);
});
