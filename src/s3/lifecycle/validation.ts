// Which rules S3 refuses, and with which words. Pure; the document was read by xml/lifecycle.ts.
// Sources: Amazon S3 API Reference, PutBucketLifecycleConfiguration; User Guide, Lifecycle configuration elements; the
// messages as S3 sends them.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { type LifecycleRule, TRANSITION_MINIMUMS, type Transition, type TransitionMinimum } from './configuration.ts';
import { DAY_MS } from './due.ts';
import { ARCHIVE_CLASSES, TRANSITION_CLASSES, TRANSITION_DAYS_MIN } from './storage-classes.ts';

type Fault = 'InvalidArgument' | 'InvalidRequest' | 'MalformedXML' | 'NotImplemented';

function refuse(fault: Fault, message?: string): never {
  throw new S3Error(fault, message);
}

export function checkRules(rules: readonly LifecycleRule[]): void {
  if (rules.length > LIMITS.lifecycleRulesMax.value) refuse('MalformedXML');
  const ids = new Set<string>();
  for (const rule of rules) {
    if (rule.id.length > LIMITS.lifecycleIdCharactersMax.value) {
      refuse(
        'InvalidArgument',
        `ID length should not exceed allowed limit of ${LIMITS.lifecycleIdCharactersMax.value}`,
      );
    }
    if (ids.has(rule.id)) refuse('InvalidArgument', 'Rule ID must be unique. Found same ID for more than one rule');
    ids.add(rule.id);
    checkRule(rule);
  }
}

function checkRule(rule: LifecycleRule): void {
  const { expiration, noncurrentExpiration, abortUpload, transitions, noncurrentTransitions } = rule;
  if (!(expiration || noncurrentExpiration || abortUpload || transitions || noncurrentTransitions)) {
    refuse('InvalidRequest', 'At least one action needs to be specified in a rule');
  }
  checkFilter(rule);
  if (expiration?.days !== undefined) requirePositive(expiration.days, 'Days', 'Expiration');
  checkMidnight(expiration?.dateMs);
  if (noncurrentExpiration) {
    requirePositive(noncurrentExpiration.noncurrentDays, 'NoncurrentDays', 'NoncurrentVersionExpiration');
    checkNewer(noncurrentExpiration.newerNoncurrentVersions, 'NoncurrentVersionExpiration');
  }
  if (abortUpload) {
    requirePositive(abortUpload.daysAfterInitiation, 'DaysAfterInitiation', 'AbortIncompleteMultipartUpload');
  }
  checkTransitions(rule);
  checkNoncurrentTransitions(rule);
}

function requirePositive(value: number, name: string, action: string): void {
  if (value < 1) refuse('InvalidArgument', `'${name}' for ${action} action must be a positive integer`);
  if (value > LIMITS.lifecycleDaysMax.value) refuse('InvalidArgument', `'${name}' for ${action} action is too large`);
}

function checkMidnight(dateMs: number | undefined): void {
  if (dateMs !== undefined && dateMs % DAY_MS !== 0) refuse('InvalidArgument', "'Date' must be at midnight GMT");
}

function checkNewer(versions: number | undefined, action: string): void {
  if (versions === undefined) return;
  if (versions < 1)
    refuse('InvalidArgument', `'NewerNoncurrentVersions' for ${action} action must be a positive integer`);
  if (versions > LIMITS.lifecycleNewerVersionsMax.value) {
    const max = LIMITS.lifecycleNewerVersionsMax.value;
    refuse('InvalidArgument', `'NewerNoncurrentVersions' for ${action} action must be less than or equal to ${max}`);
  }
}

function checkFilter({ filter, expiration, abortUpload }: LifecycleRule): void {
  const { prefix = '', tags = [], sizeGreaterThan, sizeLessThan } = filter;
  const max = LIMITS.keyBytesMax.value;
  if (Buffer.byteLength(prefix) > max) refuse('InvalidRequest', `The maximum size of a prefix is ${max}.`);
  for (const { key, value } of tags) {
    const keyTooLong = key === '' || key.length > LIMITS.tagKeyCharactersMax.value;
    if (keyTooLong) refuse('InvalidRequest', 'The TagKey you have provided is invalid');
    if (value.length > LIMITS.tagValueCharactersMax.value) {
      refuse('InvalidRequest', 'The TagValue you have provided is invalid');
    }
  }
  if (new Set(tags.map(({ key }) => key)).size !== tags.length) {
    refuse('InvalidRequest', 'Duplicate Tag Keys are not allowed.');
  }
  checkSizes(sizeGreaterThan, sizeLessThan);
  const sized = sizeGreaterThan !== undefined || sizeLessThan !== undefined;
  const about = tags.length > 0 ? 'Tags' : sized ? 'ObjectSize' : null;
  if (about === null) return;
  if (abortUpload) refuse('InvalidRequest', `AbortIncompleteMultipartUpload cannot be specified with ${about}.`);
  if (expiration?.expiredObjectDeleteMarker !== undefined) {
    refuse('InvalidRequest', `ExpiredObjectDeleteMarker cannot be specified with ${about}.`);
  }
}

