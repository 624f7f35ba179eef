import assert from 'node:assert/strict';
import test from 'node:test';
import type { ClusterStatus } from '../../src/admin/types.ts';
import { describe } from '../../src/cli/status.ts';

const STATUS: ClusterStatus = {
  node: 'a',
  cluster: 'lab',
  epoch: 3,
  revision: 2,
  coordinator: { kind: 'redis', available: true, complete: true, incarnation: 'x' },
  nodes: [],
  ready: { ready: true, reasons: [] },
  configFaults: [],
  credentials: { faults: [] } as unknown as ClusterStatus['credentials'],
};

test('a bucket that cannot be opened is named, with what to do', () => {
  const bucketFaults = [{ bucket: 'photos', fault: 'index is damaged' }];
  assert.match(
    describe({ ...STATUS, bucketFaults }),
    /bucket photos on node a answers 503: index is damaged; see zring snapshot list photos/,
  );
  assert.doesNotMatch(describe(STATUS), /answers 503/, 'nothing of an older release');
});
