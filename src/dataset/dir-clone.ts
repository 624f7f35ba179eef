// A new dataset folder with the content of another one's snapshot: data files hard-linked, as they are for the snapshot
// itself, the index copied. Owns nothing; the caller holds the locks of both datasets and removes what is left of a failure.
import { join } from 'node:path';
import { completeFanOut, copyFileDurable, fsyncDataTree, linkDataFiles } from './dir-files.ts';
import { readManifest, requireSnapshot, snapshotFolder } from './dir-folder.ts';
import { requireSameGuid } from './names.ts';

/** Errors: SNAPSHOT_NOT_FOUND. */
export async function cloneInto(
  fresh: string,
  { name, folder, snapshot }: { name: string; folder: string; snapshot: { name: string; guid: string } },
): Promise<void> {
  const stored = await requireSnapshot(name, folder, snapshot.name);
  requireSameGuid(`${name}@${snapshot.name}`, snapshot.guid, stored);
  const source = snapshotFolder(folder, snapshot.name);
  const files = await readManifest(folder, snapshot.name);
  await linkDataFiles(
    source,
    fresh,
    files.map(({ path }) => path),
  );
  await completeFanOut(fresh);
  if (stored.indexBytes !== null) await copyFileDurable(join(source, 'index'), join(fresh, 'index'));
  await fsyncDataTree(fresh);
}
