// What an operator may do with kept credentials, and what he is told: over a keeper with a coordinator in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type CredentialDesk, createCredentialDesk, type ResealAnswer } from '../../src/admin/credentials.ts';
import { OFFER_MAX } from '../../src/cluster/coordinator-call.ts';
import { type CredentialView, KEPT_MAX } from '../../src/cluster/credential-book.ts';
import { defaultCanonicalId } from '../../src/config/schema-credentials.ts';
import type { Credential } from '../../src/config/types.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import {
  type CredentialNode,
  CredentialNodes,
  KEY,
  OTHER_KEY,
  onItsWay,
  PROFILE,
  working,
} from '../support/credential-nodes.ts';

const FILE: Credential = { accessKey: 'filed', secretKeys: ['filed-secret'], ...PROFILE, email: 'file@example.org' };
const SECRET = 'a-secret-of-the-test';

let nodes: CredentialNodes;
let node: CredentialNode;
let desk: CredentialDesk;
let lines: string[];
beforeEach(async () => {
  nodes = new CredentialNodes();
  node = await nodes.node({ configured: [FILE] });
  lines = [];
  desk = createCredentialDesk(node.keeper, createLogger({ destination: { write: (line) => void lines.push(line) } }));
});
afterEach(() => nodes.close());

const run = async (verb: string, request: unknown) => (await desk.run(verb, request)) as CredentialView;
const request = (accessKey: string, more: Record<string, unknown> = {}) => ({
  accessKey,
  displayName: `name of ${accessKey}`,
  allow: [{ buckets: 'photos-*', actions: 'read' }],
  secret: onItsWay(accessKey, SECRET),
  ...more,
});

