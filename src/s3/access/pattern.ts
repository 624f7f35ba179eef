// Patterns of bucket policies: text with `*` (any run of characters), `?` (one) and policy variables `${key}`,
// `${key, 'default'}`, `${*}`, `${?}`, `${$}`. Pure. What a variable stands for is plain text, never a wildcard, or a
// user could name himself into other people's keys. What stands between two stars is looked for once, from left to right,
// by the engine's own search: no pattern makes a match take longer than a few comparisons per character.
// Source: IAM User Guide, "IAM policy elements: Variables and tags".

type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'one' }
  | { readonly kind: 'variable'; readonly key: string; readonly fallback: string | null };

export interface Pattern {
  readonly tokens: readonly Token[];
  /** As written. */
  readonly source: string;
}

/** Value of a condition key in lower case; undefined when the request has none. */
export type Resolve = (key: string) => string | undefined;

export interface PatternOptions {
  /** Policies of version 2012-10-17 have variables; in older ones `${` is text. */
  readonly variables: boolean;
  /** False: `*` and `?` are themselves (StringEquals). */
  readonly wildcards: boolean;
}

const VARIABLE = /^\$\{([^{}]*)\}/;
const WITH_DEFAULT = /^\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?$/;

/** Null when a variable is malformed. */
export function parsePattern(source: string, options: PatternOptions): Pattern | null {
  const tokens: Token[] = [];
  let text = '';
  const flush = () => {
    if (text !== '') tokens.push({ kind: 'text', text });
    text = '';
  };
  for (let at = 0; at < source.length; at++) {
    const c = source[at] ?? '';
    if (options.variables && c === '$' && source[at + 1] === '{') {
      const [whole, inner = ''] = VARIABLE.exec(source.slice(at)) ?? [];
      if (whole === undefined) return null;
      at += whole.length - 1;
      if (inner === '*' || inner === '?' || inner === '$') {
        text += inner;
        continue;
      }
      const [, key, fallback] = WITH_DEFAULT.exec(inner) ?? [];
      if (key === undefined) return null;
      flush();
      tokens.push({ kind: 'variable', key: key.toLowerCase(), fallback: fallback ?? null });
    } else if (options.wildcards && (c === '*' || c === '?')) {
      flush();
      // A run of stars means what one does.
      if (c === '?' || tokens.at(-1)?.kind !== 'any') tokens.push({ kind: c === '*' ? 'any' : 'one' });
    } else {
      text += c;
    }
  }
  flush();
  return { tokens, source };
}

export function hasWildcard(pattern: Pattern): boolean {
  return pattern.tokens.some((token) => token.kind === 'any' || token.kind === 'one');
}

/** Fixed = it stands for one text, whatever the request. */
export function isFixed(pattern: Pattern): boolean {
  return pattern.tokens.every((token) => token.kind === 'text');
}

/** False when a variable has neither value nor default: such an element matches nothing. */
export function matchesPattern(pattern: Pattern, value: string, resolve: Resolve, ignoreCase = false): boolean {
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text);
  const subject = fold(value);
  const [first, second] = pattern.tokens;
  // The everyday forms: `*`, `text`, `text*`.
  if (pattern.tokens.length === 0) return subject === '';
  if (pattern.tokens.length === 1 && first?.kind === 'any') return true;
  if (pattern.tokens.length === 1 && first?.kind === 'text') return subject === fold(first.text);
  if (pattern.tokens.length === 2 && first?.kind === 'text' && second?.kind === 'any') {
    return subject.startsWith(fold(first.text));
  }
  const segments = split(pattern.tokens, resolve, fold);
  return segments !== null && glob(segments, subject);
}

/** Text, or one character. */
type Part = string | typeof ONE;
type Segment = readonly Part[];
const ONE = Symbol('?');

