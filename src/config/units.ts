// Units of the configuration: durations, sizes, rates, percentages, as people write them. Pure; text in, number or a
// problem out. A number without its unit is refused: `lease: 10` would be a guess between seconds and milliseconds.

/** A value, or what is wrong with the text (a clause that follows the quoted text: `"10" has no unit`). */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): Parsed<number> {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?([A-Za-z]*)$/.exec(text);
  if (!match) return { problem: 'is not a number with a unit' };
  const [, digits = '', unit = ''] = match;
  if (unit === '') return { problem: 'has no unit' };
  const factor = units[unit];
  if (factor === undefined || !Object.hasOwn(units, unit)) return { problem: `has an unknown unit "${unit}"` };
  return { value: Math.round(Number(digits) * factor) };
}

/** `250ms`, `10s`, `15m`, `24h`, `7d` → milliseconds. */
export function parseDuration(text: string): Parsed<number> {
  return parseWithUnit(text, DURATION_MS);
}

/** `64MiB`, `10GB`, `512B` → bytes. */
export function parseSize(text: string): Parsed<number> {
  return parseWithUnit(text, SIZE_BYTES);
}

/** `100MB/s` → bytes per second; `unlimited` → null. */
export function parseRate(text: string): Parsed<number | null> {
  if (text === 'unlimited') return { value: null };
  if (!text.endsWith('/s')) return { problem: 'does not end with "/s"' };
  return parseWithUnit(text.slice(0, -2).trimEnd(), SIZE_BYTES);
}

/** `2%`, `0.5 %` → 2, 0.5. */
export function parsePercent(text: string): Parsed<number> {
  const match = /^(\d{1,3}(?:\.\d{1,3})?)\s?%$/.exec(text);
  if (!match) return { problem: 'is not a percentage' };
  return { value: Number(match[1]) };
}

export function parseNumber(text: string): Parsed<number> {
  return /^\d{1,15}(\.\d{1,6})?$/.test(text) ? { value: Number(text) } : { problem: 'is not a number' };
}

export function parseInteger(text: string): Parsed<number> {
  return /^\d{1,15}$/.test(text) ? { value: Number(text) } : { problem: 'is not a whole number' };
}

/** Narrows a parser to `min`..`max`; `describe` names the allowed range. */
export function within(parse: (text: string) => Parsed<number>, min: number, max: number) {
  return (text: string): Parsed<number> => {
    const parsed = parse(text);
    if ('problem' in parsed) return parsed;
    if (parsed.value < min) return { problem: 'is too small' };
    if (parsed.value > max) return { problem: 'is too large' };
    return parsed;
  };
}
