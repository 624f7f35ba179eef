// Data files for an owner whose own are damaged (docs/REPAIR.md): read out of the newest snapshot of a copy that this node has
// and does not serve. Owns the mounts of those snapshots while somebody reads. Proves nothing: the asker compares.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { ZringError } from '../../common/errors.ts';
import type { PeerMethods } from '../../common/peer.ts';
import { isErrno, storageError } from '../../common/storage-errors.ts';
import type { DatasetDriver } from '../../dataset/driver.ts';
import { createKeyedMutex } from '../../dataset/mutex.ts';
import { dataPath } from '../../store/ids.ts';
import type { Logger } from '../../telemetry/log.ts';
import { Fields, METHODS } from '../peer-messages.ts';
import type { DatasetRunner } from '../runner.ts';

export interface BlobServerDeps {
  readonly driver: DatasetDriver;
  readonly logger: Logger;
  readonly find: (dataset: string) => DatasetRunner | undefined;
  /** Why nothing that stands on this node's disk may be relied on; null = nothing speaks against it. */
  readonly withheld: () => ZringError | null;
}

/** What an owner asks of other nodes. Errors: DATASET_NOT_FOUND (no copy to read here), OBJECT_MISSING, those of the storage. */
export function blobMethods(deps: BlobServerDeps): PeerMethods {
  const mounts = new SnapshotMounts(deps);
  return {
    calls: {},
    streams: {
      [METHODS.blob]: async (request, _from, signal) => {
        const withheld = deps.withheld();
        if (withheld) throw withheld;
        const fields = new Fields(request, METHODS.blob);
        const place = { dataset: fields.dataset(), id: fields.id(), blob: fields.blob() };
        requireUnserved(deps, place);
        const snapshot = (await deps.driver.snapshots(place.dataset)).at(-1);
        if (!snapshot) throw notHere(place.dataset);
        const { path, release } = await mounts.take(place.dataset, snapshot.name);
        try {
          const { body, bytes } = await openFile(join(path, dataPath(place.blob)), place.blob);
          body.once('close', release);
          signal.addEventListener('abort', () => body.destroy(), { once: true });
          if (signal.aborted) body.destroy();
          return { head: { bytes }, body };
        } catch (error) {
          release();
          throw error;
        }
      },
    },
  };
}

/** What this node serves is the asker's own word against it; the machines settle that, not this. */
function requireUnserved({ find }: BlobServerDeps, { dataset, id }: { dataset: string; id: string }): void {
  const copy = find(dataset)?.state.copy;
  if (copy?.id !== id || copy.role === 'owner') throw notHere(dataset);
}

function notHere(dataset: string): ZringError {
  return new ZringError('DATASET_NOT_FOUND', `no copy of ${dataset} to read here`, { subject: dataset });
}

async function openFile(path: string, blob: string): Promise<{ body: Readable; bytes: number }> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT')) throw storageError(cause, 'opening', path);
    throw new ZringError('OBJECT_MISSING', `the copy here has no blob ${blob}`, { cause, subject: blob });
  });
  try {
    const { size } = await handle.stat();
    return { body: handle.createReadStream(), bytes: size };
  } catch (cause) {
    await handle.close();
    throw storageError(cause, 'reading', path);
  }
}

/** Each is mounted once, however many read it, and not longer than somebody does: nothing else may wait for it. */
class SnapshotMounts {
  readonly #deps: BlobServerDeps;
  readonly #mutex = createKeyedMutex();
  readonly #users = new Map<string, number>();

  constructor(deps: BlobServerDeps) {
    this.#deps = deps;
  }

  async take(dataset: string, snapshot: string): Promise<{ path: string; release: () => void }> {
    const key = `${dataset}@${snapshot}`;
    const path = await this.#mutex.run([key], async () => {
      const mounted = await this.#deps.driver.mountSnapshot(dataset, snapshot);
      this.#users.set(key, (this.#users.get(key) ?? 0) + 1);
      return mounted;
    });
    let held = true;
    return {
      path,
      release: () => {
        if (held) void this.#mutex.run([key], () => this.#leave(key, dataset, snapshot));
        held = false;
      },
    };
  }

  async #leave(key: string, dataset: string, snapshot: string): Promise<void> {
    const left = (this.#users.get(key) ?? 1) - 1;
    this.#users.set(key, left);
    if (left > 0) return;
    this.#users.delete(key);
    await this.#deps.driver.unmountSnapshot(dataset, snapshot).catch((error: unknown) => {
      // No worse than one that is being read; none outlives this process.
      this.#deps.logger.warn({ err: error, dataset, snapshot }, 'snapshot not unmounted yet');
    });
  }
}
