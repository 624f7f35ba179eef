// The `defaults` section: what holds for buckets that say nothing of their own.
import { z } from 'zod';
import { oneOf, scalar, withDefault } from './schema-fields.ts';
import { parseDuration, within } from './units.ts';

export const LIFECYCLE_DAY_MS_MIN = 1000;
export const LIFECYCLE_DAY_MS_MAX = 86_400_000;

export function defaultsSection() {
  return z
    .strictObject({
      objectOwnership: withDefault(
        scalar(
          {
            type: '`BucketOwnerEnforced`, `BucketOwnerPreferred` or `ObjectWriter`',
            effect: 'live',
            text: 'Object ownership of buckets that set none. `BucketOwnerEnforced`: the bucket owner owns every object and access control lists are off, as S3 has it for new buckets.',
          },
          oneOf('BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'),
        ),
        'BucketOwnerEnforced',
      ),
      lifecycleDay: withDefault(
        scalar(
          {
            type: 'duration',
            unit: 's, m, h',
            limit: '1s to 24h',
            effect: 'live',
            text: 'How long a day of lifecycle rules is. Shorter than 24h only for tests: objects expire that much sooner.',
          },
          within(parseDuration, LIFECYCLE_DAY_MS_MIN, LIFECYCLE_DAY_MS_MAX),
        ),
        '24h',
      ),
    })
    .prefault({});
}
