// Two nodes and a real hop between them: requests to `port` arrive at an entry that owns nothing and forwards everything
// to the owner's peer listener, behind which the S3 handler runs over real stores. Lives until the file's last test.
import { after } from 'node:test';
import type { Config } from '../../src/config/types.ts';
import { createS3Handler } from '../../src/s3/listener.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { startPair, systemClock } from '../routing/pair.ts';
import { directTransport, MemoryAccess, temporaryFolder } from './memory-access.ts';
import { credential, REGION } from './s3-client.ts';

export interface Hop {
  readonly port: number;
  readonly access: MemoryAccess;
  /** Makes a bucket at the owner that belongs to `admin`; `documents` as the store keeps them. */
  create(bucket: string, documents?: Record<string, unknown>): Promise<void>;
}

export async function s3Hop(): Promise<Hop> {
  const admin = credential('admin');
  const folder = await temporaryFolder();
  const access = new MemoryAccess(folder.path, { self: 'owner' });
  const config = {
    cluster: { region: REGION, domains: [] },
    credentials: [admin],
    defaults: { objectOwnership: 'BucketOwnerEnforced' },
  } as unknown as Config;
  let handle: ReturnType<typeof createS3Handler> | null = null;
  const pair = await startPair({ owner: async (exchange) => handle?.(exchange) });
  handle = createS3Handler({
    config: () => config,
    access,
    self: 'owner',
    forwarder: pair.forwarder,
    transport: directTransport('owner', new Map()),
    mapEpoch: () => 7,
    metrics: pair.metrics,
    log: silentLogger(),
    clock: systemClock,
  });
  after(async () => {
    await pair.close();
    await access.close();
    await folder.remove();
  });
  return {
    port: pair.s3.address.port,
    access,
    async create(bucket, documents) {
      const owner = { id: admin.canonicalId, displayName: admin.displayName };
      await access.create(bucket, { bucket: { owner, region: REGION }, ...documents });
    },
  };
}
