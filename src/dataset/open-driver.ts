// Opens the storage root of a node: the one place that knows both drivers.
import type { StorageSpec } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';
import { openDirDriver } from './dir.ts';
import type { DatasetDriver } from './driver.ts';
import { openZfsDriver } from './zfs-open.ts';

export interface OpenDriverOptions {
  readonly logger: Logger;
  /** Name of the cluster, kept in the root: a root of another cluster is refused (CONFIG_REFUSED). */
  readonly cluster: string;
}

/** Creates the root when its parent exists; probes what the storage can do. */
export async function openDriver(spec: StorageSpec, options: OpenDriverOptions): Promise<DatasetDriver> {
  const driver =
    spec.kind === 'zfs'
      ? await openZfsDriver(spec.location, options.cluster)
      : await openDirDriver(spec.location, options.cluster);
  const { storage, capabilities } = driver;
  options.logger.info({ storage, ...capabilities }, 'storage opened');
  return driver;
}
