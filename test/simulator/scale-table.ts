// Results of the scale simulation as Markdown. Pure.
import type { PhaseResult } from './scale-phases.ts';

const COLUMNS = [
  'phase',
  'nodes',
  'calls/s',
  'calls/s/node',
  'B/s/node',
  'hints/s/node',
  'peak calls/s/node',
  'peak MB/s, all',
  'settled s',
  'moves',
  'most at a sender',
  'CPU ms/s',
] as const;

export function formatTable(results: readonly PhaseResult[]): string {
  const phases = [...new Set(results.map(({ counts }) => counts.name))];
  const rows = phases.flatMap((phase) => results.filter(({ counts }) => counts.name === phase).map(rowOf));
  const lines = [COLUMNS, COLUMNS.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function rowOf({ options, counts, settledS, moving, busyMs }: PhaseResult): string[] {
  const { nodes } = options;
  const perSecond = (value: number) => value / counts.seconds;
  return [
    counts.name,
    String(nodes),
    round(perSecond(counts.calls)),
    round(perSecond(counts.calls) / nodes),
    round(perSecond(counts.bytes) / nodes),
    round(perSecond(counts.hints) / nodes),
    round(counts.peakCalls / nodes),
    round(counts.peakBytes / 1e6),
    settledS === null ? '' : round(settledS),
    moving === 0 ? '' : String(moving),
    counts.sendingMost === 0 ? '' : String(counts.sendingMost),
    round(busyMs),
  ];
}

/** Calls and bytes per node and second, by method. */
export function formatMethods(results: readonly PhaseResult[]): string {
  const lines = ['| phase | nodes | method | calls/s/node | B/s/node |', '| --- | --- | --- | --- | --- |'];
  for (const { options, counts, failures } of results) {
    for (const [method, { calls, bytes }] of Object.entries(counts.methods)) {
      const scale = counts.seconds * options.nodes;
      lines.push(
        `| ${counts.name} | ${options.nodes} | ${method} | ${round(calls / scale)} | ${round(bytes / scale)} |`,
      );
    }
    for (const [code, count] of Object.entries(failures))
      lines.push(`| ${counts.name} | ${options.nodes} | ${code} | ${count} failed | |`);
  }
  return lines.join('\n');
}

function round(value: number): string {
  if (value === 0) return '0';
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}
