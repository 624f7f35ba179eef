import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { S3Error } from '../../../src/s3/errors.ts';
import { LIMITS } from '../../../src/s3/limits.ts';
import { parseXml } from '../../../src/s3/xml/reader.ts';
import { parseCompleteRequest, parseCreateBucketRequest, parseDeleteRequest } from '../../../src/s3/xml/requests.ts';
import { document, leaf, node, S3_NAMESPACE } from '../../../src/s3/xml/writer.ts';

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
  return 'none';
}

const xml = (text: string) => Buffer.from(text);
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>';

// --- reader ------------------------------------------------------------------------------------------------------

test('elements, text, entities, CDATA, comments, namespaces', () => {
  const root = parseXml(
    xml(
      `\ufeff${HEAD}<s:A xmlns:s="x" a="1"><!-- c --><B>1 &amp; &lt;&gt;&quot;&apos;&#65;&#x42;</B>t<C><![CDATA[<x>&]]></C></s:A>`,
    ),
    1000,
  );
  assert.equal(root.name, 'A');
  assert.equal(root.text, 't');
  assert.deepEqual(
    root.children.map(({ name, text }) => [name, text]),
    [
      ['B', '1 & <>"\'AB'],
      ['C', '<x>&'],
    ],
  );
});

const REFUSED: readonly (readonly [name: string, body: Buffer])[] = [
  ['nothing', xml('')],
  ['white space', xml('  \n')],
  ['text', xml('hello')],
  ['two roots', xml('<A/><B/>')],
  ['an element not closed', xml('<A><B></A>')],
  ['cut short', xml('<A><B>')],
  ['text after the root', xml('<A/>x')],
  ['DOCTYPE', xml('<!DOCTYPE A><A/>')],
  ['entity bomb', xml('<!DOCTYPE A [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><A>&b;</A>')],
  ['external entity', xml('<!DOCTYPE A [<!ENTITY a SYSTEM "file:///etc/passwd">]><A>&a;</A>')],
  ['unknown entity', xml('<A>&nbsp;</A>')],
  ['processing instruction', xml('<?php echo 1 ?><A/>')],
  ['stylesheet', xml(`${HEAD}<?xml-stylesheet href="x"?><A/>`)],
  ['other encoding', xml('<?xml version="1.0" encoding="UTF-16"?><A/>')],
  ['bytes that are not UTF-8', Buffer.from([0x3c, 0x41, 0x3e, 0xff, 0x3c, 0x2f, 0x41, 0x3e])],
  ['UTF-16', Buffer.from('\ufeff<A/>', 'utf16le')],
  ['NUL', xml('<A>\0</A>')],
  ['reference to NUL', xml('<A>&#0;</A>')],
  ['reference to a surrogate', xml('<A>&#xD800;</A>')],
  ['raw control character', xml('<A>\u0001</A>')],
  ['attribute twice', xml('<A a="1" a="2"/>')],
  ['attribute without quotes', xml('<A a=1/>')],
  ['nested too deeply', xml('<A>'.repeat(LIMITS.xmlDepthMax.value + 1) + '</A>'.repeat(LIMITS.xmlDepthMax.value + 1))],
  ['too many elements', xml(`<A>${'<B/>'.repeat(LIMITS.xmlElementsMax.value)}</A>`)],
];

for (const [name, body] of REFUSED) {
  test(`${name}: MalformedXML`, () =>
    assert.equal(
      code(() => parseXml(body, 1e7)),
      'MalformedXML',
    ));
}

test('just as deep and as many as allowed', () => {
  const { value: depth } = LIMITS.xmlDepthMax;
  parseXml(xml('<A>'.repeat(depth) + '</A>'.repeat(depth)), 1e7);
  parseXml(xml(`<A>${'<B/>'.repeat(LIMITS.xmlElementsMax.value - 1)}</A>`), 1e7);
});

test('a body beyond the limit is not parsed at all', () => {
  assert.equal(
    code(() => parseXml(xml('<A/>  '), 5)),
    'MaxMessageLengthExceeded',
  );
});

