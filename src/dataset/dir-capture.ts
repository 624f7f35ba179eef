// Taking a snapshot of a dataset folder: index copied, data files hard-linked, then one rename. Owns nothing; the caller
// holds the dataset's lock.
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { copyFileDurable, exists, fsyncPath, linkDataFiles, listDataFiles } from './dir-files.ts';
import {
  indexFingerprint,
  type Meta,
  makeTemporary,
  publishSnapshot,
  type StoredSnapshot,
  sealSnapshot,
  writeMeta,
} from './dir-folder.ts';
import type { SnapshotSource } from './driver.ts';

/** Without `source` the store must be closed: a change meanwhile is DATASET_BUSY and nothing is kept. */
export async function capture(
  folder: string,
  meta: Meta,
  described: Omit<StoredSnapshot, 'bytes' | 'indexBytes'>,
  source: SnapshotSource | undefined,
): Promise<StoredSnapshot> {
  const building = await makeTemporary(folder);
  const resumeSweep = await source?.pauseSweep();
  try {
    // Index first, files after: a file is durable before the index names it and is not unlinked meanwhile, so every
    // file that this copy of the index names is among those found now.
    const before = await indexFingerprint(folder);
    const indexBytes = await copyIndex(folder, join(building, 'index'), source);
    const files = await listDataFiles(folder);
    await linkDataFiles(
      folder,
      building,
      files.map((file) => file.path),
    );
    if (!source && (await indexFingerprint(folder)) !== before) {
      throw new ZringError('DATASET_BUSY', `${folder} was written while its closed store was copied`);
    }
    const stored = await sealSnapshot(building, { ...described, indexBytes }, files, { pending: false });
    await publishSnapshot(folder, building, stored.name);
    // Through a source, somebody may have written since: then the live folder is compared when it matters.
    if (!source) await writeMeta(folder, { ...meta, head: { guid: stored.guid, fingerprint: before } });
    return stored;
  } finally {
    resumeSweep?.();
    await fs.rm(building, { recursive: true, force: true });
  }
}

async function copyIndex(folder: string, target: string, source: SnapshotSource | undefined): Promise<number | null> {
  if (source) {
    await source.copyIndex(target);
    await fsyncPath(target);
  } else if (await exists(join(folder, 'index'))) await copyFileDurable(join(folder, 'index'), target);
  else return null;
  return (await fs.stat(target)).size;
}
