// Walking a whole table of the index while it is in use: page by page, each page of one moment, others run in between. And how
// what stands in it is called in reports. Pure but for reading.
import type { Entry, RangeOptions } from '../common/lmdb.ts';
import type { Table } from './codec.ts';
import { ID_BYTES } from './ids.ts';
import type { ObjectEntry } from './types.ts';

const PAGE = 200;

export interface PagedIndex {
  range(table: Table, options: RangeOptions): Iterable<Entry>;
}

/** What is written between two pages may or may not be among them; nothing that stays is left out, and nothing comes twice. */
export function* pagesOf(
  index: PagedIndex,
  table: Table,
  after?: Uint8Array,
  size = PAGE,
): Generator<readonly Entry[]> {
  let start = after ? behind(after) : Buffer.alloc(0);
  for (;;) {
    const page: Entry[] = [];
    for (const row of index.range(table, { start })) {
      page.push(row);
      if (page.length === size) break;
    }
    yield page;
    const last = page.at(-1);
    if (!last || page.length < size) return;
    start = behind(last.key);
  }
}

function behind(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

/** A version besides the current one may be damaged alone. */
export function nameOfVersion({ key, versionId }: ObjectEntry): string {
  return versionId === null ? key : `${key} (version ${versionId})`;
}

/** @param key Of its row. */
export function nameOfPart(key: Buffer, number: number): string {
  return `upload ${key.subarray(0, ID_BYTES).toString('hex')} part ${number}`;
}
