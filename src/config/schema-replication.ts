// The `replication` section: how closely replicas follow their owners. How many there are is `cluster.copies`.
import { z } from 'zod';
import { scalar, withDefault } from './schema-fields.ts';
import { parseDuration, parseInteger, within } from './units.ts';

export const REPLICATION_EVERY_MS_MIN = 1_000;
export const REPLICATION_EVERY_MS_MAX = 86_400_000;

export function replicationSection() {
  return z
    .strictObject({
      every: withDefault(
        scalar(
          {
            type: 'duration',
            unit: 's, m, h, d',
            limit: '1s to 1d',
            effect: 'live',
            text: 'How often each replica of a bucket that has changed is brought up to its owner. What was written since is what a lost owner would take with it.',
          },
          within(parseDuration, REPLICATION_EVERY_MS_MIN, REPLICATION_EVERY_MS_MAX),
        ),
        '1m',
      ),
      concurrency: withDefault(
        scalar(
          {
            type: 'whole number',
            limit: '1 to 64',
            effect: 'live',
            text: 'Replicas that one node receives at the same time. They share `rebalance.bandwidth` with moves.',
          },
          within(parseInteger, 1, 64),
        ),
        '4',
      ),
    })
    .prefault({});
}
