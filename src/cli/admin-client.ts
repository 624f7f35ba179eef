// The CLI's way to a running node: signed requests to an admin listener, found through the configuration file. Tries the
// nodes in order (or only `--node`), so that any living node answers for the cluster. What must not be done twice is tried
// until a node may have heard of it, and no further.
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { signAdminRequest } from '../admin/auth.ts';
import { type ErrorCode, isZringError, ZringError } from '../common/errors.ts';
import { loadConfig } from '../config/load.ts';
import type { Config, NodeConfig } from '../config/types.ts';

export interface AdminTimeouts {
  /** A node that is not reached, or does not answer, within this time is passed over. */
  readonly answerMs: number;
  /** For the answer to what is asked once. Longer than the node that is asked waits for a bucket's owner. */
  readonly onceMs: number;
}

const TIMEOUTS: AdminTimeouts = { answerMs: 10_000, onceMs: 65_000 };

/** Doing it twice is not the same as doing it once. */
export interface Once {
  readonly once: true;
  /** Where to see whether it was done, when no answer says so. */
  readonly look: string;
}

export interface AdminClient {
  readonly config: Config;
  get(path: string): Promise<unknown>;
  /** Errors: the node's; NODE_UNREACHABLE; with `once`, NODE_OUTCOME_UNKNOWN when it was sent and nothing sound came back. */
  post(path: string, value: unknown, once?: Once): Promise<unknown>;
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

export function connectAdmin(
  options: { config?: string | undefined; node?: string | undefined },
  timeouts: AdminTimeouts = TIMEOUTS,
): AdminClient {
  const config = loadConfig(findConfig(options.config), process.env);
  const nodes = options.node ? config.nodes.filter(({ id }) => id === options.node) : config.nodes;
  if (nodes.length === 0) throw new ZringError('CONFIG_INVALID', `no node ${options.node} in ${config.path}`);
  const ask = async (method: string, path: string, body: string, once?: Once): Promise<unknown> => {
    const connectMs = timeouts.answerMs;
    const answerMs = once ? timeouts.onceMs : timeouts.answerMs;
    const failures: string[] = [];
    for (const node of nodes) {
      const question: Question = { method, path, body, connectMs, answerMs, isSent: false };
      try {
        return await exchange(config, node, question);
      } catch (error) {
        if (!isZringError(error, 'NODE_UNREACHABLE')) throw error;
        // The node itself may say it, too: of an owner that it has asked.
        if (once && question.isSent) throw outcomeUnknown(node.id, error, once);
        failures.push(`${node.id} (${error.message})`);
      }
    }
    throw new ZringError('NODE_UNREACHABLE', `no node answered: ${failures.join('; ')}`);
  };
  return {
    config,
    get: (path) => ask('GET', path, ''),
    post: (path, value, once) => ask('POST', path, JSON.stringify(value), once),
  };
}

function outcomeUnknown(id: string, cause: ZringError, { look }: Once): ZringError {
  const message = `node ${id} was asked (${cause.message}); whether it was done is not known. Before you try again, see: ${look}`;
  return new ZringError('NODE_OUTCOME_UNKNOWN', message, { cause, subject: id });
}

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly connectMs: number;
  readonly answerMs: number;
  /** Some of it may have reached the node. */
  isSent: boolean;
}

function exchange(config: Config, node: NodeConfig, question: Question): Promise<unknown> {
  const { method, path, body, connectMs, answerMs } = question;
  const [secret = ''] = config.cluster.secrets;
  const isSecure = config.tls.admin !== null;
  const send = isSecure ? httpsRequest : httpRequest;
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
        timeout: connectMs,
        // A connection of its own: one that was kept may be closed under the request, and nobody knows what was read of it.
        agent: false,
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
    request.once('socket', (socket) => {
      // Nothing goes out before: a refused connection or certificate is no question.
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        question.isSent = true;
        socket.setTimeout(answerMs);
      });
    });
    request.once('timeout', () => {
      const missed = question.isSent ? `no answer in ${answerMs / 1000} s` : `no connection in ${connectMs / 1000} s`;
      request.destroy(new Error(missed));
    });
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
