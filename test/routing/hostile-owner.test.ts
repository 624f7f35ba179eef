// An owner (or whatever answers at its address) that misbehaves: the client gets a 503, a cut, or a clean answer, never
// somebody else's bytes and never a half answer that looks whole. The upstream here is a raw socket with a script.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { type Pair, startPair } from './pair.ts';
import { rawTalk, statuses } from './raw-client.ts';

/** Answers each request head with what the script says for it; the request's first line is given. */
async function withUpstream(script: (line: string, socket: Socket) => void, run: (pair: Pair) => Promise<void>) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const line = text.slice(0, text.indexOf('\r\n'));
        text = text.slice(end + 4);
        script(line, socket);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pair = await startPair({ owner: () => {}, upstream });
  try {
    await run(pair);
  } finally {
    await pair.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const get = (path: string, more = 'Connection: close\r\n') => `GET ${path} HTTP/1.1\r\nHost: h\r\n${more}\r\n`;
const HEAD = 'HTTP/1.1 200 OK\r\n';

interface Hostile {
  readonly answer: string;
  readonly thenClose?: true;
  /** Status at the client; null = cut after a head. */
  readonly status: number | null;
}

const hostile: Record<string, Hostile> = {
  'closes without a word': { answer: '', thenClose: true, status: 503 },
  garbage: { answer: 'hello there\r\n\r\n', status: 503 },
  'closes within the head': { answer: `${HEAD}Content-Le`, thenClose: true, status: 503 },
  'both lengths': { answer: `${HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, status: 503 },
  'two lengths': { answer: `${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`, status: 503 },
  'obs-fold': { answer: `${HEAD}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n`, status: 503 },
  'control character in a header': { answer: `${HEAD}X-A: b\x01c\r\nContent-Length: 0\r\n\r\n`, status: 503 },
  'a head beyond every limit': {
    answer: `${HEAD}X-A: ${'x'.repeat(200_000)}\r\nContent-Length: 0\r\n\r\n`,
    status: 503,
  },
  'an upgrade nobody asked for': {
    answer: 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    status: 503,
  },
  'a 100 (undici takes it for an error)': {
    answer: `HTTP/1.1 100 Continue\r\n\r\n${HEAD}Content-Length: 0\r\n\r\n`,
    status: 503,
  },
  'body shorter than its length': { answer: `${HEAD}Content-Length: 100\r\n\r\nshort`, thenClose: true, status: null },
  'chunked body without its end': {
    answer: `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n`,
    thenClose: true,
    status: null,
  },
  'broken chunk': { answer: `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxyz\r\n`, status: null },
};

for (const [name, { answer, thenClose, status }] of Object.entries(hostile)) {
  test(`${name}: ${status ?? 'cut'}`, async () => {
    const script = (_line: string, socket: Socket) => {
      socket.write(answer, 'latin1', () => thenClose && socket.destroy());
    };
    await withUpstream(script, async (pair) => {
      const text = await rawTalk(pair.s3.address.port, get('/'));
      if (status !== null) {
        assert.deepEqual(statuses(text), [status]);
      } else {
        assert.doesNotMatch(text, /\r\n0\r\n\r\n$/, 'a cut answer has no last chunk');
        const declared = /content-length: (\d+)/i.exec(text)?.[1];
        if (declared)
          assert.ok((text.split('\r\n\r\n')[1] ?? '').length < Number(declared), 'and not its whole length');
        assert.deepEqual(pair.outcomes, [{ kind: 'done', status: 200 }]);
      }
    });
  });
}

for (const [name, first] of [
  ['two answers to one request', `${HEAD}Content-Length: 5\r\n\r\nfirst${HEAD}Content-Length: 6\r\n\r\nforged`],
  ['bytes behind a 204', `HTTP/1.1 204 No Content\r\n\r\n${HEAD}Content-Length: 6\r\n\r\nforged`],
  ['a body on 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 61\r\n\r\n${HEAD}Content-Length: 6\r\n\r\nforged`],
] as const) {
  test(`${name}: the next request does not get the surplus`, async () => {
    const script = (line: string, socket: Socket) => {
      socket.write(line.includes(' /1 ') ? first : `${HEAD}Content-Length: 6\r\n\r\nsecond`);
    };
    await withUpstream(script, async (pair) => {
      const text = await rawTalk(pair.s3.address.port, `${get('/1', '')}${get('/2')}`);
      assert.doesNotMatch(text, /forged/);
      assert.match(text, /second$/);
    });
  });
}

test('a body on HEAD is not shown to anybody', async () => {
  const script = (line: string, socket: Socket) => {
    socket.write(
      line.startsWith('HEAD') ? `${HEAD}Content-Length: 6\r\n\r\nforged` : `${HEAD}Content-Length: 6\r\n\r\nsecond`,
    );
  };
  await withUpstream(script, async (pair) => {
    const text = await rawTalk(pair.s3.address.port, `HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\n${get('/2')}`);
    assert.doesNotMatch(text, /forged/);
    assert.match(text, /second$/);
  });
});

test('many interim answers before the real one', async () => {
  const script = (_line: string, socket: Socket) => {
    socket.write(
      `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000)}HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${HEAD}Content-Length: 2\r\n\r\nok`,
    );
  };
  await withUpstream(script, async (pair) => {
    const text = await rawTalk(pair.s3.address.port, get('/'));
    assert.deepEqual(statuses(text), [200], 'interim answers are between nodes');
    assert.match(text, /ok$/);
  });
});

test('hop-by-hop, nominated and own headers of the answer end at the entry', async () => {
  const script = (_line: string, socket: Socket) => {
    socket.write(
      `${HEAD}Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nzring-not-owner: {}\r\nZring-Peer: v=1\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nX-Fine: caf\xe9\r\nContent-Length: 2\r\n\r\nok`,
      'latin1',
    );
  };
  await withUpstream(script, async (pair) => {
    const text = await rawTalk(pair.s3.address.port, get('/'));
    assert.deepEqual(statuses(text), [200]);
    assert.doesNotMatch(text, /x-secret|zring|proxy-authenticate|upgrade/i);
    assert.match(text, /X-Fine: caf\xe9\r\n/);
  });
});

test('a typed refusal that cannot be read knows nothing, and is still a refusal', async () => {
  const script = (_line: string, socket: Socket) => {
    socket.write('HTTP/1.1 421 Misdirected\r\nzring-not-owner: {"owner":7,"epoch":"x"\r\nContent-Length: 0\r\n\r\n');
  };
  await withUpstream(script, async (pair) => {
    await rawTalk(pair.s3.address.port, get('/'));
    const details = { epoch: 0, owner: null, term: null };
    assert.deepEqual(pair.outcomes, [{ kind: 'not-owner', details, replayable: true }]);
  });
});
