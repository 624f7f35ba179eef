import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import { createPeerAuth } from '../../src/routing/peer-auth.ts';
import { createPeerVersions } from '../../src/routing/peer-version.ts';

const start = 1_750_000_000_000;
const parts = { method: 'PUT', target: '/b/k?x', hop: 'v=1;max=1;from=a' };

function node(secrets: string[], options: { offsetMs?: number; noncesMax?: number } = {}) {
  const now = { wall: start + (options.offsetMs ?? 0), monotonic: 0 };
  const clock = { wallMs: () => now.wall, monotonicMs: () => now.monotonic };
  const auth = createPeerAuth({ secrets, clock, clockWindowMs: 300_000, noncesMax: options.noncesMax ?? 1000 });
  return { ...auth, now };
}

function refused(run: () => void, pattern: RegExp): void {
  assert.throws(run, (error) => isZringError(error, 'PEER_UNAUTHENTICATED') && pattern.test(error.message));
}

test('what one node signs the other accepts', () => {
  node(['s']).verify(node(['s']).sign(parts), parts, 'a', true);
});

test('the first secret signs, all verify', () => {
  node(['new', 'old']).verify(node(['old']).sign(parts), parts, 'a', false);
  node(['old', 'new']).verify(node(['new', 'old']).sign(parts), parts, 'a', false);
  refused(() => node(['new']).verify(node(['old', 'new']).sign(parts), parts, 'a', false), /does not fit any/);
});

test('changed secrets take effect', () => {
  const verifier = node(['old']);
  const signature = node(['new']).sign(parts);
  refused(() => verifier.verify(signature, parts, 'a', false), /does not fit any/);
  verifier.setSecrets(['new', 'old']);
  verifier.verify(signature, parts, 'a', false);
});

for (const change of [{ method: 'GET' }, { target: '/b/k' }, { hop: 'v=1;max=1;from=b' }]) {
  test(`another ${Object.keys(change)[0]} does not fit the signature`, () => {
    refused(() => node(['s']).verify(node(['s']).sign(parts), { ...parts, ...change }, 'a', false), /does not fit any/);
  });
}

for (const auth of [undefined, '', 'x', `${start}.short.mac`]) {
  test(`no signature in ${JSON.stringify(auth)}`, () => {
    refused(() => node(['s']).verify(auth, parts, 'a', false), /no signature/);
  });
}

test('a changed time or nonce does not fit the signature', () => {
  const auth = node(['s']).sign(parts);
  const [ms, nonce, mac] = auth.split('.');
  refused(() => node(['s']).verify(`${Number(ms) + 1}.${nonce}.${mac}`, parts, 'a', false), /does not fit any/);
  refused(() => node(['s']).verify(`${ms}.${'A'.repeat(16)}.${mac}`, parts, 'a', false), /does not fit any/);
});

test('clocks may differ by the window; the refusal says by how much they do', () => {
  node(['s']).verify(node(['s'], { offsetMs: 300_000 }).sign(parts), parts, 'a', false);
  node(['s']).verify(node(['s'], { offsetMs: -300_000 }).sign(parts), parts, 'a', false);
  const ahead = node(['s'], { offsetMs: 412_000 }).sign(parts);
  refused(() => node(['s']).verify(ahead, parts, 'a', false), /clock of node a is 412 s ahead of .* \(limit 300 s\)/);
  const behind = node(['s'], { offsetMs: -900_000 }).sign(parts);
  refused(() => node(['s']).verify(behind, parts, 'a', false), /900 s behind/);
});

test('a control message is taken once, for as long as its signature could be used', () => {
  const verifier = node(['s']);
  const auth = node(['s'], { offsetMs: 299_000 }).sign(parts);
  verifier.verify(auth, parts, 'a', true);
  refused(() => verifier.verify(auth, parts, 'a', true), /second time/);
  // The signature of a clock that runs ahead stays valid for nearly twice the window.
  verifier.now.wall += 598_000;
  verifier.now.monotonic += 598_000;
  refused(() => verifier.verify(auth, parts, 'a', true), /second time/);
  verifier.now.wall += 2_000;
  refused(() => verifier.verify(auth, parts, 'a', true), /behind/);
});

test('the memory for nonces is bounded, and the latest ones are in it', () => {
  const verifier = node(['s'], { noncesMax: 10 });
  const signer = node(['s']);
  const all = Array.from({ length: 35 }, () => signer.sign(parts));
  for (const auth of all) verifier.verify(auth, parts, 'a', true);
  for (const auth of all.slice(-10)) refused(() => verifier.verify(auth, parts, 'a', true), /second time/);
  verifier.verify(all[0], parts, 'a', true);
});

test('a forwarded request may come again (its own signature allows it)', () => {
  const verifier = node(['s']);
  const auth = node(['s']).sign(parts);
  verifier.verify(auth, parts, 'a', false);
  verifier.verify(auth, parts, 'a', false);
});

test('releases N and N+1 meet in the version that both understand; a newer one is refused by name', () => {
  const old = createPeerVersions(1, 1);
  const next = createPeerVersions(2, 1);
  assert.equal(next.speakTo('old'), 1);
  old.check('next', next.speakTo('old'));
  next.heard('old', 1);
  assert.equal(next.speakTo('old'), 1);
  next.heard('other', 3);
  assert.equal(next.speakTo('other'), 2);
  assert.throws(
    () => old.check('next', 2),
    (error) =>
      isZringError(error, 'VERSION_UNSUPPORTED') && /node next speaks version 2 .* understands 1/.test(error.message),
  );
  assert.throws(() => createPeerVersions(3, 2).check('old', 1), /understands 2 to 3/);
});
