// Reads the tables of docs/OWNERSHIP-TABLES.md: a table is known by the heading above it, a row by the words in its cells.
import { readFileSync } from 'node:fs';
import type { Tuple } from './model/tuples.ts';

const PAGE = new URL('../../docs/OWNERSHIP-TABLES.md', import.meta.url);

export interface Table {
  readonly heading: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function tablesOfPage(): Table[] {
  const tables: Table[] = [];
  let heading = '';
  let lines: string[] = [];
  const flush = () => {
    const [head, , ...rows] = lines.map(cellsOf);
    if (head) tables.push({ heading, columns: head, rows });
    lines = [];
  };
  for (const line of [...readFileSync(PAGE, 'utf8').split('\n'), '']) {
    if (line.startsWith('|')) lines.push(line);
    else flush();
    if (line.startsWith('## ')) heading = line.slice(3);
  }
  return tables;
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());
}

/** `a, b, c` */
export function words(cell: string | undefined): string[] {
  return (cell ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** One row of the tables of steps. */
export interface Row {
  readonly text: string;
  readonly cells: { readonly [column in Column]: readonly string[] };
  /** Words of it that were seen. */
  readonly seen: Set<string>;
}

type Column = 'standing' | 'phase' | 'event' | '→ standing' | '→ phase' | 'asks for';

export function rowsOfPage(): Row[] {
  return tablesOfPage()
    .filter((table) => table.columns.includes('asks for'))
    .flatMap((table) =>
      table.rows.map((cells) => {
        const cell = (column: Column) => words(cells[table.columns.indexOf(column)]);
        const row = {
          standing: cell('standing'),
          phase: cell('phase'),
          event: cell('event'),
          '→ standing': cell('→ standing'),
          '→ phase': cell('→ phase'),
          'asks for': cell('asks for'),
        };
        return { text: cells.slice(0, 7).join(' | '), cells: row, seen: new Set<string>() };
      }),
    );
}

/** Whether the row says that this step is taken. */
export function fits(row: Row, tuple: Tuple): boolean {
  const has = (column: Column, word: string, before?: string) => {
    const cell = row.cells[column];
    return cell.includes(word) || cell.includes('any') || (word === before && cell.includes('='));
  };
  return (
    has('event', tuple.event) &&
    has('standing', tuple.role) &&
    has('phase', tuple.phase) &&
    has('→ standing', tuple.toRole, tuple.role) &&
    has('→ phase', tuple.toPhase, tuple.phase) &&
    asksFor(row.cells['asks for'], tuple.effects)
  );
}

function asksFor(cell: readonly string[], effects: readonly string[]): boolean {
  const [word, ...rest] = cell;
  if (word === undefined) return effects.length === 0;
  const optional = word.endsWith('?');
  const name = optional ? word.slice(0, -1) : word;
  if (effects[0] === name && asksFor(rest, effects.slice(1))) return true;
  return optional && asksFor(rest, effects);
}
