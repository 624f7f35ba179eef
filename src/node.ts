// Composition root of one node: makes the parts, hands each what it needs, starts them in order and stops them in
// reverse. It decides nothing; read it as the list of what a node is made of.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createAdminApi } from './admin/api.ts';
import { createBucketScrubDesk, scrubMethods } from './admin/bucket-scrubs.ts';
import { bucketMethods, createBucketDesk } from './admin/bucket-settings.ts';
import { createBucketSnapshotDesk, snapshotMethods } from './admin/bucket-snapshots.ts';
import { checkPeers, checkSpace, checkStorage, checkTls } from './admin/checks.ts';
import { createCredentialDesk } from './admin/credentials.ts';
import { startAdminServer } from './admin/server.ts';
import { type CredentialKeeper, openCredentialKeeper } from './cluster/credential-keeper.ts';
import { CREDENTIAL_VERSION } from './cluster/credential-record.ts';
import { MAP_VERSION } from './cluster/map.ts';
import { openCoordinator } from './cluster/open-coordinator.ts';
import { RECORD_VERSION } from './cluster/record.ts';
import { ZringError } from './common/errors.ts';
import { acquireExclusiveLock } from './common/lock.ts';
import { PEER_PROTOCOL_VERSION, type PeerMethods } from './common/peer.ts';
import { createSystemClock } from './common/system-clock.ts';
import { formatAddress, requireNode, restartReasons, watchConfig } from './config/load.ts';
import type { Config, NodeConfig } from './config/types.ts';
import { DIR_STREAM_VERSION } from './dataset/dir-stream.ts';
import type { DatasetDriver } from './dataset/driver.ts';
import { openDriver } from './dataset/open-driver.ts';
import { COPY_VERSION } from './ownership/copy-properties.ts';
import { createOwnership, type Ownership } from './ownership/ownership.ts';
import { type RunningPulse, startStoragePulse } from './ownership/storage-pulse.ts';
import { RELEASE } from './release.ts';
import { createForwarder } from './routing/forward.ts';
import { HOP_LIMITS } from './routing/limits.ts';
import { createPeerListener, createS3Listener } from './routing/listeners.ts';
import { createPeerAuth } from './routing/peer-auth.ts';
import { createPeerTransport } from './routing/peer-client.ts';
import { createPeerVersions } from './routing/peer-version.ts';
import { openTlsFiles, type TlsSource } from './routing/tls-files.ts';
import { createTransport } from './routing/transport.ts';
import { CLONED_BUCKETS } from './s3/cloned-buckets.ts';
import { createLifecycleWorker } from './s3/lifecycle/worker.ts';
import { createS3Handler, s3PeerMethods } from './s3/listener.ts';
import { FORMAT_VERSION } from './store/codec.ts';
import type { Logger } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';

/** Newest version that this release reads, of everything that other releases read too; `zring upgrade` compares them. */
const FORMATS = {
  credential: CREDENTIAL_VERSION,
  index: FORMAT_VERSION,
  map: MAP_VERSION,
  peer: PEER_PROTOCOL_VERSION,
  properties: COPY_VERSION,
  record: RECORD_VERSION,
  stream: DIR_STREAM_VERSION,
};

/** What is in flight when a node stops gets this long to finish. */
const STOP_GRACE_MS = 30_000;
/** Until the storage root is open and watched; each of the commands that this takes has a shorter limit of its own. */
const STORAGE_OPENING_MS = 300_000;

export interface RunningNode {
  readonly id: string;
  /** As bound. */
  readonly addresses: { readonly s3: string; readonly peer: string; readonly admin: string };
  /** Reads the configuration file again, now. */
  reload(): void;
  /** Graceful: not ready, finish what is in flight, close the stores, give the lease back. Idempotent. */
  stop(): Promise<void>;
  /** Resolves as soon as the storage is silent, at once if it is: then `stop` may never end. */
  silence(): Promise<void>;
  /** Resolves, with why, when the storage is not the one that was opened: nothing is served, and `stop` is called for. */
  storageLost(): Promise<string>;
  /** It has not answered what it was asked last: a thread may wait for it, and an ordinary exit for that thread. */
  storageWaits(): boolean;
}

