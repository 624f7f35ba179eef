// Term: the ownership generation of one dataset, its fencing token (design: "a (number, node id) pair").
// Pure. Ordered by number, then node id, so two nodes can never mint the same term.

export interface Term {
  readonly n: number;
  readonly node: string;
}

export function compareTerms(a: Term, b: Term): number {
  if (a.n !== b.n) return a.n < b.n ? -1 : 1;
  return a.node === b.node ? 0 : a.node < b.node ? -1 : 1;
}

/** The next term that `node` may take, above all that are known (invariant I4). */
export function nextTerm(node: string, known: Iterable<Term | null | undefined>): Term {
  let n = 0;
  for (const term of known) if (term && term.n > n) n = term.n;
  return { n: n + 1, node };
}

/** Text form `12@a`, used in properties, headers and logs. */
export function formatTerm(term: Term): string {
  return `${term.n}@${term.node}`;
}

/** @returns null when the text is not a term. */
export function parseTerm(text: string): Term | null {
  const match = /^(\d{1,15})@([a-z0-9][a-z0-9-]{0,62})$/.exec(text);
  return match?.[1] && match[2] ? { n: Number(match[1]), node: match[2] } : null;
}
