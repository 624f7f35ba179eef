// What citty passes over is an error: a misspelt `--noode`, a word too many, an option without its value (an unset
// variable of a script). Otherwise something else would be done than was meant. Pure.
import { ZringError } from '../common/errors.ts';

interface ArgumentDefinition {
  readonly type?: string;
  readonly alias?: string | readonly string[];
  readonly default?: unknown;
}

/** Throws CONFIG_INVALID naming the word and what there is. `args` are the words behind the verb. */
export function requireKnownArguments(
  args: readonly string[],
  definitions: Readonly<Record<string, ArgumentDefinition>>,
): void {
  const known = new Map<string, ArgumentDefinition>();
  const expected = Object.keys(definitions).filter((name) => definitions[name]?.type === 'positional');
  const words: string[] = [];
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.type === 'positional') continue;
    known.set(name, definition);
    for (const alias of [definition.alias ?? []].flat()) known.set(alias, definition);
  }
  for (let i = 0; i < args.length; i += 1) {
    const word = args[i] ?? '';
    if (word === '--') {
      words.push(...args.slice(i + 1));
      break;
    }
    const match = /^--?([^=]+)(=.*)?$/s.exec(word);
    if (!match?.[1] || word === '-') {
      words.push(word);
      continue;
    }
    const definition = known.get(match[1]) ?? known.get(match[1].replace(/^no-/, ''));
    if (!definition) {
      const options = [...known.keys()].filter((name) => name.length > 1).map((name) => `--${name}`);
      throw new ZringError('CONFIG_INVALID', `unknown option ${word}; there are: ${options.join(' ') || 'none'}`, {
        subject: word,
      });
    }
    if (definition.type === 'boolean') continue;
    // The value of `--name value` is not an option, whatever it looks like.
    const value = match[2] === undefined ? args[++i] : match[2].slice(1);
    if (value === undefined || (value === '' && definition.default !== '')) {
      throw new ZringError('CONFIG_INVALID', `option ${word.replace(/=.*/s, '')} needs a value`, { subject: word });
    }
  }
  const extra = words[expected.length];
  if (extra !== undefined) {
    const takes = expected.length === 0 ? 'no words' : expected.map((name) => name.toUpperCase()).join(' ');
    throw new ZringError('CONFIG_INVALID', `"${extra}" is one word too many; expected are ${takes} and options`, {
      subject: extra,
    });
  }
}
