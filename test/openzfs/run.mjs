// `npm run test:openzfs`: the zfs driver's contract suite on real OpenZFS, in the guest that vm.sh builds (first time some
// minutes, then kept). The suite is bundled into one file, so the guest needs nothing but node and ZFS.
//
//   W=FOLDER                 where the guest is kept (vm.sh)
//   ZRING_TEST_OFFSETS=N     how many cut and damage offsets to try (default 8; emulated, each takes seconds)
//   ZRING_OPENZFS_SECONDS=N  end of patience with the guest (default 3600)
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const offsets = Number(process.env.ZRING_TEST_OFFSETS ?? 8);
const seconds = Number(process.env.ZRING_OPENZFS_SECONDS ?? 3600);

/** Runs in the guest. The disks are vm.sh's. */
const GUEST_SCRIPT = `#!/bin/bash
set -e
zfs version
zpool create -m /pa pa /dev/vdc
zpool create -m /pb pb /dev/vdd
export ZRING_TEST_POOLS=pa,pb ZRING_TEST_OFFSETS=${offsets}
exec node --test-reporter=tap suite.mjs
`;

function vm(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(here, 'vm.sh'), args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? `signal ${signal}`));
  });
}

const job = mkdtempSync(join(tmpdir(), 'zring-openzfs-'));
try {
  await build({
    entryPoints: [join(here, '../contract/dataset/zfs-inside.ts')],
    outfile: join(job, 'suite.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  });
  writeFileSync(join(job, 'run.sh'), GUEST_SCRIPT, { mode: 0o755 });
  const built = await vm('build');
  if (built !== 0) throw new Error(`the guest could not be built (${built})`);
  const status = await vm('run', job, '2', '2048', String(seconds));
  if (status !== 0) throw new Error(`the suite ended with ${status} in the guest`);
} catch (error) {
  console.error(`openzfs: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(job, { recursive: true, force: true });
}
