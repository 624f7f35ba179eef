// The tests that mutants name, by file.
import type { Catcher } from './mutant.ts';

function of(
  file: string,
  how: Pick<Catcher, 'wholeFile'> = {},
): (test: string, env?: Readonly<Record<string, string>>) => Catcher {
  return (test, env) => ({ file, test, ...how, ...(env && { env }) });
}

export const transitions = of('test/ownership/transitions.test.ts');
export const crossings = of('test/ownership/crossings.test.ts');
export const explorer = of('test/ownership/explorer.test.ts');
export const catalog = of('test/ownership/catalog.test.ts');
export const parts = of('test/ownership/parts.test.ts');
export const life = of('test/ownership/cluster-life.test.ts');
export const handoff = of('test/ownership/handoff.test.ts');
export const absence = of('test/ownership/absence.test.ts');
export const mapChange = of('test/cluster/map-change.test.ts');
export const promises = of('test/ownership/promises.test.ts');
export const pull = of('test/ownership/pull.test.ts');
export const seal = of('test/ownership/seal.test.ts');
export const durableWords = of('test/ownership/durable-words.test.ts');
export const oldDisk = of('test/ownership/old-disk.test.ts');
export const catalogKeeper = of('test/ownership/catalog-keeper.test.ts');
/** The tests of this contract go on from what those before them have left in one coordinator. */
export const inMemory = of('test/contract/coordinator/memory.test.ts', { wholeFile: true });
export const inRedis = of('test/contract/coordinator/redis.test.ts', { wholeFile: true });
export const redis = of('test/cluster/redis-coordinator.test.ts');
export const embedded = of('test/cluster/embedded.test.ts');
export const dir = of('test/contract/dataset/dir.test.ts');
export const dirSnapshot = of('test/dataset/dir-snapshot.test.ts');
export const zfsParse = of('test/dataset/zfs-parse.test.ts');
export const zfsProof = of('test/dataset/zfs-proof.test.ts');
export const zfsFaults = of('test/dataset/zfs-faults.test.ts');
export const objects = of('test/store/objects.test.ts');
export const blobs = of('test/store/blobs.test.ts');
export const upkeep = of('test/store/upkeep.test.ts');
export const repair = of('test/ownership/repair.test.ts');
export const damagedIndex = of('test/ownership/damaged-index.test.ts');
export const sweep = of('test/store/sweep.test.ts');
export const multipart = of('test/store/multipart.test.ts');
export const listing = of('test/store/listing.test.ts');
export const versionListing = of('test/store/version-listing.test.ts');
export const durability = of('test/store/durability.test.ts');
export const faults = of('test/store/faults.test.ts');
export const lmdb = of('test/common/lmdb.test.ts');
export const router = of('test/routing/router.test.ts');
export const forward = of('test/routing/forward.test.ts');
export const abort = of('test/routing/abort.test.ts');
export const facts = of('test/ownership/facts.test.ts');
export const takeover = of('test/ownership/takeover.test.ts');
export const snapshots = of('test/ownership/snapshots.test.ts');
export const clones = of('test/ownership/clones.test.ts');
export const crash = of('test/ownership/crash.test.ts');
export const relabel = of('test/store/relabel.test.ts');
export const snapshotSchedule = of('test/ownership/snapshot-schedule.test.ts');
export const snapshotReading = of('test/s3/snapshots/reading.test.ts');
export const fullDisk = of('test/store/full-disk.test.ts');
export const twin = of('test/ownership/twin.test.ts');
export const janitor = of('test/ownership/janitor.test.ts');
export const command = of('test/dataset/command.test.ts');
export const reports = of('test/ownership/report.test.ts');
export const mapKeeper = of('test/ownership/map-keeper.test.ts');
export const dirStream = of('test/dataset/dir-stream.test.ts');
export const unknownOutcome = of('test/store/unknown-outcome.test.ts');
export const hopBody = of('test/routing/hop-body.test.ts');
export const replicas = of('test/ownership/replicas.test.ts');
export const page = of('test/ownership/page.test.ts');
