// Load generator for what wrk cannot do: bodies of requests, and large answers counted to their end. A process of its
// own; takes plans over its IPC channel, one after the other. Each connection asks again as soon as it has its answer
// (closed loop); when the time is over it finishes what is under way, so that every byte that the servers moved is
// counted. Raw sockets, constant heads, one shared body, answers read into one buffer a connection.
// Its limits: one core (it says how much of it a run took), no chunked answers, no pipelining, no Expect.
import { connect } from 'node:net';
import { content } from './side.ts';

export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Whole request heads; connection i starts at head i and goes on by the number of connections. */
  readonly heads: readonly string[];
  /** What each head announces; null = no body. */
  readonly body: { readonly seed: string; readonly bytes: number } | null;
  /** Body length that an answer must have; null = whatever it announces. */
  readonly answerBytes: number | null;
}

export interface LoadResult {
  readonly requests: number;
  /** Answers other than 2xx or of another length, and connections that broke. */
  readonly errors: number;
  readonly firstError: string | null;
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly generatorCpuSeconds: number;
}

/** Bodies up to this size go out in one piece with their head. */
const JOINED_BYTES_MAX = 64 * 1024;
const READ_BUFFER_BYTES = 256 * 1024;
const HEAD_BYTES_MAX = 64 * 1024;
const SILENCE_MS_MAX = 60_000;

interface AnswerHead {
  readonly status: number;
  readonly bytes: number;
  readonly close: boolean;
}

export function parseAnswerHead(text: string): AnswerHead {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error(`not an answer of HTTP/1.1: ${text.slice(0, 100)}`);
  if (/^transfer-encoding:/im.test(text)) throw new Error('a chunked answer');
  const length = /^content-length: *(\d+)/im.exec(text)?.[1];
  const bodyless = status < 200 || status === 204 || status === 304;
  if (length === undefined && !bodyless) throw new Error('an answer without Content-Length');
  return { status, bytes: bodyless ? 0 : Number(length), close: /^connection: *close/im.test(text) };
}

class Tally {
  readonly latenciesMs: number[] = [];
  errors = 0;
  firstError: string | null = null;

  fail(message: string): void {
    this.errors += 1;
    this.firstError ??= message;
  }
}

/** One connection until the time is over; resolves when its last answer is complete or it broke. */
function drive(
  plan: LoadPlan,
  heads: readonly Buffer[],
  body: Buffer | null,
  index: number,
  until: number,
  tally: Tally,
) {
  return new Promise<void>((done) => {
    let next = index;
    let askedAt = 0;
    let head = '';
    let answer: AnswerHead | null = null;
    let missing = 0;
    let finished = false;

    const finish = (fault?: string) => {
      if (finished) return;
      finished = true;
      if (fault !== undefined) tally.fail(fault);
      socket.destroy();
      done();
    };
    const ask = () => {
      askedAt = performance.now();
      if (askedAt >= until) return finish();
      const bytes = heads[next % heads.length] ?? Buffer.alloc(0);
      next += plan.connections;
      socket.cork();
      socket.write(bytes);
      if (body !== null && body.length > JOINED_BYTES_MAX) socket.write(body);
      socket.uncork();
    };
    const complete = ({ status, bytes, close }: AnswerHead) => {
      answer = null;
      if (status < 200) return;
      if (status > 299) tally.fail(`status ${status}`);
      else if (plan.answerBytes !== null && bytes !== plan.answerBytes) tally.fail(`an answer of ${bytes} bytes`);
      else tally.latenciesMs.push(performance.now() - askedAt);
      if (close) finish(performance.now() < until ? 'the server closed the connection' : undefined);
      else ask();
    };
    const take = (chunk: Buffer) => {
      let at = 0;
      while (at < chunk.length && !finished) {
        if (answer === null) {
          // Heads are short and come in one piece nearly always: what was read so far is simply looked at again.
          const before = head.length;
          head += chunk.toString('latin1', at);
          const end = head.indexOf('\r\n\r\n');
          if (end < 0) return head.length > HEAD_BYTES_MAX ? finish('an answer head without end') : undefined;
          at += end + 4 - before;
          answer = parseAnswerHead(head.slice(0, end));
          missing = answer.bytes;
          head = '';
        }
        const taken = Math.min(missing, chunk.length - at);
        missing -= taken;
        at += taken;
        if (missing === 0) complete(answer);
      }
    };
    const socket = connect({
      host: '127.0.0.1',
      port: plan.port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
        callback(bytes: number, buffer: Uint8Array) {
          try {
            take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
          } catch (error) {
            finish(String(error));
          }
          return true;
        },
      },
    });
    socket.setTimeout(SILENCE_MS_MAX, () => finish(`nothing heard for ${SILENCE_MS_MAX} ms`));
    socket.once('connect', ask);
    socket.once('error', (error) => finish(String(error)));
    socket.once('close', () => finish('the connection was closed'));
  });
}

/** @param sorted ascending. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** `ready` is called when everything is made and the first request is about to go out. */
export async function runLoad(plan: LoadPlan, ready: () => Promise<void> = async () => {}): Promise<LoadResult> {
  const body = plan.body === null ? null : content(plan.body.seed, plan.body.bytes);
  const joined = body !== null && body.length <= JOINED_BYTES_MAX ? body : Buffer.alloc(0);
  const heads = plan.heads.map((text) => Buffer.concat([Buffer.from(text, 'latin1'), joined]));
  const tally = new Tally();
  await ready();
  const cpu = process.cpuUsage();
  const started = performance.now();
  const until = started + plan.seconds * 1000;
  const connections = Array.from({ length: plan.connections }, (_, index) =>
    drive(plan, heads, body, index, until, tally),
  );
  await Promise.all(connections);
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  const sorted = tally.latenciesMs.sort((a, b) => a - b);
  return {
    requests: sorted.length,
    errors: tally.errors,
    firstError: tally.firstError,
    seconds,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    generatorCpuSeconds: (used.user + used.system) / 1e6,
  };
}

/** Messages of the process: a plan comes in; `ready` goes out, `go` comes in, the result or an error goes out. */
async function serve(): Promise<void> {
  const say = (message: unknown) => void process.send?.(message);
  let go: (() => void) | null = null;
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: LoadPlan | 'go') => {
    if (message === 'go') return go?.();
    const ready = () =>
      new Promise<void>((resolve) => {
        go = resolve;
        say('ready');
      });
    runLoad(message, ready).then(
      (result) => say({ result }),
      (error) => say({ error: String(error) }),
    );
  });
}

if (process.argv[1]?.endsWith('load.ts') && process.send) await serve();
