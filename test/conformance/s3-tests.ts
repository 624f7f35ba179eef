// Runs ceph/s3-tests, from a checkout that you have, against a cluster of three nodes, through a node that owns about one
// bucket in three, and prints a table by area. Not part of `npm test`: the suite is somebody else's and needs Python.
//
//   npm run build
//   node --import tsx test/conformance/s3-tests.ts --suite ~/s3-tests --python ~/s3-tests/venv/bin/python [--tls]
//     [--areas "versioning,CORS"] [--workers 4] [--storage zfs] [--report FILE]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { certificateFolder } from '../routing/certificates.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    tls: { type: 'boolean', default: false },
    areas: { type: 'string', default: '' },
    tests: { type: 'string', default: '' },
    workers: { type: 'string', default: '2' },
    storage: { type: 'string', default: 'dir' },
    report: { type: 'string' },
  },
});

interface Row {
  readonly area: string;
  readonly id: string;
  readonly failsOnAws: boolean;
}

interface User {
  readonly section: string;
  readonly accessKey: string;
  readonly displayName: string;
  readonly canonicalId: string;
  readonly email: string;
  readonly account: string;
  readonly lines?: readonly string[];
}

const hex = (digit: string) => digit.repeat(64);
const USERS: readonly User[] = [
  user('s3 main', 'MAINMAINMAINMAINMAIN', 'main', hex('a'), 'main@example.com', 'main'),
  user('s3 alt', 'ALTALTALTALTALTALTAL', 'alt', hex('b'), 'alt@example.com', 'alt'),
  user(
    's3 tenant',
    'TENANTTENANTTENANTTT',
    'testx$tenanteduser',
    `testx$${hex('c').slice(6)}`,
    'tenant@example.com',
    's3tenant1',
    ['tenant = testx'],
  ),
  user('iam', 'IAMIAMIAMIAMIAMIAMIA', 'iam', hex('d'), 'iam@example.com', 'iam'),
  user(
    'iam root',
    'ROOTROOTROOTROOTROOT',
    'root',
    'RGW11111111111111111',
    'account1@example.com',
    'RGW11111111111111111',
  ),
  user(
    'iam alt root',
    'ALTROOTALTROOTALTROO',
    'altroot',
    'RGW22222222222222222',
    'account2@example.com',
    'RGW22222222222222222',
  ),
];

function user(
  section: string,
  accessKey: string,
  displayName: string,
  canonicalId: string,
  email: string,
  account: string,
  lines?: readonly string[],
): User {
  return { section, accessKey, displayName, canonicalId, email, account, ...(lines && { lines }) };
}

const secretOf = ({ accessKey }: User) => `${accessKey.toLowerCase()}0123456789abcdefghij`.slice(0, 40);

async function readRows(): Promise<Row[]> {
  const text = await readFile(fileURLToPath(new URL('s3-tests.tsv', import.meta.url)), 'utf8');
  const wanted = options.areas.split(',').filter((name) => name !== '');
  const tests = options.tests.split(',').filter((name) => name !== '');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [area = '', id = '', marks = ''] = line.split('\t');
      return { area, id, failsOnAws: marks.split(',').includes('fails_on_aws') };
    })
    .filter(({ area }) => wanted.length === 0 || wanted.some((name) => area.toLowerCase().includes(name.toLowerCase())))
    .filter(({ id }) => tests.length === 0 || tests.some((name) => id.includes(name)));
}

interface Subject {
  readonly cluster: TestCluster;
  /** The authority of its certificate. */
  readonly caFile: string | null;
  close(): Promise<void>;
}

async function startSubject(): Promise<Subject> {
  const certificates = options.tls ? await certificateFolder() : null;
  const tls = certificates ? await (await certificates.authority('ours')).issue('node') : null;
  const cluster = await startCluster({
    storage: options.storage === 'zfs' ? 'zfs' : 'dir',
    ...(tls && { tls }),
    settings: {
      defaults: { objectOwnership: 'ObjectWriter', lifecycleDay: '10s' },
      credentials: USERS.map((one) => ({
        accessKey: one.accessKey,
        secretKey: secretOf(one),
        displayName: one.displayName,
        canonicalId: one.canonicalId,
        email: one.email,
        account: one.account,
        allow: [{ buckets: '*', actions: 'create' }],
      })),
    },
  });
  return {
    cluster,
    caFile: tls?.caFile ?? null,
    async close() {
      await cluster.close();
      await certificates?.remove();
    },
  };
}

