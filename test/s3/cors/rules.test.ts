import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  CORS_METHODS,
  type CorsRule,
  corsHeaders,
  matchesPattern,
  matchingRule,
  parseCorsDocument,
} from '../../../src/s3/cors/rules.ts';
import { S3Error } from '../../../src/s3/errors.ts';
import { corsConfigurationResult, parseCorsConfiguration } from '../../../src/s3/xml/cors.ts';

function rule(part: Partial<CorsRule>): CorsRule {
  return { allowedOrigins: ['*'], allowedMethods: ['GET'], allowedHeaders: [], exposeHeaders: [], ...part };
}

/** The same question, answered by a regular expression. */
function oracle(pattern: string, text: string): boolean {
  const source = pattern.replace(/[.+?^${}()|[\]\\/-]/g, '\\$&').replace('*', '[^]*');
  return new RegExp(`^${source}$`).test(text);
}

const letters = fc.constantFrom(...'ab.:/-$^(');
const texts = fc.string({ unit: letters, maxLength: 6 });
const patterns = fc.oneof(
  texts,
  fc.tuple(texts, texts).map(([before, after]) => `${before}*${after}`),
);

test('a pattern is what a regular expression says it is', () => {
  fc.assert(
    fc.property(patterns, texts, texts, (pattern, text, middle) => {
      assert.equal(matchesPattern(pattern, text), oracle(pattern, text));
      assert.ok(
        matchesPattern(
          pattern,
          pattern.replace('*', () => middle),
        ),
      );
    }),
    { numRuns: 2000 },
  );
});

