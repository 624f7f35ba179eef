// Scrubs of any bucket from any node: the bucket's owner is asked. Owns nothing. docs/REPAIR.md.
import { ZringError } from '../common/errors.ts';
import type { PeerMethods } from '../common/peer.ts';
import type { ScrubDesk, ScrubReport } from '../ownership/repair/types.ts';
import { atOwner, datasetOf, type OwnerDeps } from './at-owner.ts';

const METHODS = { begin: 'scrubs.begin', show: 'scrubs.show', end: 'scrubs.end' } as const;
type Verb = keyof typeof METHODS;

export interface BucketScrub {
  readonly bucket: string;
  /** The owner, which answered. */
  readonly node: string;
  /** null = it knows of none: none was started since its process was, or since it owns the bucket. */
  readonly scrub: ScrubReport | null;
}

/** Errors: those of `atOwner` and of ScrubDesk. */
export interface BucketScrubDesk {
  show(bucket: string): Promise<BucketScrub>;
  change(bucket: string, verb: 'begin' | 'end'): Promise<BucketScrub>;
}

export function createBucketScrubDesk(deps: OwnerDeps & { readonly scrubs: ScrubDesk }): BucketScrubDesk {
  const ask = async (bucket: string, verb: Verb): Promise<BucketScrub> => {
    const local = async () => ({ scrub: await deps.scrubs[verb](bucket) });
    const asked = { bucket, method: METHODS[verb], request: { dataset: bucket }, local };
    const { node, answer } = await atOwner(deps, asked);
    return { bucket, node, scrub: answer.scrub };
  };
  return { show: (bucket) => ask(bucket, 'show'), change: ask };
}

/** What other nodes call; only of datasets that this node owns. */
export function scrubMethods(scrubs: ScrubDesk): PeerMethods {
  const call = (verb: Verb) => async (request: unknown) => ({ scrub: await scrubs[verb](datasetOf(request)) });
  return {
    calls: { [METHODS.begin]: call('begin'), [METHODS.show]: call('show'), [METHODS.end]: call('end') },
    streams: {},
  };
}

/** Errors: CONFIG_REFUSED. */
export function parseScrubChange(value: unknown): 'begin' | 'end' {
  const { verb } = (value ?? {}) as Record<string, unknown>;
  if (verb === 'begin' || verb === 'end') return verb;
  throw new ZringError('CONFIG_REFUSED', 'expected {"verb": "begin" | "end"}');
}
