// Versions of objects over the wire: states of a bucket, ids, delete markers, the null version, lists, copies.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  ListObjectVersionsCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { RawRequest } from '../../support/s3-client.ts';
import { bucketName, type Fixture, s3Nodes } from '../../support/s3-fixture.ts';

const nodes = await s3Nodes(['a', 'b']);
const a = nodes.a as Fixture;
const b = nodes.b as Fixture;
const client = a.client();
/** Of the right form, and given out by nobody. */
const UNKNOWN = 'ab'.repeat(16);

const versioningDocument = (status: string) => `<VersioningConfiguration>${status}</VersioningConfiguration>`;
const setVersioning = (Bucket: string, status: string, node = a) =>
  node.raw({ method: 'PUT', path: `/${Bucket}?versioning`, body: versioningDocument(status) });

async function bucket(state: 'Enabled' | 'Suspended' | 'off' = 'off', node = a): Promise<string> {
  const name = bucketName('versions');
  assert.equal((await node.raw({ method: 'PUT', path: `/${name}` })).status, 200);
  if (state !== 'off') assert.equal((await setVersioning(name, `<Status>${state}</Status>`, node)).status, 200);
  return name;
}

/** @returns the version id of the answer, null when it names none. */
async function put(Bucket: string, key: string, body: string, node = a): Promise<string | null> {
  const answer = await node.raw({ method: 'PUT', path: `/${Bucket}/${key}`, body });
  assert.equal(answer.status, 200, answer.text);
  return idOf(answer);
}

async function putVersion(Bucket: string, key: string, body: string, node = a): Promise<string> {
  const id = await put(Bucket, key, body, node);
  assert.match(id ?? '', /^[0-9a-f]{32}$/);
  return id ?? '';
}

const idOf = ({ headers }: { headers: Record<string, unknown> }) =>
  typeof headers['x-amz-version-id'] === 'string' ? headers['x-amz-version-id'] : null;
const get = (Bucket: string, key: string, version?: string) =>
  a.raw({ path: `/${Bucket}/${key}${version === undefined ? '' : `?versionId=${version}`}` });
const remove = (Bucket: string, key: string, version?: string, headers: RawRequest['headers'] = {}) =>
  a.raw({
    method: 'DELETE',
    path: `/${Bucket}/${key}${version === undefined ? '' : `?versionId=${version}`}`,
    headers,
  });

/** `key version-or-letter latest`, in the order of the list. */
async function listed(Bucket: string): Promise<string[]> {
  const { text } = await a.raw({ path: `/${Bucket}?versions` });
  return [...text.matchAll(/<(Version|DeleteMarker)><Key>([^<]*)<.*?<VersionId>([^<]*)<.*?<IsLatest>([^<]*)</g)].map(
    ([, kind, key, id, latest]) => `${kind === 'Version' ? 'v' : 'm'} ${key} ${id} ${latest}`,
  );
}

describe('the state of a bucket', () => {
  test('never enabled, suspended, enabled, suspended again', async () => {
    const Bucket = await bucket();
    const status = async () => /<Status>(\w+)</.exec((await a.raw({ path: `/${Bucket}?versioning` })).text)?.[1];
    assert.equal(await status(), undefined);
    for (const state of ['Suspended', 'Enabled', 'Enabled', 'Suspended']) {
      const answer = await setVersioning(Bucket, `<Status>${state}</Status><MfaDelete>Disabled</MfaDelete>`);
      assert.deepEqual([answer.status, await status()], [200, state]);
    }
  });

  const FAULTS: [document: string, status: number, code: string][] = [
    [versioningDocument(''), 400, 'IllegalVersioningConfigurationException'],
    [versioningDocument('<Status>enabled</Status>'), 400, 'MalformedXML'],
    [versioningDocument('<Status>Disabled</Status>'), 400, 'MalformedXML'],
    [versioningDocument('<Status>Enabled</Status><MfaDelete>on</MfaDelete>'), 400, 'MalformedXML'],
    [versioningDocument('<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>'), 403, 'AccessDenied'],
    ['<Versioning><Status>Enabled</Status></Versioning>', 400, 'MalformedXML'],
    ['', 400, 'MalformedXML'],
  ];
  for (const [document, status, code] of FAULTS) {
    test(`${document || 'no document'}: ${code}, and nothing changes`, async () => {
      const Bucket = await bucket();
      const answer = await a.raw({ method: 'PUT', path: `/${Bucket}?versioning`, body: document });
      assert.deepEqual([answer.status, answer.code], [status, code]);
      assert.equal(await put(Bucket, 'k', 'x'), null);
    });
  }
});

