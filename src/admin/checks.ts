// The checks behind `zring doctor` and a node's start: privileges, capabilities, free space, clock offset, ports,
// certificates, secret files. Each check says what it found and, when it failed, names the fix. Nothing here changes a
// dataset of the user; the storage check makes and destroys one of its own.
import { randomBytes, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { isZringError } from '../common/errors.ts';
import { formatBytes } from '../common/text.ts';
import type { Address, Config, NodeConfig, TlsFiles } from '../config/types.ts';
import type { DatasetDriver } from '../dataset/driver.ts';
import { DELETED_PREFIX } from '../ownership/copy-properties.ts';

export type CheckStatus = 'ok' | 'warn' | 'fail';

export interface Check {
  readonly name: string;
  readonly status: CheckStatus;
  readonly found: string;
  /** What to do; empty when ok. */
  readonly fix: string;
}

/** SigV4 refuses requests whose time is 15 minutes off; peers and admin requests get less. Warn long before. */
export const CLOCK_OFFSET_WARN_MS = 2_000;
export const CLOCK_OFFSET_FAIL_MS = 60_000;
const CERTIFICATE_WARN_MS = 14 * 24 * 3600 * 1000;
const PROBE_TIMEOUT_MS = 3_000;

const ok = (name: string, found: string): Check => ({ name, status: 'ok', found, fix: '' });
const warn = (name: string, found: string, fix: string): Check => ({ name, status: 'warn', found, fix });
const fail = (name: string, found: string, fix: string): Check => ({ name, status: 'fail', found, fix });
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const STORAGE_FIX = {
  zfs:
    'run the node as root, or with CAP_SYS_ADMIN and `zfs allow` for create,destroy,mount,mountpoint,readonly,recordsize,' +
    'compression,refquota,refreservation,atime,userprop,snapshot,hold,release,send,receive,rename (delegation alone cannot mount on Linux; see config/zring@.service)',
  dir: 'make the folder writable for the user of the node',
};

/** Goes through every operation that a node needs, on a dataset of its own that is destroyed again. */
export async function checkStorage(driver: DatasetDriver): Promise<Check[]> {
  const checks = [ok('storage capabilities', driver.capabilities.description)];
  // Named as what is being destroyed: if this process dies half-way, the next start of the node clears it.
  const name = `${DELETED_PREFIX}check-${randomBytes(4).toString('hex')}`;
  const step = async (what: string, run: () => Promise<unknown>): Promise<boolean> => {
    try {
      await run();
      checks.push(ok(`storage ${what}`, driver.storage));
      return true;
    } catch (error) {
      checks.push(fail(`storage ${what}`, reason(error), STORAGE_FIX[driver.kind]));
      return false;
    }
  };
  const made = await step('create and mount', () =>
    driver.create(name, { id: randomBytes(16).toString('hex') }, async () => undefined),
  );
  if (made) {
    await step('set properties', () => driver.setProperties(name, { doctor: '1' }));
    const shot = await step('snapshot', () => driver.snapshot(name, 'doctor'));
    if (shot) {
      await step('hold and release', async () => {
        await driver.hold(name, 'doctor', 'doctor');
        await driver.release(name, 'doctor', 'doctor');
      });
      await step('send and receive', async () => {
        const { stream, done } = await driver.send(name, { snapshot: 'doctor', fromGuid: null });
        await Promise.all([driver.receive(`${name}-copy`, stream, { incremental: false }), done]);
        await driver.destroy(`${name}-copy`);
      });
    }
    await step('unmount', () => driver.close(name));
    await step('destroy', () => driver.destroy(name));
  }
  return checks;
}

export async function checkSpace(driver: DatasetDriver, config: Config): Promise<Check[]> {
  try {
    const usage = await driver.usage();
    const needed = Math.max(config.storage.minFreeBytes, (usage.totalBytes * config.storage.minFreePercent) / 100);
    const found = `${formatBytes(usage.freeBytes)} of ${formatBytes(usage.totalBytes)} free, ${usage.health}`;
    if (usage.health !== 'ok')
      return [fail('storage health', found, 'see `zpool status`; writes answer 503 until it is mended')];
    if (usage.freeBytes < needed) {
      return [
        fail(
          'free space',
          found,
          `writes answer 507 below ${formatBytes(needed)}: free space, add disks, or drain the node`,
        ),
      ];
    }
    if (usage.freeBytes < 2 * needed) return [warn('free space', found, `writes stop below ${formatBytes(needed)}`)];
    return [ok('free space', found)];
  } catch (error) {
    return [fail('free space', reason(error), 'see `zpool status`')];
  }
}

/** A port is fine when it is free, or when the node that should have it has it. */
export async function checkPorts(config: Config, node: NodeConfig): Promise<Check[]> {
  const running = await probe(config, node);
  const checks: Check[] = [];
  for (const name of ['s3', 'peer', 'admin'] as const) {
    const address = node.listen[name];
    const text = `${address.host}:${address.port}`;
    const fault = running?.node === node.id ? null : await bindFault(address);
    if (fault === null) checks.push(ok(`port ${name}`, running ? `${text} (the node is running)` : `${text} is free`));
    else
      checks.push(
        fail(`port ${name}`, `${text}: ${fault}`, 'stop what uses it, or change the address in the configuration'),
      );
  }
  return checks;
}

function bindFault(address: Address): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.message));
    const host = address.host.replace(/^\[|\]$/g, '');
    server.listen({ port: address.port, host, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** Offset of every other node's clock against ours, from the Date header of its /health. */
export async function checkPeers(config: Config, self: string): Promise<Check[]> {
  const others = config.nodes.filter(({ id }) => id !== self);
  return Promise.all(
    others.map(async (node): Promise<Check> => {
      const answer = await probe(config, node);
      const address = `${node.admin.host}:${node.admin.port}`;
      if (!answer)
        return warn(`node ${node.id}`, `no answer on ${address}`, 'start it, or open the port between the nodes');
      if (answer.node !== node.id) {
        return fail(
          `node ${node.id}`,
          `${address} is node ${answer.node}`,
          'two entries of the configuration share an address',
        );
      }
      const offset = Math.round(answer.offsetMs);
      const found = `${address}, clock offset about ${offset} ms`;
      if (Math.abs(offset) > CLOCK_OFFSET_FAIL_MS)
        return fail(`node ${node.id}`, found, 'set the clocks (NTP): requests between the nodes are refused');
      if (Math.abs(offset) > CLOCK_OFFSET_WARN_MS) return warn(`node ${node.id}`, found, 'run NTP on every node');
      return ok(`node ${node.id}`, found);
    }),
  );
}

interface Probe {
  readonly node: string;
  readonly offsetMs: number;
}

function probe(config: Config, node: NodeConfig): Promise<Probe | null> {
  const send = config.tls.admin ? httpsRequest : httpRequest;
  const host = node.admin.host.replace(/^\[|\]$/g, '');
  const startedMs = Date.now();
  return new Promise((resolve) => {
    const request = send(
      {
        host,
        port: node.admin.port,
        path: '/health',
        timeout: PROBE_TIMEOUT_MS,
        agent: false,
        rejectUnauthorized: false,
      },
      async (response) => {
        let text = '';
        try {
          for await (const chunk of response) text += chunk;
          // The Date header has whole seconds: its middle is the best guess.
          const theirs = Date.parse(response.headers.date ?? '') + 500;
          const { node: id } = JSON.parse(text) as { node: string };
          const offset = theirs - (startedMs + Date.now()) / 2;
          resolve({ node: id, offsetMs: Math.abs(offset) <= 1_000 ? 0 : offset });
        } catch {
          resolve(null);
        }
      },
    );
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(null));
    request.end();
  });
}

export async function checkTls(config: Config, nowMs: number): Promise<Check[]> {
  const checks: Check[] = [];
  for (const name of ['s3', 'peer', 'admin'] as const) {
    const files = config.tls[name];
    if (files) checks.push(await checkCertificate(`tls ${name}`, files, nowMs));
  }
  const exposed = config.nodes.some(({ peer }) => !/^(127\.|localhost$|\[?::1\]?$)/.test(peer.host));
  if (!config.tls.peer && exposed) {
    checks.push(
      warn(
        'tls peer',
        'peer addresses beyond loopback without TLS: data travels readable',
        'configure tls.peer (mutual)',
      ),
    );
  }
  return checks;
}

async function checkCertificate(name: string, files: TlsFiles, nowMs: number): Promise<Check> {
  try {
    const certificate = new X509Certificate(await readFile(files.certFile));
    await readFile(files.keyFile);
    const untilMs = Date.parse(certificate.validTo);
    const found = `${files.certFile} valid to ${certificate.validTo}`;
    if (untilMs < nowMs) return fail(name, found, 'renew it; the files are read again when they change');
    if (untilMs - nowMs < CERTIFICATE_WARN_MS)
      return warn(name, found, 'renew it; the files are read again when they change');
    return ok(name, found);
  } catch (error) {
    return fail(name, reason(error), 'check path, permissions and format (PEM) of certificate and key');
  }
}

/** The configuration holds secrets unless they are in files or the environment. */
export async function checkConfigMode(config: Config): Promise<Check[]> {
  try {
    const [text, { mode }] = await Promise.all([readFile(config.path, 'utf8'), stat(config.path)]);
    const literal = /(secret|secretKey)\s*:\s*(?!\s*(\$\{|file:|["']?(\$\{|file:)))[^\s#]/.test(text);
    if (literal && (mode & 0o077) !== 0) {
      return [
        warn(
          'secrets',
          `${config.path} holds secrets and others may read it`,
          'chmod 600, or keep them in the environment or in files (file:/path)',
        ),
      ];
    }
    return [ok('secrets', 'not readable by others')];
  } catch (error) {
    return [fail('secrets', isZringError(error) ? error.message : reason(error), 'make the configuration readable')];
  }
}
