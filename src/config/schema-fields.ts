// The parts that the schema is written with: a documented leaf, words, patterns, defaults, secrets. Input is text out of
// the tree (tree.ts); output is a checked value. Knows no key of the configuration.
import { z } from 'zod';
import { type ReadSecret, readSecrets, SECRET_LIST_MAX } from './secrets.ts';
import { suggest } from './suggest.ts';
import type { Parsed } from './units.ts';

/** When a changed value takes effect. `revision`: live, together with a grown `cluster.revision`. */
export type Effect = 'live' | 'revision' | 'restart';

export interface FieldDoc {
  readonly type: string;
  readonly limit?: string;
  readonly unit?: string;
  /** What stands in for an absent key, in words, where it is no plain default. */
  readonly otherwise?: string;
  readonly effect: Effect;
  readonly text: string;
}

/** What docs/CONFIG.md says of each field; a schema that is in here is a leaf of the page. */
export const fieldDocs = z.registry<FieldDoc>();

export interface SchemaContext {
  /** Folder of the configuration file; relative paths start there. */
  readonly folder: string;
  readonly readSecret: ReadSecret;
}

/** A leaf: text in, value out. The problem is a clause; parse.ts puts the text as written in front of it. */
export function scalar<T>(doc: FieldDoc, parse: (text: string) => Parsed<T>) {
  const schema = z.string().transform((text, context): T => {
    const parsed = parse(text);
    if ('value' in parsed) return parsed.value;
    context.issues.push({ code: 'custom', message: parsed.problem, input: text });
    return z.NEVER;
  });
  fieldDocs.add(schema, doc);
  return schema;
}

export function matching(pattern: RegExp, problem: string) {
  return (text: string): Parsed<string> => (pattern.test(text) ? { value: text } : { problem });
}

export function oneOf<const T extends string>(...words: readonly T[]) {
  return (text: string): Parsed<T> => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return { value: found };
    const near = suggest(text, words);
    return { problem: near === null ? 'is none of the allowed words' : `is unknown; did you mean "${near}"?` };
  };
}

export function withDefault<T>(schema: z.ZodType<T, string>, text: string) {
  const doc = fieldDocs.get(schema);
  const result = z.prefault(schema, text);
  if (doc !== undefined) fieldDocs.add(result, doc);
  return result;
}

export function secretField(doc: Omit<FieldDoc, 'type' | 'limit'>, read: ReadSecret, charactersMin: number) {
  const schema = z.unknown().transform((value, context): readonly string[] => {
    const { secrets, problems } = readSecrets(value, read, charactersMin);
    for (const { at, problem } of problems) {
      context.issues.push({ code: 'custom', message: problem, input: value, path: at === null ? [] : [at] });
    }
    return problems.length > 0 ? z.NEVER : secrets;
  });
  return schema.register(fieldDocs, {
    type: 'secret, or list of secrets',
    limit: `at least ${charactersMin} characters each; at most ${SECRET_LIST_MAX} in a list`,
    ...doc,
  });
}
