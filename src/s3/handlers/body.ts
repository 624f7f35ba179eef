// From a stream of bytes to a blob of the store, with back pressure. Owns the writer while it runs: it ends finished or
// aborted, never left open. A body that is cut or does not match its digests never becomes a blob.
import type { Blob, Store } from '../../store/types.ts';
import type { ChecksumAlgorithm, ChecksumValue } from '../payload/checksums.ts';
import type { Payload, PayloadResult } from '../payload/reader.ts';
import type { StoredChecksum } from './attributes.ts';
import type { DatasetContext } from './context.ts';

export async function writeBlob(store: Store, source: AsyncIterable<Buffer>, sizeHint: number | null): Promise<Blob> {
  const writer = store.beginBlob(sizeHint);
  try {
    for await (const chunk of source) {
      const drained = writer.write(chunk);
      if (drained) await drained;
    }
    return await writer.finish();
  } catch (error) {
    // The first failure is the one to report; what is left of the file is swept.
    await writer.abort().catch(() => undefined);
    throw error;
  }
}

/** The body of the request that `context` is about; its bytes are counted. */
export async function receiveBlob(
  context: DatasetContext,
  payload: Payload,
): Promise<{ blob: Blob; result: PayloadResult }> {
  const blob = await writeBlob(context.dataset.store, payload, payload.declaredBytes);
  const result = payload.result();
  context.services.metrics.s3ReceivedBytes.inc(result.size);
  return { blob, result };
}

/** The checksum an object keeps: the one its client gave, else the one computed here. MD5 is the ETag's business. */
export function chooseChecksum(
  checksums: readonly ChecksumValue[],
  wanted: ChecksumAlgorithm | null = null,
): StoredChecksum | undefined {
  const usable = checksums.filter((checksum) => checksum.algorithm !== 'MD5');
  const chosen = wanted
    ? usable.find((checksum) => checksum.algorithm === wanted)
    : (usable.find((checksum) => checksum.given) ?? usable[0]);
  return chosen && { algorithm: chosen.algorithm, value: chosen.value, type: 'FULL_OBJECT' };
}
