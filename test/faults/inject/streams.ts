// Cut streams: a dataset is asked to move, and one of its streams ends after so many bytes. Counts what the wrappers wrote
// down as fired, nothing else.

import { readFired } from '../lab/streams.ts';
import type { Fault } from '../plan.ts';
import { fired, type Injection, type InjectionContext, missed, PATIENCE_MS, pinAt } from './injection.ts';

/** No stream came by that was so long: the order becomes a shorter one. The shortest stream has two records of 312 bytes. */
const SHORTER_AFTER_MS = 5_000;
const ANY_STREAM_BYTES = 620;
const FIRES_WITHIN_MS = 20_000;

export async function injectCut(
  fault: Extract<Fault, { kind: 'cut-stream' }>,
  { lab, buckets, id }: InjectionContext,
): Promise<Injection> {
  const dataset = buckets[fault.dataset % buckets.length] ?? '';
  const { direction, end } = fault;
  const notes: string[] = [];
  for (const [i, bytes] of fault.cuts.entries()) {
    const record = await lab.until(PATIENCE_MS, async () => {
      return (await lab.datasets())?.find((candidate) => candidate.dataset === dataset) ?? null;
    });
    if (!record) break;
    // Another node each time: one whose pull has just failed waits before it tries again.
    const owner = lab.node(record.owner);
    const asked = lab.nodeAt(fault.to + i);
    const target = asked === owner ? lab.nodeAt(fault.to + i + 1) : asked;
    const order = { id: `${id}-${i}`, direction, end, bytes };
    const { cutter } = direction === 'send' ? owner : target;
    await cutter.order(order);
    const hasFired = (limitMs: number) => lab.until(limitMs, () => findFired(lab.cutFolder, order.id));
    try {
      if (!(await pinAt(lab, lab.nodes, dataset, target.id))) continue;
      let cut = await hasFired(SHORTER_AFTER_MS);
      if (!cut) {
        await cutter.order({ ...order, bytes: bytes % ANY_STREAM_BYTES });
        cut = await hasFired(FIRES_WITHIN_MS - SHORTER_AFTER_MS);
      }
      if (cut) notes.push(`${cut.stream} ${cut.bytes}`);
    } finally {
      await cutter.withdraw(order);
    }
  }
  const note = `${dataset} ${direction} ${end}: ${notes.join(', ')}`;
  return notes.length > 0 ? fired({ cutStreams: notes.length }, note) : missed(`${note}no stream came by`);
}

async function findFired(folder: string, id: string) {
  return (await readFired(folder)).find((cut) => cut.id === id) ?? null;
}
