// The `public-access-block` document of a bucket. Pure reading; the handlers write it. A bucket without one blocks
// nothing (docs/ACCESS.md says why). The ACL files ask here as well.
import type { Store } from '../../store/types.ts';

export const PUBLIC_ACCESS_BLOCK_DOCUMENT = 'public-access-block';

/** Stored data: fields may be added, never change meaning. */
export interface PublicAccessBlock {
  /** Requests that would make a list public are refused. */
  readonly blockPublicAcls: boolean;
  /** Public grants of lists do not count. */
  readonly ignorePublicAcls: boolean;
  /** A public policy is refused. */
  readonly blockPublicPolicy: boolean;
  /** A public policy counts for the owner's account only. */
  readonly restrictPublicBuckets: boolean;
}

/** null: not configured, nothing is blocked. A damaged document blocks everything. */
export function readPublicAccessBlock(store: Store): PublicAccessBlock | null {
  const value = store.document(PUBLIC_ACCESS_BLOCK_DOCUMENT);
  if (value === undefined || value === null) return null;
  const flags = value as Partial<PublicAccessBlock>;
  return {
    blockPublicAcls: flags.blockPublicAcls !== false,
    ignorePublicAcls: flags.ignorePublicAcls !== false,
    blockPublicPolicy: flags.blockPublicPolicy !== false,
    restrictPublicBuckets: flags.restrictPublicBuckets !== false,
  };
}
