// An owner tells the home of a dataset that it is wanted there. A word that is lost is said again with the next use. Owns
// nothing.
import type { PeerTransport } from '../common/peer.ts';
import type { Logger } from '../telemetry/log.ts';
import type { OwnershipLimits } from './limits.ts';
import { METHODS } from './peer-messages.ts';

export interface PokeDeps {
  readonly peers: PeerTransport;
  readonly logger: Logger;
  readonly limits: Pick<OwnershipLimits, 'peerCallMs'>;
}

export function poke({ peers, logger, limits }: PokeDeps, dataset: string, home: string): void {
  peers.call(home, METHODS.poke, { dataset }, { timeoutMs: limits.peerCallMs }).catch((error: unknown) => {
    logger.debug({ dataset, home, err: error }, 'the home was not told');
  });
}