describe('versions of an object', () => {
  test('each put makes one, and each is read by its id', async () => {
    const Bucket = await bucket('Enabled');
    const ids = [
      await putVersion(Bucket, 'k', 'one'),
      await putVersion(Bucket, 'k', 'two'),
      await putVersion(Bucket, 'k', ''),
    ];
    assert.equal(new Set(ids).size, 3);
    const bodies = await Promise.all(ids.map((id) => get(Bucket, 'k', id)));
    assert.deepEqual(
      bodies.map((answer) => [answer.status, answer.text, idOf(answer)]),
      [
        [200, 'one', ids[0]],
        [200, 'two', ids[1]],
        [200, '', ids[2]],
      ],
    );
    const current = await get(Bucket, 'k');
    assert.deepEqual([current.text, idOf(current)], ['', ids[2]]);
    const head = await a.raw({ method: 'HEAD', path: `/${Bucket}/k?versionId=${ids[0]}` });
    assert.deepEqual([head.status, head.headers['content-length'], idOf(head)], [200, '3', ids[0]]);
    const same = await a.raw({
      path: `/${Bucket}/k?versionId=${ids[0]}`,
      headers: { 'if-none-match': head.headers.etag ?? '' },
    });
    assert.deepEqual([same.status, idOf(same)], [304, ids[0]]);
    const attributes = await client.send(
      new GetObjectAttributesCommand({ Bucket, Key: 'k', VersionId: ids[1], ObjectAttributes: ['ObjectSize', 'ETag'] }),
    );
    assert.deepEqual(
      [attributes.VersionId, attributes.ObjectSize, attributes.ETag],
      [ids[1], 3, createHash('md5').update('two').digest('hex')],
    );
    assert.deepEqual(await listed(Bucket), [`v k ${ids[2]} true`, `v k ${ids[1]} false`, `v k ${ids[0]} false`]);
  });

  test('a version that is removed for good is gone; the next one becomes current', async () => {
    const Bucket = await bucket('Enabled');
    const [one, two, three] = [
      await putVersion(Bucket, 'k', '1'),
      await putVersion(Bucket, 'k', '2'),
      await putVersion(Bucket, 'k', '3'),
    ];
    const gone = await remove(Bucket, 'k', three);
    assert.deepEqual([gone.status, idOf(gone), gone.headers['x-amz-delete-marker']], [204, three, undefined]);
    assert.equal((await get(Bucket, 'k')).text, '2');
    assert.equal((await remove(Bucket, 'k', one)).status, 204);
    assert.deepEqual(await listed(Bucket), [`v k ${two} true`]);
    const missing = await get(Bucket, 'k', one);
    assert.deepEqual([missing.status, missing.code], [404, 'NoSuchVersion']);
    assert.match(missing.text, new RegExp(`<VersionId>${one}</VersionId>`));
    assert.equal((await remove(Bucket, 'k', one)).status, 204, 'deleting it again is a success');
  });

  test('a bucket without versioning names none', async () => {
    const Bucket = await bucket();
    assert.equal(await put(Bucket, 'k', 'x'), null);
    assert.equal(idOf(await get(Bucket, 'k')), null);
    assert.deepEqual(
      [(await get(Bucket, 'k', 'null')).text, (await get(Bucket, 'k', UNKNOWN)).code],
      ['x', 'NoSuchVersion'],
    );
    const removed = await remove(Bucket, 'k');
    assert.deepEqual([removed.status, idOf(removed), removed.headers['x-amz-delete-marker']], [204, null, undefined]);
    assert.deepEqual((await get(Bucket, 'k')).headers['x-amz-delete-marker'], undefined);
  });

  const INVALID = ['x', UNKNOWN.toUpperCase(), `${UNKNOWN}0`, 'null%00', '%20', 'NULL', ''];
  for (const id of INVALID) {
    test(`version id '${id}' is no id: InvalidArgument, and nothing is deleted`, async () => {
      const Bucket = await bucket('Enabled');
      await putVersion(Bucket, 'k', 'x');
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        const answer = await a.raw({ method, path: `/${Bucket}/k?versionId=${id}` });
        assert.equal(answer.status, 400, method);
        if (method !== 'HEAD') assert.equal(answer.code, 'InvalidArgument', method);
      }
      assert.equal((await listed(Bucket)).length, 1);
    });
  }
});

