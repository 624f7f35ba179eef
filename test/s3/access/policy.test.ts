import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ANONYMOUS } from '../../../src/s3/access/anonymous.ts';
import { evaluatePolicy } from '../../../src/s3/access/policy.ts';
import { parsePolicy } from '../../../src/s3/access/policy-parser.ts';
import { isPublicPolicy } from '../../../src/s3/access/public-policy.ts';
import { S3Error } from '../../../src/s3/errors.ts';
import type { Identity } from '../../../src/s3/types.ts';

const BUCKET = 'bkt';
const VERSION = '2012-10-17';

function person(name: string, account = 'acme'): Identity {
  return { accessKey: `key-${name}`, displayName: name, canonicalId: `id-${name}`, account, allow: [] };
}
const ANN = person('ann');
const BOB = person('bob', 'other');

type Json = Record<string, unknown>;
const ALLOW: Json = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${BUCKET}/*` };

function policyText(...statements: Json[]): string {
  return JSON.stringify({ Version: VERSION, Statement: statements });
}

function verdict(statements: Json[], identity: Identity, action: string, resource: string, values: Json = {}) {
  return evaluatePolicy(parsePolicy(policyText(...statements), BUCKET), {
    identity,
    action,
    resource,
    lookup: (key) => values[key] as readonly string[] | undefined,
  });
}

describe('who', () => {
  const CASES: [principal: unknown, identity: Identity, expected: boolean][] = [
    ['*', ANN, true],
    ['*', ANONYMOUS, true],
    [{ AWS: '*' }, ANONYMOUS, true],
    [{ AWS: ['arn:aws:iam::nobody:root', '*'] }, ANN, true],
    [{ AWS: 'acme' }, ANN, true],
    [{ AWS: 'acme' }, BOB, false],
    [{ AWS: 'arn:aws:iam::acme:root' }, ANN, true],
    [{ AWS: 'arn:aws:iam::acme:root' }, BOB, false],
    [{ AWS: 'arn:aws:iam::acme:root' }, ANONYMOUS, false],
    [{ AWS: 'arn:aws:iam::acme:user/ann' }, ANN, true],
    [{ AWS: 'arn:aws:iam::acme:user/bob' }, BOB, false],
    [{ AWS: 'arn:aws:iam::other:user/bob' }, BOB, true],
    [{ AWS: 'arn:aws:iam::acme:role/ann' }, ANN, false],
    [{ CanonicalUser: 'id-ann' }, ANN, true],
    [{ CanonicalUser: ANONYMOUS.canonicalId }, ANONYMOUS, false],
    [{ Service: 'logging.s3.amazonaws.com' }, ANN, false],
    [{ Federated: 'cognito-identity.amazonaws.com' }, ANN, false],
    [{ Service: 'logging.s3.amazonaws.com', AWS: 'acme' }, ANN, true],
  ];
  for (const [Principal, identity, expected] of CASES) {
    test(`${JSON.stringify(Principal)} ${expected ? 'is' : 'is not'} ${identity.displayName}`, () => {
      const found = verdict([{ ...ALLOW, Principal }], identity, 's3:GetObject', 'bkt/k');
      assert.equal(found, expected ? 'allow' : 'silent');
    });
  }

  test('NotPrincipal denies everybody else', () => {
    const { Principal: _, ...rest } = ALLOW;
    const deny = { ...rest, Effect: 'Deny', NotPrincipal: { AWS: 'arn:aws:iam::acme:user/ann' } };
    assert.equal(verdict([ALLOW, deny], ANN, 's3:GetObject', 'bkt/k'), 'allow');
    assert.equal(verdict([ALLOW, deny], BOB, 's3:GetObject', 'bkt/k'), 'deny');
    assert.equal(verdict([ALLOW, deny], ANONYMOUS, 's3:GetObject', 'bkt/k'), 'deny');
  });
});

describe('what and where', () => {
  const CASES: [statement: Json, action: string, resource: string, expected: boolean][] = [
    [{}, 's3:GetObject', 'bkt/k', true],
    [{}, 's3:GetObjectVersion', 'bkt/k', false],
    [{}, 's3:GetObject', 'bkt', false],
    [{ Action: 'S3:getobject' }, 's3:GetObject', 'bkt/k', true],
    [{ Action: ['s3:PutObject', 's3:Get*'] }, 's3:GetObjectVersion', 'bkt/k', true],
    [{ Action: '*' }, 's3:PutObject', 'bkt/k', true],
    [{ Action: undefined, NotAction: 's3:Get*' }, 's3:PutObject', 'bkt/k', true],
    [{ Action: undefined, NotAction: 's3:Get*' }, 's3:GetObject', 'bkt/k', false],
    [{ Resource: 'arn:aws:s3:::bkt' }, 's3:GetObject', 'bkt/k', false],
    [{ Resource: 'arn:aws:s3:::bkt/a/?.txt' }, 's3:GetObject', 'bkt/a/b.txt', true],
    [{ Resource: 'arn:aws:s3:::bkt/a/?.txt' }, 's3:GetObject', 'bkt/A/b.txt', false],
    [{ Resource: 'arn:aws:s3:::*' }, 's3:GetObject', 'bkt/k', true],
    [{ Resource: 'arn:aws:s3:::*/*' }, 's3:GetObject', 'bkt', false],
    [{ Resource: '*' }, 's3:GetObject', 'bkt/k', true],
    [{ Resource: undefined, NotResource: 'arn:aws:s3:::bkt/secret/*' }, 's3:GetObject', 'bkt/k', true],
    [{ Resource: undefined, NotResource: 'arn:aws:s3:::bkt/secret/*' }, 's3:GetObject', 'bkt/secret/k', false],
    [{ Resource: 'arn:aws:s3:::bkt/home/${aws:username}/*' }, 's3:GetObject', 'bkt/home/ann/k', true],
    [{ Resource: 'arn:aws:s3:::bkt/home/${aws:username}/*' }, 's3:GetObject', 'bkt/home/bob/k', false],
  ];
  for (const [change, action, resource, expected] of CASES) {
    test(`${JSON.stringify(change)}: ${action} on ${resource}`, () => {
      const found = verdict([{ ...ALLOW, ...change }], ANN, action, resource, { 'aws:username': ['ann'] });
      assert.equal(found, expected ? 'allow' : 'silent');
    });
  }

  test('variables are text in policies of 2008 and of no version', () => {
    for (const version of [undefined, '2008-10-17']) {
      const statement = { ...ALLOW, Resource: 'arn:aws:s3:::bkt/${aws:username}' };
      const policy = parsePolicy(JSON.stringify({ Version: version, Statement: statement }), BUCKET);
      const ask = (resource: string) =>
        evaluatePolicy(policy, { identity: ANN, action: 's3:GetObject', resource, lookup: () => ['ann'] });
      assert.deepEqual([ask('bkt/ann'), ask('bkt/${aws:username}')], ['silent', 'allow']);
    }
  });

  test('every condition of a statement must hold', () => {
    const Condition = {
      StringEquals: { 'aws:Referer': 'r', 'aws:UserAgent': 'u' },
      Bool: { 'aws:SecureTransport': true },
    };
    const ask = (values: Json) => verdict([{ ...ALLOW, Condition }], ANN, 's3:GetObject', 'bkt/k', values);
    const all = { 'aws:referer': ['r'], 'aws:useragent': ['u'], 'aws:securetransport': ['true'] };
    assert.equal(ask(all), 'allow');
    for (const key of Object.keys(all)) assert.equal(ask({ ...all, [key]: ['x'] }), 'silent', key);
  });
});

