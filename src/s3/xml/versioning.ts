// The document of PutBucketVersioning. Pure. The answer of GetBucketVersioning is in results.ts.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childText, parseXml, requireRoot } from './reader.ts';

export interface VersioningRequest {
  readonly status: 'Enabled' | 'Suspended';
  readonly mfaDelete: boolean;
}

export function parseVersioningRequest(body: Buffer): VersioningRequest {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'VersioningConfiguration');
  const mfaDelete = childText(root, 'MfaDelete')?.trim() ?? 'Disabled';
  if (mfaDelete !== 'Enabled' && mfaDelete !== 'Disabled') throw new S3Error('MalformedXML');
  const status = childText(root, 'Status')?.trim();
  if (status === undefined) throw new S3Error('IllegalVersioningConfigurationException');
  if (status !== 'Enabled' && status !== 'Suspended') throw new S3Error('MalformedXML');
  return { status, mfaDelete: mfaDelete === 'Enabled' };
}
