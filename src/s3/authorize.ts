// The rules of a credential: which buckets it may read, write, or make. Pure. There is no deny rule. What else may allow
// or refuse a request (owner, policy, lists) is weighed in access/authorizer.ts.
import type { Identity } from './types.ts';

/** `*`: what `read` and `write` do not cover, the management of permissions. */
export type Action = 'read' | 'write' | '*';

/** `*` is any run of characters, `?` one; everything else is itself. Bucket names only: no need for escapes. */
function globPattern(glob: string): RegExp {
  let pattern = patterns.get(glob);
  if (!pattern) {
    const source = glob
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replace(/\?/g, '.');
    pattern = new RegExp(`^${source}$`, 's');
    if (patterns.size >= PATTERNS_MAX) patterns.clear();
    patterns.set(glob, pattern);
  }
  return pattern;
}

/** Globs come from the configuration, so there are few; the bound only guards against endless reloads. */
const PATTERNS_MAX = 1000;
const patterns = new Map<string, RegExp>();

function covers(actions: string, action: Action | 'create'): boolean {
  return actions.split(',').some((item) => item.trim() === '*' || item.trim() === action);
}

export function mayAct(identity: Identity, bucket: string, action: Action): boolean {
  return identity.allow.some((rule) => covers(rule.actions, action) && globPattern(rule.buckets).test(bucket));
}

/** CreateBucket. */
export function mayCreate(identity: Identity, bucket: string): boolean {
  const creates = (actions: string) => covers(actions, 'write') || covers(actions, 'create');
  return identity.allow.some((rule) => creates(rule.actions) && globPattern(rule.buckets).test(bucket));
}

/** For ListBuckets: a bucket is shown to who may do anything with it. `create` is about buckets that are not there yet. */
export function maySee(identity: Identity, bucket: string): boolean {
  return mayAct(identity, bucket, 'read') || mayAct(identity, bucket, 'write');
}
