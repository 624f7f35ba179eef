// "Did you mean": the known word nearest to a misspelt one. Pure.

/** Changes, insertions, deletions and swaps of neighbours between two words (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(at(i - 1, j - 1) + (same ? 0 : 1), at(i - 1, j) + 1, at(i, j - 1) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, at(i - 2, j - 2) + 1);
      row.push(least);
    }
  }
  return at(a.length, b.length);
}

/** @returns the nearest of `known`, or null when none is near enough to be what was meant. */
export function suggest(word: string, known: readonly string[]): string | null {
  if (word.length > 64) return null;
  const plain = (text: string) => text.toLowerCase().replace(/[-_]/g, '');
  let best: { readonly word: string; readonly distance: number } | null = null;
  for (const candidate of known) {
    // The beginning of a word is as good as a slip of the finger: `drain` for `draining`.
    const shortened = word.length >= 3 && plain(candidate).startsWith(plain(word));
    const distance = shortened ? 1 : editDistance(plain(word), plain(candidate));
    if (best === null || distance < best.distance) best = { word: candidate, distance };
  }
  const near = best !== null && best.distance <= Math.ceil(word.length / 3) && best.distance < word.length;
  return near ? (best?.word ?? null) : null;
}
