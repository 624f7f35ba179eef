// zring under test: two nodes with the embedded coordinator and `dir` storage, started as the cluster tests start them.
// Every request enters at node a; one bucket is a's own, the other is b's, so that its requests take the hop.
import { tmpdir } from 'node:os';
import aws4 from 'aws4';
import { RELEASE } from '../src/release.ts';
import { ACCESS_KEY, SECRET_KEY, startCluster, type TestCluster } from '../test/support/cluster.ts';
import { type BodyFacts, type Request, type Side, send } from './side.ts';

export type Payload = 'unsigned' | 'signed';

/** Long enough that a busy machine does not lose it between two renewals. */
const LEASE = '30s';
/** Each is the one or the other node's with even odds. */
const BUCKETS_MAX = 64;
const ENTRY = 'a';
const OTHER = 'b';

export async function startZring(payload: Payload): Promise<Side> {
  const cluster = await startCluster({
    // On the disk, beside nginx's files: a flush that costs nothing would be no comparison.
    base: tmpdir(),
    storage: 'dir',
    coordinator: 'embedded',
    nodes: 2,
    lease: LEASE,
    settings: { log: { level: 'warn' } },
  });
  const port = cluster.node(ENTRY).s3Port;
  try {
    const buckets = await makeBuckets(cluster, port);
    return {
      name: 'zring',
      version: RELEASE,
      port: () => port,
      pids: (row) => (row.hop ? [cluster.pid(ENTRY), cluster.pid(OTHER)] : [cluster.pid(ENTRY)]),
      request: (row, method, key, body) =>
        sign(port, method, `/${row.hop ? buckets.far : buckets.near}/${key}`, body, payload),
      close: () => cluster.close(),
    };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

function sign(port: number, method: string, path: string, body: BodyFacts | null, payload: Payload): Request {
  const hash = body !== null && payload === 'signed' ? body.sha256 : 'UNSIGNED-PAYLOAD';
  const { headers = {} } = aws4.sign(
    {
      host: `127.0.0.1:${port}`,
      method,
      path,
      service: 's3',
      region: 'us-east-1',
      headers: { 'X-Amz-Content-Sha256': hash },
    },
    { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  );
  return { method, path, headers: body === null ? headers : { ...headers, 'Content-Length': String(body.bytes) } };
}

/** Makes buckets until the admin listener names one that the entry node owns and one that the other owns. */
async function makeBuckets(cluster: TestCluster, port: number): Promise<{ near: string; far: string }> {
  for (let n = 0; n < BUCKETS_MAX; n += 1) {
    const bucket = `bench-${n}`;
    await cluster.until(
      () => send(port, sign(port, 'PUT', `/${bucket}`, { bytes: 0, sha256: '' }, 'unsigned')),
      (answer) => {
        // 503 is what a node says that has not heard of all others yet.
        if (answer.status !== 200 && answer.status !== 503) throw new Error(`PUT /${bucket}: ${answer.text}`);
        return answer.status === 200;
      },
      `bucket ${bucket}`,
    );
    const datasets = await cluster.until(
      () => cluster.datasets(ENTRY),
      (known) => known.some(({ dataset }) => dataset === bucket),
      `the record of ${bucket}`,
    );
    const near = datasets.find(({ owner }) => owner === ENTRY)?.dataset;
    const far = datasets.find(({ owner }) => owner === OTHER)?.dataset;
    if (near !== undefined && far !== undefined) return { near, far };
  }
  throw new Error(`of ${BUCKETS_MAX} buckets all are on one node`);
}
