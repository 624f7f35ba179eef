// The schema of the configuration file: every key with its type, unit, default, limit and when a change takes effect.
// Validation and docs/CONFIG.md both come from here, so neither can forget a key. Input is a tree of texts (tree.ts);
// output has units in its names. What needs more than one key (duplicates, addresses of a node) is in cross-checks.ts.
// The leaves' tools are in schema-fields.ts, credentials in schema-credentials.ts, `defaults` in schema-defaults.ts.
import { resolve } from 'node:path';
import { z } from 'zod';
import { isHostname, parseAddress, parseAdvertised } from './address.ts';
import { credentialSection } from './schema-credentials.ts';
import { defaultsSection } from './schema-defaults.ts';
import {
  type FieldDoc,
  fieldDocs,
  matching,
  oneOf,
  type SchemaContext,
  scalar,
  secretField,
  withDefault,
} from './schema-fields.ts';
import { replicationSection } from './schema-replication.ts';
import { snapshotsSection } from './schema-snapshots.ts';
import { parseCoordinator, parseStorage, ZFS_ROOT_BYTES_MAX } from './storage-root.ts';
import {
  type Parsed,
  parseDuration,
  parseInteger,
  parseNumber,
  parsePercent,
  parseRate,
  parseSize,
  within,
} from './units.ts';

export { type Effect, type FieldDoc, fieldDocs, type SchemaContext } from './schema-fields.ts';

export const NODES_MAX = 1000;
export const CREDENTIALS_MAX = 1000;
export const DOMAINS_MAX = 16;
export const COPIES_MAX = 8;
export const WEIGHT_MAX = 100;
export const WEIGHT_MIN = 0.01;
export const LEASE_MS_MIN = 500;
export const LEASE_MS_MAX = 300_000;
export const MOVES_MAX = 64;
export const PRIOR_COPY_MS_MAX = 365 * 86_400_000;
export const MIN_FREE_PERCENT_MAX = 50;
/** Least free bytes when `storage.minFree` names a percentage alone. */
export const MIN_FREE_BYTES_DEFAULT = 64 * 2 ** 20;

/** Node ids and cluster names: also a DNS label, a Redis key part, a ZFS property value and a Prometheus label. */
export const NODE_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;
const ZONE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

const clusterName: FieldDoc = {
  type: 'name',
  limit: 'lower-case letters, digits, hyphens; 1 to 63 characters',
  effect: 'restart',
  text: 'Name of the cluster. Datasets carry it, so that a pool of another cluster is never taken for one of this.',
};

function clusterSection({ folder, readSecret }: SchemaContext) {
  return z.strictObject({
    name: scalar(clusterName, matching(NODE_ID, 'is not a cluster name')),
    revision: scalar(
      {
        type: 'whole number',
        limit: '1 or more; only grows',
        effect: 'live',
        text: 'Number of this version of the map. The map (`nodes`, `copies`, `lease`) changes only when this grows; the same revision with another map is refused.',
      },
      within(parseInteger, 1, 999_999_999_999_999),
    ),
    secret: secretField(
      {
        effect: 'live',
        text: 'Authenticates the nodes to each other. The first signs, all are accepted: rotate by putting the new one second everywhere, then first, then removing the old one.',
      },
      readSecret,
      16,
    ),
    credentialKey: secretField(
      {
        otherwise: 'none: credentials are kept in this file alone',
        effect: 'live',
        text: 'Seals the secrets of credentials that are added with `zring credential add`, in the coordinator and on the disks of the nodes. The first seals, all open: rotate by putting the new one first, then `zring credential reseal`, then removing the old one. Make one with `openssl rand -base64 32`.',
      },
      readSecret,
      32,
    ).optional(),
    coordinator: scalar(
      {
        type: 'URL or `embedded`',
        limit:
          '`redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS), `redis+sentinel://host1[:port],host2/master[/db]`, `embedded`, `embedded:FOLDER`',
        effect: 'restart',
        text: 'Where map, leases and ownership records live. `embedded` is for the nodes of one machine; its folder is `coordinator` beside this file.',
      },
      (text) => parseCoordinator(text, folder),
    ),
    copies: withDefault(
      scalar(
        {
          type: 'whole number',
          limit: `1 to ${COPIES_MAX}`,
          effect: 'revision',
          text: 'Copies of each bucket, with the one of its owner, in as many zones as there are ([REPLICAS.md](REPLICAS.md)). With 1 there are no replicas.',
        },
        within(parseInteger, 1, COPIES_MAX),
      ),
      '2',
    ),
    lease: withDefault(
      scalar(
        {
          type: 'duration',
          unit: 'ms, s, m',
          limit: '500ms to 5m',
          effect: 'revision',
          text: "How long a node's right to serve lasts without renewal; it is renewed about every third of this.",
        },
        within(parseDuration, LEASE_MS_MIN, LEASE_MS_MAX),
      ),
      '10s',
    ),
    region: withDefault(
      scalar(
        {
          type: 'name',
          limit: 'lower-case letters, digits, hyphens; 1 to 32 characters',
          effect: 'live',
          text: 'Region that clients sign for and GetBucketLocation names.',
        },
        matching(/^[a-z0-9-]{1,32}$/, 'is not a region name'),
      ),
      'us-east-1',
    ),
    domains: z.array(scalar(domainDoc, parseDomain)).max(DOMAINS_MAX).prefault([]).register(fieldDocs, domainDoc),
  });
}

