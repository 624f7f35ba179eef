// What was measured, as JSON and as two tables: ratios first, because they survive another machine better than rates.
// Pure.
import type { Run } from './generator.ts';
import { guarantee, type Row } from './rows.ts';

export interface SideRun extends Run {
  /** Time that writing back the dirty pages took after the run: what a side without fsync left for later. Null = GET. */
  readonly writeBackSeconds: number | null;
}

export interface RowResult {
  readonly row: Row;
  /** In the order in which they ran: zring, nginx, zring, nginx … */
  readonly zring: readonly SideRun[];
  readonly nginx: readonly SideRun[];
}

export interface Machine {
  readonly cpus: number;
  readonly model: string;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly fileSystem: string;
}

export interface Report {
  readonly format: 1;
  readonly startedAt: string;
  readonly command: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<'zring' | 'nginx', string>>;
  /** `dist`: as released. `sources`: through tsx, because dist was not what the sources say. */
  readonly program: 'dist' | 'sources';
  readonly payload: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly loadBefore: readonly number[];
  readonly loadAfter: readonly number[];
  readonly rows: readonly RowResult[];
}

const MIB = 1024 * 1024;
const MARK = '<!-- table -->';
const MARK_END = '<!-- /table -->';
/** From here on the generator, not the server, may have set the rate. */
const GENERATOR_CORES_BUSY = 0.9;

type SideName = 'zring' | 'nginx';

interface Total {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly generatorCores: number;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Sums over all rounds; latencies are the median round's. */
export function total(runs: readonly Run[]): Total {
  const requests = sum(runs.map((run) => run.requests));
  const seconds = sum(runs.map((run) => run.seconds));
  return {
    perSecond: requests / seconds,
    cpuUs: (sum(runs.map((run) => run.serverCpuSeconds)) / requests) * 1e6,
    p50Ms: median(runs.map((run) => run.p50Ms)),
    p99Ms: median(runs.map((run) => run.p99Ms)),
    generatorCores: sum(runs.map((run) => run.generatorCpuSeconds)) / seconds,
  };
}

function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

/** zring : nginx over all rounds, and the smallest and largest of a round. */
function ratio({ zring, nginx }: RowResult, of: (total: Total) => number): string {
  const all = of(total(zring)) / of(total(nginx));
  if (zring.length < 2) return short(all);
  const rounds = zring.map((run, n) => of(total([run])) / of(total(nginx.slice(n, n + 1))));
  return `${short(all)} (${short(Math.min(...rounds))}–${short(Math.max(...rounds))})`;
}

function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const rule = header.map((_, n) => (n === 0 ? '---' : '--:'));
  return [header, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function ratioTable(rows: readonly RowResult[]): string {
  return table(
    ['row', 'requests/s = MB/s', 'server CPU per request', 'p50', 'p99'],
    rows.map((result) => [
      result.row.name,
      ratio(result, ({ perSecond }) => perSecond),
      ratio(result, ({ cpuUs }) => cpuUs),
      ratio(result, ({ p50Ms }) => p50Ms),
      ratio(result, ({ p99Ms }) => p99Ms),
    ]),
  );
}

function sideLine({ row, ...runs }: RowResult, side: SideName): string[] {
  const { perSecond, cpuUs, p50Ms, p99Ms, generatorCores } = total(runs[side]);
  const writeBack = runs[side].flatMap(({ writeBackSeconds }) => (writeBackSeconds === null ? [] : [writeBackSeconds]));
  return [
    row.name,
    side,
    short(perSecond),
    short((perSecond * row.sizeBytes) / MIB),
    `${short(cpuUs)} µs`,
    `${short(p50Ms)} ms`,
    `${short(p99Ms)} ms`,
    String(sum(runs[side].map(({ errors }) => errors))),
    writeBack.length === 0 ? '' : `${short(median(writeBack))} s`,
    `${short(generatorCores)}${generatorCores >= GENERATOR_CORES_BUSY ? ' *' : ''}`,
    guarantee(side, row),
  ];
}

function sideTable(rows: readonly RowResult[]): string {
  const header = ['row', 'side', 'requests/s', 'MiB/s', 'CPU/request', 'p50', 'p99', 'failed', 'write-back after'];
  return table(
    [...header, 'generator cores', 'what a request includes'],
    rows.flatMap((result) => [sideLine(result, 'zring'), sideLine(result, 'nginx')]),
  );
}

function machineLines(report: Report): string {
  const { machine } = report;
  const runs = report.rows.flatMap(({ zring, nginx }) => [...zring, ...nginx]);
  const others = runs.map(({ otherCores }) => otherCores);
  const load = (values: readonly number[]) => values.map((value) => value.toFixed(2)).join(' ');
  return `Measured ${report.startedAt} with \`${report.command}\`: ${report.rounds} rounds of ${report.seconds} s a side and row.
zring ${report.versions.zring} (${report.program}, payload ${report.payload}), nginx ${report.versions.nginx}, Node ${machine.node}, Linux ${machine.kernel}, ${machine.cpus} × ${machine.model}, ${machine.memoryMiB} MiB, files on ${machine.fileSystem}.
Load average before ${load(report.loadBefore)}, after ${load(report.loadAfter)}. Cores that other work on the machine kept busy during a run: median ${short(median(others))}, at most ${short(Math.max(...others))} of ${machine.cpus}.`;
}

export function markdown(report: Report): string {
  const failures = report.rows.flatMap(({ row, zring, nginx }) =>
    [...zring, ...nginx].flatMap(({ firstError }) => (firstError === null ? [] : [`${row.name}: ${firstError}`])),
  );
  return `${machineLines(report)}

zring : nginx; in brackets the smallest and the largest ratio of a single round. Requests: more is better. The rest: less is better.

${ratioTable(report.rows)}

Each side (* = the load generator was at the end of its core: the server may do more)

${sideTable(report.rows)}
${failures.length === 0 ? '' : `\nFailed requests: ${[...new Set(failures)].join('; ')}\n`}`;
}

/** Puts the text at the marker, in the place of what an earlier run put there. */
export function withTable(page: string, text: string): string {
  const start = page.indexOf(MARK);
  if (start < 0) throw new Error(`the page has no line ${MARK}`);
  const end = page.indexOf(MARK_END, start);
  const rest = end < 0 ? page.slice(start + MARK.length) : page.slice(end + MARK_END.length);
  return `${page.slice(0, start)}${MARK}\n\n${text.trim()}\n\n${MARK_END}${rest}`;
}
