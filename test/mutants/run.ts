// `npm run mutants`: makes each mutant in a copy of the working tree and runs the test that has to notice it. Ends with 1
// when one survives, or when nothing could be learned about one.
//
//   --only NAME   only mutants whose name contains it; may be repeated     --all    also the other tests known to catch it
//   --jobs N      at the same time (default: half of the processors)       --list   show them and do nothing
//   --json        one line of JSON for each, and nothing else on stdout
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { MUTANTS } from './all.ts';
import { baselineFault, judge, type Verdict } from './judge.ts';
import type { Catcher, Mutant } from './mutant.ts';
import { Workshop } from './workshop.ts';

/** The sound program's time for the same tests, times this, but never less: a machine that is busy must not decide. */
const SLOWER = 10;
const LIMIT_MS_MIN = 120_000;
const BASELINE_LIMIT_MS = 600_000;

interface Baseline {
  /** By test. */
  readonly faults: ReadonlyMap<string, string>;
  readonly limitMs: number;
}

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    jobs: { type: 'string' },
    list: { type: 'boolean' },
    json: { type: 'boolean' },
    all: { type: 'boolean' },
  },
});

function chosen(): readonly Mutant[] {
  const { only } = options;
  const mutants = only ? MUTANTS.filter(({ name }) => only.some((part) => name.includes(part))) : MUTANTS;
  if (mutants.length === 0) throw new Error(`no mutant is called ${only?.join(' or ')}`);
  return mutants;
}

function catchersOf({ caughtBy }: Mutant): readonly Catcher[] {
  return options.all ? caughtBy : caughtBy.slice(0, 1);
}

/** Each test alone, as it is run on a mutant: one that needs those before it would fail there for its own reasons. */
function commandOf({ file, test, env, wholeFile }: Catcher): string {
  return JSON.stringify([file, wholeFile ? null : test, env ?? {}]);
}

/** Tasks on the workshops, each on one at a time. */
async function spread<Item>(workshops: readonly Workshop[], items: Iterable<Item>, task: Task<Item>): Promise<void> {
  const queue = [...items];
  const work = async (workshop: Workshop) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await task(workshop, item);
  };
  await Promise.all(workshops.map(work));
}
type Task<Item> = (workshop: Workshop, item: Item) => Promise<void>;

async function baselines(workshops: readonly Workshop[], mutants: readonly Mutant[]): Promise<Map<string, Baseline>> {
  const wanted = new Map<string, [Catcher, ...Catcher[]]>();
  for (const catcher of mutants.flatMap(catchersOf)) {
    const command = commandOf(catcher);
    wanted.set(command, [catcher, ...(wanted.get(command) ?? [])]);
  }
  const found = new Map<string, Baseline>();
  await spread(workshops, wanted, async (workshop, [command, catchers]) => {
    const run = await workshop.run(catchers, BASELINE_LIMIT_MS);
    const faults = new Map<string, string>();
    for (const catcher of catchers) {
      const fault = baselineFault(run, catcher);
      if (fault !== null) faults.set(catcher.test, fault);
    }
    found.set(command, { faults, limitMs: Math.max(LIMIT_MS_MIN, run.ms * SLOWER) });
    progress(`sound: ${catchers[0].file} ${faults.size === 0 ? 'passes' : [...faults].flat().join(': ')}`);
  });
  return found;
}

async function verdictOf(workshop: Workshop, mutant: Mutant, catcher: Catcher, known: Baseline): Promise<Verdict> {
  const { name, breaks } = mutant;
  const { file, test } = catcher;
  const nothing = (said: string): Verdict => ({ mutant: name, breaks, verdict: 'void', file, test, said, ms: 0 });
  const fault = known.faults.get(test);
  if (fault !== undefined) return nothing(fault);
  try {
    return await workshop.with(mutant, async () =>
      judge(mutant, catcher, await workshop.run([catcher], known.limitMs)),
    );
  } catch (error) {
    return nothing((error as Error).message);
  }
}

function progress(line: string): void {
  if (!options.json) console.error(line);
}

function show({ mutant, verdict, test, said, ms, breaks }: Verdict): void {
  const seconds = `${(ms / 1000).toFixed(1)} s`;
  if (verdict === 'caught') console.log(`caught    ${mutant} (${seconds}) by: ${test}`);
  else console.log(`${verdict.toUpperCase().padEnd(8)}  ${mutant} (${seconds}): ${breaks}\n          ${test}: ${said}`);
}

async function main(): Promise<void> {
  const mutants = chosen();
  if (options.list) {
    for (const { name, breaks, file, caughtBy } of mutants) {
      console.log(`${name}\n    ${breaks}\n    ${file}, caught by ${caughtBy[0].file}: ${caughtBy[0].test}`);
    }
    return;
  }
  const jobs = Math.max(1, Number(options.jobs ?? Math.floor(availableParallelism() / 2)));
  const workshops: Workshop[] = [];
  const verdicts: Verdict[] = [];
  const beganMs = performance.now();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void clear(workshops).then(() => process.exit(1)));
  }
  try {
    for (let job = 0; job < Math.min(jobs, mutants.length); job++) workshops.push(await Workshop.make());
    const sound = await baselines(workshops, mutants);
    const runs = mutants.flatMap((mutant) => catchersOf(mutant).map((catcher) => ({ mutant, catcher })));
    await spread(workshops, runs, async (workshop, { mutant, catcher }) => {
      const known = sound.get(commandOf(catcher));
      if (!known) throw new Error(`bug: nothing is known of ${catcher.file}`);
      const verdict = await verdictOf(workshop, mutant, catcher, known);
      verdicts.push(verdict);
      if (options.json) console.log(JSON.stringify(verdict));
      else show(verdict);
    });
  } finally {
    await clear(workshops);
  }
  const count = (kind: Verdict['verdict']) => verdicts.filter(({ verdict }) => verdict === kind).length;
  const minutes = ((performance.now() - beganMs) / 60_000).toFixed(1);
  const escaped = count('survived') + count('void');
  progress(
    `${mutants.length} mutants: ${count('caught')} caught, ${count('survived')} survived, ` +
      `${count('void')} without a verdict, in ${minutes} min`,
  );
  if (escaped > 0) process.exitCode = 1;
}

async function clear(workshops: readonly Workshop[]): Promise<void> {
  await Promise.all(workshops.map((workshop) => workshop.remove()));
}

await main();
