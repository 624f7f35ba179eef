// Conditional writes and deletes: judged inside the commit, against the current version, so that of many racing clients
// exactly one wins.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { before, describe, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  PutBucketVersioningCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type RawResponse, signHeaders } from '../../support/s3-client.ts';
import { bucketName, s3Fixture } from '../../support/s3-fixture.ts';

const node = await s3Fixture();
const client = node.client();
const outcome = ({ status, code }: Pick<RawResponse, 'status' | 'code'>) => [status, code];
const etagOf = (body: string) => `"${createHash('md5').update(body).digest('hex')}"`;
const CLIENTS = 100;

/** `[name of what happened, how often]`, by name. */
function tally(outcomes: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const one of outcomes) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].sort();
}

for (const versioned of [false, true]) {
  describe(`in a bucket ${versioned ? 'with' : 'without'} versioning`, () => {
    const Bucket = bucketName('conditional');
    const put = (key: string, body: string, headers: Record<string, string> = {}) =>
      node.raw({ method: 'PUT', path: `/${Bucket}/${key}`, body, headers });
    const get = (key: string) => node.raw({ path: `/${Bucket}/${key}` });
    const remove = (key: string, headers: Record<string, string> = {}) =>
      node.raw({ method: 'DELETE', path: `/${Bucket}/${key}`, headers });
    const versions = async (key: string) =>
      [...(await node.raw({ path: `/${Bucket}?prefix=${key}&versions` })).text.matchAll(/<Version>/g)].length;

    before(async () => {
      await node.raw({ method: 'PUT', path: `/${Bucket}` });
      if (!versioned) return;
      await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
    });

    test('a deleted object is none, whatever lies below its delete marker', async () => {
      await put('gone', 'old');
      await remove('gone');
      assert.deepEqual(outcome(await put('gone', 'x', { 'if-match': '*' })), [404, 'NoSuchKey']);
      assert.deepEqual(outcome(await put('gone', 'x', { 'if-match': etagOf('old') })), [404, 'NoSuchKey']);
      assert.deepEqual(outcome(await remove('gone', { 'if-match': '*' })), [404, 'NoSuchKey']);
      assert.deepEqual(outcome(await remove('gone', { 'if-match': etagOf('old') })), [404, 'NoSuchKey']);
      assert.equal((await put('gone', 'new', { 'if-none-match': '*' })).status, 200);
      assert.equal((await get('gone')).text, 'new');
    });

    test('against the current version, not an older one', async () => {
      await put('current', 'one');
      await put('current', 'two');
      assert.deepEqual(outcome(await put('current', 'x', { 'if-match': etagOf('one') })), [412, 'PreconditionFailed']);
      assert.equal((await put('current', 'three', { 'if-none-match': etagOf('one') })).status, 200);
      assert.deepEqual(outcome(await remove('current', { 'if-match': etagOf('two') })), [412, 'PreconditionFailed']);
      assert.equal((await get('current')).text, 'three');
      assert.equal((await remove('current', { 'if-match': etagOf('three') })).status, 204);
      assert.equal((await get('current')).status, 404);
    });

    test('deletes by date and size', async () => {
      const answer = await put('dated', 'four');
      const modified = String((await node.raw({ method: 'HEAD', path: `/${Bucket}/dated` })).headers['last-modified']);
      const [time, size] = ['x-amz-if-match-last-modified-time', 'x-amz-if-match-size'];
      const refusals: Record<string, string>[] = [
        { [size]: '5' },
        { [time]: 'Thu, 01 Jan 2015 00:00:00 GMT' },
        { [size]: '4', [time]: 'Thu, 01 Jan 2015 00:00:00 GMT' },
        { [size]: '4', [time]: modified, 'if-match': '"other"' },
      ];
      for (const headers of refusals) {
        assert.deepEqual(outcome(await remove('dated', headers)), [412, 'PreconditionFailed'], JSON.stringify(headers));
      }
      assert.deepEqual(outcome(await remove('dated', { [size]: '-1' })), [400, 'InvalidArgument']);
      assert.deepEqual(outcome(await remove('dated', { [time]: 'soon' })), [400, 'InvalidArgument']);
      assert.deepEqual(outcome(await remove('dated', { 'if-none-match': '*' })), [501, 'NotImplemented']);
      assert.equal((await get('dated')).text, 'four');
      const all = { [size]: '4', [time]: modified, 'if-match': String(answer.headers.etag) };
      assert.equal((await remove('dated', all)).status, 204);
      assert.equal((await remove('never', { [size]: '5' })).status, 204, 'what is not there is deleted already');
    });

    test('DeleteObjects: each item by its own conditions', async () => {
      await Promise.all(['by-etag', 'by-size', 'by-date', 'right'].map((key) => put(key, key)));
      const item = (key: string, condition: string) => `<Object><Key>${key}</Key>${condition}</Object>`;
      const document = `<Delete>${[
        item('by-etag', '<ETag>"other"</ETag>'),
        item('by-size', '<Size>99</Size>'),
        item('by-date', '<LastModifiedTime>2015-01-01T00:00:00Z</LastModifiedTime>'),
        item('right', `<ETag>${etagOf('right')}</ETag><Size>5</Size>`),
        item('absent', '<ETag>*</ETag>'),
        item('absent', '<Size>3</Size>'),
      ].join('')}</Delete>`;
      const headers = { 'content-md5': createHash('md5').update(document).digest('base64') };
      const { text } = await node.raw({ method: 'POST', path: `/${Bucket}?delete`, body: document, headers });
      assert.deepEqual(
        [...text.matchAll(/<Error><Key>([^<]*)<\/Key><Code>([^<]*)</g)].map(([, key, code]) => `${key} ${code}`),
        ['by-etag PreconditionFailed', 'by-size PreconditionFailed', 'by-date PreconditionFailed', 'absent NoSuchKey'],
      );
      const kept = await Promise.all(['by-etag', 'by-size', 'by-date', 'right'].map(get));
      assert.deepEqual(
        kept.map(({ status }) => status),
        [200, 200, 200, 404],
      );
    });

    test(`${CLIENTS} clients create one key over sockets of their own: one wins`, async () => {
      const bodies = Array.from({ length: CLIENTS }, (_, n) => `client ${n}`.padEnd(20_000, '.'));
      const answers = await race(`/${Bucket}/created`, bodies, { 'if-none-match': '*' });
      assert.deepEqual(tally(answers.map(({ status }) => String(status))), [
        ['200', 1],
        ['412', CLIENTS - 1],
      ]);
      assert.equal((await get('created')).text, bodies[answers.findIndex(({ status }) => status === 200)]);
      assert.equal(await versions('created'), 1);
    });

    test(`${CLIENTS} clients replace the same version: one wins`, async () => {
      await put('replaced', 'first');
      const bodies = Array.from({ length: CLIENTS }, (_, n) => `client ${n}`);
      const answers = await race(`/${Bucket}/replaced`, bodies, { 'if-match': etagOf('first') });
      assert.deepEqual(tally(answers.map(({ status }) => String(status))), [
        ['200', 1],
        ['412', CLIENTS - 1],
      ]);
      assert.equal((await get('replaced')).text, bodies[answers.findIndex(({ status }) => status === 200)]);
      assert.equal(await versions('replaced'), versioned ? 2 : 1);
    });

    test('clients that delete the same version: one wins, the others learn that it is gone', async () => {
      await put('deleted', 'x');
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => remove('deleted', { 'if-match': etagOf('x') })),
      );
      assert.deepEqual(tally(answers.map((answer) => outcome(answer).join(' '))), [
        ['204 ', 1],
        ['404 NoSuchKey', 19],
      ]);
    });

    test('a counter that many clients raise by compare and swap loses no step', async () => {
      await put('counter', '0');
      const raise = async () => {
        for (;;) {
          const { text, headers } = await get('counter');
          const answer = await put('counter', String(Number(text) + 1), { 'if-match': String(headers.etag) });
          if (answer.status === 200) return;
          assert.equal(answer.status, 412);
        }
      };
      await Promise.all(Array.from({ length: 8 }, raise));
      assert.equal((await get('counter')).text, '8');
    });

    test('completions of uploads race as puts do; the losers keep their parts', async () => {
      const uploads = await Promise.all(Array.from({ length: 5 }, (_, n) => begin('assembled', `upload ${n}`)));
      const complete = ({ UploadId, ETag }: Upload, conditions: { IfNoneMatch?: string; IfMatch?: string }) =>
        client
          .send(
            new CompleteMultipartUploadCommand({
              Bucket,
              Key: 'assembled',
              UploadId,
              MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
              ...conditions,
            }),
          )
          .then(
            ({ ETag: etag }) => ({ name: 'ok', etag }),
            ({ name }: Error) => ({ name, etag: undefined }),
          );
      const answers = await Promise.all(uploads.map((upload) => complete(upload, { IfNoneMatch: '*' })));
      assert.deepEqual(tally(answers.map(({ name }) => name)), [
        ['PreconditionFailed', 4],
        ['ok', 1],
      ]);
      const winner = answers.findIndex(({ name }) => name === 'ok');
      assert.equal((await get('assembled')).text, `upload ${winner}`);
      const etag = answers[winner]?.etag ?? '';
      const [loser] = uploads.filter((_, n) => n !== winner);
      assert(loser);
      assert.equal((await complete(loser, { IfMatch: '"other"' })).name, 'PreconditionFailed');
      assert.equal((await complete(loser, { IfMatch: etag })).name, 'ok');
    });

    interface Upload {
      readonly UploadId: string | undefined;
      readonly ETag: string | undefined;
    }

    async function begin(Key: string, Body: string): Promise<Upload> {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const part = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body }));
      return { UploadId, ETag: part.ETag };
    }

    test('copies race as puts do', async () => {
      await Promise.all([0, 1, 2, 3, 4].map((n) => put(`source-${n}`, `source ${n}`)));
      const answers = await Promise.all(
        [0, 1, 2, 3, 4].map((n) =>
          client
            .send(
              new CopyObjectCommand({ Bucket, Key: 'copied', CopySource: `${Bucket}/source-${n}`, IfNoneMatch: '*' }),
            )
            .then(
              () => 'ok',
              ({ name }: Error) => name,
            ),
        ),
      );
      assert.deepEqual(tally(answers), [
        ['PreconditionFailed', 4],
        ['ok', 1],
      ]);
      assert.equal((await get('copied')).text, `source ${answers.indexOf('ok')}`);
    });
  });
}

