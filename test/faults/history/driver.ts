// Sends S3 requests and records each as one operation: classifies outcomes, inspects bodies. One attempt each, never a
// retry. Owns the count of operations and the lanes; what to ask is decided by workload.ts and final-reads.ts.
import { inspectBody } from './content.ts';
import {
  type Answer,
  type Credentials,
  createHttpClient,
  encodePath,
  type HttpClient,
  type Request,
} from './http-client.ts';
import { Lanes } from './lanes.ts';
import type { Condition, Listing, Operation, OperationKind, Outcome, Seen, Written } from './operation.ts';
import type { Random } from './random.ts';

export interface Endpoint {
  readonly node: string;
  readonly url: string;
}

export interface Counts {
  invoked: number;
  ok: number;
  failed: number;
  unknown: number;
}

export interface DriverOptions {
  readonly endpoints: () => readonly Endpoint[];
  readonly credentials: Credentials;
  readonly record: (operation: Operation) => void;
  readonly clients: number;
}

/** A stopped node must not hold a client for long. */
export const TIMEOUT_MS = 4_000;
/** Megabytes, and what the store does with them when parts are put together. */
export const LARGE_TIMEOUT_MS = 8_000;
const LARGE_BYTES = 256 * 1024;
const MUTATIONS: readonly OperationKind[] = [
  'put',
  'delete',
  'copy',
  'create-upload',
  'upload-part',
  'complete-upload',
  'abort-upload',
  'create-bucket',
  'delete-bucket',
];
/** Codes that may stand in the document of a 200 (docs/S3.md, slow answers), and the status that they would have had. */
const LATE_STATUS: Readonly<Record<string, number>> = {
  PreconditionFailed: 412,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NoSuchBucket: 404,
  InvalidPart: 400,
  SlowDown: 503,
};

const NOBODY: Endpoint = { node: '', url: '' };

/** Unique in this process, so that histories of several loads can be put together. */
let operations = 0;

/** Facts about the request that go into the operation as they are. */
type Facts = Partial<Pick<Operation, 'condition' | 'written' | 'source' | 'upload' | 'final'>>;
/** What an answer that was a success shows. */
type Shown = Partial<Pick<Operation, 'seen' | 'listing' | 'buckets' | 'upload' | 'fault' | 'error'>>;

interface Attempt {
  readonly client: string;
  readonly kind: OperationKind;
  readonly request: Omit<Request, 'timeoutMs'> & { readonly timeoutMs?: number };
  readonly facts?: Facts;
  readonly show?: (answer: Answer & { kind: 'answered' }) => Shown;
}

export class Driver {
  readonly counts: Counts = { invoked: 0, ok: 0, failed: 0, unknown: 0 };
  readonly lanes = new Lanes();
  readonly #options: DriverOptions;
  readonly #http: HttpClient;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#http = createHttpClient(options.credentials);
  }

  close(): void {
    this.#http.close();
  }

  #endpoint(random: Random): Endpoint {
    const endpoints = this.#options.endpoints();
    if (endpoints.length === 0) return NOBODY;
    const { clients } = this.#options;
    const share = { max: Math.ceil(clients * 0.4), doubtfulMax: Math.max(1, Math.floor(clients / 8)) };
    return this.lanes.choose(random, endpoints, ({ node }) => `node ${node}`, share) ?? random.pick(endpoints);
  }

  bucket(random: Random, buckets: readonly string[]): string {
    const each = this.#options.clients / buckets.length;
    const share = { max: Math.ceil(each), doubtfulMax: Math.max(1, Math.floor(each / 2)) };
    return this.lanes.choose(random, buckets, (name) => `bucket ${name}`, share) ?? random.pick(buckets);
  }

  async perform(random: Random, attempt: Attempt): Promise<Operation> {
    const { client, kind, request, facts, show } = attempt;
    const { node, url } = this.#endpoint(random);
    operations += 1;
    const id = operations;
    this.counts.invoked += 1;
    const leaveNode = this.lanes.enter(`node ${node}`);
    const leaveBucket = this.lanes.enter(`bucket ${request.bucket}`);
    const large = (request.body?.length ?? 0) > LARGE_BYTES;
    const invokedMs = performance.now();
    const timeoutMs = request.timeoutMs ?? (large ? LARGE_TIMEOUT_MS : TIMEOUT_MS);
    const answer: Answer =
      url === '' ? { kind: 'unsent', error: 'no node' } : await this.#http.send(url, { ...request, timeoutMs });
    const completedMs = performance.now();
    leaveNode(answer.kind === 'answered');
    leaveBucket(answer.kind === 'answered' && answer.status < 500);
    const judged = judge(kind, answer);
    const operation: Operation = {
      id,
      client,
      kind,
      bucket: request.bucket,
      key: request.key ?? null,
      node,
      invokedMs,
      completedMs: answer.kind === 'answered' ? completedMs : null,
      ...judged,
      ...facts,
      ...(answer.kind !== 'answered' && { error: answer.error }),
      ...(judged.outcome === 'ok' && answer.kind === 'answered' && show?.(answer)),
    };
    this.counts[operation.outcome] += 1;
    this.#options.record(operation);
    return operation;
  }
}

