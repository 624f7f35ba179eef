// Patterns of bucket policies: text with `*` (any run of characters), `?` (one) and policy variables `${key}`,
// `${key, 'default'}`, `${*}`, `${?}`, `${$}`. Pure. What a variable stands for is plain text, never a wildcard, or a
// user could name himself into other people's keys. Matching goes back to the last star only: steps are at most the
// product of the lengths, never exponential.
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

const ANY = -1;
const ONE = -2;

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
  const units: number[] = [];
  for (const token of pattern.tokens) {
    if (token.kind === 'any') units.push(ANY);
    else if (token.kind === 'one') units.push(ONE);
    else {
      const text = token.kind === 'text' ? token.text : (resolve(token.key) ?? token.fallback);
      if (text === null) return false;
      for (const c of fold(text)) units.push(c.codePointAt(0) ?? 0);
    }
  }
  return glob(
    units,
    Array.from(subject, (c) => c.codePointAt(0) ?? 0),
  );
}

/** Greedy: when something behind a star does not fit, only that star takes one character more. */
function glob(pattern: readonly number[], subject: readonly number[]): boolean {
  let p = 0;
  let s = 0;
  let star = -1;
  let retry = 0;
  while (s < subject.length) {
    const unit = pattern[p];
    if (unit === ANY) {
      star = p;
      retry = s;
      p += 1;
    } else if (unit === ONE || (unit !== undefined && unit === subject[s])) {
      p += 1;
      s += 1;
    } else if (star >= 0) {
      retry += 1;
      s = retry;
      p = star + 1;
    } else {
      return false;
    }
  }
  while (pattern[p] === ANY) p += 1;
  return p === pattern.length;
}
