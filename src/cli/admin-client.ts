// The CLI's way to a running node: signed requests to an admin listener, found through the configuration file. Tries the
// nodes in order (or only `--node`), so that any living node answers for the cluster.
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { signAdminRequest } from '../admin/auth.ts';
import { type ErrorCode, ZringError } from '../common/errors.ts';
import { loadConfig } from '../config/load.ts';
import type { Config, NodeConfig } from '../config/types.ts';

/** A node that does not answer within this time is passed over. */
const ANSWER_TIMEOUT_MS = 10_000;

export interface AdminClient {
  readonly config: Config;
  get(path: string): Promise<unknown>;
  post(path: string, value: unknown): Promise<unknown>;
}

export const connectionArgs = {
  config: {
    type: 'string',
    alias: 'c',
    description:
      'Configuration file (default: $ZRING_CONFIG, ./zring.yaml, ./zring-demo/zring.yaml, /etc/zring/zring.yaml)',
    valueHint: 'file',
  },
  node: { type: 'string', description: 'Ask this node only (default: the first that answers)', valueHint: 'id' },
  json: { type: 'boolean', description: 'Print JSON for programs', default: false },
} as const;

const DEFAULT_PATHS = ['zring.yaml', 'zring-demo/zring.yaml', '/etc/zring/zring.yaml'];

/** The file named, or the first of the default places that exists. */
export function findConfig(path: string | undefined): string {
  const named = path ?? process.env.ZRING_CONFIG;
  if (named) return named;
  for (const candidate of DEFAULT_PATHS) {
    try {
      readFileSync(candidate);
      return candidate;
    } catch {
      // Not there or not readable: the next place.
    }
  }
  throw new ZringError(
    'CONFIG_INVALID',
    `no configuration found (looked for ${DEFAULT_PATHS.join(', ')}); use --config`,
  );
}

export function connectAdmin(options: { config?: string | undefined; node?: string | undefined }): AdminClient {
  const config = loadConfig(findConfig(options.config), process.env);
  const nodes = options.node ? config.nodes.filter(({ id }) => id === options.node) : config.nodes;
  if (nodes.length === 0) throw new ZringError('CONFIG_INVALID', `no node ${options.node} in ${config.path}`);
  const ask = async (method: string, path: string, body: string): Promise<unknown> => {
    const failures: string[] = [];
    for (const node of nodes) {
      try {
        return await exchange(config, node, method, path, body);
      } catch (error) {
        if (!(error instanceof ZringError) || error.code !== 'NODE_UNREACHABLE') throw error;
        failures.push(`${node.id} (${error.message})`);
      }
    }
    throw new ZringError('NODE_UNREACHABLE', `no node answered: ${failures.join('; ')}`);
  };
  return {
    config,
    get: (path) => ask('GET', path, ''),
    post: (path, value) => ask('POST', path, JSON.stringify(value)),
  };
}

function exchange(config: Config, node: NodeConfig, method: string, path: string, body: string): Promise<unknown> {
  const [secret = ''] = config.cluster.secrets;
  const send = config.tls.admin ? httpsRequest : httpRequest;
  const address = `${node.admin.host}:${node.admin.port}`;
  return new Promise((resolve, reject) => {
    const unreachable = (error: unknown) =>
      reject(
        new ZringError('NODE_UNREACHABLE', `${address}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        }),
      );
    const request = send(
      {
        host: node.admin.host.replace(/^\[|\]$/g, ''),
        port: node.admin.port,
        method,
        path,
        timeout: ANSWER_TIMEOUT_MS,
        headers: {
          authorization: signAdminRequest(secret, method, path, Date.now(), body),
          'content-length': Buffer.byteLength(body),
        },
        ...trustedAuthorities(config),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', unreachable);
        response.once('end', () => {
          try {
            resolve(readAnswer(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'), address));
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    request.once('timeout', () => request.destroy(new Error(`no answer in ${ANSWER_TIMEOUT_MS / 1000} s`)));
    request.once('error', unreachable);
    request.end(body);
  });
}

/** The cluster's own authority beside the public ones: a private one usually signed all certificates of a cluster. */
export function trustedAuthorities(config: Config): { ca?: (string | Buffer)[] } {
  const caFile = config.tls.peer?.caFile;
  return caFile ? { ca: [...rootCertificates, readFileSync(caFile)] } : {};
}

function readAnswer(status: number, text: string, address: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ZringError('NODE_UNREACHABLE', `${address} answered ${status} without JSON`, { cause: error });
  }
  const { error } = (value ?? {}) as { error?: { code: ErrorCode; message: string; details?: unknown } };
  if (error) throw new ZringError(error.code, error.message, { details: error.details });
  return value;
}