/** The suite's configuration file; sections that it insists on but that are out of scope hold placeholders. */
function suiteConfig(port: number): string {
  const lines = [
    '[DEFAULT]',
    'host = 127.0.0.1',
    `port = ${port}`,
    `is_secure = ${options.tls ? 'True' : 'False'}`,
    'ssl_verify = False',
    '[fixtures]',
    'bucket prefix = zring-{random}-',
    'iam name prefix = s3-tests-',
    'iam path prefix = /s3-tests/',
  ];
  for (const one of USERS) {
    lines.push(`[${one.section}]`, `display_name = ${one.displayName}`, `user_id = ${one.canonicalId}`);
    lines.push(`email = ${one.email}`, `access_key = ${one.accessKey}`, `secret_key = ${secretOf(one)}`);
    if (one.section === 's3 main')
      lines.push('api_name =', 'lc_debug_interval = 10', 'storage_classes = "INTELLIGENT_TIERING, GLACIER_IR"');
    lines.push(...(one.lines ?? []));
  }
  lines.push('[webidentity]');
  for (const name of ['token', 'aud', 'sub', 'azp', 'user_token', 'thumbprint', 'KC_REALM'])
    lines.push(`${name} = none`);
  return `${lines.join('\n')}\n`;
}

async function runSuite(
  { cluster, caFile }: Subject,
  rows: readonly Row[],
): Promise<{ outcomes: Map<string, string>; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-s3-tests-'));
  try {
    const config = join(folder, 's3tests.conf');
    await writeFile(config, suiteConfig(cluster.node('a').s3Port));
    const ids = rows.map(({ id }) => `s3tests/functional/${id}`);
    const settings = ['-q', '-rA', '--tb=short', '--timeout', '120', '-p', 'no:cacheprovider', '-n', options.workers];
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...env } = process.env;
    const child = spawn(options.python, ['-m', 'pytest', ...settings, ...ids], {
      cwd: options.suite,
      env: { ...env, S3TEST_CONF: config, AWS_MAX_ATTEMPTS: '1', ...(caFile && { SSL_CERT_FILE: caFile }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    // Progress; the summary below it is read for the table.
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
      process.stderr.write(chunk);
    });
    await once(child, 'close');
    const outcomes = new Map<string, string>();
    for (const [, outcome = '', id = ''] of output.matchAll(
      /^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) s3tests\/functional\/(\S+)/gm,
    )) {
      if (outcomes.get(id) !== 'FAILED') outcomes.set(id, outcome);
    }
    return { outcomes, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function table(rows: readonly Row[], outcomes: ReadonlyMap<string, string>): string {
  const areas = [...new Set(rows.map(({ area }) => area))].sort();
  const lines = ['| area | passed | of | those that fail on AWS too: passed | of |', '|---|---|---|---|---|'];
  const count = (some: readonly Row[]) => [some.filter(({ id }) => outcomes.get(id) === 'PASSED').length, some.length];
  const line = (name: string, some: readonly Row[]) => {
    const fair = count(some.filter(({ failsOnAws }) => !failsOnAws));
    const apart = count(some.filter(({ failsOnAws }) => failsOnAws));
    lines.push(`| ${[name, ...fair, ...apart].join(' | ')} |`);
  };
  for (const area of areas)
    line(
      area.replace(/^\w /, ''),
      rows.filter((row) => row.area === area),
    );
  line('all', rows);
  return lines.join('\n');
}

if (!options.suite) {
  process.stderr.write('--suite PATH: a checkout of ceph/s3-tests\n');
  process.exit(2);
}
const rows = await readRows();
const subject = await startSubject();
try {
  const { outcomes, output } = await runSuite(subject, rows);
  if (options.report) await writeFile(options.report, output);
  process.stdout.write(`${table(rows, outcomes)}\n\n`);
  for (const { id, failsOnAws, area } of rows) {
    const outcome = outcomes.get(id) ?? 'NOT RUN';
    if (outcome !== 'PASSED')
      process.stdout.write(`${outcome}\t${failsOnAws ? 'fails on AWS too' : ''}\t${area}\t${id}\n`);
  }
} finally {
  await subject.close();
}