/** Ends what was started, last first; one failure does not keep the rest from ending. */
class Teardown {
  readonly #steps: { name: string; run: () => Promise<void> | void }[] = [];

  add(name: string, run: () => Promise<void> | void): void {
    this.#steps.push({ name, run });
  }

  async run(log: Logger): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (error) {
        log.error({ err: error, step: step.name }, 'stopping: a part did not end well');
      }
    }
  }
}

export async function startNode(first: Config, id: string, log: Logger): Promise<RunningNode> {
  const teardown = new Teardown();
  const hang = new Hang(requireNode(first, id).storage);
  try {
    return await Promise.race([build(first, id, log, teardown, hang), hang.promise]);
  } catch (error) {
    // Taking down what was built would wait for the storage, too.
    if (error !== hang.error) await teardown.run(log);
    throw error;
  }
}

/** A start that would wait for its storage without end fails instead. */
class Hang {
  readonly error: ZringError;
  readonly promise: Promise<never>;
  readonly #fail: () => void;
  #timer: NodeJS.Timeout | null;

  constructor({ kind, location }: NodeConfig['storage']) {
    const storage = `${kind}:${location}`;
    const message = `storage ${storage} does not answer; this node cannot start before it does`;
    this.error = new ZringError('STORAGE_UNAVAILABLE', message, { subject: storage, details: { hangs: true } });
    let fail = () => {};
    this.promise = new Promise((_, reject) => {
      fail = () => reject(this.error);
    });
    this.promise.catch(() => {});
    this.#fail = fail;
    this.#timer = setTimeout(fail, STORAGE_OPENING_MS);
  }

  watch(pulse: RunningPulse): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    pulse.onChange((answer) => {
      if (answer === 'silent') this.#fail();
    });
  }

  clear(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }
}

