// Sizes of dataset folders. Owns what was measured last; walking is the price of plain folders, so a listing spends a
// bounded time on it and shows the last known numbers for the rest.
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { listDataFiles } from './dir-files.ts';
import { readManifest, readSnapshots } from './dir-folder.ts';

export interface Measured {
  /** Live index and data files. */
  readonly referencedBytes: number;
  /** The same and what only snapshots keep. */
  readonly usedBytes: number;
}

const KEPT_MS = 30_000;

export interface DirMeter {
  measure(folder: string): Promise<Measured>;
  /** Not older than half a minute while the deadline (performance.now()) has not passed; afterwards the last known. */
  measureUntil(folder: string, deadlineMs: number): Promise<Measured>;
  forget(folder: string): void;
}

export function createDirMeter(): DirMeter {
  const known = new Map<string, Measured & { atMs: number }>();

  async function measure(folder: string): Promise<Measured> {
    const measured = { ...(await walk(folder)), atMs: performance.now() };
    known.set(folder, measured);
    return measured;
  }

  return {
    measure,
    async measureUntil(folder, deadlineMs) {
      const kept = known.get(folder);
      if (kept && performance.now() - kept.atMs < KEPT_MS) return kept;
      return performance.now() < deadlineMs ? measure(folder) : (kept ?? { referencedBytes: 0, usedBytes: 0 });
    },
    forget: (folder) => void known.delete(folder),
  };
}

async function walk(folder: string): Promise<Measured> {
  const live = await listDataFiles(folder);
  const index = await fs.stat(join(folder, 'index')).catch(() => ({ size: 0 }));
  const referencedBytes = live.reduce((sum, file) => sum + file.size, index.size);
  const seen = new Set(live.map((file) => file.path));
  let usedBytes = referencedBytes;
  for (const snapshot of await readSnapshots(folder)) {
    usedBytes += snapshot.indexBytes ?? 0;
    // A snapshot that is destroyed meanwhile counts nothing.
    for (const file of await readManifest(folder, snapshot.name).catch(() => [])) {
      if (!seen.has(file.path)) usedBytes += file.size;
      seen.add(file.path);
    }
  }
  return { referencedBytes, usedBytes };
}