const domainDoc: FieldDoc = {
  type: 'list of DNS names',
  limit: `at most ${DOMAINS_MAX}`,
  effect: 'live',
  text: 'Suffixes for virtual-host style requests: with `s3.example.org`, host `photos.s3.example.org` is bucket `photos`.',
};

function parseDomain(text: string): Parsed<string> {
  const name = text.toLowerCase();
  return isHostname(name) && !/^[\d.]+$/.test(name) ? { value: name } : { problem: 'is not a DNS name' };
}

function listenSection() {
  const doc = (which: string): FieldDoc => ({
    type: 'address',
    limit: 'host:port; IPv6 as `"[::1]:9000"`',
    otherwise: `the node's \`${which}\``,
    effect: 'restart',
    text: `What the ${which} listener binds, where that differs from what is advertised (containers, NAT). \`0.0.0.0\` and \`[::]\` are allowed.`,
  });
  return z
    .strictObject({
      s3: scalar(doc('s3'), parseAddress).optional(),
      peer: scalar(doc('peer'), parseAddress).optional(),
      admin: scalar(doc('admin'), parseAddress).optional(),
    })
    .prefault({});
}

function nodeSection({ folder }: SchemaContext) {
  const advertised = (text: string) =>
    scalar(
      { type: 'address', limit: 'host:port; IPv6 as `"[::1]:9000"`; unique', effect: 'revision', text },
      parseAdvertised,
    );
  return z.strictObject({
    id: scalar(
      {
        type: 'name',
        limit: 'lower-case letters, digits, hyphens; 1 to 63 characters; unique; no variable',
        effect: 'revision',
        text: 'Identity of the node: `zring serve --node ID`. Never reuse an id for other storage.',
      },
      matching(NODE_ID, 'is not a node id'),
    ),
    zone: scalar(
      {
        type: 'name',
        limit: 'letters, digits, `.`, `_`, `-`; 1 to 63 characters',
        effect: 'revision',
        text: 'Failure domain: host, rack or site. Copies never share one while another has room.',
      },
      matching(ZONE, 'is not a zone name'),
    ),
    weight: withDefault(
      scalar(
        {
          type: 'number',
          limit: `${WEIGHT_MIN} to ${WEIGHT_MAX}`,
          effect: 'revision',
          text: 'Share of the datasets, relative to the other nodes.',
        },
        within(parseNumber, WEIGHT_MIN, WEIGHT_MAX),
      ),
      '1',
    ),
    state: withDefault(
      scalar(
        {
          type: '`up` or `draining`',
          effect: 'revision',
          text: '`draining` empties the node: its datasets move away, and it can be removed once it owns none.',
        },
        oneOf('up', 'draining'),
      ),
      'up',
    ),
    storage: scalar(
      {
        type: '`zfs:POOL/DATASET` or `dir:FOLDER`',
        limit: `dataset name of at most ${ZFS_ROOT_BYTES_MAX} characters; relative folders start at this file`,
        effect: 'restart',
        text: 'Root of the datasets of this node. Datasets below it that zring did not make are never touched.',
      },
      (text) => parseStorage(text, folder),
    ),
    s3: advertised('Address at which clients and balancers reach the S3 listener.'),
    peer: advertised('Address at which the other nodes reach the peer listener.'),
    admin: advertised('Address of health, metrics and the admin API.'),
    listen: listenSection(),
  });
}