async function build(first: Config, id: string, log: Logger, teardown: Teardown, hang: Hang): Promise<RunningNode> {
  teardown.add('limit of the start', () => hang.clear());
  const node = requireNode(first, id);
  warnOfOpenPeers(first, node, log);
  const clock = createSystemClock();
  const metrics = createMetrics();
  teardown.add('metrics', () => metrics.stop());
  metrics.buildInfo.set({ release: RELEASE }, 1);
  let config = first;
  let configFault: ZringError | null = null;
  let lifecycle: 'starting' | 'running' | 'stopping' = 'starting';

  // Storage, locked before anything is read from it.
  const driver = await openDriver(node.storage, { logger: log, cluster: first.cluster.name });
  teardown.add('storage', () => driver.shutdown());
  const folder = await driver.stateFolder();
  const pulse = startStoragePulse({ node: id, storage: driver.storage, folder, logger: log });
  teardown.add('storage pulse', () => pulse.stop());
  metrics.onCollect(() => metrics.storageWaiting.set(pulse.waitedMs / 1000));
  hang.watch(pulse);
  const lock = await acquireExclusiveLock(join(folder, 'lock'));
  teardown.add('storage lock', () => lock.release());

  const tls = {
    s3: await openTls(first.tls.s3, log, teardown),
    peer: await openTls(first.tls.peer, log, teardown),
    admin: await openTls(first.tls.admin, log, teardown),
  };

  const coordinator = await openCoordinator(first.cluster.coordinator, {
    cluster: first.cluster.name,
    logger: log,
    clock,
  });
  teardown.add('coordinator', () => coordinator.close());

  const kept = await openCredentialKeeper(
    join(await driver.stateFolder(), 'credentials'),
    { credentials: first.credentials, keys: first.cluster.credentialKeys },
    { cluster: first.cluster.name, coordinator, clock, logger: log },
  );
  teardown.add('kept credentials', () => kept.close());

  // The way to other nodes. Addresses come from the map; before there is one, from the configuration.
  const versions = createPeerVersions();
  const auth = createPeerAuth({
    secrets: first.cluster.secrets,
    clock,
    clockWindowMs: HOP_LIMITS.clockWindowMs,
    noncesMax: HOP_LIMITS.noncesMax,
  });
  let ownership: Ownership | null = null;
  const mapNodes = () => ownership?.map()?.nodes ?? configuredNodes(config);
  const transport = createTransport({
    addressOf: (peer) => mapNodes().find((candidate) => candidate.id === peer)?.peer ?? null,
    tls: tls.peer,
    limits: HOP_LIMITS,
  });
  teardown.add('transport', () => transport.close(0));
  const peers = createPeerTransport({ self: id, transport, auth, versions, limits: HOP_LIMITS });

  ownership = await createOwnership({
    self: id,
    instance: randomUUID(),
    config: first,
    release: RELEASE,
    formats: FORMATS,
    coordinator,
    driver,
    transport: peers,
    clock,
    logger: log,
    metrics,
    pulse,
  });
  const owned = ownership;
  teardown.add('ownership', () => owned.stop());

  const rules = createLifecycleWorker({
    self: id,
    access: owned.access,
    clock,
    metrics,
    log,
    dayMs: () => config.defaults.lifecycleDayMs,
  });
  teardown.add('lifecycle worker', () => rules.stop());

  const forwarder = createForwarder({
    self: id,
    epoch: () => owned.epoch(),
    transport,
    auth,
    versions,
    limits: HOP_LIMITS,
    metrics,
    log,
  });
  const handler = createS3Handler({
    config: withKeptCredentials(() => config, kept),
    access: owned.access,
    transport: peers,
    self: id,
    clock,
    forwarder,
    mapEpoch: () => owned.epoch(),
    metrics,
    lifecycle: rules,
    log,
  });
  const methods = mergeMethods(
    owned.methods,
    s3PeerMethods({ access: owned.access }),
    bucketMethods(owned.storage),
    snapshotMethods({ snapshots: owned.snapshots, clones: CLONED_BUCKETS }),
    scrubMethods(owned.scrubs),
  );

  const admin = await startAdminServer({
    listen: node.listen.admin,
    self: id,
    secrets: () => config.cluster.secrets,
    nodes: mapNodes,
    api: createAdminApi({
      self: id,
      config: () => config,
      configFault: () => configFault,
      coordinator,
      ownership: owned,
      buckets: createBucketDesk({ self: id, access: owned.access, storage: owned.storage, peers }),
      snapshots: createBucketSnapshotDesk({
        self: id,
        access: owned.access,
        snapshots: owned.snapshots,
        clones: CLONED_BUCKETS,
        peers,
      }),
      scrubs: createBucketScrubDesk({ self: id, access: owned.access, scrubs: owned.scrubs, peers }),
      credentials: createCredentialDesk(kept, log),
      kept,
      lifecycle: () => lifecycle,
      reload: () => watcher.reload(),
      lifecycleRules: (dataset) => rules.status(dataset),
    }),
    metrics,
    logger: log,
    tls: tls.admin,
    peerCa: () => tls.peer?.current.ca ?? null,
  });
  teardown.add('admin listener', () => admin.close());
  const common = { handler, metrics, log };
  const peer = await createPeerListener({
    ...common,
    listen: node.listen.peer,
    tls: tls.peer,
    self: id,
    auth,
    versions,
    methods,
  });
  teardown.add('peer listener', () => peer.close(STOP_GRACE_MS));
  const s3 = await createS3Listener({ ...common, listen: node.listen.s3, tls: tls.s3 });
  teardown.add('S3 listener', () => s3.close(STOP_GRACE_MS));

  const watcher = watchConfig(first.path, process.env, {
    current: first,
    onChange(next) {
      const restart = restartReasons(config, next, id);
      if (restart.length > 0) log.warn({ keys: restart }, 'these changes take effect after a restart of this node');
      config = next;
      log.level = next.log.level;
      auth.setSecrets(next.cluster.secrets);
      kept.configure(next.credentials, next.cluster.credentialKeys);
      owned.applyConfig(next);
      transport.retain(new Set(mapNodes().map((candidate) => candidate.id)));
      log.info({ revision: next.cluster.revision }, 'configuration read again');
    },
    onRepair() {
      configFault = null;
      metrics.configFaults.set(0);
      log.info('the configuration file can be used again');
    },
    onFault(error) {
      configFault = error;
      metrics.configFaults.set(Array.isArray(error.details) ? error.details.length : 1);
      log.error({ err: error, faults: error.details }, 'the configuration file has faults; the last good one stays');
    },
  });
  teardown.add('configuration watcher', () => watcher.close());
  lifecycle = 'running';
  rules.start();
  void startupChecks(driver, first, id, log);

  const addresses = {
    s3: formatAddress(s3.address),
    peer: formatAddress(peer.address),
    admin: `${admin.address.address}:${admin.address.port}`,
  };
  let stopping: Promise<void> | null = null;
  return {
    id,
    addresses,
    reload: () => watcher.reload(),
    silence: () => whenPulse(pulse, () => (pulse.answer === 'silent' ? true : null)).then(() => {}),
    storageLost: () => whenPulse(pulse, () => pulse.lost),
    storageWaits: () => pulse.waitedMs > 0,
    stop() {
      lifecycle = 'stopping';
      stopping ??= teardown.run(log);
      return stopping;
    },
  };
}

