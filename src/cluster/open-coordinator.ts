// The one door to a coordinator: from what the configuration says to a connection.

import type { Clock } from '../common/clock.ts';
import { createSystemClock } from '../common/system-clock.ts';
import type { CoordinatorSpec } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Coordinator } from './coordinator.ts';
import { openEmbeddedCoordinator } from './embedded-coordinator.ts';
import { openRedisCoordinator } from './redis-coordinator.ts';

export interface OpenCoordinatorOptions {
  /** Name of the cluster; several can share a Redis. */
  readonly cluster: string;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/**
 * Resolves once the first attempt to reach it has succeeded or failed: a node starts without its coordinator too, and
 * `onAvailability` tells when it is there. After each `true` read everything again: what was seen before may be lost.
 * Errors: CONFIG_INVALID (an address or folder that cannot be used), STORAGE_* for the folder of an embedded one,
 * VERSION_UNSUPPORTED and COORDINATOR_CORRUPT when this process hosts it and cannot read its data.
 */
export function openCoordinator(spec: CoordinatorSpec, options: OpenCoordinatorOptions): Promise<Coordinator> {
  const { cluster, logger, clock = createSystemClock() } = options;
  if (spec.kind === 'redis') return openRedisCoordinator(spec.url, { cluster, logger });
  return openEmbeddedCoordinator(spec.folder, { cluster, logger, clock });
}
