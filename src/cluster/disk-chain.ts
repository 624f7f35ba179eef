// What a node's disk says of itself with each lease, and when it is the disk that the coordinator knows. Pure.
//
// A mark is `<number>-<random>`: the number grows with every mark that is made, for people and for a coordinator that
// went back itself; what proves anything is the whole word, which nobody can make twice. An old image of a disk can go on
// making marks as long as it likes: the mark that was heard after the image was taken is not among them.

import { isCount } from './fields.ts';

/** The last mark heard of a node, and the disk that it came from. */
export interface DiskMark {
  /** Random, made once with the node's state. */
  readonly id: string;
  /** A bare number: from a release before marks had a random part. `0`: none. */
  readonly mark: string;
}

export interface DiskChain {
  readonly id: string;
  /** The newest mark that the coordinator is known to have heard from this disk. */
  readonly heard: string;
  /** Made since, newest last; perhaps heard. At most OFFERS_MAX. */
  readonly offers: readonly string[];
}

export const OFFERS_MAX = 256;

const MARK = /^(\d{1,15})-[0-9a-f]{16}$/;
const BARE = /^\d{1,15}$/;

export function markOf(number: number, random: string): string {
  return `${number}-${random}`;
}

export function numberOf(mark: string): number {
  return Number(mark.split('-')[0]);
}

export function isBare(mark: string): boolean {
  return BARE.test(mark);
}

/** The one that is kept when the chain is accepted. */
export function newestOf({ heard, offers }: DiskChain): string {
  return offers.at(-1) ?? heard;
}

export function isDiskChain(value: unknown): value is DiskChain {
  if (typeof value !== 'object' || value === null) return false;
  const { id, heard, offers } = value as { id?: unknown; heard?: unknown; offers?: unknown };
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id) || typeof heard !== 'string') return false;
  if (!Array.isArray(offers) || offers.length > OFFERS_MAX || !offers.every(isMark)) return false;
  return isMark(heard) || (BARE.test(heard) && isCount(Number(heard)) && offers.length > 0);
}

function isMark(value: unknown): boolean {
  return typeof value === 'string' && MARK.test(value);
}

/**
 * Whether this disk goes on from what is kept: it is known to have been heard, or it is one of those said since. Or what is
 * kept is older than what was heard, so the coordinator has forgotten (a restored dump, a failover): an image of the disk
 * cannot seem so, since what is kept only grows after the image was taken, unless the coordinator itself went back to
 * before the image as well.
 */
export function goesOnFrom(kept: DiskMark, { id, heard, offers }: DiskChain): boolean {
  if (isBare(kept.mark)) return kept.id === id && numberOf(kept.mark) <= numberOf(heard);
  if (kept.mark === heard || offers.includes(kept.mark)) return true;
  return kept.id === id && numberOf(kept.mark) < numberOf(heard);
}
