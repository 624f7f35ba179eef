// Makes the buckets of a run, by S3, before the load begins.
import { request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import aws4 from 'aws4';
import { CREDENTIALS, S3_PORT } from './lab/config.ts';
import type { Lab } from './lab/lab.ts';

const TRIES_MAX = 100;

export async function createBuckets(lab: Lab, buckets: readonly string[]): Promise<void> {
  for (const [i, bucket] of buckets.entries()) {
    let status = 0;
    for (let tries = 0; status !== 200 && status !== 409; tries += 1) {
      if (tries === TRIES_MAX) throw new Error(`bucket ${bucket} could not be made: ${status}`);
      if (tries > 0) await delay(200);
      status = await put(lab.nodeAt(i).ip, `/${bucket}`).catch(() => 0);
    }
  }
}

function put(ip: string, path: string): Promise<number> {
  const unsigned = { host: `${ip}:${S3_PORT}`, path, method: 'PUT', service: 's3', region: 'us-east-1' };
  const credentials = { accessKeyId: CREDENTIALS.accessKey, secretAccessKey: CREDENTIALS.secretKey };
  const { headers } = aws4.sign({ ...unsigned, headers: {} as Record<string, string> }, credentials);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: ip, port: S3_PORT, path, method: 'PUT', headers, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    request.once('error', reject);
    request.end();
  });
}
