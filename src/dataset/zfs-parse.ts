// What `zfs get`, `zpool list` and `zpool get` print, as values. Pure.
// Always asked for as `-H -p -o name,property,source,value`: the value comes last, so that a tab in somebody's user
// property ends in that property's value and nowhere else.

export interface PropertyValue {
  readonly value: string;
  /** `-`, `local`, `default`, `inherited from …`, `received`, `temporary`. */
  readonly source: string;
}

/** Name of dataset or snapshot → property → value, in the order printed. */
export type PropertyTable = ReadonlyMap<string, ReadonlyMap<string, PropertyValue>>;

export const GET_COLUMNS = 'name,property,source,value';
/** Prefix of our user properties. */
export const PREFIX = 'zring:';

export function parseGet(stdout: string): PropertyTable {
  const table = new Map<string, Map<string, PropertyValue>>();
  for (const line of stdout.split('\n')) {
    const [name, property, source, ...rest] = line.split('\t');
    if (name === undefined || property === undefined || source === undefined || rest.length === 0) continue;
    let properties = table.get(name);
    if (!properties) {
      properties = new Map();
      table.set(name, properties);
    }
    // A line break in a foreign value could only add lines: what ZFS printed first stands.
    if (!properties.has(property)) properties.set(property, { value: rest.join('\t'), source });
  }
  return table;
}

/** Our properties that were set on this very dataset (not inherited, not received), without the prefix. */
export function ownProperties(properties: ReadonlyMap<string, PropertyValue>): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [key, { value, source }] of properties) {
    if (key.startsWith(PREFIX) && source === 'local') own[key.slice(PREFIX.length)] = value;
  }
  return own;
}

export function numberOf(properties: ReadonlyMap<string, PropertyValue>, key: string): number {
  const value = Number(properties.get(key)?.value);
  return Number.isFinite(value) ? value : 0;
}

/** `feature@x` and plain pool properties → value, from `zpool get -H -o property,value all`. */
export function parsePoolProperties(stdout: string): ReadonlyMap<string, string> {
  const lines = stdout.split('\n').map((line) => line.split('\t'));
  return new Map(lines.filter((parts) => parts.length === 2).map(([key = '', value = '']) => [key, value]));
}

/** The size line of `zfs send -nP` (OpenZFS), or null. */
export function parseSendEstimate(output: string): number | null {
  const match = /^size\t(\d+)$/m.exec(output);
  return match ? Number(match[1]) : null;
}

/** Sources of what is mounted at `path`, oldest first, from /proc/self/mounts (octal escapes, see getmntent(3)). */
export function mountSources(mounts: string, path: string): string[] {
  const plain = (field: string) =>
    field.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
  return mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[1] !== undefined && plain(fields[1]) === path)
    .map((fields) => plain(fields[0] ?? ''));
}
