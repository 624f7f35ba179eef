// A light S3 client: node:http with kept connections, Signature Version 4, one attempt, a time limit. It says exactly as
// much about what happened as can be known: answered, certainly never sent, or lost on the way.
import { createHash, createHmac } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface Request {
  readonly method: string;
  readonly bucket: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly timeoutMs: number;
}

export type Answer =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
      /** `<Code>` of an error document, also of one that stands in the body of a 200. */
      readonly code: string | null;
    }
  /** The connection was never made: nobody can have seen the request. */
  | { readonly kind: 'unsent'; readonly error: string }
  /** Sent, at least in part, and not answered to the end. */
  | { readonly kind: 'lost'; readonly error: string; readonly status: number | null };

const REGION = 'us-east-1';
/** Larger bodies are not hashed for the signature: the ETag is compared anyway. */
const SIGNED_BODY_BYTES_MAX = 64 * 1024;

export interface HttpClient {
  send(url: string, request: Request): Promise<Answer>;
  close(): void;
}

export function createHttpClient(credentials: Credentials, region = REGION): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 64 });
  const signer = new Signer(credentials, region);
  return {
    send: (url, request) => exchange(agent, signer, new URL(url), request),
    close: () => agent.destroy(),
  };
}

function exchange(agent: Agent, signer: Signer, url: URL, request: Request): Promise<Answer> {
  const path = pathOf(request);
  const query = queryOf(request.query ?? {});
  const headers = signer.headers(url.host, request, path, query);
  const { hostname, port } = url;
  return new Promise((resolve) => {
    let connected = false;
    let status: number | null = null;
    const outgoing = httpRequest({
      agent,
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      method: request.method,
      path: query === '' ? path : `${path}?${query}`,
      headers,
    });
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no answer in ${request.timeoutMs} ms`)),
      request.timeoutMs,
    );
    const settle = (answer: Answer) => {
      clearTimeout(timer);
      resolve(answer);
    };
    const fail = (error: Error & { code?: string }) => {
      const text = error.code ?? error.message;
      settle(connected ? { kind: 'lost', error: text, status } : { kind: 'unsent', error: text });
    };
    outgoing.once('socket', (socket) => {
      if (socket.connecting) {
        socket.once('connect', () => {
          connected = true;
        });
      } else {
        connected = true;
      }
    });
    outgoing.once('error', fail);
    outgoing.once('response', (response) => {
      status = response.statusCode ?? 0;
      collect(response, settle, fail);
    });
    outgoing.end(request.body);
  });
}

function collect(response: IncomingMessage, settle: (answer: Answer) => void, fail: (error: Error) => void): void {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.once('error', fail);
  response.once('aborted', () => fail(new Error('the answer was cut')));
  response.once('end', () => {
    if (!response.complete) {
      fail(new Error('the answer was cut'));
      return;
    }
    const body = Buffer.concat(chunks);
    const status = response.statusCode ?? 0;
    settle({ kind: 'answered', status, headers: response.headers, body, code: codeOf(status, response, body) });
  });
}

function codeOf(status: number, response: IncomingMessage, body: Buffer): string | null {
  const xml = /xml/.test(response.headers['content-type'] ?? '');
  if (!xml || body.length > 64 * 1024) return null;
  const text = body.toString('utf8');
  if (status < 300 && !/<Error>/.test(text)) return null;
  return /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? null;
}

// --- Signature Version 4 (AWS, "Create a signed AWS API request") ---------------------------------------------------

class Signer {
  readonly #credentials: Credentials;
  readonly #region: string;
  #day = '';
  #key: Buffer = Buffer.alloc(0);

  constructor(credentials: Credentials, region: string) {
    this.#credentials = credentials;
    this.#region = region;
  }

  headers(host: string, request: Request, path: string, query: string): Record<string, string> {
    const { body, method } = request;
    const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
    const hash = (body?.length ?? 0) > SIGNED_BODY_BYTES_MAX ? 'UNSIGNED-PAYLOAD' : sha256(body ?? '');
    const headers: Record<string, string> = {
      host,
      'x-amz-content-sha256': hash,
      'x-amz-date': date,
      ...request.headers,
    };
    const names = Object.keys(headers).sort();
    const canonicalHeaders = names.map((name) => `${name}:${headers[name]}\n`).join('');
    const canonical = [method, path, query, canonicalHeaders, names.join(';'), hash].join('\n');
    const scope = `${date.slice(0, 8)}/${this.#region}/s3/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`;
    const signature = createHmac('sha256', this.#signingKey(date.slice(0, 8)))
      .update(text)
      .digest('hex');
    const credential = `${this.#credentials.accessKey}/${scope}`;
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    if (body || method === 'PUT' || method === 'POST') headers['content-length'] = String(body?.length ?? 0);
    return headers;
  }

  #signingKey(day: string): Buffer {
    if (day !== this.#day) {
      let key: Buffer | string = `AWS4${this.#credentials.secretKey}`;
      for (const word of [day, this.#region, 's3', 'aws4_request'])
        key = createHmac('sha256', key).update(word).digest();
      this.#key = Buffer.from(key);
      this.#day = day;
    }
    return this.#key;
  }
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Percent-encoded as in a path, slashes kept. */
export function encodePath(text: string): string {
  return text.split('/').map(encode).join('/');
}

function pathOf({ bucket, key }: Request): string {
  const base = bucket === '' ? '/' : `/${bucket}`;
  return key === undefined ? base : `${base}/${encodePath(key)}`;
}

function queryOf(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}