describe('what is refused', () => {
  const CASES: [name: string, text: string, message: RegExp][] = [
    ['no JSON', 'policy', /valid JSON/],
    ['a list', '[]', /first byte must be '\{'/],
    ['a field twice', `{"Version":"${VERSION}","Statement":[],"Statement":[]}`, /Duplicate field Statement/],
    ['a field twice, escaped', policyText(ALLOW).replace('"Effect"', '"Effect":"Deny","\\u0045ffect"'), /Duplicate/],
    ['an unknown field', JSON.stringify({ Statement: ALLOW, Statements: [] }), /Unknown field Statements/],
    ['another version', JSON.stringify({ Version: '2020-01-01', Statement: ALLOW }), /version string/],
    ['no statement', JSON.stringify({ Version: VERSION }), /Missing required field Statement/],
    ['an empty list', policyText(), /Statement is empty/],
    ['a statement that is none', policyText('x' as unknown as Json), /syntax/],
    ['an unknown element', policyText({ ...ALLOW, Effects: 'Deny' }), /Unknown field Effects/],
    ['no effect', policyText({ ...ALLOW, Effect: undefined }), /Missing required field Effect/],
    ['another effect', policyText({ ...ALLOW, Effect: 'allow' }), /Invalid effect: allow/],
    ['no principal', policyText({ ...ALLOW, Principal: undefined }), /Missing required field Principal/],
    ['both principals', policyText({ ...ALLOW, Effect: 'Deny', NotPrincipal: '*' }), /exclude each other/],
    [
      'Allow with NotPrincipal',
      policyText({ ...ALLOW, Principal: undefined, NotPrincipal: { AWS: 'acme' } }),
      /NotPrincipal/,
    ],
    ['an unknown kind of principal', policyText({ ...ALLOW, Principal: { GCP: 'x' } }), /Invalid principal/],
    [
      'a principal with a wildcard',
      policyText({ ...ALLOW, Principal: { AWS: 'arn:aws:iam::acme:user/*' } }),
      /Invalid principal/,
    ],
    ['a name that is no principal', policyText({ ...ALLOW, Principal: 'ann' }), /Invalid principal/],
    ['an empty principal', policyText({ ...ALLOW, Principal: {} }), /Invalid principal/],
    ['no action', policyText({ ...ALLOW, Action: undefined }), /Missing required field Action/],
    ['no actions', policyText({ ...ALLOW, Action: [] }), /Action field cannot be empty/],
    ['an unknown action', policyText({ ...ALLOW, Action: 's3:GetObjekt' }), /invalid action/],
    ['an action of another service', policyText({ ...ALLOW, Action: 'ec2:*' }), /invalid action/],
    ['no resource', policyText({ ...ALLOW, Resource: undefined }), /Missing required field Resource/],
    ['another bucket', policyText({ ...ALLOW, Resource: 'arn:aws:s3:::other/*' }), /invalid resource/],
    ['a bucket that only begins like it', policyText({ ...ALLOW, Resource: 'arn:aws:s3:::bkt2' }), /invalid resource/],
    ['a name that is no resource', policyText({ ...ALLOW, Resource: 'bkt/*' }), /invalid resource/],
    ['a variable as bucket', policyText({ ...ALLOW, Resource: 'arn:aws:s3:::${aws:username}/*' }), /invalid resource/],
    ['a malformed variable', policyText({ ...ALLOW, Resource: 'arn:aws:s3:::bkt/${aws' }), /invalid resource/],
    [
      'an unknown operator',
      policyText({ ...ALLOW, Condition: { StringIs: { 'aws:Referer': 'x' } } }),
      /Invalid Condition type : StringIs/,
    ],
    ['a wrong value', policyText({ ...ALLOW, Condition: { IpAddress: { 'aws:SourceIp': 'home' } } }), /Invalid value/],
    [
      'an unknown key',
      policyText({ ...ALLOW, Condition: { StringEquals: { 'aws:Refferer': 'x' } } }),
      /invalid condition key/,
    ],
    [
      'a key that is not known here',
      policyText({ ...ALLOW, Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } } }),
      /invalid condition key/,
    ],
    [
      'a key twice',
      policyText({ ...ALLOW, Condition: { StringEquals: { 'aws:Referer': 'x', 'aws:referer': 'y' } } }),
      /Duplicate/,
    ],
    ['no values', policyText({ ...ALLOW, Condition: { StringEquals: { 'aws:Referer': [] } } }), /syntax/],
    ['an object as value', policyText({ ...ALLOW, Condition: { StringEquals: { 'aws:Referer': {} } } }), /syntax/],
    ['one Sid twice', policyText({ ...ALLOW, Sid: 'a' }, { ...ALLOW, Sid: 'a' }), /SID/],
  ];
  for (const [name, text, message] of CASES) {
    test(name, () => {
      assert.throws(
        () => parsePolicy(text, BUCKET),
        (error) => error instanceof S3Error && error.code === 'MalformedPolicy' && message.test(error.message),
      );
    });
  }

  test('whatever the text, it is a policy or MalformedPolicy', () => {
    const leaf = fc.oneof(fc.string(), fc.constantFrom('*', 'Allow', 's3:*', `arn:aws:s3:::${BUCKET}`, null, 1, true));
    const fields = fc.constantFrom(
      'Effect',
      'Principal',
      'Action',
      'Resource',
      'Condition',
      'AWS',
      'StringEquals',
      '__proto__',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('any'), { maxLength: 3 }), tie('object')),
      object: fc.dictionary(fields, tie('any'), { maxKeys: 5 }),
    }));
    fc.assert(
      fc.property(value.any, (Statement) => {
        try {
          parsePolicy(JSON.stringify({ Version: VERSION, Statement }), BUCKET);
        } catch (error) {
          assert.ok(error instanceof S3Error && error.code === 'MalformedPolicy', String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});

/** A second reading of the rules, from the JSON, as plainly as they can be written. */
function oracle(statements: readonly Json[], who: Identity, action: string, resource: string, referer: string | null) {
  const like = (pattern: string, text: string): boolean =>
    pattern === ''
      ? text === ''
      : pattern[0] === '*'
        ? like(pattern.slice(1), text) || (text !== '' && like(pattern, text.slice(1)))
        : text !== '' && pattern[0] === text[0] && like(pattern.slice(1), text.slice(1));
  const list = (value: unknown): string[] => (Array.isArray(value) ? value : [value]) as string[];
  const isPerson = (name: string) => name === '*' || name === who.account || name.endsWith(`:user/${who.displayName}`);
  const matches = (s: Json) => {
    const condition = (s.Condition ?? {}) as Record<string, Record<string, string>>;
    return (
      list((s.Principal as Json).AWS).some(isPerson) &&
      list(s.Action).some((one) => like(one.toLowerCase(), action.toLowerCase())) &&
      list(s.Resource).some((one) => like(one.slice('arn:aws:s3:::'.length), resource)) &&
      Object.entries(condition).every(([operator, block]) => {
        const wanted = block['aws:Referer'] ?? '';
        if (operator === 'StringEquals') return referer === wanted;
        if (operator === 'StringNotEquals') return referer !== wanted;
        return referer === null || like(wanted, referer);
      })
    );
  };
  const found = statements.filter(matches);
  return found.some((s) => s.Effect === 'Deny') ? 'deny' : found.length > 0 ? 'allow' : 'silent';
}

test('agrees with a plain reading of the rules', () => {
  const some = (...values: string[]) => fc.oneof(fc.constantFrom(...values), fc.subarray(values, { minLength: 1 }));
  const statement = fc.record(
    {
      Effect: fc.constantFrom('Allow', 'Deny'),
      Principal: fc.record({
        AWS: some('*', 'acme', 'other', 'arn:aws:iam::acme:user/ann', 'arn:aws:iam::other:user/bob'),
      }),
      Action: some('*', 's3:*', 's3:Get*', 's3:getobject', 's3:PutObject', 's3:*Object', 's3:ListBucket'),
      Resource: some(
        'arn:aws:s3:::bkt',
        'arn:aws:s3:::bkt/*',
        'arn:aws:s3:::bkt/a*b',
        'arn:aws:s3:::b*t/a/*',
        'arn:aws:s3:::*',
      ),
      Condition: fc.record(
        {
          StringEquals: fc.record({ 'aws:Referer': fc.constantFrom('x', 'y') }),
          StringNotEquals: fc.record({ 'aws:Referer': fc.constantFrom('x', 'y') }),
          StringLikeIfExists: fc.record({ 'aws:Referer': fc.constantFrom('x*', '*y') }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['Effect', 'Principal', 'Action', 'Resource'] },
  );
  fc.assert(
    fc.property(
      fc.array(statement, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(ANN, BOB),
      fc.constantFrom('s3:GetObject', 's3:GetObjectVersion', 's3:PutObject', 's3:ListBucket'),
      fc.constantFrom('bkt', 'bkt/ab', 'bkt/a/b', 'bkt/c'),
      fc.constantFrom(null, 'x', 'y', 'xy'),
      (statements, who, action, resource, referer) => {
        const values = referer === null ? {} : { 'aws:referer': [referer] };
        assert.equal(
          verdict(statements, who, action, resource, values),
          oracle(statements, who, action, resource, referer),
        );
      },
    ),
    { numRuns: 5000 },
  );
});

describe('public or not', () => {
  const CASES: [statement: Json, expected: boolean][] = [
    [{}, true],
    [{ Principal: { AWS: '*' } }, true],
    [{ Principal: { AWS: ['acme', '*'] } }, true],
    [{ Effect: 'Deny' }, false],
    [{ Principal: { AWS: 'acme' } }, false],
    [{ Principal: { AWS: 'arn:aws:iam::acme:root' } }, false],
    [{ Principal: { CanonicalUser: 'id-ann' } }, false],
    [{ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/32' } } }, false],
    [{ Condition: { IpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '2001:db8::/32'] } } }, false],
    [{ Condition: { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } } }, true],
    [{ Condition: { IpAddress: { 'aws:SourceIp': ['10.0.0.0/8', '0.0.0.0/1'] } } }, true],
    [{ Condition: { IpAddress: { 'aws:SourceIp': '2001::/16' } } }, true],
    [{ Condition: { NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }, true],
    [{ Condition: { IpAddressIfExists: { 'aws:SourceIp': '10.0.0.0/8' } } }, true],
    [{ Condition: { StringEquals: { 'aws:SourceVpc': 'vpc-1' } } }, false],
    [{ Condition: { StringLike: { 'aws:SourceVpc': 'vpc-*' } } }, true],
    [{ Condition: { StringNotEquals: { 'aws:SourceVpc': 'vpc-1' } } }, true],
    [{ Condition: { 'ForAllValues:StringEquals': { 'aws:PrincipalOrgPaths': 'o-1/r/' } } }, true],
    [{ Condition: { 'ForAnyValue:StringEquals': { 'aws:PrincipalOrgPaths': 'o-1/r/' } } }, false],
    [{ Condition: { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::acme:user/*' } } }, true],
    [{ Condition: { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::acme:user/ann' } } }, false],
    [{ Condition: { StringEquals: { 'aws:username': '${aws:username}' } } }, true],
    [{ Condition: { StringEquals: { 'aws:userid': 'id-ann' } } }, false],
    [{ Condition: { StringEquals: { 'aws:userid': ['id-ann', 'anonymous'] } } }, true],
    [{ Condition: { StringEqualsIgnoreCase: { 'aws:userid': 'Anonymous' } } }, true],
    // What anybody can say of himself narrows nothing.
    [{ Condition: { StringEquals: { 'aws:Referer': 'http://example.com/' } } }, true],
    [{ Condition: { Bool: { 'aws:SecureTransport': 'true' } } }, true],
  ];
  for (const [change, expected] of CASES) {
    test(`${JSON.stringify(change)} is ${expected ? '' : 'not '}public`, () => {
      assert.equal(isPublicPolicy(parsePolicy(policyText({ ...ALLOW, ...change }), BUCKET)), expected);
    });
  }

  test('one public statement among others is enough', () => {
    const narrow = { ...ALLOW, Principal: { AWS: 'acme' } };
    assert.equal(isPublicPolicy(parsePolicy(policyText(narrow, ALLOW), BUCKET)), true);
  });
});
