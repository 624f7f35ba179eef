// Ranges: what a Range, x-amz-copy-source-range or partNumber asks of an object of known size. Pure.
// S3 answers one range only: several ranges, and anything malformed, mean the whole object (RFC 9110 §14.2 allows it).

export type RangeVerdict =
  | { readonly kind: 'whole' }
  /** Inclusive. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

/** White space is left to `trim`: several `\s*` in a row would cost minutes on a header that is full of it. */
const SINGLE = /^bytes=([^-]*)-([^-]*)$/i;
const DIGITS = /^\d*$/;

/** `header` undefined = no Range sent. */
export function resolveRange(header: string | undefined, size: number): RangeVerdict {
  const match = header === undefined ? null : SINGLE.exec(header);
  if (!match) return { kind: 'whole' };
  const [first = '', last = ''] = match.slice(1).map((text) => text.trim());
  if (!DIGITS.test(first) || !DIGITS.test(last) || (first === '' && last === '')) return { kind: 'whole' };
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', start: size - length, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return { kind: 'whole' };
  if (start >= size) return { kind: 'unsatisfiable' };
  return { kind: 'part', start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}

/** x-amz-copy-source-range is stricter: `bytes=first-last` only. null = malformed. */
export function parseCopyRange(header: string): { start: number; end: number } | null {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header.trim());
  if (!match) return null;
  const [start, end] = [Number(match[1]), Number(match[2])];
  return end < start ? null : { start, end };
}

/** Bytes of part `number` (from 1) of an object. A simple object is its own part 1. null = no such part. */
export function partRange(
  number: number,
  size: number,
  partSizes: readonly number[] | null,
): { start: number; length: number } | null {
  if (!partSizes) return number === 1 ? { start: 0, length: size } : null;
  const length = partSizes[number - 1];
  if (length === undefined) return null;
  let start = 0;
  for (const earlier of partSizes.slice(0, number - 1)) start += earlier;
  return { start, length };
}
