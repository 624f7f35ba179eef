// What the benchmark knows of a server under test, and how it asks one request and looks at the whole answer.
import { createCipheriv, createHash } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { Row } from './rows.ts';

export interface Request {
  readonly method: string;
  readonly path: string;
  /** Complete, Host included. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface BodyFacts {
  readonly bytes: number;
  readonly sha256: string;
}

export interface Side {
  readonly name: 'zring' | 'nginx';
  readonly version: string;
  port(row: Row): number;
  /** The processes that work on requests of this row. */
  pids(row: Row): readonly number[];
  /** Signed now, where the side asks for it. `body` null = none. */
  request(row: Row, method: 'GET' | 'PUT', key: string, body: BodyFacts | null): Request;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: number;
  readonly sha256: string;
  /** The start of the body, for messages. */
  readonly text: string;
}

/** Bytes that depend on the seed alone, that no disk compresses and that two runs do not share. */
export function content(seed: string, bytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

export function factsOf(body: Buffer): BodyFacts {
  return { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') };
}

/** As it goes over the wire, without the body. */
export function headText({ method, path, headers }: Request): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export function send(port: number, { method, path, headers }: Request, body?: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const hash = createHash('sha256');
      let bytes = 0;
      let text = '';
      response.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
        if (text.length < 500) text += chunk.toString('latin1', 0, 500);
      });
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, bytes, sha256: hash.digest('hex'), text });
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** Throws unless the object is there, whole and with these bytes. */
export async function requireObject(side: Side, row: Row, key: string, expected: BodyFacts): Promise<void> {
  const answer = await send(side.port(row), side.request(row, 'GET', key, null));
  const what = `${row.name}: GET ${key} of ${side.name}`;
  if (answer.status !== 200) throw new Error(`${what}: status ${answer.status}: ${answer.text}`);
  const announced = Number(answer.headers['content-length']);
  if (answer.bytes !== expected.bytes || announced !== expected.bytes) {
    throw new Error(`${what}: ${answer.bytes} bytes, Content-Length ${announced}, expected ${expected.bytes}`);
  }
  if (answer.sha256 !== expected.sha256) throw new Error(`${what}: other bytes than were put`);
}

export async function putObject(side: Side, row: Row, key: string, body: Buffer): Promise<void> {
  const answer = await send(side.port(row), side.request(row, 'PUT', key, factsOf(body)), body);
  if (answer.status < 200 || answer.status > 299) {
    throw new Error(`${row.name}: PUT ${key} of ${side.name}: status ${answer.status}: ${answer.text}`);
  }
}
