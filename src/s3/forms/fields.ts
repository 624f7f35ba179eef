// The fields of a form upload as one table, names without regard to case, `${filename}` filled in; and the request headers
// that they stand for, so that everything behind speaks of headers only. Pure.
// Source: Amazon S3 API Reference, POST Object, "Form Fields".
import { invalidArgument, type S3Error } from '../errors.ts';
import { requireKey } from '../target.ts';
import type { FormField } from './form-reader.ts';

/** Lower-case name → value. */
export type FormFields = ReadonlyMap<string, string>;

/** What was signed, or proves it, means itself. */
const NOT_EXPANDED: ReadonlySet<string> = new Set(['policy', 'signature', 'awsaccesskeyid', 'x-amz-signature']);

export function collectFields(list: readonly FormField[], filename: string): FormFields {
  const fields = new Map<string, string>();
  for (const field of list) {
    const name = field.name.toLowerCase();
    // Which of two counts differs between implementations: a signed form must mean one thing.
    if (fields.has(name)) throw invalidArgument(`The field ${field.name} is given more than once.`, field.name, '');
    const expands = !NOT_EXPANDED.has(name);
    fields.set(name, expands ? field.value.replaceAll('${filename}', () => filename) : field.value);
  }
  return fields;
}

export function missingField(name: string): S3Error {
  return invalidArgument(
    `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
    name,
    '',
  );
}

export function requireField(fields: FormFields, name: string): string {
  const value = fields.get(name.toLowerCase());
  if (value === undefined) throw missingField(name);
  return value;
}

export function formKey(fields: FormFields): string {
  const key = requireField(fields, 'key');
  if (key === '') throw invalidArgument('User key must have a length greater than 0.', 'key', '');
  requireKey(key);
  return key;
}

/** Fields of this name are headers of PutObject; so is every x-amz-* that is not about the form itself. */
const HEADER_FIELDS: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-type',
  'expires',
]);
const ABOUT_THE_FORM: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-signature',
]);

/** As request headers, UTF-8 decoded: lower-case name → value. `acl` becomes x-amz-acl. */
export function formHeaders(fields: FormFields): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of fields) {
    const isHeader = HEADER_FIELDS.has(name) || (name.startsWith('x-amz-') && !ABOUT_THE_FORM.has(name));
    const header = name === 'acl' ? 'x-amz-acl' : isHeader ? name : null;
    if (header === null) continue;
    requireHeader(header, value);
    headers[header] = value;
  }
  return headers;
}

/** A field may have lines and any name; a header that is given back with the object may not. */
function requireHeader(name: string, value: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters would end the header and begin another
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value) || !/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) {
    throw invalidArgument('Header value cannot contain control characters', name, '');
  }
}

/** The same as Node shows headers of a request: each UTF-8 byte as one Latin-1 character. */
export function toWire(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Buffer.from(value, 'utf8').toString('latin1')]),
  );
}