test('a named version is deleted by its own conditions', async () => {
  const Bucket = bucketName('conditional');
  await node.raw({ method: 'PUT', path: `/${Bucket}` });
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const put = (body: string) => node.raw({ method: 'PUT', path: `/${Bucket}/k`, body });
  const id = String((await put('old')).headers['x-amz-version-id']);
  await put('newer');
  const remove = (etag: string) =>
    node.raw({ method: 'DELETE', path: `/${Bucket}/k?versionId=${id}`, headers: { 'if-match': etag } });
  assert.deepEqual(outcome(await remove(etagOf('newer'))), [412, 'PreconditionFailed']);
  assert.equal((await node.raw({ path: `/${Bucket}/k?versionId=${id}` })).text, 'old');
  assert.equal((await remove(etagOf('old'))).status, 204);
  assert.equal((await remove(etagOf('old'))).status, 204, 'it is gone already');
});

/** Each request on a connection of its own; all bodies end in the same moment, so that all commits are asked for at once. */
async function race(path: string, bodies: readonly string[], conditions: Record<string, string>) {
  const agent = new http.Agent({ maxSockets: Number.POSITIVE_INFINITY });
  const requests = bodies.map((body) => {
    const headers = { 'content-length': String(body.length), ...conditions };
    const signed = signHeaders(node, { method: 'PUT', path, body, headers });
    const outgoing = http.request({ host: '127.0.0.1', port: node.port, method: 'PUT', path, headers: signed, agent });
    const answer = new Promise<{ status: number }>((resolve, reject) => {
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode ?? 0 }));
      });
    });
    const sent = new Promise<void>((resolve) => outgoing.write(body.slice(0, -1), () => resolve()));
    return { outgoing, answer, sent, last: body.slice(-1) };
  });
  await Promise.all(requests.map(({ sent }) => sent));
  for (const { outgoing, last } of requests) outgoing.end(last);
  const answers = await Promise.all(requests.map(({ answer }) => answer));
  agent.destroy();
  return answers;
}
