import type { Clock } from '../common/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Coordinator } from './coordinator.ts';

export interface EmbeddedCoordinatorOptions {
  readonly cluster: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

export async function openEmbeddedCoordinator(
  _folder: string,
  _options: EmbeddedCoordinatorOptions,
): Promise<Coordinator> {
  throw new Error('under construction');
}
