// Opens the storage root of a node: the one place that knows both drivers.
import type { StorageSpec } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import { openDirDriver } from './dir.ts';
import type { DatasetDriver } from './driver.ts';

export interface OpenDriverOptions {
  readonly logger: Logger;
  /** Name of the cluster, stored on the root dataset: a pool of another cluster is refused. */
  readonly cluster: string;
}

/** Creates the root when its parent exists; probes what the storage can do. */
export async function openDriver(spec: StorageSpec, options: OpenDriverOptions): Promise<DatasetDriver> {
  options.logger.debug({ storage: `${spec.kind}:${spec.location}` }, 'opening storage');
  return openDirDriver(spec.location);
}
