// The file as a whole: what a good one means, and every kind of fault with its path and line.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatFault, requireNode } from '../../src/config/parse.ts';
import { CONFIG_CHARACTERS_MAX, CONFIG_VALUES_MAX } from '../../src/config/tree.ts';
import { ENV, edit, faultsOf, good, parse, SAMPLE } from './sample.ts';

describe('a good file', () => {
  test("the design's example, with defaults filled in", () => {
    const config = good(SAMPLE);
    assert.equal(config.path, '/etc/zring/zring.yaml');
    assert.deepEqual(config.cluster, {
      name: 'lab',
      revision: 1,
      secrets: [ENV.ZRING_SECRET],
      credentialKeys: [],
      coordinator: { kind: 'redis', url: 'redis://10.0.0.5:6379/0' },
      copies: 2,
      leaseMs: 10_000,
      region: 'us-east-1',
      domains: [],
    });
    const at = (port: number) => ({ host: '10.0.0.2', port });
    assert.deepEqual(config.nodes[1], {
      id: 'b',
      zone: 'rack2',
      weight: 1,
      state: 'up',
      storage: { kind: 'zfs', location: 'tank/zring' },
      s3: at(9000),
      peer: at(9001),
      admin: at(9002),
      listen: { s3: at(9000), peer: at(9001), admin: at(9002) },
    });
    const [credential] = config.credentials;
    assert.deepEqual(credential?.secretKeys, [ENV.ZRING_ADMIN_KEY]);
    assert.equal(credential?.displayName, 'admin');
    assert.match(credential?.canonicalId ?? '', /^[0-9a-f]{64}$/);
    assert.deepEqual(credential?.allow, [{ buckets: '*', actions: '*' }]);
    assert.deepEqual(config.tls, { s3: null, peer: null, admin: null });
    assert.deepEqual(config.storage, { minFreePercent: 2, minFreeBytes: 64 * 2 ** 20 });
    assert.deepEqual(config.rebalance, { mode: 'background', concurrency: 2, bandwidthBytesPerSecond: null });
    assert.deepEqual(config.retention, { priorCopyMs: 86_400_000 });
    assert.deepEqual(config.snapshots, { everyMs: null, keep: { last: 8, daily: 14, monthly: 12 } });
    assert.deepEqual(config.defaults, { objectOwnership: 'BucketOwnerEnforced', lifecycleDayMs: 86_400_000 });
    assert.equal(credential?.email, null);
    assert.equal(credential?.account, credential?.canonicalId);
    assert.deepEqual(config.log, { level: 'info' });
  });

  test('every optional section', () => {
    const config = good(`${SAMPLE}
tls:
  s3: { certFile: s3.pem, keyFile: /keys/s3.key }
  peer: { certFile: p.pem, keyFile: p.key, caFile: ca.pem }
storage: { minFree: 5% 1GB }
rebalance: { mode: lazy, concurrency: 8, bandwidth: 100MB/s }
retention: { priorCopy: 15m }
snapshots: { every: 90m, keep: { last: 3, daily: 0 } }
log: { level: debug }
`);
    assert.deepEqual(config.tls, {
      s3: { certFile: '/etc/zring/s3.pem', keyFile: '/keys/s3.key' },
      peer: { certFile: '/etc/zring/p.pem', keyFile: '/etc/zring/p.key', caFile: '/etc/zring/ca.pem' },
      admin: null,
    });
    assert.deepEqual(config.storage, { minFreePercent: 5, minFreeBytes: 1e9 });
    assert.deepEqual(config.rebalance, { mode: 'lazy', concurrency: 8, bandwidthBytesPerSecond: 1e8 });
    assert.deepEqual(config.retention, { priorCopyMs: 900_000 });
    assert.deepEqual(config.snapshots, { everyMs: 5_400_000, keep: { last: 3, daily: 0, monthly: 12 } });
    assert.deepEqual(config.log, { level: 'debug' });
  });

  test('a user as other systems have it: ids of any shape, an account, an e-mail, and buckets of its own alone', () => {
    const text = edit(
      'accessKey: admin,',
      "accessKey: admin, canonicalId: 'testx$9876', account: testx, email: t@x.org, displayName: tenanted user,",
      edit('actions: "*" }', 'actions: create }'),
    );
    const [credential] = good(text).credentials;
    assert.equal(credential?.canonicalId, 'testx$9876');
    assert.equal(credential?.account, 'testx');
    assert.equal(credential?.email, 't@x.org');
    assert.equal(credential?.displayName, 'tenanted user');
    assert.deepEqual(credential?.allow, [{ buckets: '*', actions: 'create' }]);
    // Nothing by itself: bucket policies may let it in.
    assert.deepEqual(good(edit('allow: [{ buckets: "*", actions: "*" }]', 'allow: []')).credentials[0]?.allow, []);
    // Two credentials of one owner share what is the owner's.
    const pair = `${edit('accessKey: admin,', 'accessKey: admin, canonicalId: me, email: t@x.org,')}  - { accessKey: second, canonicalId: me, email: t@x.org, secretKey: "0123456789", allow: [] }\n`;
    assert.equal(good(pair).credentials[1]?.canonicalId, 'me');
  });

  test('defaults for buckets, and keys that seal kept credentials', () => {
    const config = good(
      `${edit('  copies', '  credentialKey: ["0123456789abcdef0123456789abcdef", file:old]\n  copies')}defaults: { objectOwnership: ObjectWriter, lifecycleDay: 10s }\n`,
      { files: { old: 'an-older-key-of-forty-or-so-characters\n' } },
    );
    assert.deepEqual(config.defaults, { objectOwnership: 'ObjectWriter', lifecycleDayMs: 10_000 });
    assert.deepEqual(config.cluster.credentialKeys, [
      '0123456789abcdef0123456789abcdef',
      'an-older-key-of-forty-or-so-characters',
    ]);
  });

  test('listen overrides what is bound, not what is advertised', () => {
    const text = edit('admin: 10.0.0.1:9002 }', 'admin: 10.0.0.1:9002, listen: { s3: "[::]:80", peer: 0.0.0.0:81 } }');
    const node = good(text).nodes[0];
    assert.deepEqual(node?.listen, {
      s3: { host: '::', port: 80 },
      peer: { host: '0.0.0.0', port: 81 },
      admin: { host: '10.0.0.1', port: 9002 },
    });
    assert.deepEqual(node?.s3, { host: '10.0.0.1', port: 9000 });
  });

  test('a section whose lines are all comments counts as absent', () => {
    assert.equal(good(`${SAMPLE}log:\n  # level: debug\nrebalance:\n`).log.level, 'info');
  });

  test('scalars mean what is written, quoted or not', () => {
    const text = edit('accessKey: admin', 'accessKey: 0123', edit('weight: 1,', 'weight: "2.5",'));
    const config = good(text);
    assert.equal(config.credentials[0]?.accessKey, '0123');
    assert.equal(config.nodes[0]?.weight, 2.5);
  });

  test('anchors and aliases are followed', () => {
    const text = `${edit('actions: "*" }]', 'actions: "*" }]').replace('allow: [', 'allow: &all [')}  - { accessKey: second, secretKey: "0123456789", allow: *all }\n`;
    assert.deepEqual(good(text).credentials[1]?.allow, [{ buckets: '*', actions: '*' }]);
  });

  test('requireNode finds the entry, and names what is near', () => {
    const config = good(SAMPLE);
    assert.equal(requireNode(config, 'b').zone, 'rack2');
    assert.throws(() => requireNode(config, 'c'), /no node "c" in .*known: a, b/);
    assert.throws(() => requireNode(config, undefined), /--node ID or ZRING_NODE/);
  });
});