function tlsSection({ folder }: SchemaContext) {
  const path = (text: string, limit = 'PEM; relative paths start at this file') =>
    scalar({ type: 'file', limit, effect: 'restart', text }, (file) =>
      file === '' || file.includes('\0') ? { problem: 'names no file' } : { value: resolve(folder, file) },
    );
  const server = () => ({
    certFile: path('Certificate chain. A changed file is read again without a restart.'),
    keyFile: path('Private key. A changed file is read again without a restart.'),
  });
  return z
    .strictObject({
      s3: z.strictObject(server()).optional(),
      peer: z
        .strictObject({
          ...server(),
          caFile: path('Authority that the certificates of all peers must come from (mutual TLS).'),
        })
        .optional(),
      admin: z.strictObject(server()).optional(),
    })
    .prefault({});
}

export interface MinFree {
  readonly percent: number;
  readonly bytes: number;
}

/** `2%` (and never less than 64 MiB), `10GiB`, or both as `2% 10GiB`. */
export function parseMinFree(text: string): Parsed<MinFree> {
  const parts = text.trim().split(/\s+/);
  const percents = parts.filter((part) => part.endsWith('%'));
  const sizes = parts.filter((part) => !part.endsWith('%'));
  if (percents.length > 1 || sizes.length > 1) return { problem: 'names more than one percentage or size' };
  const percent = within(parsePercent, 0, MIN_FREE_PERCENT_MAX)(percents[0] ?? '0%');
  if ('problem' in percent) return percent;
  const bytes: Parsed<number> = sizes[0] === undefined ? { value: MIN_FREE_BYTES_DEFAULT } : parseSize(sizes[0]);
  return 'problem' in bytes ? bytes : { value: { percent: percent.value, bytes: bytes.value } };
}

function otherSections() {
  return {
    storage: z
      .strictObject({
        minFree: withDefault(
          scalar(
            {
              type: 'percentage, size, or both',
              unit: '%, B, kB, MB, GB, TB, KiB, MiB, GiB, TiB',
              limit: `at most ${MIN_FREE_PERCENT_MAX}%; a percentage alone means at least 64MiB too`,
              effect: 'live',
              text: 'Below this much free space writes answer 507 InsufficientStorage; reads, listings and deletes go on. `2% 10GiB`: the larger of the two.',
            },
            parseMinFree,
          ),
          '2%',
        ),
      })
      .prefault({}),
    rebalance: z
      .strictObject({
        mode: withDefault(
          scalar(
            {
              type: '`lazy` or `background`',
              effect: 'live',
              text: '`lazy`: a dataset moves to its home when it is first used there. `background`: the rest moves too, on its own.',
            },
            oneOf('lazy', 'background'),
          ),
          'background',
        ),
        concurrency: withDefault(
          scalar(
            {
              type: 'whole number',
              limit: `1 to ${MOVES_MAX}`,
              effect: 'live',
              text: 'Datasets that a node pulls at a time.',
            },
            within(parseInteger, 1, MOVES_MAX),
          ),
          '2',
        ),
        bandwidth: withDefault(
          scalar(
            {
              type: 'rate or `unlimited`',
              unit: 'B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s',
              limit: 'at least 1kB/s',
              effect: 'live',
              text: 'Bytes per second that a node pulls in the background, all moves together.',
            },
            parseBandwidth,
          ),
          'unlimited',
        ),
      })
      .prefault({}),
    retention: z
      .strictObject({
        priorCopy: withDefault(
          scalar(
            {
              type: 'duration',
              unit: 's, m, h, d',
              limit: '0s to 365d',
              effect: 'live',
              text: 'How long a prior owner keeps its copy after a handoff, so that moving back is an increment.',
            },
            within(parseDuration, 0, PRIOR_COPY_MS_MAX),
          ),
          '24h',
        ),
      })
      .prefault({}),
    log: z
      .strictObject({
        level: withDefault(
          scalar(
            {
              type: '`trace`, `debug`, `info`, `warn` or `error`',
              effect: 'live',
              text: 'Least important lines that are logged.',
            },
            oneOf('trace', 'debug', 'info', 'warn', 'error'),
          ),
          'info',
        ),
      })
      .prefault({}),
  };
}

function parseBandwidth(text: string): Parsed<number | null> {
  const parsed = parseRate(text);
  return 'value' in parsed && parsed.value !== null && parsed.value < 1000 ? { problem: 'is too small' } : parsed;
}

export function configSchema(context: SchemaContext) {
  return z.strictObject({
    cluster: clusterSection(context),
    nodes: z.array(nodeSection(context)).min(1).max(NODES_MAX),
    credentials: z.array(credentialSection(context)).min(1).max(CREDENTIALS_MAX),
    tls: tlsSection(context),
    defaults: defaultsSection(),
    snapshots: snapshotsSection(),
    replication: replicationSection(),
    ...otherSections(),
  });
}

export type CheckedConfig = z.output<ReturnType<typeof configSchema>>;
