// GetObject and HeadObject: conditions, ranges, reads by part number, response header overrides. Reads only; the body
// is a stream of the store that verifies its checksums, or the inline bytes in one piece.
import type { ObjectEntry } from '../../store/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { expirationHeaders } from '../lifecycle/headers.ts';
import { LIMITS } from '../limits.ts';
import { queryValue } from '../target.ts';
import type { S3Response, Target } from '../types.ts';
import { attributeHeaders, checksumHeaders, storedAttributes } from './attributes.ts';
import { evaluateRead, rangeStillValid, requestConditions } from './conditions.ts';
import { type DatasetContext, httpDate, quoted } from './context.ts';
import { lockHeaders } from './lock-rules.ts';
import { partRange, resolveRange } from './ranges.ts';
import { tagCountHeader } from './tagging.ts';
import { readVersionHeaders, requireObject } from './version-id.ts';

/** Which bytes go out, and as what. `end` is inclusive; null = an empty body. */
interface Selection {
  readonly status: 200 | 206;
  readonly range: { readonly start: number; readonly end: number } | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Part number when one was asked for. */
  readonly part: number | null;
}

export async function getObject(context: DatasetContext): Promise<S3Response> {
  const { entry, response, selection } = answer(context);
  if (response) return response;
  const { store } = context.dataset;
  const { range } = selection;
  const headers = entryHeaders(context, entry, selection);
  if (!range) return { status: selection.status, headers, body: Buffer.alloc(0) };
  const inline = store.readInline(entry);
  const body = inline ? inline.subarray(range.start, range.end + 1) : store.read(entry, range);
  return { status: selection.status, headers, body };
}

export async function headObject(context: DatasetContext): Promise<S3Response> {
  const { entry, response, selection } = answer(context);
  if (response) return response;
  return { status: selection.status, headers: entryHeaders(context, entry, selection), body: null };
}

type Answer =
  | { readonly entry: ObjectEntry; readonly response: S3Response; readonly selection: null }
  | { readonly entry: ObjectEntry; readonly response: null; readonly selection: Selection };

function answer(context: DatasetContext): Answer {
  const entry = requireObject(context);
  const { headers } = context.request;
  const verdict = evaluateRead(requestConditions(headers), entry);
  if (verdict.kind === 'failed') {
    throw new S3Error('PreconditionFailed', undefined, { fields: { Condition: verdict.condition } });
  }
  if (verdict.kind === 'not-modified') {
    return { entry, response: { status: 304, headers: notModifiedHeaders(context, entry) }, selection: null };
  }
  return { entry, response: null, selection: select(context, entry) };
}

/** What a 200 would have said and a cache must refresh (RFC 9110 §15.4.5). */
function notModifiedHeaders(context: DatasetContext, entry: ObjectEntry): Record<string, string> {
  const stored = attributeHeaders(storedAttributes(entry.attributes));
  const out: Record<string, string> = {
    etag: quoted(entry.etag),
    'last-modified': httpDate(entry.modifiedMs),
    ...readVersionHeaders(context.dataset.store, entry),
  };
  for (const name of ['cache-control', 'expires'] as const) {
    const value = stored[name];
    if (value !== undefined) out[name] = value;
  }
  return out;
}

function select(context: DatasetContext, entry: ObjectEntry): Selection {
  const { headers, target } = context.request;
  const partNumber = readPartNumber(target);
  if (partNumber !== null) {
    if (headers.range !== undefined) {
      throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
    }
    return selectPart(entry, partNumber);
  }
  const verdict = rangeStillValid(headers['if-range'], entry)
    ? resolveRange(headers.range, entry.size)
    : ({ kind: 'whole' } as const);
  if (verdict.kind === 'unsatisfiable') {
    throw new S3Error('InvalidRange', undefined, {
      headers: { 'content-range': `bytes */${entry.size}` },
      fields: { RangeRequested: headers.range ?? '', ActualObjectSize: String(entry.size) },
    });
  }
  if (verdict.kind === 'whole') {
    const range = entry.size === 0 ? null : { start: 0, end: entry.size - 1 };
    return { status: 200, range, headers: {}, part: null };
  }
  const range = { start: verdict.start, end: verdict.end };
  return { status: 206, range, headers: contentRange(range, entry.size), part: null };
}

