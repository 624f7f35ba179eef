// Reads the tables of docs/OWNERSHIP-TABLES.md: a table is known by the heading above it, a row by the words in its cells.
import { readFileSync } from 'node:fs';

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
