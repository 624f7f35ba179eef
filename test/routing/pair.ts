// Two nodes for the tests: an entry (S3 listener + forwarder) and an owner (peer listener) whose handler is given.
// Everything listens on port 0 of loopback. `close` must be awaited; it checks nothing.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../src/common/clock.ts';
import type { PeerMethods, PeerTransport } from '../../src/common/peer.ts';
import type { TlsFiles } from '../../src/config/types.ts';
import type { ForwardOutcome } from '../../src/routing/exchange.ts';
import { createForwarder, type HopForwarder } from '../../src/routing/forward.ts';
import { HOP_LIMITS, type HopLimits, type ListenerLimits } from '../../src/routing/limits.ts';
import {
  createPeerListener,
  createS3Listener,
  type ExchangeHandler,
  type Listener,
} from '../../src/routing/listeners.ts';
import { createPeerAuth } from '../../src/routing/peer-auth.ts';
import { createPeerTransport } from '../../src/routing/peer-client.ts';
import { createPeerVersions } from '../../src/routing/peer-version.ts';
import { openTlsFiles, type TlsSource } from '../../src/routing/tls-files.ts';
import { createTransport, type Transport } from '../../src/routing/transport.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';

export const LOOPBACK = { host: '127.0.0.1', port: 0 };

export const systemClock: Clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

export interface PairOptions {
  /** What the owner does with a forwarded request. */
  readonly owner: ExchangeHandler;
  /** What the entry does; default: forwards everything to the owner and records the outcome. */
  readonly entry?: (exchange: Parameters<ExchangeHandler>[0], forwarder: HopForwarder) => Promise<void>;
  readonly methods?: PeerMethods;
  readonly listenerLimits?: Partial<ListenerLimits>;
  readonly hopLimits?: Partial<HopLimits>;
  readonly secrets?: { entry: readonly string[]; owner: readonly string[] };
  readonly clocks?: { entry?: Clock; owner?: Clock };
  readonly versions?: { entry?: [number, number]; owner?: [number, number] };
  readonly tls?: { s3?: TlsFiles; entry?: TlsFiles; owner?: TlsFiles };
  /** Another upstream instead of the owner's peer listener. */
  readonly upstream?: string;
}

export interface Pair {
  readonly s3: Listener;
  readonly peer: Listener;
  readonly forwarder: HopForwarder;
  readonly transport: Transport;
  /** Control calls from the entry to the owner. */
  readonly control: PeerTransport;
  readonly outcomes: ForwardOutcome[];
  readonly metrics: Metrics;
  readonly tls: { s3: TlsSource | null; entry: TlsSource | null; owner: TlsSource | null };
  close(): Promise<void>;
}

export async function startPair(options: PairOptions): Promise<Pair> {
  const log = silentLogger();
  const metrics = createMetrics();
  const secrets = options.secrets ?? { entry: ['secret'], owner: ['secret'] };
  const limits = { ...HOP_LIMITS, ...options.hopLimits };
  const open = (files: TlsFiles | undefined) => (files ? openTlsFiles(files, log, 3_600_000) : null);
  const tls = {
    s3: await open(options.tls?.s3),
    entry: await open(options.tls?.entry),
    owner: await open(options.tls?.owner),
  };
  const auth = (which: readonly string[], clock: Clock) => createPeerAuth({ secrets: which, clock, ...limits });
  const peer = await createPeerListener({
    self: 'owner',
    listen: LOOPBACK,
    tls: tls.owner,
    handler: options.owner,
    auth: auth(secrets.owner, options.clocks?.owner ?? systemClock),
    versions: createPeerVersions(...(options.versions?.owner ?? [])),
    methods: options.methods ?? { calls: {}, streams: {} },
    metrics,
    log,
    ...(options.listenerLimits && { limits: options.listenerLimits }),
    ...(options.hopLimits && { hopLimits: options.hopLimits }),
  });
  const upstream = options.upstream ?? `127.0.0.1:${peer.address.port}`;
  const transport = createTransport({
    addressOf: (node) => (node === 'owner' ? upstream : null),
    tls: tls.entry,
    limits,
  });
  const signing = auth(secrets.entry, options.clocks?.entry ?? systemClock);
  const versions = createPeerVersions(...(options.versions?.entry ?? []));
  const common = { self: 'entry', transport, auth: signing, versions, limits };
  const forwarder = createForwarder({ ...common, epoch: () => 7, metrics, log });
  const outcomes: ForwardOutcome[] = [];
  const s3 = await createS3Listener({
    listen: LOOPBACK,
    tls: tls.s3,
    metrics,
    log,
    handler: async (exchange) => {
      if (options.entry) return options.entry(exchange, forwarder);
      const outcome = await forwarder.forward(exchange, 'owner');
      outcomes.push(outcome);
      if (outcome.kind !== 'done') exchange.response.writeHead(503, { 'Content-Length': '0' }).end();
    },
    ...(options.listenerLimits && { limits: options.listenerLimits }),
  });
  return {
    s3,
    peer,
    forwarder,
    transport,
    control: createPeerTransport(common),
    outcomes,
    metrics,
    tls,
    async close() {
      await s3.close(0);
      await transport.close(0);
      await peer.close(0);
      for (const source of Object.values(tls)) source?.close();
      metrics.stop();
    },
  };
}

/** A free port that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