function whenPulse<T>(pulse: RunningPulse, look: () => T | null): Promise<T> {
  return new Promise((resolve) => {
    const check = () => {
      const seen = look();
      if (seen !== null) resolve(seen);
    };
    pulse.onChange(check);
    check();
  });
}

async function openTls(files: Config['tls']['s3'], log: Logger, teardown: Teardown): Promise<TlsSource | null> {
  if (!files) return null;
  const source = await openTlsFiles(files, log);
  teardown.add(`certificates ${files.certFile}`, () => source.close());
  return source;
}

function configuredNodes(config: Config): { id: string; peer: string; admin: string }[] {
  return config.nodes.map(({ id, peer, admin }) => ({ id, peer: formatAddress(peer), admin: formatAddress(admin) }));
}

/** What the S3 front takes for the file: its credentials and those that the cluster keeps. The same object while it is the same. */
function withKeptCredentials(config: () => Config, kept: CredentialKeeper): () => Config {
  let last: { readonly file: Config; readonly merged: Config } | null = null;
  return () => {
    const file = config();
    const credentials = kept.list();
    if (last?.file !== file || last.merged.credentials !== credentials)
      last = { file, merged: { ...file, credentials } };
    return last.merged;
  };
}

function mergeMethods(...all: readonly PeerMethods[]): PeerMethods {
  return {
    calls: Object.assign({}, ...all.map(({ calls }) => calls)),
    streams: Object.assign({}, ...all.map(({ streams }) => streams)),
  };
}

/** What `zring doctor` looks at; a node that can still read serves, and says what it cannot do and how to mend it. */
async function startupChecks(driver: DatasetDriver, config: Config, id: string, log: Logger): Promise<void> {
  try {
    const checks = [
      ...(await checkStorage(driver)),
      ...(await checkSpace(driver, config)),
      ...(await checkPeers(config, id)).filter(({ found }) => !found.startsWith('no answer')),
      ...(await checkTls(config, Date.now())),
    ];
    for (const { name, status, found, fix } of checks) {
      if (status === 'fail') log.error({ check: name, found, fix }, 'start-up check failed');
      if (status === 'warn') log.warn({ check: name, found, fix }, 'start-up check');
    }
  } catch (error) {
    log.error({ err: error }, 'the start-up checks could not be run');
  }
}

/** Snapshot streams and forwarded requests travel over the peer listener, and carry the data. */
function warnOfOpenPeers(config: Config, node: NodeConfig, log: Logger): void {
  if (config.tls.peer || /^(127\.|localhost$|::1$|\[::1\]$)/.test(node.peer.host)) return;
  log.warn({ peer: formatAddress(node.peer) }, 'no TLS on the peer listener beyond loopback: data travels readable');
}
