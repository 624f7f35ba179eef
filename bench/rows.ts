// The rows of the benchmark: what is asked, how large, over which way, by how many connections. Pure data.

export interface Row {
  /** e.g. `hop-put-1m`. */
  readonly name: string;
  readonly method: 'GET' | 'PUT';
  /** Through a second server: another node that does not own the bucket, or an nginx that proxies. */
  readonly hop: boolean;
  readonly sizeBytes: number;
  /** Objects that the requests go round; a PUT overwrites them. */
  readonly keys: number;
  readonly connections: number;
  /**
   * wrk costs least, but has no streamed bodies, and it cuts what is under way when its time is over: at 64 MiB that
   * would be a good part of the work, paid for by the server and counted by nobody.
   */
  readonly generator: 'wrk' | 'load';
}

const KIB = 1024;
const MIB = 1024 * KIB;

const SIZES = [
  { label: '4k', sizeBytes: 4 * KIB, keys: 64, connections: 32 },
  { label: '1m', sizeBytes: MIB, keys: 8, connections: 8 },
  { label: '64m', sizeBytes: 64 * MIB, keys: 2, connections: 2 },
] as const;

export const ROWS: readonly Row[] = [false, true].flatMap((hop) =>
  (['GET', 'PUT'] as const).flatMap((method) =>
    SIZES.map(({ label, ...size }) => ({
      name: `${hop ? 'hop-' : ''}${method.toLowerCase()}-${label}`,
      method,
      hop,
      ...size,
      generator: method === 'GET' && size.sizeBytes <= MIB ? ('wrk' as const) : ('load' as const),
    })),
  ),
);

/** @param names comma-separated; empty = all. */
export function rowsNamed(names: string): readonly Row[] {
  if (names === '') return ROWS;
  return names.split(',').map((name) => {
    const row = ROWS.find((candidate) => candidate.name === name);
    if (!row) throw new Error(`no row "${name}"; rows: ${ROWS.map((candidate) => candidate.name).join(', ')}`);
    return row;
  });
}

export function keyOf(row: Row, index: number): string {
  return `${row.name}-${index}`;
}

/** What a request of this row makes each side do besides moving the bytes. */
export const GUARANTEES = {
  zring: {
    GET: 'SigV4 checked; checksum of the data verified',
    PUT: 'SigV4 checked; MD5 and checksum; data and index flushed (fsync) before the answer',
    hop: 'hop authenticated (HMAC)',
  },
  nginx: {
    GET: 'no authentication; sendfile, no checksum',
    PUT: 'no authentication; DAV: temporary file and rename, no fsync, no checksum',
    hop: 'proxy_pass, buffering off, not authenticated',
  },
} as const;

export function guarantee(side: 'zring' | 'nginx', row: Row): string {
  const texts = GUARANTEES[side];
  return row.hop ? `${texts[row.method]}; ${texts.hop}` : texts[row.method];
}
