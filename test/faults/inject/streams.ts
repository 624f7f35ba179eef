// Cut streams: a dataset is asked to move, and one of its streams ends after so many bytes. Counts what the wrappers wrote
// down as fired, nothing else.

import { readFired } from '../lab/streams.ts';
import type { Fault } from '../plan.ts';
import { fired, type Injection, type InjectionContext, missed, PATIENCE_MS, pinAt } from './injection.ts';

/** No stream came by that was so long: the next order is shorter. The shortest stream has two records of 312 bytes. */
const SHORTER_AFTER_MS = 3_000;
const ANY_STREAM_BYTES = 400;

export async function injectCut(
  fault: Extract<Fault, { kind: 'cut-stream' }>,
  { lab, buckets, id }: InjectionContext,
): Promise<Injection> {
  const dataset = buckets[fault.dataset % buckets.length] ?? '';
  const { direction, end } = fault;
  let count = 0;
  const notes: string[] = [];
  for (const [i, bytes] of fault.cuts.entries()) {
    const record = await lab.until(PATIENCE_MS, async () => {
      return (await lab.datasets())?.find((candidate) => candidate.dataset === dataset) ?? null;
    });
    if (!record) return missed(`${dataset} is nowhere`);
    const owner = lab.node(record.owner);
    const asked = lab.nodeAt(fault.to);
    const target = asked === owner ? lab.nodeAt(fault.to + 1) : asked;
    const order = { id: `${id}-${i}`, direction, end, bytes };
    const { cutter } = direction === 'send' ? owner : target;
    await cutter.order(order);
    const hasFired = () => lab.until(SHORTER_AFTER_MS, async () => findFired(lab.cutFolder, order.id));
    try {
      if (!(await pinAt(lab, lab.nodes, dataset, target.id))) return missed(`${dataset} could not be asked to move`);
      let cut = await hasFired();
      for (let tries = 0; !cut && tries < 3; tries += 1) {
        await cutter.order({ ...order, bytes: Math.min(bytes, ANY_STREAM_BYTES) });
        cut = await hasFired();
      }
      if (cut) {
        count += 1;
        notes.push(`${cut.stream} ${cut.bytes}`);
      }
    } finally {
      await cutter.withdraw(order);
    }
  }
  const note = `${dataset} ${direction} ${end}: ${notes.join(', ')}`;
  return count > 0 ? fired({ cutStreams: count }, note) : missed(`${note} no stream came by`);
}

async function findFired(folder: string, id: string) {
  return (await readFired(folder)).find((cut) => cut.id === id) ?? null;
}
