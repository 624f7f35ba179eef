// Files that a library opens without O_CLOEXEC, as LMDB does with its data file: every child process would inherit them, and
// one that does keeps their dataset from being unmounted for as long as it runs; a `zfs send` of another dataset may run for
// hours. Owns the list of such descriptors, for whoever starts a process. Linux only: elsewhere nothing is known.
import { readdirSync, readFileSync } from 'node:fs';

const OWN = '/proc/self/fd';
/** In `flags` of fdinfo, octal. */
const O_CLOEXEC = 0o2000000;

const inheritable = new Set<number>();

export interface Opened<Result> {
  readonly result: Result;
  /** Once they are closed. */
  forget(): void;
}

/** Notes what `open`, which must be synchronous, leaves open for children. */
export function noteInheritable<Result>(open: () => Result): Opened<Result> {
  const before = new Set(numbersOpen());
  const result = open();
  const left = numbersOpen().filter((number) => !before.has(number) && isInherited(number));
  for (const number of left) inheritable.add(number);
  return {
    result,
    forget() {
      for (const number of left.splice(0)) inheritable.delete(number);
    },
  };
}

export function inheritableDescriptors(): ReadonlySet<number> {
  return inheritable;
}

function numbersOpen(): number[] {
  try {
    return readdirSync(OWN).map(Number);
  } catch {
    return [];
  }
}

function isInherited(number: number): boolean {
  try {
    const [, flags] = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'latin1')) ?? [];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    // Closed again: the folder was listed through it.
    return false;
  }
}
