// A request head signed by aws4 as text for a raw socket, and what is needed to chain chunk signatures to it. For tests.
import { createHmac } from 'node:crypto';
import aws4 from 'aws4';
import type { ChunkSigning } from '../../../src/s3/types.ts';

export interface HeadRequest {
  readonly method: string;
  readonly path: string;
  readonly secret?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SignedHead {
  /** Request line and signed headers; more headers and the empty line are for the test to add. */
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signing: ChunkSigning;
}

/** By the credential `admin` of the fixtures. Without a content hash of its own the body is not signed. */
export function signedHead(port: number, request: HeadRequest): SignedHead {
  const host = `127.0.0.1:${port}`;
  const secretAccessKey = request.secret ?? 'admin-secret';
  const { headers } = aws4.sign(
    {
      service: 's3',
      region: 'us-east-1',
      host,
      method: request.method,
      path: request.path,
      headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...request.headers } as Record<string, string>,
    },
    { accessKeyId: 'admin', secretAccessKey },
  );
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return {
    headers,
    text: `${request.method} ${request.path} HTTP/1.1\r\n${lines.join('')}`,
    signing: chunkSigning(headers, secretAccessKey),
  };
}

function chunkSigning(headers: Readonly<Record<string, string>>, secret: string): ChunkSigning {
  const { Authorization = '', 'X-Amz-Date': amzDate = '' } = headers;
  const [, scope = '', seedSignature = ''] =
    /Credential=[^/]*\/([^,]*),.*Signature=([0-9a-f]+)/.exec(Authorization) ?? [];
  const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();
  const signingKey = scope.split('/').reduce<Buffer | string>(hmac, `AWS4${secret}`) as Buffer;
  return { seedSignature, signingKey, scope, amzDate };
}
