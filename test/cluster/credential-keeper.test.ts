// Kept credentials on several nodes over one coordinator: what is changed on one works on all, whatever is lost in between.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { STORED_CREDENTIAL_CHARACTERS_MAX } from '../../src/cluster/coordinator-call.ts';
import { ENTRIES_MAX } from '../../src/cluster/credential-book.ts';
import { parseCredential, serializeCredential } from '../../src/cluster/credential-record.ts';
import type { Credential } from '../../src/config/types.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import {
  add,
  CredentialNodes,
  KEY,
  MapDisk,
  OTHER_KEY,
  PROFILE,
  remove,
  working,
} from '../support/credential-nodes.ts';

let nodes: CredentialNodes;
beforeEach(() => {
  nodes = new CredentialNodes();
});
afterEach(() => nodes.close());

const syncAll = async (...all: { keeper: { sync(): Promise<void> } }[]) => {
  for (const { keeper } of all) await keeper.sync();
};

describe('kept credentials', () => {
  test('added on one node, it works on the others; the list is another array after a change and only then', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    const before = b.keeper.list();
    assert.equal(b.keeper.list(), before);
    const view = await add(a, 'AK1', 'the secret');
    assert.deepEqual(
      [view.accessKey, view.state, view.revision, view.secrets, view.fault],
      ['AK1', 'active', 1, 1, null],
    );
    await b.keeper.sync();
    assert.notEqual(b.keeper.list(), before);
    assert.deepEqual(b.keeper.list(), [{ accessKey: 'AK1', secretKeys: ['the secret'], ...PROFILE }]);
    assert.equal(b.keeper.list(), b.keeper.list());
  });

  test('other nodes hear of it by a hint, and by polling where the hint is lost', async () => {
    const a = await nodes.node();
    const hinted = await nodes.node({ pollMs: 3_600_000 });
    await add(a, 'AK1');
    while (!working(hinted).AK1) await delay(1);
    const polling = await nodes.node({ pollMs: 5, deaf: true });
    await add(a, 'AK2');
    while (!working(polling).AK2) await delay(1);
  });

  test('disabled, rotated and removed on one node, so on all', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await b.keeper.change('AK1', (current) => {
      assert.deepEqual(current?.secrets, ['secret of AK1']);
      return { state: 'disabled', profile: PROFILE, secrets: ['secret of AK1'] };
    });
    await syncAll(a, b);
    assert.deepEqual([working(a), working(b)], [{}, {}]);
    await a.keeper.change('AK1', () => ({ state: 'active', profile: PROFILE, secrets: ['new', 'secret of AK1'] }));
    await b.keeper.sync();
    assert.deepEqual(working(b), { AK1: ['new', 'secret of AK1'] });
    const view = await remove(b, 'AK1');
    assert.deepEqual([view.state, view.profile, view.revision], ['removed', null, 4]);
    await a.keeper.sync();
    assert.deepEqual(working(a), {});
    assert.deepEqual(a.keeper.views(), []);
  });

  test('no secret and no key is in the coordinator, on a disk, in a view, a status or a log', async () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = createLogger({ level: 'trace', node: 'a', destination });
    const a = await nodes.node({ logger });
    await add(a, 'AK1', 'a-very-secret-word');
    await a.keeper.change('AK1', () => ({ state: 'active', profile: PROFILE, secrets: ['another-secret-word'] }));
    nodes.memory.flush();
    await a.keeper.sync();
    const everything = JSON.stringify([
      [...nodes.memory.dump()],
      [...a.disk.content],
      a.keeper.views(),
      a.keeper.status(),
      lines,
    ]);
    assert.ok(everything.includes('AK1') && lines.length > 0);
    for (const word of ['secret-word', KEY, Buffer.from('a-very-secret-word').toString('base64url')]) {
      assert.ok(!everything.includes(word), word);
    }
  });
});