test('control characters as references, as S3 writes them for such keys', () => {
  assert.equal(parseXml(xml('<A>&#x1;&#31;&#xD;&#x0B;</A>'), 100).text, '\u0001\u001f\r\u000b');
  // Characters that another version of XML would fold into line feeds stay what they are.
  assert.equal(parseXml(xml('<A>\u2028\u0085</A>'), 100).text, '\u2028\u0085');
  assert.equal(parseXml(xml('<A>&#1;\u2028\u0085\u007f</A>'), 100).text, '\u0001\u2028\u0085\u007f');
});

test('every key survives the way through the writer and the reader', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (key) => {
      // These three have no place in any XML: such objects are deleted one by one.
      if (/[\0\ufffe\uffff]/.test(key)) return;
      assert.equal(parseXml(xml(document('A', null, leaf('K', key))), 1e5).children[0]?.text, key);
    }),
    { numRuns: 1000 },
  );
});

test('whatever arrives, it is a document or MalformedXML', () => {
  const unit = fc.constantFrom(
    '<',
    '>',
    '/',
    'A',
    '<A>',
    '</A>',
    '&',
    '&amp;',
    '&#1;',
    ';',
    '"',
    '=',
    '!',
    '?',
    '[',
    ']',
    '<![CDATA[',
    ']]>',
    '<!--',
    '-->',
    '<?',
    '?>',
    '\0',
    ' ',
    'é',
    '<!DOCTYPE',
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 25 }), (parts) => {
      assert.ok(['none', 'MalformedXML'].includes(code(() => parseXml(xml(parts.join('')), 1e5))));
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      assert.ok(['none', 'MalformedXML'].includes(code(() => parseXml(Buffer.from(bytes), 1e5))));
    }),
    { numRuns: 1000 },
  );
});

// --- DeleteObjects -----------------------------------------------------------------------------------------------

const remove = (inner: string) => parseDeleteRequest(xml(`${HEAD}<Delete xmlns="${S3_NAMESPACE}">${inner}</Delete>`));

test('DeleteObjects: keys with everything, versions, conditions, quiet', () => {
  const found = remove(
    '<Object><Key> a&amp;b\u00e9 </Key></Object>' +
      '<Object><Key>k</Key><VersionId>null</VersionId><ETag>"e"</ETag><Size>12</Size>' +
      '<LastModifiedTime>Wed, 21 Oct 2015 07:28:00 GMT</LastModifiedTime></Object><Quiet>true</Quiet>',
  );
  assert.equal(found.quiet, true);
  assert.deepEqual(found.objects, [
    { key: ' a&bé ', versionId: null, etag: null, lastModifiedTime: null, size: null },
    { key: 'k', versionId: 'null', etag: 'e', lastModifiedTime: 'Wed, 21 Oct 2015 07:28:00 GMT', size: 12 },
  ]);
  assert.equal(remove('<Object><Key>k</Key></Object>').quiet, false);
  assert.equal(remove('<Quiet>false</Quiet><Object><Key>k</Key></Object>').quiet, false);
});

test('DeleteObjects: 1000 keys are the most', () => {
  const keys = (count: number) => '<Object><Key>k</Key></Object>'.repeat(count);
  assert.equal(remove(keys(1000)).objects.length, 1000);
  assert.equal(
    code(() => remove(keys(1001))),
    'MalformedXML',
  );
});

test('DeleteObjects: the longest possible document is within the limit of its size', () => {
  const key = '&#x1;'.repeat(1024);
  const body = xml(`<Delete>${`<Object><Key>${key}</Key></Object>`.repeat(1000)}</Delete>`);
  assert.ok(body.length < LIMITS.deleteObjectsBytesMax.value);
  assert.equal(parseDeleteRequest(body).objects.at(-1)?.key, '\u0001'.repeat(1024));
});

for (const inner of [
  '',
  '<Object/>',
  '<Object><Key/></Object>',
  '<Object><Key><b/></Key></Object>',
  '<Object><Key>a</Key><Key>b</Key></Object>',
  '<Object><Key>a</Key><Size>big</Size></Object>',
]) {
  test(`DeleteObjects: <Delete>${inner}</Delete> is MalformedXML`, () => {
    assert.equal(
      code(() => remove(inner)),
      'MalformedXML',
    );
  });
}

