// Fills the gauges of ownership when Prometheus scrapes. Owns nothing.
import type { Metrics } from '../telemetry/metrics.ts';
import type { OwnershipStatus } from './status.ts';

export function collectOwnershipMetrics(metrics: Metrics, read: () => OwnershipStatus): void {
  metrics.onCollect(() => {
    const status = read();
    metrics.mapEpoch.set(status.map?.epoch ?? 0);
    metrics.leaseRemaining.set(status.lease.remainingMs / 1000);
    metrics.coordinatorUp.set(status.coordinatorAvailable ? 1 : 0);
    metrics.catalogComplete.set(status.catalog.complete ? 1 : 0);
    metrics.datasetsOwned.reset();
    for (const copy of status.copies) metrics.datasetsOwned.inc({ role: copy.role });
    const { replicas } = status;
    for (const state of ['current', 'late', 'unknown'] as const) metrics.replicas.set({ state }, replicas[state]);
    metrics.replicaLag.set(replicas.lagMs / 1000);
    metrics.datasetsAwayFromHome.set(status.away);
    metrics.movesInFlight.set(status.moves.length);
    metrics.syncRate.set(status.moves.reduce((sum, move) => sum + move.bytesPerSecond, 0));
    metrics.storesOpen.set(status.storesOpen);
    metrics.storageFree.set(status.usage?.freeBytes ?? 0);
    metrics.storageTotal.set(status.usage?.totalBytes ?? 0);
    metrics.storageHealthy.set(status.usage?.health === 'ok' ? 1 : 0);
  });
}