function contentRange(range: { start: number; end: number }, size: number): Record<string, string> {
  return { 'content-range': `bytes ${range.start}-${range.end}/${size}` };
}

function readPartNumber(target: Target): number | null {
  const text = queryValue(target, 'partNumber');
  if (text === undefined) return null;
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > LIMITS.partNumberMax.value) {
    const message = `Part number must be an integer between 1 and ${LIMITS.partNumberMax.value}, inclusive`;
    throw invalidArgument(message, 'partNumber', text);
  }
  return number;
}

function selectPart(entry: ObjectEntry, number: number): Selection {
  const part = partRange(number, entry.size, entry.partSizes);
  if (!part) throw new S3Error('InvalidPartNumber');
  const count = entry.partSizes ? { 'x-amz-mp-parts-count': String(entry.partSizes.length) } : {};
  if (part.length === 0) return { status: 200, range: null, headers: count, part: number };
  const range = { start: part.start, end: part.start + part.length - 1 };
  return { status: 206, range, headers: { ...contentRange(range, entry.size), ...count }, part: number };
}

function entryHeaders(context: DatasetContext, entry: ObjectEntry, selection: Selection): Record<string, string> {
  const attributes = storedAttributes(entry.attributes);
  const length = selection.range ? selection.range.end - selection.range.start + 1 : 0;
  return {
    ...attributeHeaders(attributes),
    ...readVersionHeaders(context.dataset.store, entry),
    ...shownLock(context, entry),
    ...tagCountHeader(context, entry),
    ...expirationHeaders(context.dataset.store, entry),
    ...responseOverrides(context.request.target),
    ...(context.request.headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED'
      ? selectedChecksum(entry, selection)
      : {}),
    ...selection.headers,
    'accept-ranges': 'bytes',
    'content-length': String(length),
    etag: quoted(entry.etag),
    'last-modified': httpDate(entry.modifiedMs),
  };
}

/** Locks are told to who may read them; who may read an object need not know how long it is kept. */
function shownLock(context: DatasetContext, entry: ObjectEntry): Record<string, string> {
  const { retention, legalHold } = storedAttributes(entry.attributes);
  const resource = { key: entry.key, entry };
  const { authorizer } = context;
  return lockHeaders({
    retention: retention && authorizer.allows('s3:GetObjectRetention', resource) ? retention : undefined,
    legalHold: legalHold !== undefined && authorizer.allows('s3:GetObjectLegalHold', resource) ? legalHold : undefined,
  });
}

/** A checksum goes out only with the bytes it is of, or a client would compare it with others. */
function selectedChecksum(entry: ObjectEntry, selection: Selection): Record<string, string> {
  const { checksum, partChecksums } = storedAttributes(entry.attributes);
  if (!checksum) return {};
  if (selection.part !== null && entry.partSizes) {
    const value = partChecksums?.[selection.part - 1];
    return value ? checksumHeaders({ algorithm: checksum.algorithm, value, type: checksum.type }) : {};
  }
  return selection.status === 206 && selection.part === null ? {} : checksumHeaders(checksum);
}

const OVERRIDES = [
  'content-type',
  'content-language',
  'expires',
  'cache-control',
  'content-disposition',
  'content-encoding',
] as const;

/** Every request that comes here is signed, query included, so the overrides are the signer's. */
function responseOverrides(target: Target): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of OVERRIDES) {
    const value = queryValue(target, `response-${name}`);
    if (value === undefined || value === '') continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters would end the header and begin another
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) {
      throw invalidArgument('Header value cannot contain control characters', `response-${name}`, '');
    }
    out[name] = Buffer.from(value, 'utf8').toString('latin1');
  }
  return out;
}
