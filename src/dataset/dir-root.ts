// The root folder of the dir driver: its marker, its identity, and building a dataset beside its place. Owns `<root>`'s
// own entries; what is inside a dataset is dir-folder.ts's.
//
//   <root>/.zring-root           marker and format
//   <root>/.new-<pid>-<start>-*  a dataset that is being created, received or removed; cleared at start once that
//                                process is gone
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { ZringError } from '../common/errors.ts';
import { exists, fsyncPath, isMarkAlive, processMark, readdirOrEmpty, writeDurable } from './dir-files.ts';
import { DIR_FORMAT, type Meta, metaFolder, readJson, writeMeta } from './dir-folder.ts';

const MARKER = '.zring-root';
const NEW = '.new-';

export interface DirRoot {
  readonly path: string;
  folder(name: string): string;
  /** A root that was swapped or unmounted under us must not look like one without datasets: STORAGE_UNAVAILABLE. */
  requireSame(): Promise<void>;
  requireFree(name: string): Promise<void>;
  /** Builds a dataset beside its place and moves it there: that rename is the moment at which it exists. */
  build<T>(name: string, meta: Meta, fill: (folder: string) => Promise<T>): Promise<T>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
}

export async function openDirRoot(location: string, cluster: string): Promise<DirRoot> {
  if (!(await exists(location))) await makeRoot(location);
  const path = await fs.realpath(location);
  await ensureMarker(path, cluster);
  await clearAbandoned(path);
  const { dev, ino } = await fs.stat(path);
  const mark = await processMark();
  const folder = (name: string) => join(path, name);
  const makeBeside = () => fs.mkdtemp(join(path, `${NEW}${mark}-`));

  async function move(from: string, to: string): Promise<void> {
    await fs.rename(from, to);
    await fsyncPath(path);
  }

  const root: DirRoot = {
    path,
    folder,
    async requireSame() {
      const stat = await fs.stat(path).catch(() => null);
      if (stat?.dev !== dev || stat.ino !== ino) {
        throw new ZringError('STORAGE_UNAVAILABLE', `${path} is not the folder it was at start`, { subject: path });
      }
    },
    async requireFree(name) {
      if (await exists(folder(name))) {
        throw new ZringError('DATASET_ALREADY_EXISTS', `${folder(name)} exists already`, { subject: name });
      }
    },
    async build(name, meta, fill) {
      const beside = await makeBeside();
      try {
        const fresh = join(beside, 'dataset');
        await fs.mkdir(metaFolder(fresh), { recursive: true, mode: 0o700 });
        await writeMeta(fresh, meta);
        const result = await fill(fresh);
        await fsyncPath(fresh);
        await root.requireFree(name);
        await move(fresh, folder(name));
        return result;
      } finally {
        await fs.rm(beside, { recursive: true, force: true });
      }
    },
    async rename(from, to) {
      await root.requireFree(to);
      await move(folder(from), folder(to));
    },
    async remove(name) {
      const beside = await makeBeside();
      await move(folder(name), join(beside, 'gone'));
      await fs.rm(beside, { recursive: true, force: true });
    },
  };
  return root;
}

/** Only the last step of the path is made: a missing parent is a typing error, or a disk that is not mounted. */
async function makeRoot(location: string): Promise<void> {
  try {
    await fs.mkdir(location, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'its parent folder does not exist; make it, or mount the disk' : (error as Error).message;
    throw new ZringError('STORAGE_UNAVAILABLE', `the storage folder ${location} cannot be made: ${why}`, {
      cause: error,
      subject: location,
    });
  }
}

async function ensureMarker(root: string, cluster: string): Promise<void> {
  const path = join(root, MARKER);
  const marker = await readJson(path);
  if (marker === null) return writeDurable(path, `${JSON.stringify({ format: DIR_FORMAT, cluster })}\n`);
  const owner = (marker as { cluster?: unknown }).cluster;
  if (owner === cluster) return;
  throw new ZringError('CONFIG_REFUSED', `${root} belongs to cluster ${owner}, not ${cluster}`, { subject: root });
}

async function clearAbandoned(root: string): Promise<void> {
  for (const entry of await readdirOrEmpty(root)) {
    const mark = /^\.new-(\d+-\d+)-/.exec(entry)?.[1];
    if (mark && !(await isMarkAlive(mark))) await fs.rm(join(root, entry), { recursive: true, force: true });
  }
}
