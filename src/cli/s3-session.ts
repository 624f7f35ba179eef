// A small S3 client for `zring import` and `zring export`: signed requests to any node of the configuration, retried on
// what is retryable, the next node tried when one does not answer. Bodies are files or small documents, so every request
// can be sent again from the start.
import { createHash, createHmac } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as SecureAgent } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { ZringError } from '../common/errors.ts';
import type { Config, Credential } from '../config/types.ts';
import { parseXml, type XmlElement } from '../s3/xml/reader.ts';
import { trustedAuthorities } from './admin-client.ts';

/** Tries of one request; waits double from 200 ms, so a handoff or a restarting node is waited out (about 50 s). */
const TRIES_MAX = 10;
const WAIT_MS_FIRST = 200;
const WAIT_MS_MAX = 10_000;
const SILENCE_MS_MAX = 60_000;
const DOCUMENT_BYTES_MAX = 16 * 1024 * 1024;

export interface SessionRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly bucket: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Opened anew for each try. */
  readonly body?: { readonly size: number; open(): Readable };
}

export interface SessionAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export class S3SessionError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'S3SessionError';
    this.status = status;
    this.code = code;
  }
}

export class S3Session {
  readonly #endpoints: readonly string[];
  readonly #credential: Credential;
  readonly #region: string;
  readonly #agent: Agent | SecureAgent;
  readonly #secure: boolean;
  #next = 0;

  constructor(config: Config, accessKey: string | undefined) {
    const credential = accessKey
      ? config.credentials.find((candidate) => candidate.accessKey === accessKey)
      : config.credentials[0];
    if (!credential) {
      throw new ZringError('CONFIG_INVALID', `no credential ${accessKey ?? ''} in ${config.path}`.replace('  ', ' '));
    }
    this.#credential = credential;
    this.#region = config.cluster.region;
    this.#endpoints = config.nodes.map(({ s3 }) => `${s3.host}:${s3.port}`);
    this.#secure = config.tls.s3 !== null;
    this.#agent = this.#secure
      ? new SecureAgent({ keepAlive: true, ...trustedAuthorities(config) })
      : new Agent({ keepAlive: true });
  }

  /** The whole answer as text; throws S3SessionError for anything but 2xx. */
  async send(request: SessionRequest): Promise<SessionAnswer> {
    return this.#retried(request, async (response) => {
      const text = await readText(response);
      const status = response.statusCode ?? 0;
      if (status >= 300) throw sessionError(status, text, request);
      return { status, headers: response.headers, text };
    });
  }

  /** One try: the caller knows where to go on. Throws S3SessionError for anything but 2xx. */
  async download(request: SessionRequest): Promise<IncomingMessage> {
    const response = await this.#once(request);
    const status = response.statusCode ?? 0;
    if (status >= 300) throw sessionError(status, await readText(response), request);
    return response;
  }

  useNextNode(): void {
    this.#next += 1;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #retried<T>(request: SessionRequest, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
    let waitMs = WAIT_MS_FIRST;
    for (let tries = 1; ; tries += 1) {
      try {
        return await read(await this.#once(request));
      } catch (error) {
        if (!isRetryable(error) || tries >= TRIES_MAX) throw error;
        this.useNextNode();
        await delay(waitMs);
        waitMs = Math.min(waitMs * 2, WAIT_MS_MAX);
      }
    }
  }

  #once(request: SessionRequest): Promise<IncomingMessage> {
    const endpoint = this.#endpoints[this.#next % this.#endpoints.length] ?? '';
    const path = `/${request.bucket}${request.key === undefined ? '' : `/${encodePath(request.key)}`}`;
    const query = Object.entries(request.query ?? {})
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .sort()
      .join('&');
    const headers: Record<string, string> = {
      ...request.headers,
      host: endpoint,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      'x-amz-date': new Date().toISOString().replace(/[-:]|\.\d{3}/g, ''),
    };
    headers.authorization = this.#sign(request.method, path, query, headers);
    if (request.body || request.method === 'PUT' || request.method === 'POST') {
      headers['content-length'] = String(request.body?.size ?? 0);
    }
    const [host = '', port] = splitEndpoint(endpoint);
    const send = this.#secure ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const outgoing = send(
        { host, port, method: request.method, path: query ? `${path}?${query}` : path, headers, agent: this.#agent },
        resolve,
      );
      outgoing.setTimeout(SILENCE_MS_MAX, () => outgoing.destroy(new Error(`${endpoint} was silent for 60 s`)));
      outgoing.once('error', reject);
      pipeline(request.body?.open() ?? Readable.from([]), outgoing).catch(reject);
    });
  }

  /** https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html */
  #sign(method: string, path: string, query: string, headers: Readonly<Record<string, string>>): string {
    const names = Object.keys(headers)
      .map((name) => name.toLowerCase())
      .sort();
    const canonicalHeaders = names.map((name) => `${name}:${(headers[name] ?? '').trim()}\n`).join('');
    const signed = names.join(';');
    const canonical = [method, path, query, canonicalHeaders, signed, 'UNSIGNED-PAYLOAD'].join('\n');
    const date = headers['x-amz-date'] ?? '';
    const scope = `${date.slice(0, 8)}/${this.#region}/s3/aws4_request`;
    const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    let key: Buffer | string = `AWS4${this.#credential.secretKeys[0] ?? ''}`;
    for (const step of scope.split('/')) key = createHmac('sha256', key).update(step).digest();
    const signature = createHmac('sha256', key).update(text).digest('hex');
    return `AWS4-HMAC-SHA256 Credential=${this.#credential.accessKey}/${scope}, SignedHeaders=${signed}, Signature=${signature}`;
  }
}

/** No answer, or one that says "later". */
export function isRetryable(error: unknown): boolean {
  return !(error instanceof S3SessionError) || error.status === 500 || error.status === 503;
}

/** The parsed document of an answer. */
export function answerXml(answer: SessionAnswer): XmlElement {
  return parseXml(Buffer.from(answer.text), DOCUMENT_BYTES_MAX);
}

function splitEndpoint(endpoint: string): [string, number] {
  const at = endpoint.lastIndexOf(':');
  return [endpoint.slice(0, at).replace(/^\[|\]$/g, ''), Number(endpoint.slice(at + 1))];
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodePath(key: string): string {
  return key.split('/').map(encode).join('/');
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > DOCUMENT_BYTES_MAX) throw new ZringError('LIMIT_EXCEEDED', 'an answer is larger than any S3 document');
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the answer was cut');
  return Buffer.concat(chunks).toString('utf8');
}

function sessionError(status: number, text: string, request: SessionRequest): S3SessionError {
  const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? `HTTP ${status}`;
  const message = /<Message>([^<]*)<\/Message>/.exec(text)?.[1] ?? '';
  const subject = request.key === undefined ? request.bucket : `${request.bucket}/${request.key}`;
  return new S3SessionError(status, code, `${request.method} ${subject}: ${code} ${message}`.trim());
}