/** What stands before, between and behind the stars; null when a variable stands for nothing. */
function split(tokens: readonly Token[], resolve: Resolve, fold: (text: string) => string): readonly Segment[] | null {
  const segments: Part[][] = [[]];
  for (const token of tokens) {
    const segment = segments.at(-1) ?? [];
    if (token.kind === 'any') segments.push([]);
    else if (token.kind === 'one') segment.push(ONE);
    else {
      const text = token.kind === 'text' ? token.text : (resolve(token.key) ?? token.fallback);
      if (text === null) return null;
      const last = segment.at(-1);
      if (typeof last === 'string') segment[segment.length - 1] = last + fold(text);
      else if (text !== '') segment.push(fold(text));
    }
  }
  return segments;
}

/** The leftmost place for each segment is the best: it leaves the most for what follows. */
function glob(segments: readonly Segment[], subject: string): boolean {
  const [first = [], ...others] = segments;
  const last = others.pop();
  let at = endAt(first, subject, 0);
  if (last === undefined) return at === subject.length;
  for (const segment of others) {
    if (at < 0) return false;
    at = find(segment, subject, at);
  }
  if (at < 0) return false;
  const start = back(subject, width(last));
  return start >= at && endAt(last, subject, start) === subject.length;
}

/** Where the segment ends that begins there, or -1. */
function endAt(segment: Segment, subject: string, start: number): number {
  let at = start;
  for (const part of segment) {
    if (part === ONE) at = at < subject.length ? next(subject, at) : -1;
    else at = subject.startsWith(part, at) ? at + part.length : -1;
    if (at < 0) return -1;
  }
  return at;
}

/** Where the segment ends that begins there or later, as early as can be, or -1. */
function find(segment: Segment, subject: string, from: number): number {
  let at = from;
  let skip = 0;
  // Behind a star, `?` only asks that there is one character more.
  for (; segment[skip] === ONE; skip++) {
    if (at >= subject.length) return -1;
    at = next(subject, at);
  }
  const rest = segment.slice(skip);
  if (rest.length === 0) return at;
  const [text] = rest;
  if (rest.length > 1 || typeof text !== 'string') return findParts(rest, subject, at);
  const found = subject.indexOf(text, at);
  return found < 0 ? -1 : found + text.length;
}

/**
 * Shift-and: one bit for each character of the segment that may end here, so that a segment with `?` inside costs its
 * length divided by 32 for each character of the subject, whatever it repeats. Trying it at each place would cost its length.
 */
function findParts(segment: Segment, subject: string, from: number): number {
  const wanted = segment.flatMap((part) => (part === ONE ? [null] : [...part]));
  const words = Math.ceil(wanted.length / 32);
  const anywhere = new Uint32Array(words);
  const places = new Map<string, Uint32Array>();
  const mark = (bits: Uint32Array, i: number) => {
    bits[i >>> 5] = (bits[i >>> 5] ?? 0) | (1 << (i & 31));
  };
  for (const [i, one] of wanted.entries()) if (one === null) mark(anywhere, i);
  for (const [i, one] of wanted.entries()) {
    if (one === null) continue;
    const bits = places.get(one) ?? anywhere.slice();
    mark(bits, i);
    places.set(one, bits);
  }
  const last = wanted.length - 1;
  const state = new Uint32Array(words);
  for (let at = from; at < subject.length; ) {
    const end = next(subject, at);
    const here = places.get(subject.slice(at, end)) ?? anywhere;
    let carry = 1;
    for (let word = 0; word < words; word++) {
      const before = state[word] ?? 0;
      state[word] = ((before << 1) | carry) & (here[word] ?? 0);
      carry = before >>> 31;
    }
    at = end;
    if (((state[last >>> 5] ?? 0) >>> (last & 31)) & 1) return at;
  }
  return -1;
}

/** Behind the character at `at`; a character beyond U+FFFF has two units. */
function next(subject: string, at: number): number {
  return at + ((subject.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
}

/** Characters of a segment. */
function width(segment: Segment): number {
  let count = 0;
  for (const part of segment) count += part === ONE ? 1 : [...part].length;
  return count;
}

/** Where the last `count` characters begin; -1 when there are fewer. */
function back(subject: string, count: number): number {
  let at = subject.length;
  for (let i = 0; i < count; i++) {
    if (at <= 0) return -1;
    const pair = at >= 2 && (subject.codePointAt(at - 2) ?? 0) > 0xffff;
    at -= pair ? 2 : 1;
  }
  return at;
}
