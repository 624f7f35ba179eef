#!/usr/bin/env node
// The command line: one verb a file, loaded when it is called.
import { stripVTControlCharacters } from 'node:util';
import { type CommandDef, defineCommand, renderUsage, runCommand } from 'citty';
import { requireKnownArguments } from './cli/arguments.ts';
import { endQuietlyWithReader, print, printError } from './cli/output.ts';
import { ZringError } from './common/errors.ts';
import { RELEASE } from './release.ts';

// biome-ignore lint/suspicious/noExplicitAny: verbs have arguments of their own shape.
type Verb = CommandDef<any>;

const VERBS: Record<string, () => Promise<Verb>> = {
  serve: async () => (await import('./cli/serve.ts')).serveCommand,
  demo: async () => (await import('./cli/demo.ts')).demoCommand,
  status: async () => (await import('./cli/status.ts')).statusCommand,
  buckets: async () => (await import('./cli/datasets.ts')).bucketsCommand,
  bucket: async () => (await import('./cli/bucket.ts')).bucketCommand,
  disk: async () => (await import('./cli/disk.ts')).diskCommand,
  credential: async () => (await import('./cli/credential.ts')).credentialCommand,
  explain: async () => (await import('./cli/datasets.ts')).explainCommand,
  move: async () => (await import('./cli/datasets.ts')).moveCommand,
  snapshot: async () => (await import('./cli/snapshot.ts')).snapshotCommand,
  scrub: async () => (await import('./cli/scrub.ts')).scrubCommand,
  takeover: async () => (await import('./cli/takeover.ts')).takeoverCommand,
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

endQuietlyWithReader();
await run(process.argv.slice(2));

async function run(rawArgs: string[]): Promise<void> {
  try {
    if (rawArgs.length === 1 && (rawArgs[0] === '--version' || rawArgs[0] === '-v')) return print(RELEASE);
    const called = await commandPath(rawArgs);
    const help = rawArgs.slice(called.words.length).some((word) => word === '--help' || word === '-h');
    if (help || rawArgs.length === 0) return print(await usage(called));
    const children = await childrenOf(called.command);
    if (children) throw unknownCommand(rawArgs.slice(called.words.length), called.words, Object.keys(children));
    const definitions = (await resolveValue(called.command.args)) as Parameters<typeof requireKnownArguments>[1];
    requireKnownArguments(rawArgs.slice(called.words.length), definitions ?? {});
    await runCommand(main, { rawArgs });
  } catch (error) {
    printError(error);
  }
}

interface Called {
  readonly command: Verb;
  /** The words that led to it. */
  readonly words: readonly string[];
}

/** The deepest command that the arguments name. */
async function commandPath(rawArgs: readonly string[]): Promise<Called> {
  let command: Verb = main;
  const words: string[] = [];
  for (const name of rawArgs) {
    const children = await childrenOf(command);
    const child = children && Object.hasOwn(children, name) ? children[name] : undefined;
    if (!child) break;
    words.push(name);
    command = (await resolveValue(child)) as Verb;
  }
  return { command, words };
}

async function childrenOf(command: Verb): Promise<Record<string, unknown> | undefined> {
  return (await resolveValue(command.subCommands)) as Record<string, unknown> | undefined;
}

/** Colours are for terminals; citty asks the environment only. */
async function usage({ command, words }: Called): Promise<string> {
  const parent = { meta: { name: ['zring', ...words.slice(0, -1)].join(' '), version: RELEASE } };
  const text = (await renderUsage(command, words.length > 0 ? parent : undefined)).trimEnd();
  return process.stdout.isTTY ? text : stripVTControlCharacters(text).replace(/ +$/gm, '');
}

function unknownCommand(rest: readonly string[], words: readonly string[], known: readonly string[]): ZringError {
  const [name] = rest;
  const what =
    name === undefined
      ? 'a command is missing'
      : name.startsWith('-')
        ? `${name} stands where a command is expected; options come behind it`
        : `unknown command ${name}`;
  const help = ['zring', ...words, '--help'].join(' ');
  return new ZringError('CONFIG_INVALID', `${what}; there are: ${known.join(', ')}. See ${help}`);
}

async function resolveValue(value: unknown): Promise<unknown> {
  return typeof value === 'function' ? await value() : await value;
}