describe('losses', () => {
  test('the coordinator away: signing in goes on, also after a restart; changes fail and change nothing', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await b.keeper.sync();
    nodes.memory.setAvailable(false);
    await assert.rejects(remove(a, 'AK1'), { code: 'COORDINATOR_UNAVAILABLE' });
    assert.deepEqual(working(a), { AK1: ['secret of AK1'] });
    const restarted = await nodes.node({ disk: b.disk });
    assert.deepEqual(working(restarted), { AK1: ['secret of AK1'] });
    nodes.memory.setAvailable(true);
    await remove(restarted, 'AK1');
    await a.keeper.sync();
    assert.deepEqual(working(a), {});
  });

  test('a flushed coordinator is filled again by any node, and the removed stay removed', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await add(a, 'AK2');
    await b.keeper.sync();
    // b sleeps through the removal, with a copy that lives.
    await b.keeper.close();
    await remove(a, 'AK1');
    nodes.memory.flush();
    const late = await nodes.node({ disk: b.disk });
    await syncAll(a, late);
    for (const node of [a, late]) assert.deepEqual(Object.keys(working(node)), ['AK2']);
    const fresh = await nodes.node();
    assert.deepEqual(working(fresh), { AK2: ['secret of AK2'] });
    assert.equal((await add(fresh, 'AK1')).revision, 3, 'goes on from the tombstone');
  });

  test('the node that heard of the removal comes last: until then the others know no better, then all do', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await b.keeper.sync();
    await remove(a, 'AK1');
    await a.keeper.close();
    nodes.memory.flush();
    await b.keeper.sync();
    const back = await nodes.node({ disk: a.disk });
    await b.keeper.sync();
    assert.deepEqual([working(back), working(b)], [{}, {}]);
    const fresh = await nodes.node();
    assert.deepEqual(working(fresh), {});
  });

  test('a coordinator restored from an old dump hears again what came after it', async () => {
    const a = await nodes.node();
    await add(a, 'AK1', 'first');
    const dump = nodes.memory.dump();
    await a.keeper.change('AK1', () => ({ state: 'active', profile: PROFILE, secrets: ['second'] }));
    await add(a, 'AK2');
    nodes.memory.restore(dump);
    await a.keeper.sync();
    const fresh = await nodes.node();
    assert.deepEqual(working(fresh), { AK1: ['second'], AK2: ['secret of AK2'] });
  });

  test('two entries of one revision: what lets fewer in wins everywhere, whoever held it', async () => {
    for (const survivor of ['remover', 'other'] as const) {
      const world = new CredentialNodes();
      const [a, b] = [await world.node(), await world.node()];
      await add(a, 'AK1');
      await b.keeper.sync();
      const dump = world.memory.dump();
      await remove(a, 'AK1');
      const removal = world.memory.dump();
      // A failover lost the removal; b takes its number.
      world.memory.restore(dump);
      await b.keeper.change('AK1', () => ({ state: 'active', profile: PROFILE, secrets: ['kept on'] }));
      if (survivor === 'remover') world.memory.restore(removal);
      await syncAll(a, b, a, b);
      assert.deepEqual([working(a), working(b)], [{}, {}], survivor);
      const fresh = await world.node();
      assert.deepEqual(working(fresh), {}, survivor);
      const texts = [a, b, fresh].map(({ keeper }) => keeper.book.entry('AK1')?.text);
      assert.equal(new Set(texts).size, 1);
      await world.close();
    }
  });

  test('of one revision and state, the later change wins', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await b.keeper.sync();
    const dump = nodes.memory.dump();
    nodes.wallMs += 1000;
    await a.keeper.change('AK1', () => ({ state: 'active', profile: PROFILE, secrets: ['later'] }));
    nodes.memory.restore(dump);
    nodes.wallMs -= 500;
    await b.keeper.change('AK1', () => ({ state: 'active', profile: PROFILE, secrets: ['earlier'] }));
    await syncAll(a, b, a, b);
    assert.deepEqual([working(a), working(b)], [{ AK1: ['later'] }, { AK1: ['later'] }]);
    assert.equal(a.keeper.book.entry('AK1')?.revision, 3);
  });

  test('lost replies: the change counts once, and its maker is told the truth', async () => {
    const a = await nodes.node();
    nodes.memory.loseReplies(2);
    const view = await add(a, 'AK1');
    assert.equal(view.revision, 1);
    nodes.memory.loseReplies(100);
    await assert.rejects(add(a, 'AK1', 'other'), { code: 'COORDINATOR_OUTCOME_UNKNOWN' });
    nodes.memory.loseReplies(0);
    await a.keeper.sync();
    assert.deepEqual(working(a), { AK1: ['other'] }, 'it had been carried out');
  });

  test('a full disk: what was heard counts at once, and is written when there is room', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await b.keeper.sync();
    b.disk.full = true;
    await remove(a, 'AK1');
    await b.keeper.sync();
    assert.deepEqual(working(b), {});
    assert.match(b.disk.content.get('credential/AK1') ?? '', /"revision":1/);
    b.disk.full = false;
    await b.keeper.sync();
    assert.match(b.disk.content.get('credential/AK1') ?? '', /"revision":2/);
  });

  test('of two who change one credential at once, both changes count, one after the other', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1', 'zero');
    const push = (node: typeof a, secret: string) =>
      node.keeper.change('AK1', (current) => ({
        state: 'active',
        profile: PROFILE,
        secrets: [...(current?.secrets ?? []), secret],
      }));
    await Promise.all([push(a, 'by a'), push(b, 'by b')]);
    await syncAll(a, b);
    assert.deepEqual(working(a), working(b));
    assert.deepEqual([...(working(a).AK1 ?? [])].sort(), ['by a', 'by b', 'zero']);
  });
});

