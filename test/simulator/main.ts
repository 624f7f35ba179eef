// npm run simulate: many seeds, or one again. A failing seed prints the line that replays it and the end of its history.
import { parseArgs } from 'node:util';
import { PROFILES } from './nemesis.ts';
import { runSeed } from './world.ts';

const PROGRESS_MS = 60_000;

const USAGE = `npm run simulate -- [--seeds N] [--first SEED] [--profile ${Object.keys(PROFILES).join('|')}] [--minutes M] [--trace LINES] [--json]

Runs whole simulated clusters, one seed after the other, through every profile in turn (or one), and checks them.
Ends with 1 at the first failing seed, after printing the command that replays it.
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    profile: { type: 'string' },
    minutes: { type: 'string' },
    trace: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const names = values.profile ? [values.profile] : Object.keys(PROFILES);
for (const name of names) {
  if (PROFILES[name]) continue;
  process.stderr.write(`no profile ${name}\n${USAGE}`);
  process.exit(2);
}
const first = Number(values.first);
const endMs = values.minutes ? performance.now() + Number(values.minutes) * 60_000 : Number.POSITIVE_INFINITY;
const seeds = values.minutes ? Number.POSITIVE_INFINITY : Number(values.seeds);
const totals: Record<string, number> = {};
let steps = 0;
let ran = 0;
let failed = 0;
const beganMs = performance.now();
let shownMs = beganMs;
for (let i = 0; i < seeds && performance.now() < endMs; i++) {
  const seed = first + i;
  const name = names[i % names.length] ?? '';
  const profile = PROFILES[name];
  if (!profile) continue;
  const result = await runSeed(seed, name, profile);
  ran++;
  steps += result.steps;
  if (performance.now() - shownMs > PROGRESS_MS) {
    shownMs = performance.now();
    process.stderr.write(
      `${ran} seeds, ${steps} steps, ${failed} failed, ${Math.round((shownMs - beganMs) / 60_000)} min\n`,
    );
  }
  for (const [what, count] of Object.entries(result.counts)) totals[what] = (totals[what] ?? 0) + count;
  if (!result.failure) continue;
  failed++;
  process.stdout.write(
    `FAILED after ${result.steps} steps: npm run simulate -- --first ${seed} --seeds 1 --profile ${name}\n${result.failure}\n`,
  );
  process.stdout.write(`${result.trace.slice(-Number(values.trace)).join('\n')}\n`);
  if (!values['keep-going']) break;
}
const seconds = (performance.now() - beganMs) / 1000;
const summary = { seeds: ran, failed, steps, seconds: Math.round(seconds), totals };
if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
else {
  process.stdout.write(`${ran} seeds, ${steps} steps in ${seconds.toFixed(0)} s, ${failed} failed\n`);
  for (const [what, count] of Object.entries(totals).sort()) process.stdout.write(`  ${what}: ${count}\n`);
}
process.exit(failed > 0 ? 1 : 0);
