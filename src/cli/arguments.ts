// Unknown options are errors: citty would pass over a misspelt `--noode`, and do something else than was meant. Pure.
import { ZringError } from '../common/errors.ts';

interface ArgumentDefinition {
  readonly type?: string;
  readonly alias?: string | readonly string[];
}

/** Throws CONFIG_INVALID naming the option and those there are. `args` are the words behind the verb. */
export function requireKnownOptions(
  args: readonly string[],
  definitions: Readonly<Record<string, ArgumentDefinition>>,
): void {
  const known = new Map<string, ArgumentDefinition>();
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.type === 'positional') continue;
    known.set(name, definition);
    for (const alias of [definition.alias ?? []].flat()) known.set(alias, definition);
  }
  for (let i = 0; i < args.length; i += 1) {
    const word = args[i] ?? '';
    if (word === '--') return;
    const match = /^--?([^=]+)(=.*)?$/.exec(word);
    if (!match?.[1] || word === '-') continue;
    const definition = known.get(match[1]) ?? known.get(match[1].replace(/^no-/, ''));
    if (!definition) {
      const options = [...known.keys()].filter((name) => name.length > 1).map((name) => `--${name}`);
      throw new ZringError('CONFIG_INVALID', `unknown option ${word}; there are: ${options.join(' ') || 'none'}`, {
        subject: word,
      });
    }
    // The value of `--name value` is not an option, whatever it looks like.
    if (definition.type !== 'boolean' && match[2] === undefined) i += 1;
  }
}
