// The documents of object lock: configuration of a bucket, retention and legal hold of a version. Pure. Shape is judged
// here (MalformedXML, InvalidRetentionPeriod); what a bucket or a version allows is the handlers'.
// Source: Amazon S3 API Reference, PutObjectLockConfiguration, PutObjectRetention, PutObjectLegalHold.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childrenOf, childText, parseXml, requireRoot, type XmlElement } from './reader.ts';
import { document, isoDate, leaf, node, S3_NAMESPACE } from './writer.ts';

type Mode = 'GOVERNANCE' | 'COMPLIANCE';

export interface DefaultRetentionRule {
  readonly mode: Mode;
  readonly days?: number;
  readonly years?: number;
}

/** null = object lock without a default retention. */
export function parseLockConfiguration(body: Buffer): DefaultRetentionRule | null {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'ObjectLockConfiguration');
  if (childText(root, 'ObjectLockEnabled')?.trim() !== 'Enabled') throw new S3Error('MalformedXML');
  const rule = onlyChild(root, 'Rule');
  if (!rule) return null;
  const retention = onlyChild(rule, 'DefaultRetention');
  if (!retention) throw new S3Error('MalformedXML');
  refuseEventHold(retention);
  const mode = requireMode(retention);
  const days = childText(retention, 'Days')?.trim();
  const years = childText(retention, 'Years')?.trim();
  if ((days === undefined) === (years === undefined)) throw new S3Error('MalformedXML');
  return days === undefined
    ? { mode, years: requirePeriod(years ?? '', LIMITS.retentionYearsMax.value) }
    : { mode, days: requirePeriod(days, LIMITS.retentionDaysMax.value) };
}

function onlyChild(element: XmlElement, name: string): XmlElement | null {
  const [first, second] = childrenOf(element, name);
  if (second !== undefined) throw new S3Error('MalformedXML');
  return first ?? null;
}

/** A hold that ends some time after an event. Dropping it in silence would leave the object unprotected. */
function refuseEventHold(element: XmlElement): void {
  if (element.children.some(({ name }) => name.includes('EventHold'))) {
    throw new S3Error('NotImplemented', 'Event holds are not implemented.');
  }
}

function requireMode(element: XmlElement): Mode {
  const text = childText(element, 'Mode')?.trim();
  if (text === 'GOVERNANCE' || text === 'COMPLIANCE') return text;
  throw new S3Error('MalformedXML');
}

function requirePeriod(text: string, max: number): number {
  if (!/^[+-]?\d{1,10}$/.test(text)) throw new S3Error('MalformedXML');
  const value = Number(text);
  if (value < 1)
    throw new S3Error('InvalidRetentionPeriod', 'Default retention period must be a positive integer value.');
  if (value > max)
    throw new S3Error('InvalidRetentionPeriod', `Default retention period is too large, at most ${max}.`);
  return value;
}

export function lockConfigurationResult(rule: DefaultRetentionRule | null): string {
  const retention =
    rule && node('DefaultRetention', leaf('Mode', rule.mode), leaf('Days', rule.days), leaf('Years', rule.years));
  return document(
    'ObjectLockConfiguration',
    S3_NAMESPACE,
    leaf('ObjectLockEnabled', 'Enabled'),
    retention ? node('Rule', retention) : '',
  );
}

/** null = the empty document, which takes the retention away. The date is judged by the handler. */
export function parseRetention(body: Buffer): { readonly mode: Mode; readonly until: string } | null {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'Retention');
  refuseEventHold(root);
  const until = childText(root, 'RetainUntilDate')?.trim();
  if (until === undefined && childrenOf(root, 'Mode').length === 0) return null;
  const mode = requireMode(root);
  if (until === undefined || until === '') throw new S3Error('MalformedXML');
  return { mode, until };
}

export function retentionResult(retention: { readonly mode: Mode; readonly untilMs: number }): string {
  return document(
    'Retention',
    S3_NAMESPACE,
    leaf('Mode', retention.mode),
    leaf('RetainUntilDate', isoDate(retention.untilMs)),
  );
}

export function parseLegalHold(body: Buffer): boolean {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'LegalHold');
  const status = childText(root, 'Status')?.trim();
  if (status !== 'ON' && status !== 'OFF') throw new S3Error('MalformedXML');
  return status === 'ON';
}

export function legalHoldResult(on: boolean): string {
  return document('LegalHold', S3_NAMESPACE, leaf('Status', on ? 'ON' : 'OFF'));
}
