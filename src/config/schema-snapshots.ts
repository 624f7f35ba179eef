// The `snapshots` section: which snapshots are taken by themselves, and how long these are kept.
import { z } from 'zod';
import { scalar, withDefault } from './schema-fields.ts';
import { type Parsed, parseDuration, parseInteger, within } from './units.ts';

export const SNAPSHOT_EVERY_MS_MIN = 60_000;
export const SNAPSHOT_EVERY_MS_MAX = 31 * 86_400_000;
export const SNAPSHOTS_KEPT_MAX = 500;

/** null = off. */
function parseEvery(text: string): Parsed<number | null> {
  return text === 'off' ? { value: null } : within(parseDuration, SNAPSHOT_EVERY_MS_MIN, SNAPSHOT_EVERY_MS_MAX)(text);
}

function kept(text: string, limit: string, min: number, standard: string) {
  const doc = { type: 'whole number', limit, effect: 'live', text } as const;
  return withDefault(scalar(doc, within(parseInteger, min, SNAPSHOTS_KEPT_MAX)), standard);
}

export function snapshotsSection() {
  return z
    .strictObject({
      every: withDefault(
        scalar(
          {
            type: 'duration or `off`',
            unit: 'm, h, d',
            limit: '1m to 31d',
            effect: 'live',
            text: 'How often each bucket that has changed gets a snapshot `auto-…` ([SNAPSHOTS.md](SNAPSHOTS.md)). With `off` none is taken, and none destroyed.',
          },
          parseEvery,
        ),
        'off',
      ),
      keep: z
        .strictObject({
          last: kept('So many of the newest `auto-…` snapshots stay.', `1 to ${SNAPSHOTS_KEPT_MAX}`, 1, '8'),
          daily: kept('The last one of each of so many days (UTC) stays.', `0 to ${SNAPSHOTS_KEPT_MAX}`, 0, '14'),
          monthly: kept('The last one of each of so many months stays.', `0 to ${SNAPSHOTS_KEPT_MAX}`, 0, '12'),
        })
        .prefault({}),
    })
    .prefault({});
}
