// Documents are parsed once and shared; what has been set is never answered by an older copy.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openStore } from '../../src/store/store.ts';
import { StoreFixture } from './fixture.ts';

let fixture: StoreFixture;
beforeEach(async () => {
  fixture = await StoreFixture.make();
});
afterEach(() => fixture.remove());

describe('a document', () => {
  it('is one shared value that nobody can change, until it is set', async () => {
    const { store } = fixture;
    await store.setDocument('policy', { rules: [{ allow: ['read'] }] });
    const first = store.document('policy') as { rules: { allow: string[] }[] };
    assert.equal(store.document('policy'), first);
    assert.throws(() => first.rules[0]?.allow.push('write'), TypeError);
    assert.equal(store.document('none'), undefined);
    await store.setDocument('none', { now: true });
    await store.setDocument('policy', { rules: [] });
    assert.deepEqual(store.document('none'), { now: true });
    assert.deepEqual(store.document('policy'), { rules: [] });
    await store.setDocument('policy', undefined);
    assert.equal(store.document('policy'), undefined);
  });

  it('that is looked up while another is being committed is not kept beyond the commit', async () => {
    const { store } = fixture;
    await store.setDocument('policy', 1);
    const setting = store.setDocument('policy', 2);
    assert.equal(store.document('policy'), 1);
    await setting;
    assert.equal(store.document('policy'), 2);
  });

  it('whose change is refused stays', async () => {
    let refuse = false;
    const guard = (): void => {
      if (refuse) throw new Error('no owner any more');
    };
    const store = await fixture.reopen({ guard });
    await store.setDocument('policy', 'old');
    refuse = true;
    await assert.rejects(store.setDocument('policy', 'new'), /no owner/);
    assert.equal(store.document('policy'), 'old');
    refuse = false;
  });

  it('is never stale in a reader beside the store that is written by another process', async () => {
    await fixture.store.setDocument('policy', { version: 0 });
    await fixture.store.close();
    const store = new URL('../../src/store/store.ts', import.meta.url).href;
    const code = `
      import { openStore } from ${JSON.stringify(store)};
      (async () => {
        const store = await openStore(${JSON.stringify(fixture.folder)}, { term: { n: 2, node: 'a' } });
        console.log('open');
        let version = 0;
        for await (const _ of process.stdin) {
          await store.setDocument('policy', { version: ++version });
          console.log(version);
        }
        await store.close();
      })();`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const lines = child.stdout[Symbol.asyncIterator]();
    try {
      await lines.next();
      const reader = await openStore(fixture.folder, { readonly: true });
      const before = reader.document('policy');
      assert.deepEqual(before, { version: 0 });
      assert.equal(reader.document('policy'), before);
      for (let version = 1; version < 4; version++) {
        child.stdin.write('set\n');
        await lines.next();
        // lmdb-js keeps its view of the file until a timer of 0 that was set before this one.
        await new Promise((resolve) => setTimeout(resolve, 0));
        assert.deepEqual(reader.document('policy'), { version });
      }
      await reader.close();
    } finally {
      child.stdin.end();
      await ended;
    }
  });
});