test('DeleteObjects: another root is MalformedXML', () => {
  assert.equal(
    code(() => parseDeleteRequest(xml('<Remove><Object><Key>k</Key></Object></Remove>'))),
    'MalformedXML',
  );
});

// --- CompleteMultipartUpload -------------------------------------------------------------------------------------

const complete = (inner: string) =>
  parseCompleteRequest(xml(`<CompleteMultipartUpload>${inner}</CompleteMultipartUpload>`));
const part = (number: number | string, etag = '"e"') => node('Part', leaf('PartNumber', number), leaf('ETag', etag));

test('CompleteMultipartUpload: parts in their order, ETags with and without quotes, checksums', () => {
  assert.deepEqual(
    complete(
      `${part(2)}${part(1, 'f')}<Part><ETag>"g"</ETag><PartNumber> 3 </PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>`,
    ),
    [
      { number: 2, etag: 'e', checksums: [] },
      { number: 1, etag: 'f', checksums: [] },
      { number: 3, etag: 'g', checksums: [{ algorithm: 'CRC32', value: 'AAAAAA==' }] },
    ],
  );
});

for (const [inner, expected] of [
  ['', 'MalformedXML'],
  [part('x'), 'MalformedXML'],
  [part('1.5'), 'MalformedXML'],
  [part(''), 'MalformedXML'],
  ['<Part><PartNumber>1</PartNumber></Part>', 'MalformedXML'],
  ['<Part><ETag>e</ETag></Part>', 'MalformedXML'],
  [part(0), 'InvalidArgument'],
  [part(-1), 'InvalidArgument'],
  [part(10_001), 'InvalidArgument'],
] as const) {
  test(`CompleteMultipartUpload: ${inner === '' ? 'no part' : inner} is ${expected}`, () => {
    assert.equal(
      code(() => complete(inner)),
      expected,
    );
  });
}

test('CompleteMultipartUpload: 10,000 parts with a checksum each', () => {
  const sha = 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=';
  const parts = Array.from({ length: 10_000 }, (_, index) =>
    node('Part', leaf('PartNumber', index + 1), leaf('ETag', `"${'a'.repeat(32)}"`), leaf('ChecksumSHA256', sha)),
  );
  assert.equal(complete(parts.join('')).length, 10_000);
  assert.equal(
    code(() => complete(`${parts.join('')}${part(1)}`)),
    'MalformedXML',
  );
});

// --- CreateBucket ------------------------------------------------------------------------------------------------

test('CreateBucket: with and without a location', () => {
  const create = (text: string) => parseCreateBucketRequest(xml(text)).locationConstraint;
  assert.equal(create(''), null);
  assert.equal(create('<CreateBucketConfiguration/>'), null);
  assert.equal(create('<CreateBucketConfiguration><LocationConstraint/></CreateBucketConfiguration>'), null);
  assert.equal(
    create(
      `${HEAD}<CreateBucketConfiguration xmlns="${S3_NAMESPACE}"><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>`,
    ),
    'EU',
  );
});

test('CreateBucket: tags', () => {
  const create = (inner: string) =>
    parseCreateBucketRequest(xml(`<CreateBucketConfiguration>${inner}</CreateBucketConfiguration>`));
  const tag = '<Tag><Key>a</Key><Value>b</Value></Tag>';
  assert.deepEqual(create(`<Tags>${tag}</Tags>`).tags, [{ key: 'a', value: 'b' }]);
  assert.deepEqual(create('').tags, []);
  for (const tags of [`<Tags>${tag}</Tags><Tags/>`, '<Tags><Tag><Key>a</Key></Tag></Tags>', '<Tags><Other/></Tags>']) {
    assert.equal(
      code(() => create(tags)),
      'MalformedXML',
      tags,
    );
  }
});

test('CreateBucket: what is not built is not dropped', () => {
  const create = (inner: string) =>
    code(() => parseCreateBucketRequest(xml(`<CreateBucketConfiguration>${inner}</CreateBucketConfiguration>`)));
  assert.equal(create('<Location><Name>usw2-az1</Name><Type>AvailabilityZone</Type></Location>'), 'NotImplemented');
  assert.equal(
    code(() => parseCreateBucketRequest(xml('<Other/>'))),
    'MalformedXML',
  );
});
