// The beginning of a ZFS send stream: enough to know what would be received before `zfs receive` is started. Pure.
// Layout: OpenZFS include/sys/zfs_ioctl.h, dmu_replay_record_t with drr_begin; the same in pool version 23 (zfs-fuse):
//
//   0 u32 drr_type = 0 (BEGIN)   4 u32 drr_payloadlen   8 u64 magic 0x2F5bacbac   16 u64 versioninfo
//   24 u64 creation time   32 u32 objset type   36 u32 flags   40 u64 toguid   48 u64 fromguid   56 char toname[256]
//
// Written in the sender's byte order; the magic tells which. versioninfo: bits 0-1 kind of stream, 2-31 feature flags.
import { ZringError } from '../common/errors.ts';
import { isSnapshotName } from './names.ts';

export const BEGIN_RECORD_BYTES = 312;
const MAGIC = 0x2f5bacbacn;
const KIND_SUBSTREAM = 1n;
const OBJSET_ZFS = 2;
const TONAME_OFFSET = 56;

export interface ZfsStreamBegin {
  readonly toGuid: string;
  /** null = full. */
  readonly fromGuid: string | null;
  /** Name that the snapshot will get. */
  readonly snapshot: string;
}

/**
 * @throws STREAM_INVALID for anything but the stream of one file system's snapshot. A package of several (`send -R`, `-p`)
 * carries properties, renames and destroys to be applied below the receiving dataset: it is never passed on.
 */
export function parseBegin(record: Buffer): ZfsStreamBegin {
  if (record.length < BEGIN_RECORD_BYTES) throw invalid('ends early');
  const little = record.readBigUInt64LE(8) === MAGIC;
  if (!little && record.readBigUInt64BE(8) !== MAGIC) throw invalid('not a ZFS stream');
  const u32 = (at: number) => (little ? record.readUInt32LE(at) : record.readUInt32BE(at));
  const u64 = (at: number) => (little ? record.readBigUInt64LE(at) : record.readBigUInt64BE(at));
  if (u32(0) !== 0) throw invalid('does not begin with a BEGIN record');
  if ((u64(16) & 3n) !== KIND_SUBSTREAM) throw invalid('not a stream of a single snapshot');
  if (u32(32) !== OBJSET_ZFS) throw invalid('not of a file system');
  const name = record.subarray(TONAME_OFFSET, BEGIN_RECORD_BYTES);
  const text = name.subarray(0, Math.max(name.indexOf(0), 0)).toString('latin1');
  const snapshot = text.slice(text.indexOf('@') + 1);
  if (!text.includes('@') || !isSnapshotName(snapshot)) throw invalid('names no snapshot that we could name');
  const [toGuid, fromGuid] = [u64(40), u64(48)];
  if (toGuid === 0n) throw invalid('has no guid');
  return { toGuid: toGuid.toString(), fromGuid: fromGuid === 0n ? null : fromGuid.toString(), snapshot };
}

export function invalid(why: string, cause?: unknown): ZringError {
  return new ZringError('STREAM_INVALID', `received stream: ${why}`, { cause });
}
