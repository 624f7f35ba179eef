#!/usr/bin/env node
// The command line: one verb a file, loaded when it is called.
import { type CommandDef, defineCommand, runCommand, showUsage } from 'citty';
import { requireKnownOptions } from './cli/arguments.ts';
import { printError } from './cli/output.ts';
import { RELEASE } from './release.ts';

// biome-ignore lint/suspicious/noExplicitAny: verbs have arguments of their own shape.
type Verb = CommandDef<any>;

const VERBS: Record<string, () => Promise<Verb>> = {
  serve: async () => (await import('./cli/serve.ts')).serveCommand,
  demo: async () => (await import('./cli/demo.ts')).demoCommand,
  status: async () => (await import('./cli/status.ts')).statusCommand,
  buckets: async () => (await import('./cli/datasets.ts')).bucketsCommand,
  explain: async () => (await import('./cli/datasets.ts')).explainCommand,
  move: async () => (await import('./cli/datasets.ts')).moveCommand,
  config: async () => (await import('./cli/config.ts')).configCommand,
  doctor: async () => (await import('./cli/doctor.ts')).doctorCommand,
  store: async () => (await import('./cli/store.ts')).storeCommand,
  import: async () => (await import('./cli/import.ts')).importCommand,
  export: async () => (await import('./cli/export.ts')).exportCommand,
  upgrade: async () => (await import('./cli/upgrade.ts')).upgradeCommand,
};

const main = defineCommand({
  meta: { name: 'zring', version: RELEASE, description: 'One S3 endpoint over many ZFS machines' },
  subCommands: VERBS,
});

await run(process.argv.slice(2));

async function run(rawArgs: string[]): Promise<void> {
  try {
    if (rawArgs.length === 1 && (rawArgs[0] === '--version' || rawArgs[0] === '-v')) {
      process.stdout.write(`${RELEASE}\n`);
      return;
    }
    if (rawArgs.includes('--help') || rawArgs.includes('-h') || rawArgs.length === 0) {
      const path = await commandPath(rawArgs);
      await showUsage(path.command, path.parent);
      return;
    }
    const { command, words } = await commandPath(rawArgs);
    const definitions = (await resolveValue(command.args)) as Parameters<typeof requireKnownOptions>[1] | undefined;
    requireKnownOptions(rawArgs.slice(words), definitions ?? {});
    await runCommand(main, { rawArgs });
  } catch (error) {
    if (isUsageError(error)) {
      const path = await commandPath(rawArgs);
      await showUsage(path.command, path.parent);
    }
    printError(error);
  }
}

/** The deepest command that the arguments name. */
async function commandPath(
  rawArgs: readonly string[],
): Promise<{ command: Verb; parent: Verb | undefined; words: number }> {
  let command: Verb = main;
  let parent: Verb | undefined;
  let words = 0;
  for (const name of rawArgs) {
    const children = (await resolveValue(command.subCommands)) as Record<string, unknown> | undefined;
    const child = children?.[name];
    if (!child) break;
    parent = command;
    words += 1;
    command = (await resolveValue(child)) as Verb;
  }
  return { command, parent, words };
}

async function resolveValue(value: unknown): Promise<unknown> {
  return typeof value === 'function' ? await value() : await value;
}

/** citty's own errors about arguments carry a code that starts with E_. */
function isUsageError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && code.startsWith('E_');
}
