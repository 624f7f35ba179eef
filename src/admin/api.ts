// What the admin listener answers, put together from what the parts know. Owns nothing; asks the coordinator only for
// the leases of the other nodes, with a time limit, because status must answer above all when something is broken.
import type { Coordinator, Lease } from '../cluster/coordinator.ts';
import type { CredentialKeeper } from '../cluster/credential-keeper.ts';
import type { ClusterMap } from '../cluster/map.ts';
import type { ZringError } from '../common/errors.ts';
import { formatTerm } from '../common/term.ts';
import type { Config } from '../config/types.ts';
import { diskReason } from '../ownership/lease.ts';
import type { Ownership } from '../ownership/ownership.ts';
import type { BucketScrubDesk } from './bucket-scrubs.ts';
import type { BucketDesk } from './bucket-settings.ts';
import type { BucketSnapshotDesk } from './bucket-snapshots.ts';
import type { CredentialDesk } from './credentials.ts';
import type { AdminApi, ClusterStatus, NodeStatus, ReadyAnswer } from './types.ts';

const LEASES_TIMEOUT_MS = 2_000;

export interface AdminApiDeps {
  readonly self: string;
  readonly config: () => Config;
  readonly configFault: () => ZringError | null;
  readonly coordinator: Coordinator;
  readonly ownership: Ownership;
  readonly buckets: BucketDesk;
  readonly snapshots: BucketSnapshotDesk;
  readonly scrubs: BucketScrubDesk;
  readonly credentials: CredentialDesk;
  readonly kept: Pick<CredentialKeeper, 'status'>;
  /** Null while starting. */
  readonly lifecycle: () => 'starting' | 'running' | 'stopping';
  readonly reload: () => void;
  /** What the worker that carries out lifecycle rules here knows of a dataset; null = it does not look after it. */
  readonly lifecycleRules: (dataset: string) => unknown;
}

export function createAdminApi(deps: AdminApiDeps): AdminApi {
  const { ownership } = deps;
  return {
    ready: () => readiness(deps),
    status: () => clusterStatus(deps),
    async datasets() {
      const { records, complete } = ownership.access.records();
      return {
        complete,
        datasets: records.map((record) => ({
          dataset: record.dataset,
          id: record.id,
          owner: record.owner,
          home: ownership.home(record.dataset),
          pin: record.pin,
          term: formatTerm(record.term),
          phase: record.phase,
          target: record.target,
          createdMs: record.createdMs,
        })),
      };
    },
    buckets: deps.buckets,
    snapshots: deps.snapshots,
    scrubs: deps.scrubs,
    credentials: deps.credentials,
    disk: ownership.disk,
    takeover: ownership.takeover,
    async explain(dataset) {
      const known = await ownership.explain(dataset);
      const lifecycle = deps.lifecycleRules(dataset);
      return { ...known, lifecycle, ...(known.record ? { storage: await explainStorage(deps, dataset) } : {}) };
    },
    async move({ dataset, to }) {
      await ownership.move(dataset, to);
      return { dataset, pin: to };
    },
    async reload() {
      deps.reload();
      return clusterStatus(deps);
    },
  };
}

/** As its owner sees it, or why that cannot be told. */
async function explainStorage({ buckets }: AdminApiDeps, dataset: string): Promise<unknown> {
  return buckets.get(dataset).catch((error: unknown) => ({
    unknown: error instanceof Error ? error.message : String(error),
  }));
}

/** Why requests should not be sent here; what only waits for the coordinator does not count: reads and writes go on. */
function readiness(deps: AdminApiDeps): ReadyAnswer {
  const reasons: string[] = [];
  const lifecycle = deps.lifecycle();
  if (lifecycle !== 'running') reasons.push(lifecycle);
  const status = deps.ownership.status();
  if (status.lease.taken) reasons.push('another process holds the lease of this node id');
  if (status.lease.disk) reasons.push(diskReason(deps.self, status.lease.disk));
  if (!status.map) reasons.push('no membership map yet: the coordinator has not been reached since this node was made');
  return { ready: reasons.length === 0, reasons };
}

async function clusterStatus(deps: AdminApiDeps): Promise<ClusterStatus> {
  const status = deps.ownership.status();
  const leases = await readLeases(deps.coordinator);
  const { map } = status;
  return {
    node: deps.self,
    cluster: deps.config().cluster.name,
    epoch: map?.epoch ?? 0,
    revision: map?.revision ?? 0,
    coordinator: {
      kind: deps.coordinator.kind,
      available: status.coordinatorAvailable,
      complete: status.catalog.complete,
      incarnation: status.catalog.incarnation,
    },
    nodes: nodeStatuses(map, leases, deps),
    ready: readiness(deps),
    bucketFaults: status.copies.flatMap(({ dataset, role, fault }) =>
      role === 'owner' && fault !== null ? [{ bucket: dataset, fault }] : [],
    ),
    configFaults: [
      ...(status.refusal ? [status.refusal.message] : []),
      ...(deps.configFault() ? [deps.configFault()?.message ?? ''] : []),
    ],
    credentials: deps.kept.status(),
  };
}

function nodeStatuses(map: ClusterMap | null, leases: readonly Lease[], deps: AdminApiDeps): NodeStatus[] {
  return (map?.nodes ?? []).map((node) => {
    const lease = leases.find((candidate) => candidate.node === node.id);
    const own = node.id === deps.self ? deps.ownership.status() : null;
    return {
      id: node.id,
      zone: node.zone,
      weight: node.weight,
      state: node.state,
      s3: node.s3,
      leaseMs: Math.max(0, Math.round(lease?.remainingMs ?? own?.lease.remainingMs ?? 0)),
      release: lease?.info.release ?? null,
      freeBytes: own?.usage?.freeBytes ?? lease?.info.freeBytes ?? null,
      storageFault: faultOf(own?.usage?.health ?? lease?.info.storage),
      totalBytes: own?.usage?.totalBytes ?? lease?.info.totalBytes ?? null,
      datasets: lease?.info.datasets ?? own?.copies.filter(({ role }) => role === 'owner').length ?? null,
      moves: own?.moves ?? lease?.info.moves ?? [],
      replicas: own?.replicas ?? lease?.info.replicas ?? null,
      formats: lease?.info.formats ?? null,
    };
  });
}

function faultOf(health: string | undefined): string | null {
  return health === undefined || health === 'ok' ? null : health;
}

async function readLeases(coordinator: Coordinator): Promise<readonly Lease[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Lease[]>((resolve) => {
    timer = setTimeout(() => resolve([]), LEASES_TIMEOUT_MS);
  });
  try {
    return await Promise.race([coordinator.leases().catch(() => []), late]);
  } finally {
    clearTimeout(timer);
  }
}