describe('delete markers', () => {
  test('a plain delete hides the object; removing the marker brings it back', async () => {
    const Bucket = await bucket('Enabled');
    const id = await putVersion(Bucket, 'k', 'x');
    const hidden = await remove(Bucket, 'k');
    const marker = idOf(hidden) ?? '';
    assert.deepEqual([hidden.status, hidden.headers['x-amz-delete-marker']], [204, 'true']);
    assert.match(marker, /^[0-9a-f]{32}$/);

    for (const method of ['GET', 'HEAD']) {
      const current = await a.raw({ method, path: `/${Bucket}/k` });
      assert.deepEqual([current.status, current.headers['x-amz-delete-marker'], idOf(current)], [404, 'true', marker]);
      const named = await a.raw({ method, path: `/${Bucket}/k?versionId=${marker}` });
      assert.deepEqual([named.status, named.headers['x-amz-delete-marker'], idOf(named)], [405, 'true', marker]);
      assert.equal(named.headers.allow, 'DELETE');
      assert.ok(named.headers['last-modified']);
    }
    assert.equal((await get(Bucket, 'k')).code, 'NoSuchKey');
    assert.equal((await get(Bucket, 'k', marker)).code, 'MethodNotAllowed');
    assert.equal((await get(Bucket, 'k', id)).text, 'x');
    assert.doesNotMatch((await a.raw({ path: `/${Bucket}?list-type=2` })).text, /<Key>/);
    assert.deepEqual(await listed(Bucket), [`m k ${marker} true`, `v k ${id} false`]);

    const back = await remove(Bucket, 'k', marker);
    assert.deepEqual([back.status, back.headers['x-amz-delete-marker'], idOf(back)], [204, 'true', marker]);
    assert.equal((await get(Bucket, 'k')).text, 'x');
  });

  test('each plain delete puts one on top, of a key that never was too', async () => {
    const Bucket = await bucket('Enabled');
    const ids = [idOf(await remove(Bucket, 'k')), idOf(await remove(Bucket, 'k'))];
    assert.deepEqual(await listed(Bucket), [`m k ${ids[1]} true`, `m k ${ids[0]} false`]);
    const refused = await a.raw({ method: 'DELETE', path: `/${Bucket}` });
    assert.deepEqual([refused.status, refused.code], [409, 'BucketNotEmpty']);
    for (const id of ids) await remove(Bucket, 'k', id ?? '');
    assert.equal((await a.raw({ method: 'DELETE', path: `/${Bucket}` })).status, 204);
  });

  test('DeleteObjects says which were made and which are gone', async () => {
    const Bucket = await bucket('Enabled');
    const [one, two] = [await putVersion(Bucket, 'k', '1'), await putVersion(Bucket, 'other', '2')];
    const hide = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'k' }] } }));
    const [made] = hide.Deleted ?? [];
    assert.deepEqual([made?.Key, made?.VersionId, made?.DeleteMarker], ['k', undefined, true]);
    const marker = made?.DeleteMarkerVersionId ?? '';
    assert.deepEqual(await listed(Bucket), [`m k ${marker} true`, `v k ${one} false`, `v other ${two} true`]);
    const answer = await client.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: {
          Objects: [
            { Key: 'k', VersionId: marker },
            { Key: 'k', VersionId: one },
            { Key: 'other', VersionId: UNKNOWN },
            { Key: 'other', VersionId: 'no-id' },
          ],
        },
      }),
    );
    assert.deepEqual(answer.Deleted, [
      { Key: 'k', VersionId: marker, DeleteMarker: true, DeleteMarkerVersionId: marker },
      { Key: 'k', VersionId: one },
      { Key: 'other', VersionId: UNKNOWN },
    ]);
    assert.deepEqual(
      answer.Errors?.map((fault) => [fault.Key, fault.VersionId, fault.Code]),
      [['other', 'no-id', 'NoSuchVersion']],
    );
    assert.deepEqual(await listed(Bucket), [`v other ${two} true`]);
  });
});

