// What a bucket that is cloned from another one's snapshot does not take along (docs/SNAPSHOTS.md › Clones): who else may use
// it, and what is deleted when, were decided for another bucket, at another time, and perhaps taken back since. Pure data.
import { ACL_DOCUMENT } from './access/acl-ownership.ts';
import { POLICY_DOCUMENT } from './access/policy-document.ts';
import { PUBLIC_ACCESS_BLOCK_DOCUMENT, type PublicAccessBlock } from './access/public-access-block.ts';
import { LIFECYCLE_DOCUMENT } from './lifecycle/configuration.ts';
import { bucketNameFault } from './target.ts';

/** Public grants in the ACLs of its objects came along with them; this keeps them from counting. */
const NOTHING_PUBLIC: PublicAccessBlock = {
  blockPublicAcls: true,
  ignorePublicAcls: true,
  blockPublicPolicy: true,
  restrictPublicBuckets: true,
};

export const CLONED_BUCKETS = {
  documents: {
    [POLICY_DOCUMENT]: undefined,
    [ACL_DOCUMENT]: undefined,
    [LIFECYCLE_DOCUMENT]: undefined,
    [PUBLIC_ACCESS_BLOCK_DOCUMENT]: NOTHING_PUBLIC,
  },
  nameFault: bucketNameFault,
};