describe('keys', () => {
  test('without a key nothing can be added; what is kept does not work, and status says so', async () => {
    const [a, blind] = [await nodes.node(), await nodes.node({ keys: [] })];
    await add(a, 'AK1');
    await assert.rejects(add(blind, 'AK2'), { code: 'CREDENTIAL_KEY_MISSING', message: /credentialKey is not set/ });
    assert.deepEqual(working(blind), {});
    assert.deepEqual(blind.keeper.status(), {
      configured: 0,
      kept: 1,
      faults: [{ accessKey: 'AK1', fault: 'sealed, and this node has no cluster.credentialKey' }],
    });
    // The key arrives by a reload.
    blind.keeper.configure([], [KEY]);
    assert.deepEqual(working(blind), { AK1: ['secret of AK1'] });
    assert.deepEqual(blind.keeper.status().faults, []);
  });

  test('rotation: old and new side by side; one that is gone is named', async () => {
    const a = await nodes.node({ keys: [KEY] });
    await add(a, 'AK1');
    a.keeper.configure([], [OTHER_KEY, KEY]);
    await add(a, 'AK2');
    assert.deepEqual(Object.keys(working(a)), ['AK1', 'AK2']);
    a.keeper.configure([], [OTHER_KEY]);
    assert.deepEqual(Object.keys(working(a)), ['AK2']);
    const keyId = a.keeper.views()[0]?.keyId;
    assert.match(keyId ?? '', /^[0-9a-f]{8}$/);
    assert.deepEqual(a.keeper.status().faults, [
      { accessKey: 'AK1', fault: `sealed under key ${keyId}, which this node does not have` },
    ]);
    // A tombstone needs no key.
    await remove(a, 'AK1');
    assert.deepEqual(a.keeper.status().faults, []);
  });

  test('whoever can write to the coordinator cannot widen, make or bring back a credential', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    const written = a.keeper.book.entry('AK1');
    assert(written?.record);
    await a.keeper.change('AK1', () => ({ state: 'disabled', profile: PROFILE, secrets: ['secret of AK1'] }));
    await b.keeper.sync();
    const { record } = written;
    const wide = { ...record, profile: { ...PROFILE, allow: [{ buckets: '*', actions: '*' }] } };
    const forged = [
      { ...wide, revision: 10 },
      { ...record, revision: 11 },
      { ...record, revision: 12, state: 'active' as const },
    ];
    for (const one of forged) {
      const text = serializeCredential(one);
      await b.coordinator.offerCredentials([{ accessKey: 'AK1', revision: one.revision, text }]);
      await b.keeper.sync();
      assert.deepEqual(working(b), {});
      assert.match(b.keeper.status().faults[0]?.fault ?? '', /damaged, or altered/);
    }
    // Under another key, and an old text under a new number outside.
    const copy = serializeCredential({ ...record, accessKey: 'AK2' });
    await b.coordinator.offerCredentials([
      { accessKey: 'AK2', revision: 1, text: copy },
      { accessKey: 'AK1', revision: 20, text: written.text },
    ]);
    await b.keeper.sync();
    assert.deepEqual(working(b), {});
    assert.equal(b.keeper.status().faults.length, 2);
  });
});

