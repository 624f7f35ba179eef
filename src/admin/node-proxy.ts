// `/nodes/ID/…` on any node's admin listener reaches node ID's admin API, event streams included: here http-proxy is at
// home (trusted, small, few requests). What it does wrong is kept away from it: it mis-frames bodies of DELETE and
// OPTIONS (so only GET, HEAD and POST come here, with a body that was read and bounded before), and it keeps the
// upstream request alive when the client leaves (so that is torn down here).
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import httpProxy from 'http-proxy';
import { ZringError } from '../common/errors.ts';
import { signAdminRequest } from './auth.ts';

export interface NodePath {
  readonly id: string;
  /** Path and query below the node, always starting with `/`. */
  readonly rest: string;
}

export interface NodeProxy {
  forward(
    path: NodePath,
    exchange: { method: string; body: Buffer; request: IncomingMessage; response: ServerResponse },
  ): Promise<void>;
  close(): void;
}

/** @returns null when the target is not below `/nodes/ID`. */
export function splitNodePath(target: string): NodePath | null {
  const match = /^\/nodes\/([a-z0-9][a-z0-9-]{0,62})(\/.*)?$/.exec(target);
  return match?.[1] ? { id: match[1], rest: match[2] ?? '/' } : null;
}

export function createNodeProxy(options: {
  self: string;
  secrets: () => readonly string[];
  nodes: () => readonly { readonly id: string; readonly admin: string }[];
  secure: boolean;
  ca: () => Buffer | null;
}): NodeProxy {
  const proxy = httpProxy.createProxyServer({ xfwd: false, proxyTimeout: 0, ignorePath: true });
  const upstreams = new Set<ClientRequest>();
  proxy.on('proxyReq', (upstream, _request, response) => {
    upstreams.add(upstream);
    upstream.once('close', () => upstreams.delete(upstream));
    response.once('close', () => upstream.destroy());
  });

  return {
    async forward(path, { method, body, request, response }) {
      const node = options.nodes().find(({ id }) => id === path.id);
      if (!node) throw new ZringError('DATASET_MISSING', `no node ${path.id} in the map`, { subject: path.id });
      const [secret = ''] = options.secrets();
      // Signed anew: the sender's signature covers the path as it was sent to this node.
      request.headers.authorization = signAdminRequest(secret, method, path.rest, Date.now(), body);
      request.headers['content-length'] = String(body.length);
      delete request.headers['transfer-encoding'];
      delete request.headers.expect;
      delete request.headers.upgrade;
      request.headers.connection = 'close';
      const target = `${options.secure ? 'https' : 'http'}://${node.admin}${path.rest}`;
      const ca = options.secure ? options.ca() : null;
      await new Promise<void>((resolve, reject) => {
        response.once('close', resolve);
        const settings = {
          target,
          buffer: Readable.from(body.length > 0 ? [body] : []),
          ...(ca ? { agent: new SecureAgent({ ca: [...rootCertificates, ca] }) } : {}),
        };
        proxy.web(request, response, settings, (error) => {
          if (response.headersSent) response.destroy();
          reject(
            new ZringError('NODE_UNREACHABLE', `node ${path.id} did not answer on ${node.admin}`, {
              cause: error,
              subject: path.id,
            }),
          );
        });
      });
    },
    close() {
      for (const upstream of upstreams) upstream.destroy();
      proxy.close();
    },
  };
}
