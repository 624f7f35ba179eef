// `npm run faults`: rounds of runs until the minutes are over, summed up. Owns the campaign's folder; each run owns its
// own below it.
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { detectParts } from '../support/detect.mjs';
import { launchRun, type RunRequest } from './launch.ts';
import { PROFILES, type Profile, ROTATION } from './plan.ts';
import { buildProgram, type Program } from './program.ts';
import { subSeed } from './random.ts';
import { againLine, campaignLines, runLines, tableHead, tableRow, withRow } from './report.ts';
import { brokenRun, type CampaignResult, judge, type RunResult, sumCampaign } from './verdict.ts';

const PAGE = fileURLToPath(new URL('../../docs/FAULTS.md', import.meta.url));
const PARTS_NEEDED = ['zfs-fuse', 'redis-server', 'netns', 'mounts'];

const HELP = `npm run faults -- [options]: real clusters, real faults, checked histories (docs/FAULTS.md)

  --minutes N       rounds of runs begin until so many minutes are over (default 10)
  --seed S          of the campaign; each run has a seed of its own from it (default: random, printed)
  --profile P,…     ${PROFILES.join(', ')} (default: all in turn, some oftener)
  --faults N        planned faults a run (default 60)
  --clusters K      runs at the same time (default 1)
  --rate N          operations a second a cluster (default 40)
  --commit REF      which commit is built (default HEAD)
  --worktree        the program as it lies in src, not that of the last commit
  --json FILE       the result, written after each run
  --folder DIR      where histories and logs are kept (default: a new folder in ${tmpdir()})
  --run SEED        one run with exactly this seed, as a failure prints it; with --profile and --faults
  --row FILE        prints the row for the table in docs/FAULTS.md from a result, and ends
  --record FILE     adds that row to docs/FAULTS.md, and ends

Needs root, zfs-fuse, redis-server, iproute2 and namespaces. Ends with 0 = passed, 1 = failed, 2 = void, 3 = cannot run.`;

interface Campaign {
  readonly program: Program;
  readonly folder: string;
  readonly seed: number;
  readonly profiles: readonly Profile[];
  readonly minutes: number;
  readonly clusters: number;
  readonly faults: number;
  readonly ratePerSecond: number;
  readonly json: string | undefined;
}

async function runCampaign(campaign: Campaign): Promise<CampaignResult> {
  const { program, seed, profiles } = campaign;
  const startedMs = performance.now();
  const startedAt = new Date().toISOString();
  const runs: RunResult[] = [];
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  let next = 0;
  const elapsedMinutes = () => (performance.now() - startedMs) / 60_000;
  const result = (): CampaignResult => {
    const { clusters } = campaign;
    return { seed, commit: program.commit, startedAt, minutes: elapsedMinutes(), profiles, clusters, runs };
  };

  const cluster = async () => {
    while (!ended.signal.aborted && elapsedMinutes() < campaign.minutes) {
      const number = next;
      next += 1;
      const profile = profiles[number % profiles.length] ?? 'mixed';
      const request: RunRequest = {
        seed: subSeed(seed, 'run', number),
        profile,
        faults: campaign.faults,
        folder: join(campaign.folder, `${String(number).padStart(3, '0')}-${profile}`),
        ratePerSecond: campaign.ratePerSecond,
      };
      const run = await launchRun(program, request, ended.signal).catch((error) => brokenRun(request, String(error)));
      if (ended.signal.aborted) return;
      runs.push(run);
      print(runLines(run, program.commit));
      print([againLine(run, program.commit, campaign)]);
      if (campaign.json) await writeFile(campaign.json, JSON.stringify(result(), null, 1));
    }
  };
  await Promise.all(Array.from({ length: campaign.clusters }, cluster));
  return result();
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function requireParts(): boolean {
  const faults = detectParts();
  const missing = PARTS_NEEDED.filter((name) => faults[name] !== null);
  for (const name of missing) process.stderr.write(`faults: MISSING ${name}: ${faults[name]}\n`);
  return missing.length === 0;
}

function profilesOf(text: string | undefined): readonly Profile[] {
  if (text === undefined) return ROTATION;
  return text.split(',').map((name) => {
    const profile = PROFILES.find((known) => known === name);
    if (!profile) throw new Error(`no profile ${name}; there are ${PROFILES.join(', ')}`);
    return profile;
  });
}

function numberOf(name: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name} must be a number above 0`);
  return value;
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    options: {
      help: flag,
      minutes: text,
      seed: text,
      profile: text,
      faults: text,
      clusters: text,
      rate: text,
      commit: text,
      worktree: flag,
      json: text,
      folder: text,
      run: text,
      row: text,
      record: text,
    },
  });
  if (values.help) {
    print([HELP]);
    return 0;
  }
  const past = values.row ?? values.record;
  if (past !== undefined) {
    const campaign = JSON.parse(await readFile(past, 'utf8')) as CampaignResult;
    if (values.record) await writeFile(PAGE, withRow(await readFile(PAGE, 'utf8'), campaign));
    print([tableHead(), tableRow(campaign)]);
    return 0;
  }
  if (!requireParts()) return 3;
  const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'zring-faults-')));
  await mkdir(folder, { recursive: true });
  const program = await buildProgram(folder, { commit: values.worktree ? null : (values.commit ?? 'HEAD') });
  const faults = numberOf('faults', values.faults, 60);
  const profiles = profilesOf(values.profile);
  const ratePerSecond = numberOf('rate', values.rate, 40);
  if (values.run !== undefined) {
    const profile = profiles[0] ?? 'mixed';
    const request = {
      seed: numberOf('run', values.run, 1),
      profile,
      faults,
      ratePerSecond,
      folder: join(folder, 'run'),
    };
    const run = await launchRun(program, request);
    print(runLines(run, program.commit));
    return exitCode(judge(run).verdict);
  }
  const seed = numberOf('seed', values.seed, 1 + Math.floor(Math.random() * 1_000_000));
  const minutes = numberOf('minutes', values.minutes, 10);
  const clusters = numberOf('clusters', values.clusters, 1);
  print([
    `faults: seed ${seed}, commit ${program.commit}, ${minutes} minutes, ${clusters} cluster(s), kept in ${folder}`,
  ]);
  const { json } = values;
  const campaign = { program, folder, seed, profiles, minutes, clusters, faults, ratePerSecond, json };
  const result = await runCampaign(campaign);
  await writeFile(join(folder, 'campaign.json'), JSON.stringify(result, null, 1));
  print(campaignLines(result));
  return exitCode(sumCampaign(result.runs).verdict);
}

function exitCode(verdict: 'PASSED' | 'FAILED' | 'VOID'): number {
  return { PASSED: 0, FAILED: 1, VOID: 2 }[verdict];
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    process.stderr.write(`faults: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 3;
  },
);
