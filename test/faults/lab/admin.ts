// Questions to the admin listeners of the lab's nodes, signed as the CLI signs them, each with a time limit: a node that
// sleeps must not keep the lab waiting.
import { request as httpRequest } from 'node:http';
import { signAdminRequest } from '../../../src/admin/auth.ts';
import type { ClusterStatus, DatasetStatus } from '../../../src/admin/types.ts';

const TIMEOUT_MS = 1_500;
/** What is to happen, on a machine that may be busy. */
const CHANGE_TIMEOUT_MS = 5_000;
export const ADMIN_PORT = 9002;

export interface AdminClient {
  ready(ip: string): Promise<boolean>;
  status(ip: string): Promise<ClusterStatus>;
  datasets(ip: string): Promise<{ datasets: readonly DatasetStatus[]; complete: boolean }>;
  move(ip: string, dataset: string, to: string | null): Promise<void>;
}

export function createAdminClient(secret: string): AdminClient {
  async function ask(ip: string, path: string, body?: unknown): Promise<unknown> {
    const method = body === undefined ? 'GET' : 'POST';
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      authorization: signAdminRequest(secret, method, path, Date.now(), text),
      'content-length': Buffer.byteLength(text),
    };
    return new Promise((resolve, reject) => {
      const options = { host: ip, port: ADMIN_PORT, path, method, headers, agent: false };
      const signal = AbortSignal.timeout(body === undefined ? TIMEOUT_MS : CHANGE_TIMEOUT_MS);
      const request = httpRequest({ ...options, signal }, (response) => {
        let answer = '';
        response.on('data', (chunk) => {
          answer += chunk;
        });
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(answer));
          else reject(new Error(`${method} ${path} on ${ip}: ${response.statusCode} ${answer.slice(0, 300)}`));
        });
      });
      request.once('error', reject);
      request.end(text);
    });
  }

  return {
    ready: (ip) =>
      ask(ip, '/ready').then(
        () => true,
        () => false,
      ),
    status: async (ip) => (await ask(ip, '/status')) as ClusterStatus,
    datasets: async (ip) => (await ask(ip, '/datasets')) as { datasets: DatasetStatus[]; complete: boolean },
    move: async (ip, dataset, to) => void (await ask(ip, '/move', { dataset, to })),
  };
}