test('the first rule that covers a request is the one that a simple search finds', () => {
  const methods = fc.constantFrom(...CORS_METHODS);
  const names = fc.constantFrom('a', 'b', 'A', 'x-a', 'a*', '*', 'X-*');
  const origins = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '*b', 'a*b', 'aab');
  const rules = fc.array(
    fc.record({
      allowedOrigins: fc.array(origins, { minLength: 1, maxLength: 3 }),
      allowedMethods: fc.array(methods, { minLength: 1, maxLength: 3 }),
      allowedHeaders: fc.array(names, { maxLength: 3 }),
      exposeHeaders: fc.constant([]),
    }),
    { maxLength: 5 },
  );
  const asked = fc.record({
    origin: fc.constantFrom('a', 'b', 'ab', 'aab', 'c'),
    method: methods,
    headers: fc.array(fc.constantFrom('a', 'b', 'x-a', 'x-b'), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(rules, asked, (list, request) => {
      const index = list.findIndex((one) => {
        const origin = one.allowedOrigins.filter((pattern) => oracle(pattern, request.origin)).length > 0;
        const method = one.allowedMethods.includes(request.method);
        const refused = request.headers.filter(
          (name) => one.allowedHeaders.filter((pattern) => oracle(pattern.toLowerCase(), name)).length === 0,
        );
        return origin && method && refused.length === 0;
      });
      assert.equal(matchingRule(list, request), index < 0 ? null : list[index]);
    }),
    { numRuns: 2000 },
  );
});

describe('the headers of an answer', () => {
  test('a named origin comes back, with credentials', () => {
    const given = rule({
      allowedOrigins: ['http://*.org', '*'],
      allowedMethods: ['GET', 'PUT'],
      exposeHeaders: ['ETag', 'x-amz-meta-a'],
      maxAgeSeconds: 0,
    });
    assert.deepEqual(corsHeaders(given, { origin: 'http://a.org', method: 'GET', headers: ['a', 'b'] }), {
      'access-control-allow-origin': 'http://a.org',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'a, b',
      'access-control-expose-headers': 'ETag, x-amz-meta-a',
      'access-control-max-age': '0',
      'access-control-allow-credentials': 'true',
      vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
    });
  });

  test('everybody is everybody, and without credentials', () => {
    assert.deepEqual(corsHeaders(rule({}), { origin: 'http://a.org', method: 'GET', headers: [] }), {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET',
      vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
    });
  });

  test('what a header cannot carry never matches', () => {
    const everything = [rule({ allowedHeaders: ['*'] })];
    const question = { origin: 'a', method: 'GET', headers: ['a'] };
    assert.notEqual(matchingRule(everything, question), null);
    for (const origin of ['', 'a b', 'ä', 'a\r\nb', '😀']) {
      assert.equal(matchingRule(everything, { ...question, origin }), null, origin);
    }
    for (const name of ['a b', 'ä', 'a\nb', 'a:b', '']) {
      assert.equal(matchingRule(everything, { ...question, headers: ['a', name] }), null, name);
    }
  });
});

test('a preflight that names more headers than a request may have is not looked at', () => {
  const everything = [rule({ allowedHeaders: ['*'] })];
  const question = (count: number) => ({ origin: 'a', method: 'GET', headers: Array<string>(count).fill('x-a') });
  assert.notEqual(matchingRule(everything, question(200)), null);
  assert.equal(matchingRule(everything, question(201)), null);
});

test('a stored document of another shape is no rules', () => {
  for (const value of [undefined, null, 'x', {}, { rules: 1 }]) assert.deepEqual(parseCorsDocument(value), []);
});

describe('the document', () => {
  const rules: CorsRule[] = [
    rule({
      id: 'first & best',
      allowedOrigins: ['http://a.org', '*.b'],
      allowedHeaders: ['*', 'X-A'],
      maxAgeSeconds: 9,
    }),
    rule({ allowedMethods: [...CORS_METHODS], exposeHeaders: ['ETag'] }),
  ];

  test('comes back as it was', () => {
    assert.deepEqual(parseCorsConfiguration(Buffer.from(corsConfigurationResult(rules))), rules);
  });

  const GOOD = '<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>';
  const CASES: [what: string, inner: string, code: string][] = [
    ['no rule', '', 'MalformedXML'],
    ['something else', `<CORSRule>${GOOD}</CORSRule><Other/>`, 'MalformedXML'],
    ['a rule with something else', `<CORSRule>${GOOD}<Other/></CORSRule>`, 'MalformedXML'],
    ['no origin', '<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>', 'MalformedXML'],
    ['no method', '<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>', 'MalformedXML'],
    ['an empty origin', `<CORSRule>${GOOD}<AllowedOrigin/></CORSRule>`, 'MalformedXML'],
    [
      'two ages',
      `<CORSRule>${GOOD}<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds></CORSRule>`,
      'MalformedXML',
    ],
    ['an age that is none', `<CORSRule>${GOOD}<MaxAgeSeconds>-1</MaxAgeSeconds></CORSRule>`, 'MalformedXML'],
    ['an age beyond time', `<CORSRule>${GOOD}<MaxAgeSeconds>2147483648</MaxAgeSeconds></CORSRule>`, 'MalformedXML'],
    ['an unknown method', `<CORSRule>${GOOD}<AllowedMethod>PATCH</AllowedMethod></CORSRule>`, 'InvalidRequest'],
    ['a method in small letters', `<CORSRule>${GOOD}<AllowedMethod>get</AllowedMethod></CORSRule>`, 'InvalidRequest'],
    ['OPTIONS', `<CORSRule>${GOOD}<AllowedMethod>OPTIONS</AllowedMethod></CORSRule>`, 'InvalidRequest'],
    [
      'two wildcards in an origin',
      `<CORSRule>${GOOD}<AllowedOrigin>*.a.*</AllowedOrigin></CORSRule>`,
      'InvalidRequest',
    ],
    ['two wildcards in a header', `<CORSRule>${GOOD}<AllowedHeader>x-*-*</AllowedHeader></CORSRule>`, 'InvalidRequest'],
    ['a wildcard in what is shown', `<CORSRule>${GOOD}<ExposeHeader>x-*</ExposeHeader></CORSRule>`, 'InvalidRequest'],
    [
      'a line break in what is shown',
      `<CORSRule>${GOOD}<ExposeHeader>a&#10;b</ExposeHeader></CORSRule>`,
      'InvalidRequest',
    ],
    ['an id twice', `<CORSRule><ID>a</ID>${GOOD}</CORSRule><CORSRule><ID>a</ID>${GOOD}</CORSRule>`, 'InvalidRequest'],
    ['an id of 256 characters', `<CORSRule><ID>${'i'.repeat(256)}</ID>${GOOD}</CORSRule>`, 'InvalidArgument'],
    ['101 rules', `<CORSRule>${GOOD}</CORSRule>`.repeat(101), 'InvalidRequest'],
  ];
  for (const [what, inner, code] of CASES) {
    test(`${what}: ${code}`, () => {
      const body = Buffer.from(`<CORSConfiguration>${inner}</CORSConfiguration>`);
      assert.throws(
        () => parseCorsConfiguration(body),
        (error) => error instanceof S3Error && error.code === code,
      );
    });
  }

  test('100 rules, an id of 255 characters, empty ids', () => {
    const one = `<CORSRule><ID/>${GOOD}</CORSRule>`;
    const named = `<CORSRule><ID>${'i'.repeat(255)}</ID>${GOOD}</CORSRule>`;
    const body = Buffer.from(`<CORSConfiguration>${one.repeat(99)}${named}</CORSConfiguration>`);
    assert.equal(parseCorsConfiguration(body).length, 100);
  });
});
