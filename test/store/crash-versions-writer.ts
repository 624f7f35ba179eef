// As crash-writer.ts, with versions: each worker changes keys of its own, and writes a line before each change ("begin",
// with what it is) and after its acknowledgement ("ack", with the version id that it gave). Versioning is enabled in one
// run and suspended in the next.
import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/store.ts';
import type { ObjectEntry } from '../../src/store/types.ts';
import type { VersionChange } from './crash-expectation.ts';
import { bytesOf, putBlob } from './fixture.ts';

const [folder = '', seed = '0', run = '0'] = process.argv.slice(2);
const WORKERS = 6;
const KEYS_PER_WORKER = 2;
const store = await openStore(folder, { term: { n: Number(run) + 1, node: 'a' } });

/** Synchronous: what is not in the pipe when the process dies was not acknowledged. */
function say(line: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

async function acknowledged(key: string, change: VersionChange, act: () => Promise<ObjectEntry | null>): Promise<void> {
  say({ begin: key, change });
  const entry = await act();
  say({ ack: key, version: entry?.versionId ?? null, sequence: store.stats().sequence });
}

async function worker(id: number): Promise<void> {
  let state = (Number(seed) + id * 7919 + Number(run) * 104_729) >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (;;) {
    const key = `worker ${id}/${random(KEYS_PER_WORKER)}`;
    const kind = random(20);
    const { versions } = store.listVersions({ prefix: key, delimiter: '', afterKey: '', limit: 50 });
    const some = versions[random(Math.max(versions.length, 1))]?.entry;
    if (kind < 9) {
      const size = random(3) ? random(6000) : 20_000 + random(60_000);
      const from = random(1e9);
      const etag = `${size}-${from}`;
      const blob = await putBlob(store, bytesOf(size, from));
      await acknowledged(key, { do: 'put', etag }, () => store.put({ key, blob, etag, attributes: {} }));
    } else if (kind < 11) {
      await acknowledged(key, { do: 'delete' }, async () => (await store.remove({ key })).marker);
    } else if (kind < 17 || versions.length > 12) {
      if (!some) continue;
      const version = some.versionId;
      await acknowledged(key, { do: 'remove', version }, async () => (await store.remove({ key, version })).removed);
    } else if (some && !some.deleteMarker && kind < 19) {
      const { versionId: sourceVersion, sequence: sourceSequence, etag } = some;
      const copy = { source: key, sourceVersion, sourceSequence, key, attributes: {} };
      await acknowledged(key, { do: 'put', etag }, () => store.copy(copy));
    } else if (some && !some.deleteMarker) {
      const { versionId: version } = some;
      const tag = random(1e6);
      const change = () => ({ tag });
      await acknowledged(key, { do: 'tag', version, tag }, () => store.annotate({ key, version, change }));
    }
  }
}

const mode = Number(run) % 2 ? 'suspended' : 'enabled';
await store.setVersioning(mode);
say({ mode });
await Promise.all(Array.from({ length: WORKERS }, (_, id) => worker(id)));