/** docs/ERRORS.md: a 4xx is the request's fault, SlowDown says that nothing was applied; nothing else promises that. */
export function judge(
  kind: OperationKind,
  answer: Answer,
): { outcome: Outcome; status: number | null; code: string | null } {
  const unsure: Outcome = MUTATIONS.includes(kind) ? 'unknown' : 'failed';
  if (answer.kind === 'unsent') return { outcome: 'failed', status: null, code: null };
  if (answer.kind === 'lost') return { outcome: unsure, status: answer.status, code: null };
  const { code } = answer;
  const late = answer.status < 300 && code !== null;
  const status = late ? (LATE_STATUS[code] ?? 500) : answer.status;
  if (status < 300) return { outcome: 'ok', status, code };
  if ((kind === 'get' || kind === 'head') && status === 404 && code !== 'NoSuchBucket')
    return { outcome: 'ok', status, code };
  if (status < 500 || (status === 503 && code === 'SlowDown')) return { outcome: 'failed', status, code };
  return { outcome: unsure, status, code };
}

/** One client's way to ask: its name, its randomness. */
export class Session {
  readonly client: string;
  readonly random: Random;
  readonly driver: Driver;
  readonly #final: Facts;

  constructor(driver: Driver, client: string, random: Random, final = false) {
    this.driver = driver;
    this.client = client;
    this.random = random;
    this.#final = final ? { final: true } : {};
  }