/** name, file, path of the fault, its message, its line */
type FaultCase = readonly [string, string, string, RegExp, number?];
const NODE_B = 'id: b, zone: rack2, weight: 1,';
const withNodeB = (text: string) => edit(NODE_B, text);

const FAULTS: readonly FaultCase[] = [
  [
    'unknown key, near',
    edit('copies: 2', 'copys: 2'),
    'cluster.copys',
    /unknown key "copys"; did you mean "copies"\?/,
    6,
  ],
  ['unknown key, far', `${SAMPLE}shards: 4\n`, 'shards', /^unknown key "shards"$/, 13],
  ['unknown key in a list', withNodeB(`${NODE_B} rack: 4,`), 'nodes[1].rack', /unknown key/, 10],
  ['case of a key', edit('accessKey', 'access_key'), 'credentials[0].access_key', /did you mean "accessKey"/, 12],
  ['missing key', edit('  name: lab\n', ''), 'cluster.name', /is missing/, 1],
  ['missing section', SAMPLE.slice(0, SAMPLE.indexOf('credentials')), 'credentials', /is missing/, 1],
  [
    'empty list',
    edit('- { accessKey: admin', '[] # - { accessKey: admin').replace('credentials:\n  []', 'credentials: []'),
    'credentials',
    /is an empty list/,
    11,
  ],
  ['list for a text', edit('name: lab', 'name: [lab]'), 'cluster.name', /is a list/, 2],
  ['text for a section', edit('  - { accessKey', '  - x\n  - { accessKey'), 'credentials[0]', /is a text/, 12],
  ['cluster name', edit('name: lab', 'name: My Lab'), 'cluster.name', /"My Lab" is not a cluster name/, 2],
  ['revision 0', edit('revision: 1', 'revision: 0'), 'cluster.revision', /"0" is too small/, 3],
  ['revision text', edit('revision: 1 ', 'revision: one '), 'cluster.revision', /"one" is not a whole number/, 3],
  ['short secret', edit('${ZRING_SECRET}', 'short'), 'cluster.secret', /too short \(5 characters\)/, 4],
  ['copies', edit('copies: 2', 'copies: 9'), 'cluster.copies', /"9" is too large/, 6],
  ['lease without unit', edit('lease: 10s', 'lease: 10'), 'cluster.lease', /"10" has no unit/, 7],
  ['lease too short', edit('lease: 10s', 'lease: 100ms'), 'cluster.lease', /too small/, 7],
  ['node id', withNodeB('id: -b, zone: rack2, weight: 1,'), 'nodes[1].id', /"-b" is not a node id/, 10],
  ['long node id', withNodeB(`id: ${'b'.repeat(64)}, zone: r,`), 'nodes[1].id', /is not a node id/, 10],
  ['duplicate id', withNodeB('id: a, zone: rack2,'), 'nodes[1].id', /"a" is the same as nodes\[0\]\.id/, 10],
  [
    'variable in an id',
    withNodeB('id: "b${ZRING_SECRET}", zone: r,'),
    'nodes[1].id',
    /contains a variable|not a node id/,
    10,
  ],
  ['weight', withNodeB('id: b, zone: r, weight: 0,'), 'nodes[1].weight', /"0" is too small/, 10],
  ['state', withNodeB(`${NODE_B} state: drain,`), 'nodes[1].state', /"drain" is unknown; did you mean "draining"/, 10],
  ['address without port', edit('peer: 10.0.0.2:9001', 'peer: 10.0.0.2'), 'nodes[1].peer', /not host:port/, 10],
  ['unspecified address', edit('s3: 10.0.0.2', 's3: 0.0.0.0'), 'nodes[1].s3', /cannot be connected to/, 10],
  ['duplicate address', edit('s3: 10.0.0.2:9000', 's3: 10.0.0.1:9001'), 'nodes[1].s3', /same as nodes\[0\]\.peer/, 10],
  [
    'duplicate address within a node',
    edit('peer: 10.0.0.2:9001', 'peer: 10.0.0.2:9000'),
    'nodes[1].peer',
    /same as nodes\[1\]\.s3/,
    10,
  ],
  [
    'same IPv6 address in another form',
    edit('s3: 10.0.0.2:9000', 's3: "[::1]:9000"', edit('s3: 10.0.0.1:9000', 's3: "[0:0::1]:9000"')),
    'nodes[1].s3',
    /same as nodes\[0\]\.s3/,
    10,
  ],
  [
    'one node binds a port twice',
    edit('admin: 10.0.0.2:9002', 'admin: 10.0.0.2:9002, listen: { admin: 0.0.0.0:9001 }'),
    'nodes[1].listen.admin',
    /binds the same port as nodes\[1\]\.peer/,
    10,
  ],
  [
    'nested folders on one host',
    edit(
      'storage: zfs:tank/zring, s3: 10.0.0.2:9000, peer: 10.0.0.2',
      'storage: dir:/srv/z/b, s3: 10.0.0.2:9000, peer: 10.0.0.1',
      edit('storage: zfs:tank/zring, s3: 10.0.0.1', 'storage: dir:/srv/z, s3: 10.0.0.1'),
    ).replace('peer: 10.0.0.1:9001, admin: 10.0.0.2', 'peer: 10.0.0.1:9011, admin: 10.0.0.2'),
    'nodes[1].storage',
    /overlaps nodes\[0\]\.storage on the same host 10\.0\.0\.1/,
    10,
  ],
  [
    'storage',
    edit('storage: zfs:tank/zring, s3: 10.0.0.2', 'storage: /srv, s3: 10.0.0.2'),
    'nodes[1].storage',
    /"\/srv" begins with neither/,
    10,
  ],
  [
    'access key',
    edit('accessKey: admin', 'accessKey: a/b'),
    'credentials[0].accessKey',
    /"a\/b" is not an access key/,
    12,
  ],
  [
    'duplicate access key',
    `${SAMPLE}  - { accessKey: admin, secretKey: "0123456789", allow: [{ buckets: x, actions: read }] }\n`,
    'credentials[1].accessKey',
    /same as credentials\[0\]\.accessKey/,
    13,
  ],
  [
    'owner id',
    edit('accessKey: admin', 'accessKey: admin, canonicalId: "a<b"'),
    'credentials[0].canonicalId',
    /"a<b" is not an owner id/,
    12,
  ],
  [
    'account',
    edit('accessKey: admin', 'accessKey: admin, account: "a:b"'),
    'credentials[0].account',
    /not an account/,
    12,
  ],
  ['e-mail', edit('accessKey: admin', 'accessKey: admin, email: nobody'), 'credentials[0].email', /not an e-mail/, 12],
  [
    'e-mail of two owners',
    `${edit('accessKey: admin', 'accessKey: admin, email: a@b.c')}  - { accessKey: other, email: A@B.C, secretKey: "0123456789", allow: [] }\n`,
    'credentials[1].email',
    /same as credentials\[0\]\.email/,
    13,
  ],
  [
    'short credential key',
    edit('  copies', '  credentialKey: short\n  copies'),
    'cluster.credentialKey',
    /too short/,
    6,
  ],
  [
    'ownership',
    `${SAMPLE}defaults: { objectOwnership: BucketOwner }\n`,
    'defaults.objectOwnership',
    /none of|unknown/,
    13,
  ],
  ['day', `${SAMPLE}defaults: { lifecycleDay: 25h }\n`, 'defaults.lifecycleDay', /too large/, 13],
  ['actions', edit('actions: "*"', 'actions: reed'), 'credentials[0].allow[0].actions', /did you mean "read"/, 12],
  [
    'bucket pattern',
    edit('buckets: "*"', 'buckets: Photos'),
    'credentials[0].allow[0].buckets',
    /not a bucket name pattern/,
    12,
  ],
  [
    'domain',
    edit('  copies', '  domains: [s3.example.org, "*.x"]\n  copies'),
    'cluster.domains[1]',
    /"\*\.x" is not a DNS name/,
    6,
  ],
  [
    'peer TLS without authority',
    `${SAMPLE}tls: { peer: { certFile: a, keyFile: b } }\n`,
    'tls.peer.caFile',
    /is missing/,
    13,
  ],
  ['minFree', `${SAMPLE}storage: { minFree: 2 }\n`, 'storage.minFree', /"2" has no unit/, 13],
  ['bandwidth', `${SAMPLE}rebalance: { bandwidth: 10B/s }\n`, 'rebalance.bandwidth', /too small/, 13],
  ['log level', `${SAMPLE}log: { level: inof }\n`, 'log.level', /did you mean "info"/, 13],
  ['repeated key', edit('  copies: 2', '  copies: 2\n  copies: 3'), '', /unique/, 7],
  ['broken YAML', edit('cluster:', 'cluster: {'), '', /./],
  ['two documents', `${SAMPLE}---\nx: 1\n`, '', /documents/i],
  ['unknown tag', edit('name: lab', 'name: !!js/function lab'), '', /tag/i, 2],
  ['merge key', edit('  name: lab', '  <<: { name: lab }'), 'cluster.<<', /unknown key/, 2],
  [
    'prototype key',
    edit('  name: lab', '  name: lab\n  __proto__: { x: 1 }'),
    'cluster',
    /key that cannot be used: "__proto__"/,
    3,
  ],
  ['key of braces', edit('  name: lab', '  { a: b }: lab'), 'cluster', /key that cannot be used/],
  ['not a map', 'just a text\n', '', /is a text/, 1],
  ['nothing', '# empty\n', '', /is empty/],
];

