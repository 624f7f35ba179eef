// Makes the dataset of a bucket that is cloned from another one's snapshot on this node, as an effect of its creation
// (disk-effects.ts). Owns nothing. The dataset has no name that anybody could find it by, and no id, before all of this is on
// the disk (docs/SNAPSHOTS.md › Clones says what comes along and what does not).
import type { Store } from '../store/types.ts';
import type { CloneSource } from './access.ts';
import { copyProperties } from './copy-properties.ts';
import type { DatasetRunner } from './runner.ts';
import type { Copy, Event } from './state.ts';
import { formatSettings, NO_SETTINGS, parseSettings, SETTINGS_DOCUMENT } from './storage-settings.ts';

const UPLOADS_PER_PAGE = 1_000;

/** `documents`: undefined removes one that would have come along. */
export async function cloneCopy(
  runner: DatasetRunner,
  copy: Copy,
  source: CloneSource,
  documents: Readonly<Record<string, unknown>>,
): Promise<Event> {
  const { driver, stores, cluster, clock } = runner.deps;
  const { dataset, id: from, snapshot } = source;
  const { id, term } = copy;
  await driver.clone(
    dataset,
    snapshot,
    runner.dataset,
    copyProperties(runner.dataset, cluster, copy),
    async (folder) => {
      await stores.relabel(folder, { from, id, nowMs: copy.createdMs });
      const store = await stores.open(folder, { id, term, nowMs: () => clock.wallMs() });
      try {
        for (const [name, value] of Object.entries(documents)) await store.setDocument(name, value);
        const { compression } = parseSettings(store.document(SETTINGS_DOCUMENT));
        await store.setDocument(SETTINGS_DOCUMENT, formatSettings({ ...NO_SETTINGS, compression }));
        await dropUploads(store);
      } finally {
        await store.close();
      }
    },
  );
  return { on: 'copy-created', copy };
}

/** Whoever began them goes on with the other bucket's. */
async function dropUploads(store: Store): Promise<void> {
  for (;;) {
    const page = { prefix: '', delimiter: '', afterKey: '', afterUploadId: '', limit: UPLOADS_PER_PAGE };
    const { uploads } = store.listUploads(page);
    if (uploads.length === 0) return;
    for (const { id, key } of uploads) await store.abortUpload(id, key);
  }
}
