// What counts as "the same map". The golden value stands for maps that running clusters have committed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENV, edit, good, SAMPLE } from './sample.ts';

const hash = (text: string, env: NodeJS.ProcessEnv = ENV) => good(text, { env }).mapContentHash;

test('golden: the hash of the sample never changes with a release', () => {
  assert.equal(hash(SAMPLE), '143411596001d9c0f4495ac2c4a46578fb5f8de8b6971a2ad47a923fcdabc3c4');
});

const REORDERED = `credentials: [{ secretKey: other-secret, accessKey: someone, allow: [{ actions: read, buckets: x }] }]
nodes:
  - admin: 10.0.0.2:9002
    peer: 10.0.0.2:9001
    s3: 10.0.0.2:9000
    storage: dir:/srv/elsewhere
    listen: { s3: 0.0.0.0:80 }
    zone: rack2
    id: b
  - { weight: 1.0, state: up, zone: rack1, id: a, storage: zfs:pool/x, admin: 10.0.0.1:9002, s3: 10.0.0.1:9000, peer: 10.0.0.1:9001 }
cluster: { lease: 10000ms, revision: 7, name: lab, secret: 0123456789abcdef, coordinator: embedded }
log: { level: debug }
`;

test('order, units, defaults, storage, listen, secrets and revision do not count', () => {
  assert.equal(hash(REORDERED), hash(SAMPLE));
});

const CHANGES: readonly (readonly [string, string])[] = [
  ['name: lab', 'name: lab2'],
  ['copies: 2', 'copies: 3'],
  ['lease: 10s', 'lease: 11s'],
  ['zone: rack2', 'zone: rack3'],
  ['id: b', 'id: c'],
  ['zone: rack2, weight: 1', 'zone: rack2, weight: 2'],
  ['zone: rack2,', 'zone: rack2, state: draining,'],
  ['s3: 10.0.0.2:9000', 's3: 10.0.0.2:9009'],
  ['peer: 10.0.0.2:9001', 'peer: 10.0.0.3:9001'],
  ['admin: 10.0.0.2:9002', 'admin: 10.0.0.2:9003'],
];

for (const [from, to] of CHANGES) {
  test(`another map: ${from} → ${to}`, () => assert.notEqual(hash(edit(from, to)), hash(SAMPLE)));
}

test('taking out or adding a node counts', () => {
  const lines = SAMPLE.split('\n').filter((line) => !line.includes('id: b'));
  assert.notEqual(hash(lines.join('\n')), hash(SAMPLE));
});

test('variables count by name, not by value', () => {
  const one = edit('s3: 10.0.0.2:9000', 's3: ${HOST}:9000');
  assert.equal(hash(one, { ...ENV, HOST: 'x' }), hash(one, { ...ENV, HOST: 'y' }));
  const other = edit('s3: 10.0.0.2:9000', 's3: ${TSOH}:9000');
  assert.notEqual(hash(one, { ...ENV, HOST: 'x' }), hash(other, { ...ENV, TSOH: 'x' }));
});
