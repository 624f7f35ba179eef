// PostObject: an upload by a browser form. Its credentials, policy and fields come in the body, before the file:
//
//   fields ─▶ key ─▶ who signed ─▶ policy ─▶ may he ─▶ attributes ─▶ file into the store ─▶ commit ─▶ 204, 201, 200 or 303
//
// Behind the fields it is PutObject with the headers that they stand for. The file is never held in memory, and nothing
// is kept of one that is cut, too large, too small, or not what its checksum says.
import { ANONYMOUS } from '../access/anonymous.ts';
import { S3Error } from '../errors.ts';
import { collectFields, type FormFields, formHeaders, formKey, toWire } from '../forms/fields.ts';
import { type Form, openForm } from '../forms/form-reader.ts';
import { checkPolicy, type FormPolicy, parsePolicy } from '../forms/policy.ts';
import { type FormSignature, verifyForm } from '../forms/signature.ts';
import { expirationHeaders } from '../lifecycle/headers.ts';
import { LIMITS } from '../limits.ts';
import { openPayload } from '../payload/reader.ts';
import { identityOf } from '../sigv4/authenticate.ts';
import { requirePresent } from '../snapshots/address.ts';
import type { S3Response } from '../types.ts';
import { postResponse } from '../xml/post-response.ts';
import { parseTagging } from '../xml/tagging.ts';
import { urlEncode } from '../xml/writer.ts';
import { checksumHeaders, toBag } from './attributes.ts';
import { chooseChecksum, receiveBlob } from './body.ts';
import { type DatasetContext, quoted } from './context.ts';
import { checkEncryptionHeaders } from './encryption.ts';
import { lockedByDefault, newObjectAttributes, requireDigestWhenLocked } from './new-object.ts';
import { objectTags, TAGGING_HEADER, taggingHeader } from './tags.ts';
import { refuseUnsupported } from './unsupported.ts';
import { writtenVersionHeaders } from './version-id.ts';

const UNLIMITED: FormPolicy['range'] = { min: 0, max: Number.POSITIVE_INFINITY };

export async function postObject(context: DatasetContext): Promise<S3Response> {
  const { exchange, headers } = context.request;
  const { request } = exchange;
  exchange.proceed();
  // The end of the iteration must not destroy the request: the answer goes out on its connection.
  const form = await openForm(request.iterator({ destroyOnReturn: false }), headers['content-type']);
  try {
    return await storeForm(context, form);
  } finally {
    form.close();
  }
}

async function storeForm(context: DatasetContext, form: Form): Promise<S3Response> {
  const fields = collectFields(form.fields, form.file.name);
  const key = formKey(fields);
  requirePresent(key);
  const { config, clock } = context.services;
  const { cluster, credentials } = config();
  const signature = verifyForm(fields, { region: cluster.region, credentials });
  const policy = signature && parsePolicy(signature.policy);
  if (policy) checkPolicy(policy, fields, context.bucket, clock.wallMs());
  const put = putContext(context, key, fields, signature);
  put.authorizer.require('s3:PutObject', { key });
  return storeFile(put, form, fields, policy?.range ?? UNLIMITED);
}

/** The request as the PutObject that the form stands for, by who signed it. */
function putContext(
  context: DatasetContext,
  key: string,
  fields: FormFields,
  signature: FormSignature | null,
): DatasetContext {
  const { request } = context;
  const identity = signature ? identityOf(signature.signer) : ANONYMOUS;
  const headers = { ...formHeaders(fields), ...tagHeader(fields) };
  const { 'user-agent': agent, referer } = request.headers;
  const authorizer = context.authorizer.as(identity, {
    headers: {
      ...headers,
      ...(agent === undefined ? {} : { 'user-agent': agent }),
      ...(referer === undefined ? {} : { referer }),
      ...(signature?.amzDate === undefined ? {} : { 'x-amz-date': signature.amzDate }),
    },
    // Nobody signed what stands behind the address.
    query: new Map(),
    ...(signature ? { authType: 'POST', signatureVersion: signature.version } : {}),
  });
  const auth = { identity, payload: { kind: 'unsigned' }, presigned: false } as const;
  return { ...context, key, authorizer, request: { ...request, headers, auth } };
}

