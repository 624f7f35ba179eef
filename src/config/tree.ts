// From YAML text to a tree of texts: variables expanded, the line of everything kept. Pure; the environment is an
// argument. All scalars stay text (YAML's failsafe schema): `0123`, `no` and `1e3` mean what was written, and a value
// means the same whether it stands in the file or comes from a variable.
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { ConfigFault } from './types.ts';

export type Tree = string | readonly Tree[] | { readonly [key: string]: Tree };

export interface ConfigTree {
  /** As written, with `${NAME}` in it. */
  readonly raw: Tree;
  /** With variables replaced. */
  readonly expanded: Tree;
  /** Path → line, from 1. */
  readonly lines: ReadonlyMap<string, number>;
}

export const CONFIG_CHARACTERS_MAX = 4 * 2 ** 20;
/** Scalars, lists and maps after following aliases: stops "billion laughs" documents. */
export const CONFIG_VALUES_MAX = 200_000;
const DEPTH_MAX = 12;

// `${NAME}` cannot stand unquoted inside `{ … }`, where YAML takes the brace for its own. These two characters of
// Unicode's private use area stand in for the braces while YAML reads; text and positions keep their length.
const OPEN = '\uE000';
const CLOSE = '\uE001';
const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
const SHIELDED = new RegExp(`\\$${OPEN}([A-Za-z_][A-Za-z0-9_]*)${CLOSE}`, 'g');

export function hasVariable(raw: string): boolean {
  return raw.search(VARIABLE) >= 0;
}

/** `nodes[2].weight` from its parts. */
export function formatPath(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>(
    (path, part) =>
      typeof part === 'number' ? `${path}[${part}]` : path === '' ? String(part) : `${path}.${String(part)}`,
    '',
  );
}

export function lookUp(tree: Tree | undefined, parts: readonly PropertyKey[]): Tree | undefined {
  let at: Tree | undefined = tree;
  for (const part of parts) {
    if (at === undefined || typeof at === 'string') return undefined;
    if (Array.isArray(at)) at = typeof part === 'number' ? at[part] : undefined;
    else at = Object.hasOwn(at, part) ? (at as { readonly [key: string]: Tree })[String(part)] : undefined;
  }
  return at;
}

/** Adds every fault of the text itself to `faults`. @returns null when no tree can be made of it. */
export function readTree(text: string, env: NodeJS.ProcessEnv, faults: ConfigFault[]): ConfigTree | null {
  const expected = 'one YAML document';
  if (text.length > CONFIG_CHARACTERS_MAX) {
    faults.push({ path: '', message: `is longer than ${CONFIG_CHARACTERS_MAX} characters`, expected });
    return null;
  }
  if (text.includes(OPEN) || text.includes(CLOSE)) {
    faults.push({ path: '', message: 'contains the characters U+E000 or U+E001', expected: 'text without them' });
    return null;
  }
  const lineCounter = new LineCounter();
  const shielded = text.replace(VARIABLE, `$$${OPEN}$1${CLOSE}`);
  const document = parseDocument(shielded, { schema: 'failsafe', lineCounter, prettyErrors: false });
  let broken = false;
  for (const error of [...document.errors, ...document.warnings]) {
    // Everything but a repeated key leaves a tree that may mean something else than was written.
    if (error.code !== 'DUPLICATE_KEY') broken = true;
    const line = lineCounter.linePos(error.pos[0]).line;
    faults.push({ path: '', message: unshield(error.message), expected, line });
  }
  if (broken) return null;
  const reader = new TreeReader(env, lineCounter, faults, document);
  const pair = reader.read(document.contents as Node | null, []);
  if (pair === null) {
    if (faults.length === 0)
      faults.push({ path: '', message: 'is empty', expected: 'sections cluster, nodes, credentials' });
    return null;
  }
  return { raw: pair.raw, expanded: pair.expanded, lines: reader.lines };
}

function unshield(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}');
}

interface TreePair {
  readonly raw: Tree;
  readonly expanded: Tree;
}

class TreeReader {
  readonly lines = new Map<string, number>();
  readonly #env: NodeJS.ProcessEnv;
  readonly #lineCounter: LineCounter;
  readonly #faults: ConfigFault[];
  readonly #document: Document;
  #values = 0;