describe('faults', () => {
  for (const [name, text, path, message, line] of FAULTS) {
    test(name, () => {
      const faults = faultsOf(text);
      const found = faults.find((fault) => fault.path === path && message.test(fault.message));
      assert.ok(found, `not among ${faults.map(formatFault).join('\n')}`);
      assert.notEqual(found.expected, '', 'says what was expected');
      if (line !== undefined) assert.equal(found.line, line);
    });
  }

  test('all of a file are reported at once, in the order of the file, each path once', () => {
    const text = edit(
      'name: lab',
      'name: LAB',
      edit('lease: 10s', 'lease: x', withNodeB('id: a, zone: "r r", wieght: 1,')),
    );
    const faults = faultsOf(`${text}log: { level: loud }\n`, { env: {} });
    assert.deepEqual(
      faults.map(({ line, path }) => `${line} ${path}`),
      [
        '2 cluster.name',
        '4 cluster.secret',
        '7 cluster.lease',
        '10 nodes[1].zone',
        '10 nodes[1].wieght',
        '10 nodes[1].id',
        '12 credentials[0].secretKey',
        '13 log.level',
      ],
    );
  });

  test('a repeated key does not hide the other faults', () => {
    const faults = faultsOf(edit('  copies: 2', '  copies: 99\n  copies: 99', edit('name: lab', 'name: LAB')));
    assert.deepEqual(
      faults.map(({ path }) => path),
      ['cluster.name', '', 'cluster.copies'],
    );
  });

  test('the number of faults shown is limited', () => {
    const nodes = Array.from({ length: 300 }, (_, i) => `  - { id: N${i}, wrong: 1 }`).join('\n');
    const faults = faultsOf(edit('nodes:', `nodes:\n${nodes}`));
    assert.ok(faults.length <= 201);
    assert.match(faults.at(-1)?.message ?? '', /^and \d+ more faults$/);
  });

  test('a file that is too long, and one that grows by aliases, is refused', () => {
    assert.match(faultsOf(`#${'x'.repeat(CONFIG_CHARACTERS_MAX)}`)[0]?.message ?? '', /longer than/);
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe'].map((pair) => [...pair])) {
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${of}`).join(',')}]`);
    }
    const faults = faultsOf(bomb.join('\n'));
    assert.ok(faults.some(({ expected }) => expected === `at most ${CONFIG_VALUES_MAX}`));
  });

  test('an alias inside its own anchor is a fault, not a loop', () => {
    assert.ok(faultsOf('cluster: &c { name: *c }\n').some(({ message }) => /nested too deeply|alias/i.test(message)));
  });

  test('no secret is ever quoted', () => {
    const secret = 'S3CR3T';
    const text = [
      edit('${ZRING_SECRET}', secret),
      edit('redis://10.0.0.5:6379/0', `redis://user:${secret}@h1,h2`),
      edit('${ZRING_ADMIN_KEY}', `["${secret}", "${secret} x"]`),
      edit('name: lab', 'name: "lab${LEAK}"'),
      edit('${ZRING_SECRET}', `{ ${secret}x: y }`),
    ];
    for (const file of text) {
      const faults = faultsOf(file, { env: { ...ENV, LEAK: ` ${secret}` } });
      const words = faults.map(formatFault).join('\n');
      assert.ok(!words.includes(secret), words);
    }
  });
});