/** The field has a document where the header has a query. */
function tagHeader(fields: FormFields): Record<string, string> {
  const text = fields.get('tagging');
  if (text === undefined || text.trim() === '') return {};
  return { [TAGGING_HEADER]: taggingHeader(objectTags(parseTagging(Buffer.from(text)))) };
}

async function storeFile(
  put: DatasetContext,
  form: Form,
  fields: FormFields,
  range: FormPolicy['range'],
): Promise<S3Response> {
  const { headers } = put.request;
  refuseUnsupported(headers);
  checkEncryptionHeaders('PostObject', headers, put.dataset.encrypted === true);
  const attributes = newObjectAttributes(put, toWire(headers));
  requireDigestWhenLocked(put, attributes, 'Put Object');
  const payload = openPayload({
    source: atLeast(form.file.bytes, range.min),
    payload: put.request.auth.payload,
    // Its length is where its boundary is.
    headers: { ...headers, 'transfer-encoding': 'chunked' },
    bytesMax: Math.min(range.max, LIMITS.putBytesMax.value),
    defaultChecksum: 'CRC64NVME',
  });
  const { blob, result } = await receiveBlob(put, payload);
  const checksum = chooseChecksum(result.checksums);
  const entry = await put.dataset.store.put({
    key: put.key,
    blob,
    etag: result.md5Hex,
    attributes: toBag(lockedByDefault(put, { ...attributes, ...(checksum ? { checksum } : {}) })),
  });
  const { store } = put.dataset;
  const shown = { ...checksumHeaders(checksum), ...writtenVersionHeaders(entry), ...expirationHeaders(store, entry) };
  return success(put, fields, entry.etag, shown);
}

/** Throws before the last byte has become part of anything. */
async function* atLeast(bytes: AsyncIterable<Buffer>, min: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    yield chunk;
  }
  if (size >= min) return;
  throw new S3Error('EntityTooSmall', undefined, {
    fields: { ProposedSize: String(size), MinSizeAllowed: String(min) },
  });
}

function success(
  put: DatasetContext,
  fields: FormFields,
  etag: string,
  headers: Readonly<Record<string, string>>,
): S3Response {
  const { bucket, key } = put;
  const redirect = redirectTarget(fields.get('success_action_redirect') ?? fields.get('redirect'));
  const shown = { ...headers, etag: quoted(etag) };
  if (redirect !== null) {
    const query = `bucket=${urlEncode(bucket)}&key=${encodeURIComponent(key)}&etag=${encodeURIComponent(quoted(etag))}`;
    return { status: 303, headers: { ...shown, location: withQuery(redirect, query) }, body: '' };
  }
  const location = objectUrl(put);
  const answer = { ...shown, location };
  const status = fields.get('success_action_status');
  if (status === '200') return { status: 200, headers: answer, body: '' };
  if (status !== '201') return { status: 204, headers: answer };
  const body = postResponse({ location, bucket, key, etag });
  return { status: 201, headers: { ...answer, 'content-type': 'application/xml' }, body };
}

function objectUrl({ key, request }: DatasetContext): string {
  const { exchange, target } = request;
  const scheme = exchange.origin.secure ? 'https' : 'http';
  const path = target.rawPath.endsWith('/') ? target.rawPath : `${target.rawPath}/`;
  return `${scheme}://${exchange.request.headers.host ?? ''}${path}${urlEncode(key)}`;
}

/** What is no address counts as not given, as in S3. */
function redirectTarget(text: string | undefined): string | null {
  if (text === undefined || !/^https?:\/\//i.test(text) || !URL.canParse(text)) return null;
  return /^[!-~]+$/.test(text) ? text : new URL(text).href;
}

function withQuery(url: string, query: string): string {
  const hash = url.indexOf('#');
  const [base, fragment] = hash < 0 ? [url, ''] : [url.slice(0, hash), url.slice(hash)];
  return `${base}${base.includes('?') ? '&' : '?'}${query}${fragment}`;
}
