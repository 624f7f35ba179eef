// Nobody: the identity of a request that carries no credentials. Constant.
import type { Identity } from '../types.ts';

/** The canonical id is the one that S3 shows for objects of the anonymous user. */
export const ANONYMOUS: Identity = Object.freeze({
  accessKey: '',
  displayName: 'anonymous',
  canonicalId: '65a011a29cdf8ec533ec3d1ccaae921c',
  account: '',
  allow: [],
});

/** As aws:userid in policies. */
export const ANONYMOUS_USER_ID = 'anonymous';

export function isAnonymous(identity: Identity): boolean {
  return identity.accessKey === '';
}
