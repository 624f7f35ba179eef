// The LifecycleConfiguration document, read and written. Shape and numbers only: which rules S3 refuses is
// lifecycle/validation.ts. An element that this does not know is MalformedXML: a rule that is half understood could
// remove what it was not meant for.
import { randomBytes } from 'node:crypto';
import { S3Error } from '../errors.ts';
import type {
  Expiration,
  LifecycleDocument,
  LifecycleRule,
  NoncurrentTransition,
  RuleFilter,
  Transition,
} from '../lifecycle/configuration.ts';
import { LIMITS } from '../limits.ts';
import { childrenOf, childText, parseXml, requireRoot, type XmlElement } from './reader.ts';
import { document, isoDate, leaf, node, S3_NAMESPACE } from './writer.ts';

const RULE_ELEMENTS = [
  'ID',
  'Prefix',
  'Filter',
  'Status',
  'Expiration',
  'NoncurrentVersionExpiration',
  'AbortIncompleteMultipartUpload',
  'Transition',
  'NoncurrentVersionTransition',
];

export function parseLifecycle(body: Buffer): LifecycleRule[] {
  const root = parseXml(body, LIMITS.lifecycleBytesMax.value);
  requireRoot(root, 'LifecycleConfiguration');
  requireKnown(root, ['Rule']);
  if (root.children.length === 0) throw new S3Error('MalformedXML');
  return root.children.map(parseRule);
}

function parseRule(element: XmlElement): LifecycleRule {
  requireKnown(element, RULE_ELEMENTS);
  const status = childText(element, 'Status');
  if (status !== 'Enabled' && status !== 'Disabled') throw new S3Error('MalformedXML');
  const id = childText(element, 'ID') ?? '';
  const expiration = onlyChild(element, 'Expiration');
  const noncurrent = onlyChild(element, 'NoncurrentVersionExpiration');
  const abort = onlyChild(element, 'AbortIncompleteMultipartUpload');
  const transitions = childrenOf(element, 'Transition').map(parseTransition);
  const noncurrentTransitions = childrenOf(element, 'NoncurrentVersionTransition').map(parseNoncurrentTransition);
  return {
    id: id === '' ? randomBytes(24).toString('base64url') : id,
    enabled: status === 'Enabled',
    filter: parseRuleFilter(element),
    ...(expiration && { expiration: parseExpiration(expiration) }),
    ...(noncurrent && { noncurrentExpiration: parseNoncurrentExpiration(noncurrent) }),
    ...(abort && { abortUpload: parseAbort(abort) }),
    ...(transitions.length > 0 && { transitions }),
    ...(noncurrentTransitions.length > 0 && { noncurrentTransitions }),
  };
}

function parseRuleFilter(rule: XmlElement): RuleFilter {
  const prefix = childText(rule, 'Prefix');
  const filter = onlyChild(rule, 'Filter');
  if (filter && prefix !== undefined) {
    const message = 'Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.';
    throw new S3Error('InvalidRequest', message);
  }
  if (filter) return parseFilter(filter);
  if (prefix === undefined) throw new S3Error('MalformedXML');
  return { form: 'rule', prefix };
}

/**
 * S3 wants one element in a Filter, or And. Several beside each other, as other systems take them, are read as And: of
 * all readings the one that removes the least.
 */