describe('variables', () => {
  test('whole, in part, several, and for numbers', () => {
    const text = edit('weight: 1,', 'weight: ${W},', edit('s3: 10.0.0.1:9000', 's3: ${HOST}:${PORT}'));
    const node = good(text, { env: { ...ENV, W: '3', HOST: 'a.example.org', PORT: '80' } }).nodes[0];
    assert.equal(node?.weight, 3);
    assert.deepEqual(node?.s3, { host: 'a.example.org', port: 80 });
  });

  test('an unset and an empty one are faults, one for each place', () => {
    const faults = faultsOf(SAMPLE, { env: { ZRING_SECRET: '' } });
    assert.deepEqual(
      faults.map(({ path, message, line }) => [path, message, line]),
      [
        ['cluster.secret', 'environment variable ZRING_SECRET is empty', 4],
        ['credentials[0].secretKey', 'environment variable ZRING_ADMIN_KEY is not set', 12],
      ],
    );
  });

  test('what a variable holds is text: no YAML, no further variables', () => {
    const env = { ...ENV, ZRING_SECRET: '${ZRING_ADMIN_KEY}-{a: [b]}' };
    assert.deepEqual(
      good(edit('${ZRING_SECRET}', '"${ZRING_SECRET}"'), { env: { ...env, ZRING_SECRET: '${X}{a:[b]}#padding' } })
        .cluster.secrets,
      ['${X}{a:[b]}#padding'],
    );
  });

  test('a fault quotes the file, not the environment', () => {
    const [fault] = faultsOf(edit('name: lab', 'name: ${LAB}'), { env: { ...ENV, LAB: 'Not A Name' } });
    assert.match(fault?.message ?? '', /^"\$\{LAB\}" is not a cluster name$/);
  });

  test('malformed ones are faults', () => {
    for (const bad of ['"${A-B}x${ZRING_SECRET}"', '"${}padding-padding-padding"', '"${1A}padding-padding-padding"']) {
      assert.match(faultsOf(edit('${ZRING_SECRET}', bad))[0]?.message ?? '', /"\$\{" without a variable name/);
    }
  });

  test('not in keys, not in comments', () => {
    assert.ok(
      faultsOf(edit('  name: lab', '  name: lab\n  "${ZRING_SECRET}": x')).some(({ message }) =>
        /key that cannot be used/.test(message),
      ),
    );
    assert.ok(good(`${SAMPLE}# \${UNSET}\n`));
  });
});