describe('the null version', () => {
  test('what was there before versioning keeps the id null, below newer ones', async () => {
    const Bucket = await bucket();
    await put(Bucket, 'k', 'old');
    await setVersioning(Bucket, '<Status>Enabled</Status>');
    assert.equal(idOf(await get(Bucket, 'k')), 'null');
    const id = await putVersion(Bucket, 'k', 'new');
    assert.deepEqual(await listed(Bucket), [`v k ${id} true`, 'v k null false']);
    assert.deepEqual([(await get(Bucket, 'k')).text, (await get(Bucket, 'k', 'null')).text], ['new', 'old']);
    const gone = await remove(Bucket, 'k', 'null');
    assert.deepEqual([gone.status, idOf(gone)], [204, 'null']);
    assert.deepEqual(await listed(Bucket), [`v k ${id} true`]);
  });

  test('while suspended each write replaces it, and versions with ids stay', async () => {
    const Bucket = await bucket('Enabled');
    const id = await putVersion(Bucket, 'k', 'kept');
    await setVersioning(Bucket, '<Status>Suspended</Status>');
    assert.equal(await put(Bucket, 'k', 'first'), null);
    assert.equal(await put(Bucket, 'k', 'second'), null);
    assert.equal(idOf(await get(Bucket, 'k')), 'null');
    assert.deepEqual(await listed(Bucket), ['v k null true', `v k ${id} false`]);
    const hidden = await remove(Bucket, 'k');
    assert.deepEqual([idOf(hidden), hidden.headers['x-amz-delete-marker']], ['null', 'true']);
    assert.deepEqual(await listed(Bucket), ['m k null true', `v k ${id} false`]);
    assert.deepEqual([(await get(Bucket, 'k')).status, (await get(Bucket, 'k', 'null')).status], [404, 405]);
    await put(Bucket, 'k', 'third');
    assert.deepEqual(await listed(Bucket), ['v k null true', `v k ${id} false`]);
  });
});

describe('the list of versions', () => {
  test('pages of any size, in any state, are the whole list in its order', async () => {
    const Bucket = await bucket();
    await put(Bucket, 'b', 'null version');
    await setVersioning(Bucket, '<Status>Enabled</Status>');
    for (const key of ['a', 'b', 'b', 'c/1', 'c/1', 'c/2', 'd']) await putVersion(Bucket, key, key);
    for (const key of ['a', 'b', 'gone']) await remove(Bucket, key);
    const whole = await listed(Bucket);
    assert.equal(whole.length, 11);
    assert.deepEqual(
      whole.map((line) => line.split(' ')[1]),
      ['a', 'a', 'b', 'b', 'b', 'b', 'c/1', 'c/1', 'c/2', 'd', 'gone'],
    );
    for (let size = 1; size <= 12; size++) {
      assert.deepEqual(
        await pages(Bucket, size),
        whole.map((line) => line.split(' ').slice(1, 3).join(' ')),
        `${size}`,
      );
    }
    // A page has its common prefixes behind its versions.
    const grouped = await pages(Bucket, 2, '/');
    assert.deepEqual(grouped.map((line) => line.split(' ')[0]).sort(), [
      'a',
      'a',
      'b',
      'b',
      'b',
      'b',
      'c/',
      'd',
      'gone',
    ]);
  });

  async function pages(Bucket: string, MaxKeys: number, Delimiter?: string): Promise<string[]> {
    const lines: string[] = [];
    let markers: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
    for (;;) {
      const { text } = await a.raw({ path: `/${Bucket}?${query(MaxKeys, Delimiter, markers)}` });
      lines.push(
        ...[...text.matchAll(/<Key>([^<]*)<.*?<VersionId>([^<]*)<|<CommonPrefixes><Prefix>([^<]*)</g)].map(
          ([, key, id, prefix]) => (prefix === undefined ? `${key} ${id}` : prefix),
        ),
      );
      if (!text.includes('<IsTruncated>true')) return lines;
      markers = {
        KeyMarker: /<NextKeyMarker>([^<]*)</.exec(text)?.[1],
        VersionIdMarker: /<NextVersionIdMarker>([^<]*)</.exec(text)?.[1],
      };
      assert.ok(markers.KeyMarker, text);
    }
  }

  function query(
    size: number,
    delimiter: string | undefined,
    { KeyMarker, VersionIdMarker }: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined },
  ): string {
    const parameters = [
      ...(delimiter === undefined ? [] : [`delimiter=${encodeURIComponent(delimiter)}`]),
      ...(KeyMarker === undefined ? [] : [`key-marker=${encodeURIComponent(KeyMarker)}`]),
      `max-keys=${size}`,
      ...(VersionIdMarker === undefined ? [] : [`version-id-marker=${VersionIdMarker}`]),
      'versions',
    ];
    return parameters.join('&');
  }

  test('a key marker alone goes on behind all versions of the key; owners and sizes are told', async () => {
    const Bucket = await bucket('Enabled');
    for (const key of ['a', 'a', 'b']) await putVersion(Bucket, key, 'xyz');
    await remove(Bucket, 'b');
    const list = await client.send(new ListObjectVersionsCommand({ Bucket, KeyMarker: 'a' }));
    assert.deepEqual([list.Versions?.length, list.DeleteMarkers?.length], [1, 1]);
    assert.deepEqual([list.Versions?.[0]?.Size, list.Versions?.[0]?.Owner?.ID], [3, 'id-admin']);
    assert.deepEqual([list.DeleteMarkers?.[0]?.IsLatest, list.DeleteMarkers?.[0]?.Key], [true, 'b']);
    const invalid = await a.raw({ path: `/${Bucket}?key-marker=a&version-id-marker=x&versions` });
    assert.deepEqual([invalid.status, invalid.code], [400, 'InvalidArgument']);
  });
});

