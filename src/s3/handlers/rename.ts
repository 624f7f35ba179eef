// RenameObject, which S3 has for directory buckets: an object gets another key in one commit, without its bytes being
// moved. Only where there are no versions, for versions keep their keys. Owns the client tokens of recent renames, so that
// a retry of one that succeeded succeeds too; after a restart or a move of the bucket such a retry finds no source.
// Source: Amazon S3 API Reference, RenameObject; the source is a key of the same bucket, URL encoded.
import { isZringError } from '../../common/errors.ts';
import type { ObjectEntry } from '../../store/types.ts';
import { requireRead } from '../access/operation-access.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { decodeComponent, requireKey } from '../target.ts';
import type { S3Response } from '../types.ts';
import { storedAttributes } from './attributes.ts';
import { type ConditionHeaders, evaluateRead, requestConditions } from './conditions.ts';
import { type DatasetContext, wireHeaders } from './context.ts';
import { requestTagConditions } from './tags.ts';
import { refuseUnsupported } from './unsupported.ts';

const SOURCE = 'x-amz-rename-source';
const TOKEN = 'x-amz-client-token';

export async function renameObject(context: DatasetContext): Promise<S3Response> {
  const { headers } = context.request;
  refuseUnsupported(headers);
  const source = readSource(context);
  requireRead(context.authorizer, context.dataset.store, source, undefined);
  context.authorizer.require('s3:DeleteObject', { key: source });
  if (comparesTarget(headers)) context.authorizer.require('s3:GetObject', { key: context.key });
  const token = readToken(headers[TOKEN]);
  if (token !== null && isRepeated(context, token, source)) return { status: 200 };
  const { dataset, key } = context;
  await dataset.store.rename({ source, key, inspect: inspection(context) }).catch((error: unknown) => {
    if (isZringError(error, 'OBJECT_MISSING')) throw new S3Error('NoSuchKey', undefined, { fields: { Key: source } });
    if (!isZringError(error, 'VERSIONING_CONFLICT')) throw error;
    throw new S3Error('InvalidBucketState', 'RenameObject needs a bucket without versioning: copy the object instead.');
  });
  if (token !== null) remember(context, token, source);
  return { status: 200 };
}

function readSource(context: DatasetContext): string {
  const wire = wireHeaders(context)[SOURCE];
  let source: string;
  try {
    source = decodeComponent(typeof wire === 'string' ? wire : '', false);
  } catch {
    throw new S3Error('InvalidArgument', 'Invalid rename source encoding.');
  }
  if (source === '') throw invalidArgument('The rename source is missing.', SOURCE, '');
  requireKey(source);
  return source;
}

/** What is at the new key is told to who may read it; `*` only asks whether there is anything. */
function comparesTarget(headers: Readonly<Record<string, string>>): boolean {
  const { ifMatch = '*', ifNoneMatch = '*', ifModifiedSince, ifUnmodifiedSince } = requestConditions(headers);
  return [ifMatch, ifNoneMatch].some((tags) => tags.trim() !== '*') || !!(ifModifiedSince ?? ifUnmodifiedSince);
}

/** Of the source (x-amz-rename-source-if-…) and of what is at the new key; all must hold, inside the commit. */
function inspection({ authorizer, key, request }: DatasetContext) {
  const { headers } = request;
  const ofSource: ConditionHeaders = {
    ifMatch: headers[`${SOURCE}-if-match`],
    ifNoneMatch: headers[`${SOURCE}-if-none-match`],
    ifModifiedSince: headers[`${SOURCE}-if-modified-since`],
    ifUnmodifiedSince: headers[`${SOURCE}-if-unmodified-since`],
  };
  const ofTarget = requestConditions(headers);
  return (source: ObjectEntry, previous: ObjectEntry | null) => {
    // Its tags come along, whatever a header says.
    const conditions = requestTagConditions(storedAttributes(source.attributes).tags);
    authorizer.require('s3:PutObject', { key, entry: previous, conditions, replaces: 'tags' });
    requireConditions(ofSource, source, `${SOURCE}-`);
    if (previous) requireConditions(ofTarget, previous, '');
    else if (ofTarget.ifMatch !== undefined) throw failed('If-Match');
    else if (ofTarget.ifModifiedSince !== undefined) throw failed('If-Modified-Since');
  };
}

function requireConditions(conditions: ConditionHeaders, subject: ObjectEntry, prefix: string): void {
  const verdict = evaluateRead(conditions, subject);
  if (verdict.kind === 'failed') throw failed(prefix + verdict.condition);
  if (verdict.kind === 'not-modified') {
    throw failed(prefix + (conditions.ifNoneMatch === undefined ? 'If-Modified-Since' : 'If-None-Match'));
  }
}

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', undefined, { fields: { Condition: condition } });
}

// --- client tokens ---------------------------------------------------------------------------------------------------

/** A client retries within seconds; the bound is for the memory. */
const TOKENS_MAX = 1000;
const tokens = new Map<string, string>();

function readToken(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!/^[!-~]{1,64}$/.test(text)) throw invalidArgument('The client token has 1 to 64 ASCII characters.', TOKEN, text);
  return text;
}

/** Of this dataset, and for this rename: `from` and `to` as one text, which no key can fake. */
function identify({ dataset, key }: DatasetContext, token: string, source: string): [name: string, rename: string] {
  return [`${dataset.id} ${token}`, JSON.stringify([source, key])];
}

function isRepeated(context: DatasetContext, token: string, source: string): boolean {
  const [name, rename] = identify(context, token, source);
  const known = tokens.get(name);
  if (known === undefined) return false;
  if (known !== rename) throw new S3Error('IdempotencyParameterMismatch');
  return true;
}

function remember(context: DatasetContext, token: string, source: string): void {
  const [name, rename] = identify(context, token, source);
  for (const oldest of tokens.keys()) {
    if (tokens.size < TOKENS_MAX) break;
    tokens.delete(oldest);
  }
  tokens.set(name, rename);
}
