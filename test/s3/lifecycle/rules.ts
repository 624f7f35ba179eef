// Rules and versions for the tests of lifecycle, short to write.
import type { LifecycleDocument, LifecycleRule, RuleFilter } from '../../../src/s3/lifecycle/configuration.ts';
import type { VersionFacts } from '../../../src/s3/lifecycle/decide.ts';

export const DAY = 86_400_000;
/** 2024-01-15T10:30:00Z, as in S3's own example. */
export const WRITTEN = Date.UTC(2024, 0, 15, 10, 30);

let rules = 0;

export function rule(actions: Partial<LifecycleRule>, filter: Partial<RuleFilter> = {}): LifecycleRule {
  rules += 1;
  return { id: `rule-${rules}`, enabled: true, filter: { form: 'filter', ...filter }, ...actions };
}

export function document(...all: LifecycleRule[]): LifecycleDocument {
  return { rules: all, transitionMinimum: 'all_storage_classes_128K' };
}

export function version(facts: Partial<VersionFacts> = {}): VersionFacts {
  return {
    key: 'logs/a',
    deleteMarker: false,
    size: 1000,
    tags: {},
    modifiedMs: WRITTEN,
    storageClass: 'STANDARD',
    place: { at: 'latest', alone: false },
    versioned: false,
    ...facts,
  };
}
