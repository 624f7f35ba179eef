// `npm run test:openzfs`: the zfs driver's contract suite, and storage settings in a cluster, on real OpenZFS, in the guest
// that vm.sh builds (first time some minutes, then kept). Each suite is bundled into one file, beside the few packages with
// native parts, so the guest needs nothing but node and ZFS.
//
//   W=FOLDER                 where the guest is kept (vm.sh)
//   ZRING_TEST_OFFSETS=N     how many cut and damage offsets to try (default 8; emulated, each takes seconds)
//   ZRING_OPENZFS_SECONDS=N  end of patience with the guest (default 3600)
//   ZRING_OPENZFS_SUITES=…   contract, storage (default both)
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const offsets = Number(process.env.ZRING_TEST_OFFSETS ?? 8);
/** Of this folder's parent; ZRING_OPENZFS_SUITES names some of them by their last part. */
const SUITES = { contract: '../contract/dataset/zfs-inside.ts', storage: '../ownership/storage-openzfs.ts' };
const suites = (process.env.ZRING_OPENZFS_SUITES ?? Object.keys(SUITES).join(',')).split(',');
/** With native parts: not to be bundled. */
const NATIVE = ['lmdb', '@node-rs/crc32'];
const seconds = Number(process.env.ZRING_OPENZFS_SECONDS ?? 3600);

/** Runs in the guest. The disks are vm.sh's. */
const GUEST_SCRIPT = `#!/bin/bash
set -e
zfs version
zpool create -m /pa pa /dev/vdc
# The second pool lacks what the first can do: streams between the two show what is done about it.
zpool create -o feature@zstd_compress=disabled -m /pb pb /dev/vdd
export ZRING_TEST_POOLS=pa,pb ZRING_TEST_OFFSETS=${offsets}
for suite in ${suites.join(' ')}; do node --test-reporter=tap $suite.mjs; done
`;

function vm(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(here, 'vm.sh'), args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? `signal ${signal}`));
  });
}

/** With everything that it needs and that is installed here. */
function copyPackage(name) {
  const from = join(here, '../../node_modules', name);
  const to = join(job, 'node_modules', name);
  if (existsSync(to) || !existsSync(from)) return;
  cpSync(from, to, { recursive: true });
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  for (const other of Object.keys({ ...dependencies, ...optionalDependencies })) copyPackage(other);
}

const job = mkdtempSync(join(tmpdir(), 'zring-openzfs-'));
try {
  for (const suite of suites) {
    await build({
      entryPoints: [join(here, SUITES[suite])],
      outfile: join(job, `${suite}.mjs`),
      bundle: true,
      external: NATIVE,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'error',
      // What is CommonJS inside asks for the system's modules by `require`.
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
  }
  for (const name of NATIVE) copyPackage(name);
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
