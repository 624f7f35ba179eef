// Metrics: the only import of prom-client. One flat object of instruments, made once per process by the composition
// root and handed down. Names are `zring_<area>_<noun>_<unit>`; labels are bounded sets (operation, status, node),
// never keys or buckets. docs/METRICS.md is compared with this file by a test.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

export type Metrics = ReturnType<typeof createMetrics>;

/** Values that are read when Prometheus scrapes; filled by `onCollect`. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const latency = (name: string, help: string, labelNames: string[] = []) =>
    new Histogram({ name, help, labelNames, buckets: LATENCY_SECONDS, registers });
  collectDefaultMetrics({ register: registry });

  const loop: IntervalHistogram = monitorEventLoopDelay({ resolution: 10 });
  loop.enable();
  const collectors: (() => void | Promise<void>)[] = [];
  const eventLoopDelay = gauge('zring_process_event_loop_delay_seconds', 'Event loop delay since the last scrape', [
    'quantile',
  ]);
  collectors.push(() => {
    eventLoopDelay.set({ quantile: '0.5' }, loop.percentile(50) / 1e9);
    eventLoopDelay.set({ quantile: '0.99' }, loop.percentile(99) / 1e9);
    eventLoopDelay.set({ quantile: '1' }, loop.max / 1e9);
    loop.reset();
  });

  return {
    registry,
    /** Runs before every scrape; for gauges that mirror state kept elsewhere. */
    onCollect(collector: () => void | Promise<void>): void {
      collectors.push(collector);
    },
    /** Text in Prometheus' exposition format. */
    async text(): Promise<string> {
      for (const collect of collectors) await collect();
      return registry.metrics();
    },
    contentType: registry.contentType,
    stop(): void {
      loop.disable();
      registry.clear();
    },

    s3Requests: counter('zring_s3_requests_total', 'S3 requests answered by this node as the owner or entry', [
      'operation',
      'status',
      'place',
    ]),
    s3Latency: latency('zring_s3_request_duration_seconds', 'From the request head to the end of the response', [
      'operation',
      'place',
    ]),
    s3ReceivedBytes: counter('zring_s3_received_bytes_total', 'Object bytes received by the owner'),
    s3SentBytes: counter('zring_s3_sent_bytes_total', 'Object bytes sent by the owner'),
    s3InFlight: gauge('zring_s3_requests_in_flight', 'Requests being worked on', ['place']),
    s3Refused: counter('zring_s3_malformed_requests_total', 'Requests refused before they were routed', ['reason']),

    hopRequests: counter('zring_hop_requests_total', 'Requests forwarded to the owner', ['node', 'outcome']),
    hopLatency: latency('zring_hop_duration_seconds', 'From forwarding to the end of the relayed response', ['node']),
    hopBytes: counter('zring_hop_bytes_total', 'Body bytes relayed', ['direction']),
    hopReroutes: counter('zring_hop_reroutes_total', 'Requests routed again after a typed refusal'),
    peerRefused: counter('zring_peer_refused_requests_total', 'Requests refused on the peer listener', ['reason']),

    mapEpoch: gauge('zring_map_epoch_number', 'Epoch of the membership map in use'),
    mapNodes: gauge('zring_map_nodes_count', 'Nodes in the map', ['state']),
    configFaults: gauge('zring_config_faults_count', 'Faults of the configuration file as it is now; 0 = in use'),
    leaseRemaining: gauge('zring_lease_remaining_seconds', 'Time left of the lease of this node; 0 = none'),
    coordinatorUp: gauge('zring_coordinator_up', '1 while the coordinator (Redis or embedded) answers'),
    coordinatorErrors: counter('zring_coordinator_errors_total', 'Failed coordinator calls', ['code']),
    catalogComplete: gauge('zring_catalog_complete', '1 when the catalog of records is complete'),

    datasetsOwned: gauge('zring_ownership_datasets_count', 'Dataset copies on this node', ['role']),
    replicas: gauge('zring_replicas_count', 'Replicas that other nodes should have of datasets owned here', ['state']),
    replicaLag: gauge(
      'zring_replica_lag_seconds',
      'How far the replica that is furthest behind lags, of those heard of; 0 = none does',
    ),
    datasetsAwayFromHome: gauge(
      'zring_ownership_datasets_away_count',
      'Datasets whose home is this node, owned elsewhere',
    ),
    movesTotal: counter('zring_ownership_moves_total', 'Moves to this node that ended', ['outcome']),
    movesInFlight: gauge('zring_ownership_moves_in_flight_count', 'Moves to this node under way'),
    syncBytes: counter('zring_sync_bytes_total', 'Bytes of snapshot streams', ['direction']),
    syncRate: gauge('zring_sync_rate_bytes_per_second', 'Current rate of received snapshot streams'),
    gateWait: latency('zring_ownership_gate_wait_seconds', 'Time requests waited for a closed gate'),
    snapshotsTaken: counter('zring_snapshots_taken_total', 'Scheduled snapshots taken'),
    snapshotFailures: counter('zring_snapshot_failures_total', 'Scheduled snapshots that could not be taken'),
    fenced: counter('zring_ownership_fenced_commits_total', 'Commits refused by the guard'),

    lifecyclePasses: counter('zring_lifecycle_passes_total', 'Passes of lifecycle rules over a bucket', ['outcome']),
    lifecycleChanges: counter('zring_lifecycle_changes_total', 'What lifecycle rules changed', ['action']),
    lifecycleKept: counter('zring_lifecycle_kept_total', 'What was due and kept: locked, or changed meanwhile', [
      'reason',
    ]),
    lifecycleRemovedBytes: counter('zring_lifecycle_removed_bytes_total', 'Bytes of versions that rules destroyed'),
    lifecycleBuckets: gauge('zring_lifecycle_buckets_count', 'Buckets with lifecycle rules that this node owns'),
    lifecycleLastPass: gauge('zring_lifecycle_last_pass_timestamp_seconds', 'When a pass last ended (Unix time)'),

    storeCommits: counter('zring_store_commits_total', 'Durable index commits'),
    storeCorruptions: counter('zring_store_corruptions_total', 'Reads whose checksum did not match'),
    blobsDamaged: counter('zring_blobs_damaged_total', 'Data files found damaged, by reads and scrubs'),
    blobsRepaired: counter('zring_blobs_repaired_total', 'Data files repaired from another node’s copy'),
    repairFailures: counter('zring_repair_failures_total', 'Attempts to repair a data file that failed'),
    storesOpen: gauge('zring_store_open_count', 'Stores that are open'),
    storageFree: gauge('zring_storage_free_bytes', 'Free bytes below the storage root'),
    storageTotal: gauge('zring_storage_total_bytes', 'Size of the storage below the root'),
    storageHealthy: gauge('zring_storage_healthy', '1 while the pool can be written'),
    storageWaiting: gauge('zring_storage_waiting_seconds', 'Time without an answer of the storage; 0 = it answers'),
    buildInfo: gauge('zring_build_info', 'Always 1', ['release']),
  };
}