describe('add', () => {
  test('with everything left out that can be: the defaults of the file', async () => {
    const view = await run('add', { accessKey: 'AK1', allow: [], secret: onItsWay('AK1', SECRET) });
    const id = defaultCanonicalId('AK1');
    assert.deepEqual(view.profile, { displayName: 'AK1', canonicalId: id, email: null, account: id, allow: [] });
    assert.deepEqual(node.keeper.list()[1], { accessKey: 'AK1', secretKeys: [SECRET], ...view.profile });
  });

  test('with everything', async () => {
    const more = { canonicalId: 'testx$9876', email: 'Me@example.org', account: 'testx', displayName: 'Zoë' };
    const view = await run('add', request('AK1', more));
    assert.deepEqual(view.profile, { ...more, allow: [{ buckets: 'photos-*', actions: 'read' }] });
    assert.deepEqual(desk.show('AK1'), view);
    assert.deepEqual(desk.show('Zoë'), view);
  });

  const FAULTS: [string, Record<string, unknown>, string, RegExp][] = [
    ['no access key', { accessKey: undefined }, 'CONFIG_INVALID', /accessKey/],
    ['a bad access key', { accessKey: 'a/b' }, 'CONFIG_INVALID', /is not an access key/],
    ['a bad pattern', { allow: [{ buckets: 'A B', actions: 'read' }] }, 'CONFIG_INVALID', /bucket name pattern/],
    ['a bad action', { allow: [{ buckets: '*', actions: 'reed' }] }, 'CONFIG_INVALID', /did you mean \\"read\\"/],
    ['too many rules', { allow: Array(101).fill({ buckets: '*', actions: '*' }) }, 'CONFIG_INVALID', /too long/],
    ['no rules at all', { allow: undefined }, 'CONFIG_INVALID', /allow/],
    ['another key', { admin: 'yes' }, 'CONFIG_INVALID', /unknown keys: admin/],
    ['a bad e-mail', { email: 'nobody' }, 'CONFIG_INVALID', /not an e-mail/],
    ['a canonical id for XML', { canonicalId: '<a>' }, 'CONFIG_INVALID', /not an owner id/],
    ['no secret', { secret: undefined }, 'CONFIG_INVALID', /no sealed secret/],
    ['a secret in the clear', { secret: SECRET }, 'CREDENTIAL_KEY_MISSING', /sealed under a key/],
    ['a secret for another access key', { secret: onItsWay('AK2', SECRET) }, 'CREDENTIAL_KEY_MISSING', /sealed under/],
    [
      'a secret under another key',
      { secret: onItsWay('AK1', SECRET, OTHER_KEY) },
      'CREDENTIAL_KEY_MISSING',
      /sealed under/,
    ],
    ['a short secret', { secret: onItsWay('AK1', 'short') }, 'CONFIG_INVALID', /too short/],
    ['a secret with blanks', { secret: onItsWay('AK1', 'with blanks in it') }, 'CONFIG_INVALID', /blanks/],
    ["the file's access key", { accessKey: 'filed', secret: onItsWay('filed', SECRET) }, 'CREDENTIAL_EXISTS', /file/],
    ["another owner's e-mail", { email: 'FILE@example.org' }, 'CREDENTIAL_EXISTS', /filed/],
  ];
  for (const [title, change, code, text] of FAULTS) {
    test(`refused: ${title}`, async () => {
      await assert.rejects(
        desk.run('add', request('AK1', change)),
        (error: Error & { code: string; details: unknown }) => {
          assert.equal(error.code, code);
          const whole = `${error.message} ${JSON.stringify(error.details)}`;
          assert.match(whole, text);
          assert.ok(!whole.includes(SECRET));
          return true;
        },
      );
      assert.deepEqual(Object.keys(working(node)), ['filed']);
    });
  }

  test('twice: the first stays; again after removal', async () => {
    await run('add', request('AK1'));
    await assert.rejects(desk.run('add', request('AK1', { allow: [] })), { code: 'CREDENTIAL_EXISTS' });
    assert.equal(node.keeper.list()[1]?.allow.length, 1);
    await run('remove', { name: 'AK1' });
    assert.equal((await run('add', request('AK1'))).revision, 3);
  });

  test('one more than the cluster keeps is refused; a removed one makes room', async () => {
    for (let i = 0; i < KEPT_MAX; i += OFFER_MAX) {
      const batch = Array.from({ length: OFFER_MAX }, (_, k) => ({
        accessKey: `KEPT-${i + k}`,
        revision: 1,
        text: 'x',
      }));
      await node.coordinator.offerCredentials(batch);
    }
    await assert.rejects(desk.run('add', request('AK1')), { code: 'LIMIT_EXCEEDED', message: /1000/ });
    await run('remove', { name: 'KEPT-7' });
    await run('add', request('AK1'));
  });

  test('the e-mail address of the same owner is no conflict', async () => {
    await run('add', request('AK1', { email: 'me@example.org', canonicalId: 'me' }));
    await run('add', request('AK2', { email: 'me@example.org', canonicalId: 'me' }));
    assert.deepEqual(Object.keys(working(node)), ['filed', 'AK1', 'AK2']);
  });
});