function checkSizes(greater: number | undefined, less: number | undefined): void {
  const max = LIMITS.lifecycleObjectBytesMax.value;
  if (greater !== undefined && (greater < 0 || greater > max)) {
    refuse('InvalidRequest', `'ObjectSizeGreaterThan' should be between 0 and ${max}`);
  }
  if (less !== undefined && (less < 1 || less > max)) {
    refuse('InvalidRequest', `'ObjectSizeLessThan' should be between 1 and ${max}`);
  }
  if (greater !== undefined && less !== undefined && less <= greater) {
    refuse('InvalidRequest', "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'");
  }
}

function checkTransitions({ transitions = [], expiration }: LifecycleRule): void {
  for (const one of transitions) {
    checkMidnight(one.dateMs);
    if (one.days !== undefined && one.days < 0) {
      refuse('InvalidArgument', "'Days' for Transition action must be a nonnegative integer");
    }
    if (one.days !== undefined && one.days > LIMITS.lifecycleDaysMax.value) {
      refuse('InvalidArgument', "'Days' for Transition action is too large");
    }
  }
  checkKinds(transitions, expiration ?? {});
  checkClasses(transitions, 'Transition');
  for (const { days, storageClass } of transitions) checkAge(days, storageClass, 'Days', 'Transition');
  for (const one of transitions) {
    if (expiration?.days !== undefined && one.days !== undefined && expiration.days <= one.days) {
      refuse('InvalidArgument', "'Days' in the Expiration action must be greater than 'Days' in the Transition action");
    }
    if (expiration?.dateMs !== undefined && one.dateMs !== undefined && expiration.dateMs <= one.dateMs) {
      refuse('InvalidArgument', "'Date' in the Expiration action must be later than 'Date' in the Transition action");
    }
  }
}

function checkKinds(transitions: readonly Transition[], expiration: { days?: number; dateMs?: number }): void {
  const all = [...transitions, expiration];
  if (all.some(({ days }) => days !== undefined) && all.some(({ dateMs }) => dateMs !== undefined)) {
    const message = "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule";
    refuse('InvalidRequest', message);
  }
}

function checkNoncurrentTransitions({ noncurrentTransitions = [], noncurrentExpiration }: LifecycleRule): void {
  const action = 'NoncurrentVersionTransition';
  for (const { noncurrentDays, newerNoncurrentVersions } of noncurrentTransitions) {
    if (noncurrentDays < 0) {
      refuse('InvalidArgument', `'NoncurrentDays' for ${action} action must be a nonnegative integer`);
    }
    if (noncurrentDays > LIMITS.lifecycleDaysMax.value) {
      refuse('InvalidArgument', `'NoncurrentDays' for ${action} action is too large`);
    }
    checkNewer(newerNoncurrentVersions, action);
    if (noncurrentExpiration && noncurrentExpiration.noncurrentDays <= noncurrentDays) {
      const message = `'NoncurrentDays' in the NoncurrentVersionExpiration action must be greater than in the ${action} action`;
      refuse('InvalidArgument', message);
    }
  }
  checkClasses(noncurrentTransitions, action);
  for (const { noncurrentDays, storageClass } of noncurrentTransitions) {
    checkAge(noncurrentDays, storageClass, 'NoncurrentDays', action);
  }
}

function checkClasses(all: readonly { readonly storageClass: string }[], action: string): void {
  for (const { storageClass } of all) {
    if (ARCHIVE_CLASSES.has(storageClass)) refuse('NotImplemented', `Storage class ${storageClass} is not implemented`);
    if (!TRANSITION_CLASSES.has(storageClass)) refuse('MalformedXML');
  }
  if (new Set(all.map(({ storageClass }) => storageClass)).size !== all.length) {
    refuse('InvalidRequest', `'StorageClass' must be different for '${action}' actions in same 'Rule'`);
  }
}

function checkAge(days: number | undefined, storageClass: string, name: string, action: string): void {
  const min = TRANSITION_DAYS_MIN[storageClass] ?? 0;
  if (days === undefined || days >= min) return;
  const message = `'${name}' in ${action} action must be greater than or equal to ${min} for storageClass '${storageClass}'`;
  refuse('InvalidArgument', message);
}

/** x-amz-transition-default-minimum-object-size. */
export function readTransitionMinimum(header: string | undefined): TransitionMinimum {
  if (header === undefined || header === '') return 'all_storage_classes_128K';
  const found = TRANSITION_MINIMUMS.find((one) => one === header);
  return found ?? refuse('InvalidRequest', `Invalid transition default minimum object size: ${header}`);
}
