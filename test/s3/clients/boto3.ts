// boto3: the session is a Python program, which waits once while this side looks where its bucket lives.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { pythonWithBoto3 } from '../../support/parts.ts';
import type { Subject } from './subject.ts';

const SESSION = fileURLToPath(new URL('boto3-session.py', import.meta.url));

export async function boto3Session(subject: Subject): Promise<void> {
  const place = await subject.place('boto3');
  const words = [SESSION, place.endpoint, place.bucket, subject.files.small, subject.files.large, subject.tree];
  const child = spawn(pythonWithBoto3(), words, { env: subject.environment(await subject.folder('boto3')) });
  let told = '';
  child.stderr.on('data', (text) => {
    told += text;
  });
  const closed = once(child, 'close');
  let said = '';
  for await (const text of child.stdout) {
    if (said === '') {
      assert.equal(String(text), 'created\n');
      await place.created();
      child.stdin.end('\n');
    }
    said += text;
  }
  const [code] = await closed;
  assert.deepEqual([code, said], [0, 'created\ndone\n'], told);
  await place.deleted();
}
