// Which version of the peer protocol to speak with whom. A node understands `oldest` … `newest`; it speaks the newest
// version that the other one is known to understand, and until it has heard of it the oldest of its own, so that
// releases N and N+1 work in one cluster. Owns what was heard. A newer message than `newest` is refused by name.
import { ZringError } from '../common/errors.ts';
import { PEER_PROTOCOL_VERSION } from '../common/peer.ts';

export interface PeerVersions {
  readonly newest: number;
  speakTo(node: string): number;
  heard(node: string, versionMax: number): void;
  /** Throws VERSION_UNSUPPORTED. */
  check(from: string, version: number): void;
}

/** Every version since the first is understood by this release. */
export const PEER_PROTOCOL_OLDEST = 1;

export function createPeerVersions(newest = PEER_PROTOCOL_VERSION, oldest = PEER_PROTOCOL_OLDEST): PeerVersions {
  const known = new Map<string, number>();
  return {
    newest,
    speakTo(node) {
      return Math.max(oldest, Math.min(newest, known.get(node) ?? oldest));
    },
    heard(node, versionMax) {
      if (known.get(node) !== versionMax) known.set(node, versionMax);
    },
    check(from, version) {
      if (version >= oldest && version <= newest) return;
      const range = oldest === newest ? `${newest}` : `${oldest} to ${newest}`;
      throw new ZringError(
        'VERSION_UNSUPPORTED',
        `node ${from} speaks version ${version} of the peer protocol, this node understands ${range}`,
        { subject: from, details: { version, oldest, newest } },
      );
    },
  };
}
