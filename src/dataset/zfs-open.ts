// Opens a ZFS storage root: probes, creates the root dataset when its parent exists, refuses another cluster's.
import { ZringError } from '../common/errors.ts';
import { type CommandRunner, systemCommands } from './command.ts';
import { processMark } from './dir-files.ts';
import type { DatasetDriver } from './driver.ts';
import { requireProperties, requireZfsRoot } from './names.ts';
import { ZfsDriver } from './zfs.ts';
import { createZfsCommands, type ZfsCommands } from './zfs-commands.ts';
import { ZfsDatasets } from './zfs-datasets.ts';
import { ownProperties, PREFIX } from './zfs-parse.ts';
import { probeZfs, type ZfsFlavour } from './zfs-probe.ts';

/** Of our properties, and of what they mean. */
export const ZFS_FORMAT = 1;
/** Destroying a large dataset on a slow pool takes long; a pool that does not answer in this time is not answering. */
const TIMEOUT_MS = 120_000;
const USAGE_TIMEOUT_MS = 10_000;
/** The first question of a start; whoever starts a node on a pool that hangs is to hear of it soon. */
const PROBE_TIMEOUT_MS = 30_000;

export async function openZfsDriver(
  location: string,
  cluster: string,
  options: { runner?: CommandRunner; timeoutMs?: number; usageTimeoutMs?: number } = {},
): Promise<DatasetDriver> {
  const root = requireZfsRoot(location);
  requireProperties({ cluster });
  const { runner = systemCommands, timeoutMs = TIMEOUT_MS, usageTimeoutMs = USAGE_TIMEOUT_MS } = options;
  const flavour = await probeZfs(runner, root.split('/')[0] ?? '', Math.min(timeoutMs, PROBE_TIMEOUT_MS));
  const commands = createZfsCommands(runner, timeoutMs, flavour.modern);
  await ensureRoot(root, cluster, commands, flavour);
  const driver = new ZfsDriver({ root, flavour, commands, mark: await processMark(), usageTimeoutMs });
  await driver.clearUnfinished();
  return driver;
}

async function ensureRoot(root: string, cluster: string, commands: ZfsCommands, flavour: ZfsFlavour): Promise<void> {
  const datasets = new ZfsDatasets(root, commands, flavour.modern);
  let values = await commands.find(root, 'all');
  if (!values) {
    const settings = [`compression=${flavour.compression}`, 'atime=off'];
    await commands.zfs(['create', ...settings.flatMap((setting) => ['-o', setting]), root], root);
    values = await commands.find(root, 'all');
  }
  const own = ownProperties(values ?? new Map());
  if (Number(own.format ?? ZFS_FORMAT) > ZFS_FORMAT) {
    throw new ZringError('VERSION_UNSUPPORTED', `${root} has format ${own.format}, known: ${ZFS_FORMAT}`, {
      subject: root,
    });
  }
  if (own.cluster !== undefined && own.cluster !== cluster) {
    throw new ZringError('CONFIG_REFUSED', `${root} belongs to cluster ${own.cluster}, not ${cluster}`, {
      subject: root,
    });
  }
  if (own.cluster === undefined || own.format === undefined) {
    await commands.set(root, [`${PREFIX}cluster=${cluster}`, `${PREFIX}format=${ZFS_FORMAT}`]);
  }
  // Children mount below it: on an unmounted root they would lie on another file system.
  if (values?.get('mounted')?.value !== 'yes') await datasets.mount(root);
}
