// Certificates for tests, made with the openssl command: an authority, and certificates it signed for loopback.
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TlsFiles } from '../../src/config/types.ts';

const run = promisify(execFile);
const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export interface Authority {
  readonly caFile: string;
  /** Files of a new certificate; `names` become its subject alternative names. */
  issue(name: string, names?: string): Promise<Required<TlsFiles>>;
}

export interface CertificateFolder {
  readonly folder: string;
  authority(name: string): Promise<Authority>;
  /** Puts the files of one certificate in the place of another's, as a renewal does. */
  replace(target: TlsFiles, source: TlsFiles): Promise<void>;
  remove(): Promise<void>;
}

export async function certificateFolder(): Promise<CertificateFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'zring-tls-'));
  return {
    folder,
    async authority(name) {
      const caFile = join(folder, `${name}.pem`);
      const caKey = join(folder, `${name}.key`);
      await run('openssl', [
        'req',
        '-x509',
        ...CURVE,
        '-keyout',
        caKey,
        '-out',
        caFile,
        '-days',
        '30',
        '-subj',
        `/CN=${name}`,
      ]);
      return {
        caFile,
        issue: (node, names) => issue(folder, caFile, caKey, node, names ?? 'IP:127.0.0.1,DNS:localhost'),
      };
    },
    async replace(target, source) {
      await copyFile(source.keyFile, target.keyFile);
      await copyFile(source.certFile, target.certFile);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function issue(folder: string, caFile: string, caKey: string, name: string, names: string) {
  const file = (end: string) => join(folder, `${name}${end}`);
  await writeFile(file('.ext'), `subjectAltName=${names}\n`);
  await run('openssl', ['req', ...CURVE, '-keyout', file('.key'), '-out', file('.csr'), '-subj', `/CN=${name}`]);
  const signing = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-days', '30', '-extfile', file('.ext')];
  await run('openssl', ['x509', '-req', '-in', file('.csr'), '-out', file('.pem'), ...signing]);
  return { certFile: file('.pem'), keyFile: file('.key'), caFile };
}
