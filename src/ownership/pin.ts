// Sets or clears the pin of a dataset in its record: any node may do that, the home follows it. Owns nothing.
import type { Coordinator } from '../cluster/coordinator.ts';
import type { TaggedRecord } from '../cluster/record.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import type { MapKeeper } from './map-keeper.ts';

/** Lost races and lost replies; each time the record is read again, so a repeated write changes nothing more. */
const TRIES_MAX = 16;

/** `to` null clears it. Errors: CONFIG_REFUSED, DATASET_MISSING, DATASET_BUSY, COORDINATOR_*. */
export async function setPin(
  coordinator: Coordinator,
  map: Pick<MapKeeper, 'has' | 'isDraining'>,
  dataset: string,
  to: string | null,
): Promise<TaggedRecord> {
  if (to !== null && (!map.has(to) || map.isDraining(to))) {
    throw new ZringError('CONFIG_REFUSED', `node ${to} is not in the map, or is draining`, { subject: to });
  }
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const current = await coordinator.readRecord(dataset);
    if (!current || current.record.phase === 'deleted') {
      throw new ZringError('DATASET_MISSING', `no record of ${dataset}`, { subject: dataset });
    }
    if (current.record.pin === to) return current;
    try {
      const result = await coordinator.casRecord(dataset, current.tag, { ...current.record, pin: to });
      if (result.ok) return result.value;
    } catch (error) {
      if (!isZringError(error, 'COORDINATOR_OUTCOME_UNKNOWN')) throw error;
    }
  }
  throw new ZringError('DATASET_BUSY', `the record of ${dataset} changes all the time`, { subject: dataset });
}
