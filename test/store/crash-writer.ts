// The process that crash.test.ts kills: opens the store and changes it from several workers, each with its own keys, and
// writes a line before each change ("begin") and after its acknowledgement ("ack"). Bodies follow from their etag.
import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/store.ts';
import { bytesOf, putBlob } from './fixture.ts';

const [folder = '', seed = '0', run = '0'] = process.argv.slice(2);
const WORKERS = 6;
const KEYS_PER_WORKER = 4;
const store = await openStore(folder, { term: { n: Number(run) + 1, node: 'a' } });

/** Synchronous: what is not in the pipe when the process dies was not acknowledged. */
function say(line: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function bodyOf(etag: string): Buffer {
  const [size = '0', from = '0'] = etag.split('-');
  return bytesOf(Number(size), Number(from));
}

async function worker(id: number): Promise<void> {
  let state = (Number(seed) + id * 7919 + Number(run) * 104_729) >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const key = (): string => `worker ${id}/${random(KEYS_PER_WORKER)}`;
  const newEtag = (): string => {
    const size = random(3) ? random(6000) : random(2) ? 20_000 + random(60_000) : 1_000_000 + random(600_000);
    return `${size}-${random(1e9)}`;
  };
  for (;;) {
    const target = key();
    const kind = random(10);
    if (kind < 6) {
      const etag = newEtag();
      const blob = await putBlob(store, bodyOf(etag));
      say({ begin: target, etag });
      const { sequence } = await store.put({ key: target, blob, etag, attributes: {} });
      say({ ack: target, etag, sequence });
    } else if (kind === 6) {
      say({ begin: target, etag: null });
      const { removed } = await store.remove({ key: target });
      say({ ack: target, etag: null, sequence: removed ? removed.sequence + 1 : 0 });
    } else if (kind === 7) {
      const source = store.head(key());
      if (!source) continue;
      const { key: from, sequence: sourceSequence, etag } = source;
      say({ begin: target, etag });
      const { sequence } = await store.copy({ source: from, sourceSequence, key: target, attributes: {} });
      say({ ack: target, etag, sequence });
    } else {
      // Two parts that are one body, and one that is thrown away.
      const etag = newEtag();
      const body = bodyOf(etag);
      const upload = await store.createUpload(target, {});
      const middle = body.length >> 1;
      for (const [number, part] of [body.subarray(0, middle), body.subarray(middle), bytesOf(30_000)].entries()) {
        await store.putPart(upload.id, target, number + 1, await putBlob(store, part), 'e', {});
      }
      const parts = [1, 2].map((number) => ({ number, etag: 'e' }));
      say({ begin: target, etag });
      const finish = () => ({ etag, attributes: {} });
      const { sequence } = await store.completeUpload({
        uploadId: upload.id,
        key: target,
        parts,
        partBytesMin: 0,
        finish,
      });
      say({ ack: target, etag, sequence });
    }
  }
}

say({ opened: run });
await Promise.all(Array.from({ length: WORKERS }, (_, id) => worker(id)));