  constructor(env: NodeJS.ProcessEnv, lineCounter: LineCounter, faults: ConfigFault[], document: Document) {
    this.#env = env;
    this.#lineCounter = lineCounter;
    this.#faults = faults;
    this.#document = document;
  }

  /** @returns null for what is left empty (a section whose lines are all comments counts as absent) or unusable. */
  read(node: Node | null, path: readonly PropertyKey[]): TreePair | null {
    if (node === null) return null;
    this.#noteLine(node, path);
    if (++this.#values > CONFIG_VALUES_MAX) {
      if (this.#values === CONFIG_VALUES_MAX + 1)
        this.#fault(path, 'holds too many values', `at most ${CONFIG_VALUES_MAX}`);
      return null;
    }
    if (path.length > DEPTH_MAX) {
      this.#fault(path, 'is nested too deeply', `at most ${DEPTH_MAX} levels`);
      return null;
    }
    if (isAlias(node)) return this.read(node.resolve(this.#document) ?? null, path);
    if (isMap(node)) return this.#readMap(node.items as readonly { key: unknown; value: unknown }[], path);
    if (isSeq(node)) return this.#readList(node.items as readonly Node[], path);
    if (isScalar(node)) return this.#readScalar(node as { value: unknown; source?: string; type?: string }, path);
    return null;
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], path: readonly PropertyKey[]): TreePair {
    const raw: Record<string, Tree> = {};
    const expanded: Record<string, Tree> = {};
    for (const { key, value } of items) {
      const name = isScalar(key) ? unshield(String(key.value)) : '';
      if (name === '' || name === '__proto__' || hasVariable(name)) {
        const message = `has a key that cannot be used${name === '' ? '' : `: "${name}"`}`;
        this.#fault(path, message, 'a plain word as key', key as Node);
        continue;
      }
      const here = [...path, name];
      this.#noteLine(key as Node, here);
      const pair = this.read(value as Node | null, here);
      // The key's line, which is where a reader looks first.
      this.#noteLine(key as Node, here);
      if (pair === null) continue;
      raw[name] = pair.raw;
      expanded[name] = pair.expanded;
    }
    return { raw, expanded };
  }

  #readList(items: readonly Node[], path: readonly PropertyKey[]): TreePair {
    const pairs = items.map((item, i) => this.read(item, [...path, i]) ?? { raw: '', expanded: '' });
    return { raw: pairs.map(({ raw }) => raw), expanded: pairs.map(({ expanded }) => expanded) };
  }

  #readScalar(node: { value: unknown; source?: string; type?: string }, path: readonly PropertyKey[]): TreePair | null {
    const text = String(node.value ?? '');
    if (text === '' && node.type === 'PLAIN') return null;
    const expanded = text.replace(SHIELDED, (_, name: string) => this.#variable(name, path));
    const raw = unshield(text);
    if (raw.replace(VARIABLE, '').includes('${')) {
      this.#fault(path, 'contains "${" without a variable name', '${NAME}, with letters, digits and underscores');
    }
    return { raw, expanded };
  }

  #variable(name: string, path: readonly PropertyKey[]): string {
    const value = this.#env[name];
    if (value === undefined || value === '') {
      const state = value === undefined ? 'is not set' : 'is empty';
      this.#fault(path, `environment variable ${name} ${state}`, `a value in ${name}`);
    }
    return value ?? '';
  }

  #noteLine(node: Node, path: readonly PropertyKey[]): void {
    const line = this.#lineOf(node);
    if (line !== undefined) this.lines.set(formatPath(path), line);
  }

  #lineOf(node: Node | null): number | undefined {
    const offset = node?.range?.[0];
    return offset === undefined ? undefined : this.#lineCounter.linePos(offset).line;
  }

  #fault(path: readonly PropertyKey[], message: string, expected: string, at: Node | null = null): void {
    const line = this.#lineOf(at) ?? this.lines.get(formatPath(path));
    this.#faults.push({ path: formatPath(path), message, expected, ...(line === undefined ? {} : { line }) });
  }
}