describe('the rest', () => {
  test("the file's credential of the same access key counts, and the kept one says so", async () => {
    const file: Credential = { accessKey: 'AK1', secretKeys: ['of the file'], ...PROFILE, displayName: 'file' };
    const a = await nodes.node();
    await add(a, 'AK1');
    await add(a, 'AK2');
    a.keeper.configure([file], [KEY]);
    assert.deepEqual(a.keeper.list()[0], file);
    assert.deepEqual(working(a), { AK1: ['of the file'], AK2: ['secret of AK2'] });
    const [configured, hidden, other] = a.keeper.views();
    assert.deepEqual([configured?.source, configured?.fault], ['configuration', null]);
    assert.deepEqual([hidden?.accessKey, hidden?.source], ['AK1', 'cluster']);
    assert.match(hidden?.fault ?? '', /the configuration file has the same access key/);
    assert.equal(other?.fault, null);
    a.keeper.configure([], [KEY]);
    assert.deepEqual(working(a).AK1, ['secret of AK1']);
  });

  test('an entry that is damaged, or of a newer release, hides no other, stands against no older one, can be removed', async () => {
    const [a, b] = [await nodes.node(), await nodes.node()];
    await add(a, 'AK1');
    await add(a, 'AK2');
    const text = JSON.stringify({ version: 2, accessKey: 'AK1', revision: 7, more: true });
    await a.coordinator.offerCredentials([
      { accessKey: 'AK1', revision: 7, text },
      { accessKey: 'AK3', revision: 1, text: 'no JSON' },
    ]);
    await syncAll(a, b);
    assert.deepEqual([Object.keys(working(a)), Object.keys(working(b))], [['AK2'], ['AK2']]);
    assert.deepEqual(
      b.keeper.status().faults.map(({ accessKey }) => accessKey),
      ['AK1', 'AK3'],
    );
    // Kept as it is for who understands it.
    nodes.memory.flush();
    await b.keeper.sync();
    const page = await b.coordinator.readCredentials(null);
    assert.equal(page?.credentials.find(({ accessKey }) => accessKey === 'AK1')?.text, text);
    await remove(a, 'AK1');
    assert.equal(a.keeper.book.entry('AK1')?.revision, 8);
  });

  test('what a coordinator should never hold is passed over', async () => {
    const a = await nodes.node();
    await add(a, 'AK1');
    const page = await a.coordinator.readCredentials(null);
    assert(page);
    a.coordinator.readCredentials = async () => ({
      stamp: 'x',
      credentials: [
        ...page.credentials,
        { accessKey: 'a/b', revision: 1, text: '{}' },
        { accessKey: 'AK5', revision: 0, text: '{}' },
        { accessKey: 'AK6', revision: 1, text: 'x'.repeat(STORED_CREDENTIAL_CHARACTERS_MAX + 1) },
      ],
    });
    await a.keeper.sync();
    assert.deepEqual(
      a.keeper.views().map(({ accessKey }) => accessKey),
      ['AK1'],
    );
  });

  test('more entries than are ever kept are not taken in, and those that are known stay', async () => {
    const a = await nodes.node();
    await add(a, 'AK1');
    const page = await a.coordinator.readCredentials(null);
    const many = Array.from({ length: ENTRIES_MAX + 5 }, (_, i) => ({ accessKey: `M${i}00`, revision: 1, text: 'x' }));
    a.coordinator.readCredentials = async () => ({
      stamp: 'x',
      credentials: [...many, ...(page?.credentials ?? [])],
    });
    await a.keeper.sync();
    assert.equal([...a.keeper.book.entries()].length, ENTRIES_MAX);
    assert.deepEqual(Object.keys(working(a)), ['AK1']);
  });

  test('a damaged disk is said, not passed over', async () => {
    const disk = new MapDisk();
    disk.content.set('credential/AK1', 'no JSON');
    await assert.rejects(nodes.node({ disk }), { code: 'STORAGE_CORRUPT' });
  });

  test('too large a credential is refused by name', async () => {
    const a = await nodes.node();
    const allow = Array.from({ length: 100 }, (_, i) => ({ buckets: `${'b'.repeat(150)}${i}`, actions: 'read' }));
    await assert.rejects(add(a, 'AK1', 's', { ...PROFILE, allow }), { code: 'LIMIT_EXCEEDED', message: /AK1/ });
  });

  test('golden: version 1 of an entry, and what is no entry', () => {
    const text =
      '{"version":1,"accessKey":"AK1","revision":3,"state":"active","changedMs":17,"profile":{"displayName":"me",' +
      '"canonicalId":"id","email":null,"account":"acc","allow":[{"buckets":"x","actions":"read"}]},"sealed":"z1.x"}';
    assert.equal(serializeCredential(parseCredential(text, 'AK1')), text);
    const tombstone =
      '{"version":1,"accessKey":"AK1","revision":4,"state":"removed","changedMs":18,"profile":null,"sealed":null}';
    assert.equal(serializeCredential(parseCredential(tombstone, 'AK1')), tombstone);
    const bad: [string, string, string][] = [
      [text, 'AK2', 'COORDINATOR_CORRUPT'],
      [text.replace('"version":1', '"version":2'), 'AK1', 'VERSION_UNSUPPORTED'],
      [text.replace('"revision":3', '"revision":0'), 'AK1', 'COORDINATOR_CORRUPT'],
      [text.replace('active', 'removed'), 'AK1', 'COORDINATOR_CORRUPT'],
      [text.replace('active', 'enabled'), 'AK1', 'COORDINATOR_CORRUPT'],
      [text.replace('"sealed":"z1.x"', '"sealed":null'), 'AK1', 'COORDINATOR_CORRUPT'],
      [text.replace('"email":null', '"email":5'), 'AK1', 'COORDINATOR_CORRUPT'],
      [text.replace('"email":null', '"email":null,"more":1'), 'AK1', 'COORDINATOR_CORRUPT'],
      [text.replace('"actions":"read"', '"actions":"read","x":"y"'), 'AK1', 'COORDINATOR_CORRUPT'],
      ['[]', 'AK1', 'COORDINATOR_CORRUPT'],
      ['{', 'AK1', 'COORDINATOR_CORRUPT'],
    ];
    for (const [what, accessKey, code] of bad) assert.throws(() => parseCredential(what, accessKey), { code }, what);
  });
});