function parseFilter(filter: XmlElement): RuleFilter {
  requireKnown(filter, ['Prefix', 'Tag', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan', 'And']);
  const and = onlyChild(filter, 'And');
  if (and) requireKnown(and, ['Prefix', 'Tag', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan']);
  if (and && and.children.length === 0) throw new S3Error('MalformedXML');
  const parts = and ? [filter, and] : [filter];
  const prefix = narrowest(parts.flatMap((part) => childText(part, 'Prefix') ?? []));
  const tags = parts.flatMap((part) => childrenOf(part, 'Tag').map(parseTag));
  const greater = parts.flatMap((part) => count(part, 'ObjectSizeGreaterThan') ?? []);
  const less = parts.flatMap((part) => count(part, 'ObjectSizeLessThan') ?? []);
  return {
    form: 'filter',
    ...(prefix !== undefined && { prefix }),
    ...(tags.length > 0 && { tags }),
    ...(greater.length > 0 && { sizeGreaterThan: Math.max(...greater) }),
    ...(less.length > 0 && { sizeLessThan: Math.min(...less) }),
  };
}

/** What matches both of two prefixes is what matches the longer one, when it begins with the other. */
function narrowest(prefixes: readonly string[]): string | undefined {
  const [first, second] = [...prefixes].sort((a, b) => b.length - a.length);
  if (first !== undefined && second !== undefined && !first.startsWith(second)) throw new S3Error('MalformedXML');
  return first;
}

function parseTag(element: XmlElement): { key: string; value: string } {
  requireKnown(element, ['Key', 'Value']);
  const key = childText(element, 'Key');
  const value = childText(element, 'Value');
  if (key === undefined || value === undefined) throw new S3Error('MalformedXML');
  return { key, value };
}

function parseExpiration(element: XmlElement): Expiration {
  requireKnown(element, ['Days', 'Date', 'ExpiredObjectDeleteMarker']);
  if (element.children.length !== 1) throw new S3Error('MalformedXML');
  const marker = childText(element, 'ExpiredObjectDeleteMarker')?.trim();
  if (marker === undefined) return when(element);
  if (marker !== 'true' && marker !== 'false') throw new S3Error('MalformedXML');
  return { expiredObjectDeleteMarker: marker === 'true' };
}

function parseTransition(element: XmlElement): Transition {
  requireKnown(element, ['Days', 'Date', 'StorageClass']);
  if (element.children.length !== 2) throw new S3Error('MalformedXML');
  return { ...when(element), storageClass: requireText(element, 'StorageClass') };
}

function parseNoncurrentExpiration(element: XmlElement): NonNullable<LifecycleRule['noncurrentExpiration']> {
  requireKnown(element, ['NoncurrentDays', 'NewerNoncurrentVersions']);
  return { noncurrentDays: requireCount(element, 'NoncurrentDays'), ...newer(element) };
}

function parseNoncurrentTransition(element: XmlElement): NoncurrentTransition {
  requireKnown(element, ['NoncurrentDays', 'NewerNoncurrentVersions', 'StorageClass']);
  const storageClass = requireText(element, 'StorageClass');
  return { noncurrentDays: requireCount(element, 'NoncurrentDays'), ...newer(element), storageClass };
}

function newer(element: XmlElement): { newerNoncurrentVersions?: number } {
  const value = count(element, 'NewerNoncurrentVersions');
  return value === undefined ? {} : { newerNoncurrentVersions: value };
}

function parseAbort(element: XmlElement): { daysAfterInitiation: number } {
  requireKnown(element, ['DaysAfterInitiation']);
  return { daysAfterInitiation: requireCount(element, 'DaysAfterInitiation') };
}

function when(element: XmlElement): { days?: number; dateMs?: number } {
  const days = count(element, 'Days');
  if (days !== undefined) return { days };
  return { dateMs: parseDate(requireText(element, 'Date')) };
}

/** ISO 8601: a day, or a time with a zone. */
const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d))?$/;

function parseDate(text: string): number {
  const ms = DATE.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new S3Error('MalformedXML');
  return ms;
}

function requireText(element: XmlElement, name: string): string {
  const text = childText(element, name)?.trim();
  if (text === undefined || text === '') throw new S3Error('MalformedXML');
  return text;
}

function requireCount(element: XmlElement, name: string): number {
  const value = count(element, name);
  if (value === undefined) throw new S3Error('MalformedXML');
  return value;
}

/** Negative ones are read too: they have an error of their own. */
function count(element: XmlElement, name: string): number | undefined {
  const text = childText(element, name)?.trim();
  if (text === undefined) return undefined;
  if (!/^[+-]?\d{1,15}$/.test(text)) throw new S3Error('MalformedXML');
  return Number(text);
}

function onlyChild(element: XmlElement, name: string): XmlElement | undefined {
  const [first, second] = childrenOf(element, name);
  if (second !== undefined) throw new S3Error('MalformedXML');
  return first;
}

function requireKnown(element: XmlElement, names: readonly string[]): void {
  if (element.children.some(({ name }) => !names.includes(name))) throw new S3Error('MalformedXML');
}

// --- written -----------------------------------------------------------------------------------------------------

export function lifecycleResult({ rules }: LifecycleDocument): string {
  return document('LifecycleConfiguration', S3_NAMESPACE, ...rules.map(ruleElement));
}

function ruleElement(rule: LifecycleRule): string {
  const { noncurrentExpiration: noncurrent, abortUpload } = rule;
  return node(
    'Rule',
    leaf('ID', rule.id),
    rule.filter.form === 'rule' ? leaf('Prefix', rule.filter.prefix ?? '') : filterElement(rule.filter),
    leaf('Status', rule.enabled ? 'Enabled' : 'Disabled'),
    ...(rule.transitions ?? []).map((one) =>
      node('Transition', ...whenElements(one), leaf('StorageClass', one.storageClass)),
    ),
    rule.expiration ? node('Expiration', ...whenElements(rule.expiration), markerElement(rule.expiration)) : '',
    ...(rule.noncurrentTransitions ?? []).map((one) =>
      node('NoncurrentVersionTransition', ...noncurrentElements(one), leaf('StorageClass', one.storageClass)),
    ),
    noncurrent ? node('NoncurrentVersionExpiration', ...noncurrentElements(noncurrent)) : '',
    abortUpload
      ? node('AbortIncompleteMultipartUpload', leaf('DaysAfterInitiation', abortUpload.daysAfterInitiation))
      : '',
  );
}

function filterElement({ prefix, tags = [], sizeGreaterThan, sizeLessThan }: RuleFilter): string {
  const parts = [
    prefix === undefined ? '' : leaf('Prefix', prefix),
    ...tags.map(({ key, value }) => node('Tag', leaf('Key', key), leaf('Value', value))),
    leaf('ObjectSizeGreaterThan', sizeGreaterThan),
    leaf('ObjectSizeLessThan', sizeLessThan),
  ].filter((part) => part !== '');
  return node('Filter', parts.length > 1 ? node('And', ...parts) : (parts[0] ?? ''));
}

function whenElements({ days, dateMs }: { readonly days?: number; readonly dateMs?: number }): string[] {
  return [leaf('Days', days), dateMs === undefined ? '' : leaf('Date', isoDate(dateMs))];
}

function markerElement({ expiredObjectDeleteMarker }: Expiration): string {
  return leaf('ExpiredObjectDeleteMarker', expiredObjectDeleteMarker);
}

function noncurrentElements(one: {
  readonly noncurrentDays: number;
  readonly newerNoncurrentVersions?: number;
}): string[] {
  return [leaf('NoncurrentDays', one.noncurrentDays), leaf('NewerNoncurrentVersions', one.newerNoncurrentVersions)];
}