  put(bucket: string, key: string, content: { body: Buffer; written: Written }, condition?: Condition) {
    const { body, written } = content;
    const headers = { ...metadata(written), ...conditionHeaders(condition) };
    const facts = { written, ...(condition && { condition }) };
    return this.#ask('put', { method: 'PUT', bucket, key, headers, body }, facts, ({ headers: said }) =>
      said.etag === written.etag ? {} : { fault: 'headers-differ-from-body', error: `ETag ${said.etag}` },
    );
  }

  get(bucket: string, key: string, timeoutMs = TIMEOUT_MS) {
    return this.#ask('get', { method: 'GET', bucket, key, timeoutMs }, {}, (answer) => {
      if (answer.status === 404) return { seen: null };
      const seen = headersSeen(answer);
      const { body, fault } = inspectBody(answer.body, seen);
      return { seen: { ...seen, body }, ...(fault && { fault, error: `${answer.body.length} bytes` }) };
    });
  }

  head(bucket: string, key: string) {
    return this.#ask('head', { method: 'HEAD', bucket, key }, {}, (answer) => ({
      seen: answer.status === 404 ? null : headersSeen(answer),
    }));
  }

  delete(bucket: string, key: string, condition?: Condition) {
    const headers = conditionHeaders(condition);
    return this.#ask('delete', { method: 'DELETE', bucket, key, headers }, condition ? { condition } : {});
  }

  /** Of the content that was seen last; refused when the source has another one by now. */
  copy(source: { bucket: string; key: string; written: Written }, bucket: string, key: string, value: string) {
    const { written: original } = source;
    const written = { ...original, value };
    const headers = {
      'x-amz-copy-source': `/${source.bucket}/${encodePath(source.key)}`,
      'x-amz-copy-source-if-match': original.etag,
      'x-amz-metadata-directive': 'REPLACE',
      ...metadata(written),
    };
    const facts = { written, source: { bucket: source.bucket, key: source.key, etag: original.etag } };
    return this.#ask('copy', { method: 'PUT', bucket, key, headers, timeoutMs: LARGE_TIMEOUT_MS }, facts, ({ body }) =>
      unescapeXml(tag(body.toString(), 'ETag') ?? '') === written.etag ? {} : { fault: 'malformed-answer' },
    );
  }

  listPage(bucket: string, prefix: string, after: string, token: string | null, keysMax: number) {
    const query = {
      'list-type': '2',
      prefix,
      'max-keys': String(keysMax),
      ...(token !== null ? { 'continuation-token': token } : after !== '' && { 'start-after': after }),
    };
    let next: string | null = null;
    const asked = this.#ask('list', { method: 'GET', bucket, query }, {}, ({ body }) => {
      const page = parsePage(body.toString(), prefix, after);
      next = page.next;
      return page.malformed ? { fault: 'malformed-answer' } : { listing: page.listing };
    });
    return asked.then((operation) => ({ operation, next }));
  }

  createUpload(bucket: string, key: string, written: Written) {
    const request = { method: 'POST', bucket, key, query: { uploads: '' }, headers: metadata(written) };
    return this.#ask('create-upload', request, {}, ({ body }) => {
      const id = tag(body.toString(), 'UploadId');
      return id === null ? { fault: 'malformed-answer' } : { upload: { id } };
    });
  }

  uploadPart(bucket: string, key: string, id: string, part: number, body: Buffer) {
    const query = { partNumber: String(part), uploadId: id };
    return this.#ask('upload-part', { method: 'PUT', bucket, key, query, body }, { upload: { id, part } });
  }

  completeUpload(bucket: string, key: string, id: string, written: Written, etags: readonly string[]) {
    const parts = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
    const request = { method: 'POST', bucket, key, query: { uploadId: id }, body, timeoutMs: LARGE_TIMEOUT_MS };
    return this.#ask('complete-upload', request, { written, upload: { id } }, ({ body: said }) =>
      unescapeXml(tag(said.toString(), 'ETag') ?? '') === written.etag ? {} : { fault: 'malformed-answer' },
    );
  }

  abortUpload(bucket: string, key: string, id: string) {
    return this.#ask('abort-upload', { method: 'DELETE', bucket, key, query: { uploadId: id } }, { upload: { id } });
  }

  createBucket(bucket: string) {
    return this.#ask('create-bucket', { method: 'PUT', bucket });
  }

  deleteBucket(bucket: string) {
    return this.#ask('delete-bucket', { method: 'DELETE', bucket });
  }

  headBucket(bucket: string) {
    return this.#ask('head-bucket', { method: 'HEAD', bucket });
  }

  listBuckets() {
    return this.#ask('list-buckets', { method: 'GET', bucket: '' }, {}, ({ body }) => ({
      buckets: [...body.toString().matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name = '']) => name),
    }));
  }

  #ask(kind: OperationKind, request: Attempt['request'], facts: Facts = {}, show?: Attempt['show']) {
    const { client, random } = this;
    return this.driver.perform(random, {
      client,
      kind,
      request,
      facts: { ...facts, ...this.#final },
      ...(show && { show }),
    });
  }
}

function metadata({ value }: Written): Record<string, string> {
  return { 'x-amz-meta-value': value };
}

function conditionHeaders(condition: Condition | undefined): Record<string, string> {
  if (!condition) return {};
  return 'ifMatch' in condition ? { 'if-match': condition.ifMatch } : { 'if-none-match': condition.ifNoneMatch };
}

function headersSeen({ headers }: Answer & { kind: 'answered' }): Seen {
  const value = headers['x-amz-meta-value'];
  const length = headers['content-length'];
  return {
    value: typeof value === 'string' ? value : null,
    etag: headers.etag ?? null,
    bytes: length === undefined ? null : Number(length),
  };
}

function tag(document: string, name: string): string | null {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(document)?.[1] ?? null;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-z]+));/g, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(hex !== undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}

export function parsePage(document: string, prefix: string, after: string) {
  const entries: [string, string][] = [];
  for (const [, one = ''] of document.matchAll(/<Contents>(.*?)<\/Contents>/gs))
    entries.push([unescapeXml(tag(one, 'Key') ?? ''), unescapeXml(tag(one, 'ETag') ?? '')]);
  const truncated = tag(document, 'IsTruncated') === 'true';
  const token = tag(document, 'NextContinuationToken');
  const whole = /<\/ListBucketResult>\s*$/.test(document) && Number(tag(document, 'KeyCount')) === entries.length;
  const listing: Listing = { prefix, after, truncated, entries };
  return {
    listing,
    next: token === null ? null : unescapeXml(token),
    malformed: !whole || truncated !== (token !== null),
  };
}
