// What an operator does, on a running cluster: the verbs, metrics, other nodes' admin, changes of the file that are
// refused, and reading a dataset without any cluster.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { ClusterStatus, DatasetStatus } from '../../src/admin/types.ts';
import { programArguments, SECRET_KEY, startCluster, type TestCluster } from '../support/cluster.ts';
import { part } from '../support/parts.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('operations', part('redis-server'), () => {
  let cluster: TestCluster;

  before(async () => {
    cluster = await startCluster({ storage: 'dir' });
    const s3 = cluster.client('a');
    for (const Bucket of ['ops-a', 'ops-b', 'ops-c', 'ops-d']) {
      await s3.send(new CreateBucketCommand({ Bucket }));
      await s3.send(new PutObjectCommand({ Bucket, Key: 'dir/key', Body: `content of ${Bucket}` }));
    }
  });
  after(() => cluster?.close());

  /** A verb with the configuration of the cluster. */
  const zring = (...args: string[]) => words([...args, '--config', cluster.configPath]);

  test('status and buckets: tables for people, JSON for programs', async () => {
    const table = await zring('status');
    assert.match(table.stdout, /^cluster test {2}epoch \d+ {2}revision 1/);
    assert.match(table.stdout, /\na +rack-a +up +1 +\d/);
    const status = JSON.parse((await zring('status', '--json')).stdout) as ClusterStatus;
    assert.deepEqual(
      status.nodes.map(({ id }) => id),
      ['a', 'b', 'c'],
    );
    assert.ok(status.nodes.every(({ leaseMs, release }) => leaseMs > 0 && release !== null));
    const list = JSON.parse((await zring('buckets', '--json')).stdout) as {
      datasets: DatasetStatus[];
      complete: boolean;
    };
    assert.equal(list.complete, true);
    assert.deepEqual(
      list.datasets.map(({ dataset }) => dataset),
      ['ops-a', 'ops-b', 'ops-c', 'ops-d'],
    );
    assert.match((await zring('buckets')).stdout, /\nops-b +[abc] +at home +\d+@[abc] +stable/);
  });

  test('explain tells record, ring and copy; an unknown bucket is an error', async () => {
    assert.match((await zring('explain', 'ops-a')).stdout, /record\.owner: [abc]\n[\s\S]*preference\.0: [abc]\n/);
    const unknown = await zring('explain', 'nothing-here');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no record of nothing-here \[DATASET_MISSING\]/);
    assert.match(unknown.stdout, /home: [abc]\n/);
  });

  test('move pins a bucket to a node and its data follows; unpin brings it home', async () => {
    const at = async () => (await cluster.datasets('a')).find(({ dataset }) => dataset === 'ops-a');
    const home = (await at())?.home ?? '';
    const target = cluster.nodes.find(({ id }) => id !== home)?.id ?? '';
    assert.equal((await zring('move', 'ops-a', '--to', target)).code, 0);
    await cluster.until(at, (record) => record?.owner === target && record.phase === 'stable', 'the move');
    const answer = await cluster
      .client(home, { maxAttempts: 5 })
      .send(new GetObjectCommand({ Bucket: 'ops-a', Key: 'dir/key' }));
    assert.equal(await answer.Body?.transformToString(), 'content of ops-a');
    assert.equal((await zring('move', 'ops-a', '--unpin')).code, 0);
    await cluster.until(at, (record) => record?.owner === home && record.phase === 'stable', 'the way back');

    for (const [args, words] of [
      [['move', 'ops-a'], /--to NODE or --unpin/],
      [['move', 'ops-a', '--to', 'zz'], /zz/],
      [['move', 'no-such-bucket', '--to', 'a'], /no-such-bucket/],
    ] as const) {
      const refused = await zring(...args);
      assert.equal(refused.code, 1, args.join(' '));
      assert.match(refused.stderr, words);
    }
  });

  test('metrics count what was done, and never name a key, a bucket or a secret', async () => {
    const texts = await Promise.all(cluster.nodes.map(({ adminPort }) => fetchText(adminPort, '/metrics')));
    const all = texts.join('\n');
    const puts = [
      ...all.matchAll(/^zring_s3_requests_total\{operation="PutObject",place="owner",status="200"\} [1-9]/gm),
    ];
    assert.ok(puts.length > 0, 'PutObject is counted');
    assert.match(all, /^zring_map_epoch_number 1$/m);
    assert.match(all, /^zring_coordinator_up 1$/m);
    assert.match(all, /^zring_catalog_complete 1$/m);
    assert.match(all, /^zring_lease_remaining_seconds [1-9]/m);
    assert.match(all, /^zring_ownership_moves_total\{outcome="adopted"\} [1-9]/m);
    assert.match(all, /^zring_sync_bytes_total\{direction="received"\} [1-9]/m);
    assert.match(all, /^zring_hop_requests_total\{node="[abc]",outcome="\w+"\} [1-9]/m);
    assert.doesNotMatch(all, /ops-|dir\/key/);
    assert.ok(!all.includes(SECRET_KEY));
    for (const { id } of cluster.nodes) assert.ok(!(await cluster.log(id)).includes(SECRET_KEY), `log of ${id}`);
  });

  test('a file with a fault changes nothing, shows in status, and is forgotten once it is mended', async () => {
    await cluster.edit((file) => Object.assign(file, { bogus: 1 }), { keepRevision: true });
    const faulty = await cluster.until(
      () => cluster.status('a'),
      ({ configFaults }) => configFaults.length > 0,
      'the fault',
    );
    assert.match(faulty.configFaults.join(), /unknown key "bogus"/);
    await cluster.edit(
      (file) => {
        delete file.bogus;
      },
      { keepRevision: true },
    );
    await cluster.until(
      () => cluster.status('a'),
      ({ configFaults }) => configFaults.length === 0,
      'the fault to be gone',
    );
  });

  test('any node reaches the admin API of the others', async () => {
    const status = (await cluster.admin('a', '/nodes/c/status')) as ClusterStatus;
    assert.equal(status.node, 'c');
  });

  test('a file with the same revision and other content, or without a node that owns something, is refused', async () => {
    await cluster.edit((file) => weigh(file.nodes, 3), { keepRevision: true });
    const conflict = await cluster.until(
      () => cluster.status('b'),
      ({ configFaults }) => configFaults.length > 0,
      'the fault',
    );
    assert.match(conflict.configFaults.join(), /revision 1 is already in use with other content/);
    await cluster.edit((file) => weigh(file.nodes, 1), { keepRevision: true });
    const everywhere = () => Promise.all(cluster.nodes.map(({ id }) => cluster.status(id)));
    await cluster.until(
      everywhere,
      (nodes) => nodes.every(({ configFaults }) => configFaults.length === 0),
      'the fault to be gone everywhere',
    );

    const owner = (await cluster.datasets('a'))[0]?.owner ?? '';
    const kept = cluster.nodes.find(({ id }) => id !== owner)?.id ?? '';
    const entry = cluster.entry(cluster.node(owner));
    await cluster.edit((file) => {
      file.nodes = file.nodes.filter(({ id }) => id !== owner);
    });
    const refused = await cluster.until(
      () => cluster.status(kept),
      ({ configFaults }) => configFaults.length > 0,
      'the refusal',
    );
    assert.match(refused.configFaults.join(), /cannot remove from the map: .* still holds ops-/);
    assert.equal(refused.nodes.length, 3, 'the map still has all three');
    await cluster.edit((file) => {
      file.nodes = [...file.nodes, entry].sort((x, y) => (x.id < y.id ? -1 : 1));
    });
    await cluster.until(
      () => cluster.status(kept),
      ({ configFaults }) => configFaults.length === 0,
      'the repaired file',
    );
  });

  test('doctor passes beside a running node, and fails with a fix where something is wrong', async () => {
    const sound = await zring('doctor', '--node', 'a', '--json');
    const report = JSON.parse(sound.stdout) as { checks: { name: string; status: string; fix: string }[] };
    assert.deepEqual(
      report.checks.filter(({ status }) => status === 'fail'),
      [],
    );
    assert.ok(report.checks.some(({ name, status }) => name === 'storage send and receive' && status === 'ok'));
    assert.equal((await zring('doctor', '--node', 'zz')).code, 1);
  });

  test('upgrade says that every node reads the formats in use', async () => {
    const { stdout, code } = await zring('upgrade');
    assert.equal(code, 0);
    for (const format of ['index', 'peer', 'properties', 'record']) {
      assert.match(stdout, new RegExp(`^${format} +\\d+ +-$`, 'm'));
    }
    assert.match(stdout, /nothing to do/);
  });

  test('a dataset is read without any cluster, damage is found', async () => {
    const owner = (await cluster.datasets('a')).find(({ dataset }) => dataset === 'ops-b')?.owner ?? '';
    const path = join(cluster.folder, owner, 'root', 'ops-b');
    assert.match((await words(['store', 'ls', path])).stdout, /Z +16 +dir\/key\n/);
    assert.equal((await words(['store', 'get', path, 'dir/key'])).stdout, 'content of ops-b');
    assert.match((await words(['store', 'verify', path])).stdout, /^1 objects, 16 B: all sound/);
    const missing = await words(['store', 'get', path, 'nothing']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /OBJECT_MISSING/);
    assert.equal((await words(['store', 'ls', cluster.folder])).code, 1);
  });

  test('every verb has help, and misspelt words are errors', async () => {
    for (const verb of [
      'serve',
      'demo',
      'status',
      'buckets',
      'explain',
      'move',
      'config',
      'doctor',
      'store',
      'import',
      'export',
      'upgrade',
    ]) {
      const help = await words([verb, '--help']);
      assert.equal(help.code, 0, verb);
      assert.match(help.stdout, /USAGE/, verb);
    }
    assert.equal((await words(['statsu'])).code, 1);
    assert.equal((await zring('status', '--jsn')).code, 1);
  });
});

function weigh(nodes: { weight: number }[], weight: number): void {
  for (const node of nodes.slice(0, 1)) node.weight = weight;
}

async function words(args: readonly string[]): Promise<Result> {
  try {
    const { stdout, stderr } = await run(process.execPath, [...programArguments(), ...args], { cwd: ROOT });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

async function fetchText(port: number, path: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  assert.equal(answer.status, 200);
  return answer.text();
}
