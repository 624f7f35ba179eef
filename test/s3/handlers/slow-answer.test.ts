import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { before, test } from 'node:test';
import { CreateBucketCommand, CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { ZringError } from '../../../src/common/errors.ts';
import { overrideStore } from '../../support/memory-access.ts';
import { signHeaders } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture({ slowAnswers: { patienceMs: 1, everyMs: 1 } });
const client = node.client();
const Bucket = bucketName();
before(() => client.send(new CreateBucketCommand({ Bucket })));

/** An upload whose completion waits for the gate to be opened. */
async function slowUpload(Key: string) {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'part' }));
  let open: (outcome: ZringError | null) => void = () => undefined;
  const gate = new Promise<ZringError | null>((resolve) => {
    open = resolve;
  });
  node.access.wrapStore = (store) =>
    overrideStore(store, {
      async completeUpload(request) {
        const outcome = await gate;
        if (outcome) throw outcome;
        return store.completeUpload(request);
      },
    });
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${ETag}</ETag></Part></CompleteMultipartUpload>`;
  const path = `/${Bucket}/${Key}?uploadId=${UploadId}`;
  const headers = signHeaders(node, { method: 'POST', path, body });
  const outgoing = http.request({ host: '127.0.0.1', port: node.port, agent: false, method: 'POST', path, headers });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
  // White space has come before the work is allowed to end.
  let text = '';
  response.setEncoding('utf8');
  response.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    response.on('data', (chunk: string) => {
      text += chunk;
      if (/\?>\s*\n {2,}$/.test(text)) resolve();
    });
  });
  return { open, outgoing, response, text: () => text };
}

test('a slow Complete keeps its client waiting with white space, then gives the document', async () => {
  const slow = await slowUpload('slow');
  slow.open(null);
  await once(slow.response, 'end');
  assert.equal(slow.response.statusCode, 200);
  assert.match(slow.text(), /^<\?xml[^>]*\?>\n {2,}<CompleteMultipartUploadResult/);
  assert.equal(slow.text().match(/<\?xml/g)?.length, 1);
  assert.equal((await node.raw({ path: `/${Bucket}/slow` })).text, 'part');
});

test('a failure that comes late is an error document under 200', async () => {
  const slow = await slowUpload('late');
  slow.open(new ZringError('PRECONDITION_FAILED', 'late'));
  await once(slow.response, 'end');
  assert.match(slow.text(), /^<\?xml[^>]*\?>\n {2,}<Error><Code>PreconditionFailed<\/Code>/);
});

test('a client that goes meanwhile: the dataset is held until the work has ended', async () => {
  const slow = await slowUpload('gone');
  assert.equal(node.access.held, 1);
  const closed = new Promise((resolve) => slow.response.on('close', resolve));
  slow.outgoing.destroy();
  await closed;
  assert.equal(node.access.held, 1);
  const released = new Promise<void>((resolve) => {
    node.access.onRelease = () => resolve();
  });
  slow.open(null);
  await released;
  node.access.wrapStore = (store) => store;
  assert.equal((await node.raw({ path: `/${Bucket}/gone` })).text, 'part');
});
