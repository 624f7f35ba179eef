// Reading the schema itself: which keys a section has, and what is documented of a field. For fault messages and for
// docs/CONFIG.md. Pure; knows zod's inner shape so that nothing else has to.
import type { z } from 'zod';
import { type FieldDoc, fieldDocs } from './schema.ts';

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly defaultValue?: unknown;
}

function definition(schema: z.ZodType): Definition {
  return schema.def as unknown as Definition;
}

/** Without `optional` and `prefault` around it. */
function bare(schema: z.ZodType): z.ZodType {
  const { innerType } = definition(schema);
  return innerType === undefined ? schema : bare(innerType);
}

function docOf(schema: z.ZodType): FieldDoc | undefined {
  const { innerType } = definition(schema);
  return fieldDocs.get(schema) ?? (innerType === undefined ? undefined : docOf(innerType));
}

/** `undefined` for a path that the schema does not know. */
function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  let at: z.ZodType | undefined = schema;
  for (const part of path) {
    const { shape, element } = definition(bare(at));
    at = typeof part === 'number' ? element : shape?.[String(part)];
    if (at === undefined) return undefined;
  }
  return at;
}

export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const at = schemaAt(schema, path);
  return at === undefined ? [] : Object.keys(definition(bare(at)).shape ?? {});
}

/** An item of a list of plain values is documented by its list. */
export function fieldAt(schema: z.ZodType, path: readonly PropertyKey[]): FieldDoc | undefined {
  const at = schemaAt(schema, path);
  if (at !== undefined) return docOf(at);
  return typeof path.at(-1) === 'number' ? fieldAt(schema, path.slice(0, -1)) : undefined;
}

export interface Field {
  /** `nodes[].listen.s3` */
  readonly key: string;
  readonly doc: FieldDoc;
  readonly required: boolean;
  /** As it would be written. */
  readonly defaultText: string | null;
}

/** Every documented key in the order of the schema; throws for one without documentation. */
export function allFields(schema: z.ZodType, key = ''): Field[] {
  const doc = docOf(schema);
  if (doc !== undefined) return [{ key, doc, ...presence(schema) }];
  const { shape, element, type } = definition(bare(schema));
  if (element !== undefined) return allFields(element, `${key}[]`);
  if (shape === undefined) throw new Error(`bug: configuration key ${key} (${type}) has no documentation`);
  return Object.entries(shape).flatMap(([name, part]) => allFields(part, key === '' ? name : `${key}.${name}`));
}

function presence(schema: z.ZodType): { required: boolean; defaultText: string | null } {
  const { type, defaultValue } = definition(schema);
  if (type === 'optional') return { required: false, defaultText: null };
  if (type !== 'prefault') return { required: true, defaultText: null };
  return { required: false, defaultText: Array.isArray(defaultValue) ? 'none' : String(defaultValue) };
}
