// Bootstrap: from a bare clone to a running zring, with Node alone. Installs the npm packages when the lock file asks
// for others than are there, builds when a source file changed, then becomes `dist/main.js` in this same process, so
// that signals, exit code and standard streams are those of the program itself.
// Plain JavaScript without dependencies on purpose: it runs before anything is installed. test/run.mjs uses it too.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Written after a build that succeeded: tsc leaves output behind when it fails, so the output proves nothing. */
const BUILD_STAMP = join(ROOT, 'dist', '.built');

export function log(text) {
  process.stderr.write(`${text}\n`);
}

/** The first fault of this Node version against package.json's `engines`, or null. */
export function nodeFault(version = process.versions.node) {
  const wanted = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).engines.node;
  const least = /^>=(\d+)\.(\d+)/.exec(wanted);
  const [major, minor] = version.split('.').map(Number);
  if (!least) return `package.json: engines.node is "${wanted}", expected ">=MAJOR.MINOR"`;
  const [, wantedMajor, wantedMinor] = least.map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return null;
  return `zring needs Node ${wanted}, this is ${version}`;
}

/** Why packages must be installed, or null. Compares contents, not times: a checkout touches files for no reason. */
export function installReason(root = ROOT) {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return 'node_modules is missing';
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const found = JSON.parse(readFileSync(installed, 'utf8')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    // Optional packages are those of other platforms; npm leaves them out.
    if (!found[path] && entry.optional) continue;
    if (found[path]?.version !== entry.version) return `${path} ${entry.version} is not installed`;
  }
  return null;
}

function npmCommand() {
  // Under `npm start` and `npm test`, the very npm that runs us; otherwise the one on PATH.
  const script = process.env.npm_execpath;
  return script?.endsWith('.js') ? [process.execPath, script] : [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

/** Runs a command with its output on our stderr (stdout belongs to the program that follows); rejects when it fails. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2], ...options });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${[command, ...args].join(' ')} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

export async function ensureInstalled() {
  const reason = installReason();
  if (reason === null) return;
  log(`zring: installing npm packages (${reason})`);
  const [npm, ...first] = npmCommand();
  // Not `npm ci`: it empties node_modules, from which other processes may be running, and refuses a lock file that leaves
  // out optional packages of other platforms. Versions and checksums come from the lock file here too, which stays as
  // it is. Development packages are needed for the build, whatever NODE_ENV says.
  await run(npm, [...first, 'install', '--no-save', '--include=dev', '--no-audit', '--no-fund']);
}

/** Names and contents of everything that the build reads. */
function sourceFingerprint() {
  const hash = createHash('sha256');
  const files = readdirSync(join(ROOT, 'src'), { recursive: true }).map((name) => join('src', String(name)));
  for (const name of [...files, 'tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json'].sort()) {
    if (statSync(join(ROOT, name)).isDirectory()) continue;
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(ROOT, name)))
      .update('\0');
  }
  return hash.digest('hex');
}

/** True when dist is what the sources say. */
export function isBuilt() {
  if (!existsSync(BUILD_STAMP) || !existsSync(join(ROOT, 'dist', 'main.js'))) return false;
  return readFileSync(BUILD_STAMP, 'utf8') === sourceFingerprint();
}

export async function ensureBuilt() {
  if (isBuilt()) return;
  log('zring: building');
  const fingerprint = sourceFingerprint();
  await run(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  writeFileSync(BUILD_STAMP, fingerprint);
}

/**
 * `npm start` runs a shell that runs us. Ctrl-C reaches all three, but a SIGTERM to npm ends npm and the shell alone, and
 * nobody could stop the program any more: the end of the shell counts as SIGTERM.
 */
function stopWithShell() {
  const shell = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, 500);
  timer.unref();
}

/** @returns the program to become, or null when preparing was all that was asked for. */
async function prepare(args) {
  const fault = nodeFault();
  if (fault) throw new Error(fault);
  await ensureInstalled();
  if (args[0] === '--install-only') return null;
  await ensureBuilt();
  return args[0] === '--build-only' ? null : join(ROOT, 'dist', 'main.js');
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const program = await prepare(args).catch((error) => {
    log(`zring: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
    return null;
  });
  if (program !== null) {
    process.argv = [process.execPath, program, ...args];
    if (process.env.npm_lifecycle_event !== undefined) stopWithShell();
    await import(pathToFileURL(program).href);
  }
}
