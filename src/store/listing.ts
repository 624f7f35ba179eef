// Ordered listing with prefix, delimiter and paging over any sorted table. Pure: it asks for ranges and makes pages.
// Below a common prefix nothing is walked: the scan goes on behind it with one seek, so a page costs what it returns.

export interface Scan<Item> {
  /** Entries from `start` (inclusive) to `end` (exclusive), in byte order of their index keys. */
  range(start: Buffer, end: Buffer | undefined): Iterable<Item>;
  /** The S3 key of an item. */
  keyOf(item: Item): string;
  /** Index bytes that the keys starting with this text start with. */
  bytesOf(text: string): Buffer;
}

export interface Page<Item> {
  readonly items: Item[];
  readonly commonPrefixes: string[];
  /** More follows behind the last item or common prefix. */
  readonly truncated: boolean;
  /** Which of the two came last. */
  readonly last: { readonly item: Item } | { readonly commonPrefix: string } | null;
}

/** Keys are 1024 bytes at most: what a longer start differs in behind that decides nothing. */
const START_BYTES_MAX = 2100;

/** The first bytes behind everything that starts with `bytes`; undefined = nothing is. UTF-8 never ends with 0xff. */
export function behind(bytes: Buffer): Buffer | undefined {
  if (bytes.length === 0) return undefined;
  const next = Buffer.from(bytes);
  const last = next.length - 1;
  next[last] = (next[last] ?? 0) + 1;
  return next;
}

/** The common prefix that a key belongs to, or null when it is listed itself. */
export function commonPrefixOf(key: string, prefix: string, delimiter: string): string | null {
  if (delimiter === '') return null;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? null : key.slice(0, at + delimiter.length);
}

/** Whether `after` names a common prefix of this listing, so that everything below it has been listed. */
export function isCommonPrefix(after: string, prefix: string, delimiter: string): boolean {
  return after.startsWith(prefix) && commonPrefixOf(after, prefix, delimiter) === after;
}

/** @param start Inclusive; null = the beginning. */
export function listPage<Item>(
  scan: Scan<Item>,
  request: { prefix: string; delimiter: string; start: Buffer | null; limit: number },
): Page<Item> {
  const { prefix, delimiter, limit } = request;
  const items: Item[] = [];
  const commonPrefixes: string[] = [];
  let last: Page<Item>['last'] = null;
  const first = scan.bytesOf(prefix);
  const end = behind(first);
  let start: Buffer | undefined = request.start && Buffer.compare(request.start, first) > 0 ? request.start : first;
  if (limit <= 0 || start.length > START_BYTES_MAX) return { items, commonPrefixes, truncated: false, last };
  while (start !== undefined) {
    let next: Buffer | undefined;
    for (const item of scan.range(start, end)) {
      if (items.length + commonPrefixes.length === limit) return { items, commonPrefixes, truncated: true, last };
      const commonPrefix = commonPrefixOf(scan.keyOf(item), prefix, delimiter);
      if (commonPrefix === null) {
        items.push(item);
        last = { item };
        continue;
      }
      commonPrefixes.push(commonPrefix);
      last = { commonPrefix };
      next = behind(scan.bytesOf(commonPrefix));
      break;
    }
    start = next;
  }
  return { items, commonPrefixes, truncated: false, last };
}

/** Index bytes to go on from behind `after`, for a table whose keys are the plain UTF-8 of S3 keys. */
export function startAfterKey(after: string, prefix: string, delimiter: string): Buffer | null {
  if (after === '') return null;
  const bytes = Buffer.from(after);
  if (isCommonPrefix(after, prefix, delimiter)) return behind(bytes) ?? null;
  // A key is at most 1024 bytes, so none lies between a longer text and its first 1025 bytes.
  return bytes.length > 1024 ? bytes.subarray(0, 1025) : Buffer.concat([bytes, Buffer.of(0)]);
}