describe('changes', () => {
  test('disable, enable, remove: by access key or by a name that one alone has', async () => {
    await run('add', request('AK1'));
    assert.equal((await run('disable', { name: 'AK1' })).state, 'disabled');
    assert.deepEqual(Object.keys(working(node)), ['filed']);
    assert.equal((await run('enable', { name: 'name of AK1' })).state, 'active');
    assert.deepEqual(working(node).AK1, [SECRET]);
    await run('add', request('AK2', { displayName: 'name of AK1' }));
    await assert.rejects(desk.run('remove', { name: 'name of AK1' }), { message: /AK1, AK2/ });
    assert.equal((await run('remove', { name: 'AK1' })).state, 'removed');
    await assert.rejects(desk.run('remove', { name: 'AK1' }), { code: 'CREDENTIAL_MISSING' });
    assert.throws(() => desk.show('AK1'), { code: 'CREDENTIAL_MISSING' });
    await assert.rejects(desk.run('disable', { name: 'filed' }), { message: /change it there/ });
    for (const name of [undefined, null, 5, {}, '']) {
      await assert.rejects(desk.run('remove', { name }), { code: 'CREDENTIAL_MISSING' });
    }
  });

  test('rotate: the old secret works beside the new one until it is finished, or not at all', async () => {
    await run('add', request('AK1'));
    const secret = (text: string) => onItsWay('AK1', text);
    assert.equal((await run('rotate', { name: 'AK1', secret: secret('second-one') })).secrets, 2);
    assert.deepEqual(working(node).AK1, ['second-one', SECRET]);
    await run('rotate', { name: 'AK1', secret: secret('third-one') });
    assert.deepEqual(working(node).AK1, ['third-one', 'second-one'], 'two at most');
    await run('rotate', { name: 'AK1', secret: secret('third-one') });
    assert.deepEqual(working(node).AK1, ['third-one', 'second-one'], 'the same again changes nothing');
    await run('rotate', { name: 'AK1' });
    assert.deepEqual(working(node).AK1, ['third-one']);
    await run('rotate', { name: 'AK1', secret: secret('fourth-one'), now: true });
    assert.deepEqual(working(node).AK1, ['fourth-one']);
    await run('disable', { name: 'AK1' });
    assert.equal((await run('rotate', { name: 'AK1', secret: secret('fifth-one') })).state, 'disabled');
  });

  test('reseal: everything goes under the first key, once', async () => {
    await run('add', request('AK1'));
    await run('add', request('AK2'));
    await run('disable', { name: 'AK2' });
    const other = await nodes.node({ keys: [OTHER_KEY] });
    await createCredentialDesk(other.keeper, createLogger({ level: 'silent' })).run('add', {
      ...request('AK3'),
      secret: onItsWay('AK3', SECRET, OTHER_KEY),
    });
    const third = 'a-third-key-of-the-tests-0123456789abcdef';
    node.keeper.configure([FILE], [third, KEY]);
    const answer = (await desk.run('reseal', {})) as ResealAnswer;
    assert.deepEqual(answer.resealed, ['AK1', 'AK2']);
    assert.deepEqual(
      answer.failed.map(({ accessKey }) => accessKey),
      ['AK3'],
    );
    node.keeper.configure([FILE], [third]);
    assert.deepEqual(working(node).AK1, [SECRET]);
    assert.equal(desk.show('AK2').state, 'disabled');
    assert.equal(desk.show('AK1').keyId, desk.list().keyId);
    assert.deepEqual(((await desk.run('reseal', {})) as ResealAnswer).resealed, []);
    // What does not open here can be removed, and nothing else.
    for (const verb of ['disable', 'rotate']) {
      await assert.rejects(desk.run(verb, { name: 'AK3' }), { code: 'CREDENTIAL_KEY_MISSING' });
    }
    await run('remove', { name: 'AK3' });
  });

  test('without a key', async () => {
    await run('add', request('AK1'));
    node.keeper.configure([FILE], []);
    for (const verb of ['reseal', 'add', 'rotate', 'disable']) {
      const body = {
        ...(verb === 'add' ? request('AK2') : { secret: onItsWay('AK1', SECRET) }),
        ...(verb !== 'add' && { name: 'AK1' }),
      };
      await assert.rejects(desk.run(verb, body), { code: 'CREDENTIAL_KEY_MISSING' }, verb);
    }
    assert.equal(desk.list().keyId, null);
    assert.match(desk.show('AK1').fault ?? '', /no cluster\.credentialKey/);
  });

  test('an unknown change', async () => {
    for (const verb of ['', 'toString', '__proto__', 'purge']) {
      await assert.rejects(desk.run(verb, {}), { code: 'CONFIG_INVALID' });
    }
  });
});

test('each change leaves a line in the log, and no secret anywhere', async () => {
  await run('add', request('AK1'));
  await run('rotate', { name: 'AK1', secret: onItsWay('AK1', 'another-secret') });
  await run('remove', { name: 'AK1' });
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)).map(({ change, accessKey, revision }) => [change, accessKey, revision]),
    [
      ['add', 'AK1', 1],
      ['rotate', 'AK1', 2],
      ['remove', 'AK1', 3],
    ],
  );
  await run('add', request('AK2'));
  const everything = JSON.stringify([lines, desk.list(), desk.show('AK2'), node.keeper.status()]);
  for (const word of [SECRET, 'another-secret', 'filed-secret', KEY, 'z1.'])
    assert.ok(!everything.includes(word), word);
});
