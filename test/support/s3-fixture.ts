// One S3 node over a temporary folder for the tests of a file, or several that know each other's buckets. Cleans up
// after the last test, and checks that no request kept a dataset's gate.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { PeerMethods } from '../../src/common/peer.ts';
import { s3PeerMethods } from '../../src/s3/listener.ts';
import { directTransport, MemoryAccess, MemoryCatalog, temporaryFolder } from './memory-access.ts';
import { startTestNode, type TestNode, type TestNodeOptions } from './s3-client.ts';

export interface Fixture extends TestNode {
  readonly access: MemoryAccess;
}

/** Call at the top of a test file: the node lives until its last test. */
export async function s3Fixture(options: Omit<TestNodeOptions, 'access'> = {}): Promise<Fixture> {
  const { a } = await s3Nodes(['a'], options);
  assert(a);
  return a;
}

/** Nodes of one catalog; each owns the buckets that were created through it. */
export async function s3Nodes(
  names: readonly string[],
  options: Omit<TestNodeOptions, 'access' | 'self'> = {},
): Promise<Record<string, Fixture>> {
  const folder = await temporaryFolder();
  const catalog = new MemoryCatalog();
  const methods = new Map<string, PeerMethods>();
  const nodes: Record<string, Fixture> = {};
  for (const self of names) {
    const access = new MemoryAccess(folder.path, { self, catalog });
    methods.set(self, s3PeerMethods({ access }));
    const node = await startTestNode({ transport: directTransport(self, methods), ...options, self, access });
    nodes[self] = Object.assign(node, { access });
  }
  after(async () => {
    for (const node of Object.values(nodes)) {
      await node.close();
      assert.equal(node.access.held, 0, 'a request kept the gate of a dataset');
      await node.access.close();
    }
    await folder.remove();
  });
  return nodes;
}

let buckets = 0;

/** Of no other test of this process. */
export function bucketName(prefix = 'bucket'): string {
  buckets += 1;
  return `${prefix}-${buckets}`;
}
