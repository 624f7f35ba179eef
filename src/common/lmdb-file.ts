// Reads an LMDB file through read(2), without mapping it: so a bad sector, a truncated or a foreign file is an error here,
// and not a SIGBUS that kills the process once it is mapped. Knows the file format (data version 2 of lmdb-js, see
// MDB_page_header, MDB_meta, MDB_db and MDB_node in its mdb.c), owns no state, changes nothing.
//
// A page: pgno u64, txnid u64, pad u16, flags u16, lower u16, upper u16 (or overflow page count u32), then node offsets.
// `lower` and the offsets count from behind this header (PAGEBASE).
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { ZringError } from './errors.ts';
import { storageError } from './storage-errors.ts';

export interface LmdbMeta {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly txnId: number;
  readonly freeRoot: number | null;
  readonly mainRoot: number | null;
}

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const PAGE_HEADER_BYTES = 24;
const PAGE_BRANCH = 0x01;
const PAGE_LEAF = 0x02;
const PAGE_OVERFLOW = 0x04;
const PAGE_META = 0x08;
const NODE_BIG_DATA = 0x01;
const NODE_SUB_DATABASE = 0x02;
const NODE_HEADER_BYTES = 8;
const DATABASE_BYTES = 48;
const NO_PAGE = 0xffffffffffffffffn;
const READ_BYTES = 1 << 20;
const LITTLE = endianness() === 'LE';

const META_SPAN = 160;

function u16(page: DataView, at: number): number {
  return page.getUint16(at, LITTLE);
}
function u32(page: DataView, at: number): number {
  return page.getUint32(at, LITTLE);
}
function u64(page: DataView, at: number): number {
  return Number(page.getBigUint64(at, LITTLE));
}
function root(page: DataView, at: number): number | null {
  const value = page.getBigUint64(at, LITTLE);
  return value === NO_PAGE ? null : Number(value);
}

function corrupt(path: string, reason: string): ZringError {
  return new ZringError('STORAGE_CORRUPT', `${path} is damaged: ${reason}`, { subject: path });
}

async function readExact(file: FileHandle, path: string, at: number, bytes: number): Promise<DataView> {
  const buffer = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await readAt(file, path, buffer, filled, bytes - filled, at + filled);
    if (bytesRead === 0) throw corrupt(path, `it ends at byte ${at + filled}`);
    filled += bytesRead;
  }
  return new DataView(buffer.buffer, buffer.byteOffset, bytes);
}

async function readAt(file: FileHandle, path: string, into: Buffer, offset: number, length: number, at: number) {
  try {
    return await file.read(into, offset, length, at);
  } catch (cause) {
    // An unreadable sector is damage of this file, unlike EIO of a whole pool, which opening it would have met already.
    if (cause instanceof Error && 'code' in cause && cause.code === 'EIO') {
      throw new ZringError('STORAGE_CORRUPT', `${path} cannot be read at byte ${at}`, { cause, subject: path });
    }
    throw storageError(cause, 'reading', path);
  }
}

/** The newer of the two meta pages. Errors: STORAGE_CORRUPT, VERSION_UNSUPPORTED. */
export async function readMeta(file: FileHandle, path: string): Promise<LmdbMeta> {
  const first = decodeMeta(await readExact(file, path, 0, META_SPAN), path);
  const second = decodeMeta(await readExact(file, path, first.pageBytes, META_SPAN), path);
  return second.txnId > first.txnId ? second : first;
}

function decodeMeta(page: DataView, path: string): LmdbMeta {
  const at = PAGE_HEADER_BYTES;
  if ((u16(page, 18) & PAGE_META) === 0 || u32(page, at) !== MAGIC) throw corrupt(path, 'it is no LMDB file');
  const version = u32(page, at + 4) & 0xffff;
  if (version !== DATA_VERSION) {
    throw new ZringError('VERSION_UNSUPPORTED', `${path} has LMDB data version ${version}, this release reads 2`, {
      subject: path,
    });
  }
  const pageBytes = u32(page, at + 24);
  if (pageBytes < 512 || pageBytes > 65536 || (pageBytes & (pageBytes - 1)) !== 0) {
    throw corrupt(path, `page size ${pageBytes}`);
  }
  return {
    pageBytes,
    freeRoot: root(page, at + 24 + 40),
    mainRoot: root(page, at + 24 + DATABASE_BYTES + 40),
    lastPage: u64(page, at + 24 + 2 * DATABASE_BYTES),
    txnId: u64(page, at + 24 + 2 * DATABASE_BYTES + 8),
  };
}

