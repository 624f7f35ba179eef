// The end of a streamed body: a sender that breaks off, however that shows, is an error of the stream and never its end.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { isZringError } from '../../src/common/errors.ts';
import { StreamedBody } from '../../src/routing/hop-body.ts';

/** A body under way: its sender, and whether it came to its end. */
function underWay() {
  const sender = Object.assign(new PassThrough(), { complete: false });
  const body = new StreamedBody(sender as unknown as IncomingMessage);
  let ended = false;
  body.on('end', () => {
    ended = true;
  });
  body.resume();
  body.start();
  sender.write('half of it');
  return { sender, body, hasEnded: () => ended };
}

const aborted = (error: unknown) => isZringError(error, 'ABORTED');

test('a sender that goes before the end: an error, not an end', async () => {
  const { sender, body, hasEnded } = underWay();
  sender.destroy();
  await assert.rejects(finished(body), aborted);
  assert.equal(hasEnded(), false);
});

test('an end that the parser does not call complete: an error, not an end', async () => {
  const { sender, body, hasEnded } = underWay();
  sender.end();
  await assert.rejects(finished(body), aborted);
  assert.equal(hasEnded(), false);
});

test('a body that is complete ends', async () => {
  const { sender, body, hasEnded } = underWay();
  sender.complete = true;
  sender.end();
  await finished(body);
  assert.equal(hasEnded(), true);
});
