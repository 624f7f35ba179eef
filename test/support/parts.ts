// Outside programs that a test needs ("parts": redis-server, zfs-fuse, aws …). A test names them and is skipped with
// the reason where they are missing; where they are required (CI=true or ZRING_TEST_REQUIRE=1) it fails instead, so
// that nobody's green run hides that the interesting half was never run.
import { boto3Python, PARTS, which } from './detect.mjs';

export interface PartOption {
  readonly skip: string | false;
}

/** A required environment makes a missing part a failure. */
export function partsRequired(env: NodeJS.ProcessEnv = process.env): boolean {
  return env.ZRING_TEST_REQUIRE === '1' || (env.CI === 'true' && env.ZRING_TEST_REQUIRE !== '0');
}

/** Why the part cannot be used here, or null. Believes test/run.mjs when it has looked already. */
function partFault(name: string, env: NodeJS.ProcessEnv): string | null {
  const known = PARTS[name];
  if (known === undefined) throw new Error(`unknown test part "${name}"; known: ${Object.keys(PARTS).join(', ')}`);
  if (env.ZRING_TEST_PARTS === undefined) return known.fault();
  return env.ZRING_TEST_PARTS.split(',').includes(name)
    ? null
    : 'not available on this machine (see the start of the run)';
}

/**
 * Options for `test()` or `describe()`: `test('…', part('zfs-fuse'), async () => …)`, or `{ ...part('aws'), timeout }`.
 * Throws, and so fails the test file, when a part is missing and required.
 */
export function part(...names: string[]): PartOption {
  return partIn(process.env, ...names);
}

export function partIn(env: NodeJS.ProcessEnv, ...names: string[]): PartOption {
  const faults = names.flatMap((name) => {
    const fault = partFault(name, env);
    return fault === null ? [] : [`${name}: ${fault}`];
  });
  if (faults.length === 0) return { skip: false };
  const reason = `missing ${faults.join('; ')}`;
  if (partsRequired(env)) throw new Error(`a required test part is ${reason}`);
  return { skip: reason };
}

/** Full path of a part's program; for use inside a test that named the part. */
export function program(name: string): string {
  const path = which(name);
  if (path === null) throw new Error(`${name} not found on PATH; name its part in the test's options`);
  return path;
}

/** The Python that has boto3; for use inside a test that named the part. */
export function pythonWithBoto3(): string {
  const python = process.env.ZRING_TEST_PYTHON ?? boto3Python();
  if (python === null) throw new Error("no python3 has boto3; name part 'boto3' in the test's options");
  return python;
}