/**
 * Reads every byte once, so that what the disk cannot return is known before the file is mapped, or before a page of it is
 * touched. `pace` is awaited with the bytes of each step.
 */
export async function readThrough(
  file: FileHandle,
  path: string,
  pace?: (bytes: number) => Promise<void> | void,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (let at = 0; ; ) {
    const { bytesRead } = await readAt(file, path, buffer, 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    await pace?.(bytesRead);
  }
}

/**
 * Follows every page that the meta page reaches: each must lie inside the file and name itself. Finds truncation (a shorter
 * file alone proves nothing: LMDB never writes pages that one transaction took and gave back) and foreign or torn pages.
 * Only for a file that nobody writes. Errors: STORAGE_CORRUPT.
 */
export async function checkPages(file: FileHandle, path: string, meta: LmdbMeta): Promise<void> {
  const pages = (await file.stat()).size / meta.pageBytes;
  const pending: number[] = [meta.freeRoot, meta.mainRoot].filter((page) => page !== null);
  const readPage = async (page: number): Promise<DataView> => {
    if (page > meta.lastPage || page + 1 > pages) throw corrupt(path, `page ${page} lies behind its end`);
    const view = await readExact(file, path, page * meta.pageBytes, meta.pageBytes);
    if (u64(view, 0) !== page) throw corrupt(path, `page ${page} holds something else`);
    return view;
  };
  let visited = 0;
  for (let page = pending.pop(); page !== undefined; page = pending.pop()) {
    if (++visited > meta.lastPage + 1) throw corrupt(path, 'its pages form a circle');
    const view = await readPage(page);
    const flags = u16(view, 18);
    if ((flags & (PAGE_BRANCH | PAGE_LEAF)) === 0) throw corrupt(path, `page ${page} is neither branch nor leaf`);
    const found = flags & PAGE_BRANCH ? branchChildren(view, path) : leafReferences(view, path);
    pending.push(...found.children);
    for (const overflow of found.overflows) {
      const head = await readPage(overflow);
      if ((u16(head, 18) & PAGE_OVERFLOW) === 0) throw corrupt(path, `page ${overflow} is no overflow page`);
      if (overflow + u32(head, 20) > pages) throw corrupt(path, `page ${overflow} runs over its end`);
    }
  }
}

interface References {
  readonly children: number[];
  readonly overflows: number[];
}

function* nodeOffsets(page: DataView, path: string): Generator<number> {
  const count = u16(page, 20) >> 1;
  if (PAGE_HEADER_BYTES + 2 * count > page.byteLength) throw corrupt(path, 'a page has no valid node table');
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_BYTES + u16(page, PAGE_HEADER_BYTES + 2 * i);
    if (at + NODE_HEADER_BYTES > page.byteLength) throw corrupt(path, 'a node lies outside of its page');
    yield at;
  }
}

/** A branch node keeps its child's number in lo, hi and flags: 48 bits. */
function branchChildren(page: DataView, path: string): References {
  const children: number[] = [];
  for (const at of nodeOffsets(page, path)) {
    children.push(
      u16(page, at + (LITTLE ? 0 : 2)) + u16(page, at + (LITTLE ? 2 : 0)) * 0x10000 + u16(page, at + 4) * 2 ** 32,
    );
  }
  return { children, overflows: [] };
}

function leafReferences(page: DataView, path: string): References {
  const children: number[] = [];
  const overflows: number[] = [];
  for (const at of nodeOffsets(page, path)) {
    const flags = u16(page, at + 4);
    const data = at + NODE_HEADER_BYTES + u16(page, at + 6);
    if (flags & NODE_BIG_DATA) {
      if (data + 8 > page.byteLength) throw corrupt(path, 'a node lies outside of its page');
      overflows.push(u64(page, data));
    } else if (flags & NODE_SUB_DATABASE) {
      if (data + DATABASE_BYTES > page.byteLength) throw corrupt(path, 'a node lies outside of its page');
      const sub = root(page, data + 40);
      if (sub !== null) children.push(sub);
    }
  }
  return { children, overflows };
}

interface TableStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** Of lmdb-js's `getStats` of the root and of every table. Two pages are LMDB's own. */
export function pagesFree(root: object, tables: readonly object[]): number {
  const { lastPageNumber, free } = root as { lastPageNumber: number; free: TableStats };
  const trees = [root, free, ...tables] as readonly TableStats[];
  const used = trees.map((tree) => tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages);
  return Math.max(0, lastPageNumber + 1 - 2 - used.reduce((sum, pages) => sum + pages, 0));
}
