// A client that says exactly what it is told, byte by byte, and hears everything. For tests.
import { connect, type Socket } from 'node:net';

export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far, as latin1. */
  readonly text: string;
  send(bytes: string | Buffer): void;
  /** Resolves with the text once it matches; rejects when the connection ends first. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves with everything received when the connection is closed, in whatever way. */
  readonly closed: Promise<string>;
  /** Error code of the socket, once closed: null for a clean end. */
  readonly fault: string | null;
  destroy(): void;
}

export async function rawClient(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return wrapSocket(socket);
}

export function wrapSocket(socket: Socket): RawClient {
  let text = '';
  let fault: string | null = null;
  let ended = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of [...waiting]) check();
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    fault = error.code ?? error.message;
  });
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => {
      ended = true;
      wake();
      resolve(text);
    });
  });
  return {
    socket,
    closed,
    get text() {
      return text;
    },
    get fault() {
      return fault;
    },
    send: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    until(pattern) {
      return new Promise((resolve, reject) => {
        const check = () => {
          if (pattern.test(text)) resolve(text);
          else if (ended)
            reject(new Error(`connection ended before ${pattern}; got ${JSON.stringify(text.slice(0, 500))}`));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      });
    },
    destroy: () => void socket.destroy(),
  };
}

/** Sends it, ends the writing side when asked, and hears until the other side closes. */
export async function rawTalk(port: number, bytes: string | Buffer, end = false): Promise<string> {
  const client = await rawClient(port);
  client.send(bytes);
  if (end) client.socket.end();
  const text = await client.closed;
  return text;
}

/** Status codes of the answers in a text, in order; 1xx included. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}
