// Certificates from files, watched: by directory (editors and secret mounts replace files by rename) and by polling
// (network file systems give no events). Owns the material in use. A file set that does not fit together (certificate
// renewed, key not yet) is not taken: the old one stays in use until the new one is whole.
import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { ZringError } from '../common/errors.ts';
import type { TlsFiles } from '../config/types.ts';
import type { Logger } from '../telemetry/log.ts';

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  readonly fingerprint: string;
}

export interface TlsSource {
  readonly current: TlsMaterial;
  /** Called after the material changed. @returns a function that ends it. */
  onChange(listener: (material: TlsMaterial) => void): () => void;
  /** Reads the files now; true when they were new. Never throws. */
  reload(): Promise<boolean>;
  close(): void;
}

const POLL_MS = 30_000;

/** Errors: CONFIG_INVALID when the files cannot be used at start. */
export async function openTlsFiles(files: TlsFiles, log: Logger, pollMs = POLL_MS): Promise<TlsSource> {
  let current = await readMaterial(files).catch((cause) => {
    throw new ZringError('CONFIG_INVALID', `certificates cannot be used: ${(cause as Error).message}`, {
      cause,
      subject: files.certFile,
    });
  });
  const listeners = new Set<(material: TlsMaterial) => void>();
  let lastFault = '';
  let running: Promise<boolean> | null = null;

  async function load(): Promise<boolean> {
    try {
      const next = await readMaterial(files);
      lastFault = '';
      if (next.fingerprint === current.fingerprint) return false;
      current = next;
      log.info({ certFile: files.certFile }, 'certificates reloaded');
      for (const listener of listeners) listener(next);
      return true;
    } catch (error) {
      const fault = (error as Error).message;
      if (fault !== lastFault) log.error({ err: error, certFile: files.certFile }, 'new certificates cannot be used');
      lastFault = fault;
      return false;
    }
  }

  /** One at a time; a change seen meanwhile is read afterwards. */
  function reload(): Promise<boolean> {
    const next = (running ?? Promise.resolve(false)).then(load);
    running = next;
    return next;
  }

  const watchers = watchFolders(files, () => void reload());
  const timer = setInterval(() => void reload(), pollMs);
  timer.unref();
  return {
    get current() {
      return current;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reload,
    close() {
      clearInterval(timer);
      for (const watcher of watchers) watcher.close();
      listeners.clear();
    },
  };
}

async function readMaterial(files: TlsFiles): Promise<TlsMaterial> {
  const cert = await readFile(files.certFile);
  const key = await readFile(files.keyFile);
  const ca = files.caFile === undefined ? undefined : await readFile(files.caFile);
  // Throws when the parts do not fit together.
  createSecureContext({ cert, key, ...(ca && { ca }) });
  const hash = createHash('sha256');
  for (const part of [cert, key, ca ?? Buffer.alloc(0)]) hash.update(`${part.length};`).update(part);
  return { cert, key, ...(ca && { ca }), fingerprint: hash.digest('hex') };
}

function watchFolders(files: TlsFiles, changed: () => void): FSWatcher[] {
  const folders = new Set([files.certFile, files.keyFile, ...(files.caFile ? [files.caFile] : [])].map(dirname));
  const watchers: FSWatcher[] = [];
  for (const folder of folders) {
    try {
      const watcher = watch(folder, { persistent: false }, changed);
      // A watcher may fail later (folder gone): polling goes on.
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    } catch {
      // No watches on this file system: polling finds changes.
    }
  }
  return watchers;
}
