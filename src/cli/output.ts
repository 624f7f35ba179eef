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

/** One line for people; the code lets them find the page of the manual. Sets the exit code. */
export function printError(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const code = isZringError(error) ? ` [${error.code}]` : '';
  process.stderr.write(`zring: ${text}${code}\n`);
  const details = isZringError(error) ? error.details : undefined;
  if (Array.isArray(details)) {
    for (const detail of details)
      process.stderr.write(`  ${typeof detail === 'string' ? detail : faultLine(detail)}\n`);
  }
  process.exitCode = 1;
}

function faultLine(detail: unknown): string {
  const { path, message, expected } = (detail ?? {}) as { path?: string; message?: string; expected?: string };
  if (path === undefined) return JSON.stringify(detail);
  return `${path}: ${message}${expected ? ` (expected ${expected})` : ''}`;
}
