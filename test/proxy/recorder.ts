// An owner that writes down what it begins and what it takes whole. For tests.
import type { Exchange } from '../../src/routing/exchange.ts';

export interface Seen {
  readonly line: string;
  readonly body: string;
  readonly headers: readonly string[];
}

/** What the owner saw since the last look. */
export class Recorder {
  begun: string[] = [];
  whole: Seen[] = [];

  readonly handler = async (exchange: Exchange): Promise<void> => {
    const { request, response } = exchange;
    const line = `${request.method} ${request.url}`;
    this.begun.push(line);
    exchange.proceed();
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return;
    }
    this.whole.push({ line, body: Buffer.concat(chunks).toString('latin1'), headers: comparable(request.rawHeaders) });
    response.writeHead(200, { 'Content-Length': '2' });
    response.end(request.method === 'HEAD' ? undefined : 'ok');
  };

  take() {
    const taken = { begun: this.begun, whole: this.whole };
    this.begun = [];
    this.whole = [];
    return taken;
  }
}

/** Hop-by-hop headers may differ between the two ways; the framing must not. */
function comparable(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]?.toLowerCase() ?? '';
    const value = name === 'transfer-encoding' ? raw[i + 1]?.toLowerCase() : raw[i + 1];
    if (!['connection', 'keep-alive', 'te', 'trailer', 'proxy-connection'].includes(name))
      kept.push(`${name}: ${value}`);
  }
  return kept.sort();
}
