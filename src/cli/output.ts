// How every verb prints: tables for people, `--json` for programs, errors on stderr with what to do. Pure formatting
// except for the two functions that write.
import { isZringError } from '../common/errors.ts';

export type Cell = string | number | null | undefined;

/** Columns padded to their widest cell; numbers to the right. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) => row.map((cell) => (cell === null || cell === undefined ? '-' : String(cell))));
  const widths = header.map((title, i) => Math.max(title.length, ...text.map((row) => row[i]?.length ?? 0)));
  const numeric = header.map((_title, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(header), ...text.map(line)].join('\n');
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** A reader that has seen enough (`zring store ls PATH | head`) ends the program; that is no failure of it. */
export function endQuietlyWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

/** For people; the code lets them find the page of the manual (docs/ERRORS.md). Sets the exit code. */
export function printError(error: unknown): void {
  process.stderr.write(`${formatError(error)}\n`);
  process.exitCode = 1;
}

export function formatError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (!isZringError(error)) return `zring: ${text}`;
  // The code stands behind the first line: the others are a list.
  const [first = '', ...rest] = text.split('\n');
  const lines = [`zring: ${first} [${error.code}]`, ...rest];
  for (const detail of Array.isArray(error.details) ? error.details : []) {
    const line = typeof detail === 'string' ? detail : faultLine(detail);
    // The message of a faulty configuration lists its faults itself.
    if (line !== null && !text.includes(line)) lines.push(`  ${line}`);
  }
  return lines.join('\n');
}

function faultLine(detail: unknown): string | null {
  const { path, message, expected } = (detail ?? {}) as { path?: string; message?: string; expected?: string };
  if (path === undefined) return JSON.stringify(detail);
  // Of the file as a whole, which the message is about.
  if (path === '') return null;
  return `${path}: ${message}${expected ? ` (expected ${expected})` : ''}`;
}