describe('copies of versions', () => {
  const copy = (node: Fixture, Bucket: string, Key: string, CopySource: string) =>
    node.client().send(new CopyObjectCommand({ Bucket, Key, CopySource }));

  test('inside a bucket: an older version becomes the current one', async () => {
    const Bucket = await bucket('Enabled');
    const one = await putVersion(Bucket, 'k', 'one');
    await putVersion(Bucket, 'k', 'two');
    const answer = await copy(a, Bucket, 'k', `${Bucket}/k?versionId=${one}`);
    assert.equal(answer.CopySourceVersionId, one);
    const restored = await get(Bucket, 'k');
    assert.deepEqual([restored.text, idOf(restored)], ['one', answer.VersionId]);
    assert.notEqual(answer.VersionId, one);
    assert.equal((await listed(Bucket)).length, 3);
  });

  for (const [name, node] of [
    ['to another bucket of the node', a],
    ['to a bucket of another node', b],
  ] as [string, Fixture][]) {
    test(name, async () => {
      const source = await bucket('Enabled');
      const target = await bucket('off', node);
      const one = await putVersion(source, 'k', 'one');
      const two = await putVersion(source, 'k', 'two');
      const answer = await copy(node, target, 'k', `${source}/k?versionId=${one}`);
      assert.deepEqual([answer.CopySourceVersionId, answer.VersionId], [one, undefined]);
      assert.equal((await node.raw({ path: `/${target}/k` })).text, 'one');
      assert.equal((await copy(node, target, 'k', `${source}/k`)).CopySourceVersionId, two);

      const marker = idOf(await remove(source, 'k')) ?? '';
      await assert.rejects(copy(node, target, 'k', `${source}/k?versionId=${marker}`), { name: 'InvalidRequest' });
      await assert.rejects(copy(node, target, 'k', `${source}/k?versionId=${UNKNOWN}`), { name: 'NoSuchVersion' });
      await assert.rejects(copy(node, target, 'k', `${source}/k?versionId=x`), { name: 'InvalidArgument' });
      await assert.rejects(copy(node, target, 'k', `${source}/k`), { name: 'NoSuchKey' });
      assert.equal((await node.raw({ path: `/${target}/k` })).text, 'two', 'refused copies change nothing');
    });
  }

  test('as parts of an upload, whose completion makes one version however often it is sent', async () => {
    const Bucket = await bucket('Enabled');
    const one = await putVersion(Bucket, 'source', 'first');
    await putVersion(Bucket, 'source', 'second');
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }));
    const target = { Bucket, Key: 'k', UploadId };
    const copied = await client.send(
      new UploadPartCopyCommand({ ...target, PartNumber: 1, CopySource: `${Bucket}/source?versionId=${one}` }),
    );
    assert.equal(copied.CopySourceVersionId, one);
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: copied.CopyPartResult?.ETag }] };
    const complete = () => client.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload }));
    const [first, again] = [await complete(), await complete()];
    assert.match(first.VersionId ?? '', /^[0-9a-f]{32}$/);
    assert.equal(again.VersionId, first.VersionId);
    assert.equal((await get(Bucket, 'k', first.VersionId)).text, 'first');
    assert.equal((await listed(Bucket)).filter((line) => line.startsWith('v k')).length, 1);
  });

  test('parts of a version are read by number', async () => {
    const Bucket = await bucket('Enabled');
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }));
    const target = { Bucket, Key: 'k', UploadId };
    const bodies = ['p'.repeat(5 << 20), 'tail'];
    const Parts = [];
    for (const [index, Body] of bodies.entries()) {
      const PartNumber = index + 1;
      Parts.push({
        PartNumber,
        ETag: (await client.send(new UploadPartCommand({ ...target, PartNumber, Body }))).ETag,
      });
    }
    const done = await client.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } }));
    await putVersion(Bucket, 'k', 'newer');
    const part = await a.raw({ path: `/${Bucket}/k?partNumber=2&versionId=${done.VersionId}` });
    assert.deepEqual([part.status, part.text, part.headers['x-amz-mp-parts-count']], [206, 'tail', '2']);
    const beyond = await a.raw({ path: `/${Bucket}/k?partNumber=2` });
    assert.deepEqual([beyond.status, beyond.code], [416, 'InvalidPartNumber']);
  });
});