describe('secrets', () => {
  test('lists, files and variables, without the last newline of a file', () => {
    const files = { '/run/new': 'from-a-file-of-16-characters\n', 'rel/old': 'the-old-secret-of-the-cluster' };
    const text = edit('secret: ${ZRING_SECRET}', 'secret: [file:/run/new, ${ZRING_SECRET}, file:rel/old]');
    assert.deepEqual(good(text, { files }).cluster.secrets, [
      'from-a-file-of-16-characters',
      ENV.ZRING_SECRET,
      'the-old-secret-of-the-cluster',
    ]);
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ['file:/missing', 'cluster.secret', /cannot be read: no such file/],
    ['[file:/missing]', 'cluster.secret[0]', /cannot be read: no such file/],
    ['file:/two-lines', 'cluster.secret', /blanks or control characters/],
    ['[]', 'cluster.secret', /empty list/],
    ['[[x]]', 'cluster.secret[0]', /neither a text nor a list/],
    ['{ a: b }', 'cluster.secret', /neither a text nor a list/],
    [`[${Array(5).fill('0123456789abcdef').join(', ')}]`, 'cluster.secret', /too long/],
  ];
  for (const [value, path, message] of bad) {
    test(`secret: ${value.slice(0, 30)}`, () => {
      const files = { '/two-lines': 'first-line-of-secret\nsecond-line\n' };
      const faults = faultsOf(edit('secret: ${ZRING_SECRET}', `secret: ${value}`), { files });
      assert.ok(
        faults.some((fault) => fault.path === path && message.test(fault.message)),
        JSON.stringify(faults),
      );
    });
  }

  test('a missing secret is called missing', () => {
    const faults = faultsOf(edit('  secret: ${ZRING_SECRET}\n', ''));
    assert.deepEqual(
      faults.map(({ path, message }) => `${path} ${message}`),
      ['cluster.secret is missing'],
    );
  });
});

test('random damage never throws and never passes silently as something else', () => {
  const seed = Number(process.env.ZRING_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed || 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % below;
  };
  for (let round = 0; round < 300; round++) {
    const at = random(SAMPLE.length);
    const insert =
      ['', '{', '}', '[', ']', ':', '"', '\n', '  ', '- ', '&x ', '*x', '!', '\0', '${', 'é'][random(16)] ?? '';
    const text = SAMPLE.slice(0, at) + insert + SAMPLE.slice(at + random(4));
    const result = parse(text);
    const sane = 'config' in result ? result.config.nodes.length > 0 : result.faults.length > 0;
    assert.ok(sane, `seed ${seed}, round ${round}: ${text}`);
  }
});
