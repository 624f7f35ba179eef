// Carries a request where the router says, at most twice, and hands back what is left to do for the caller: serve it
// here, or answer why not. Owns nothing; the decisions are src/routing/router.ts.
import type { NotOwnerDetails } from '../common/errors.ts';
import type { Whereabouts } from '../ownership/access.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Exchange } from './exchange.ts';
import type { HopForwarder } from './forward.ts';
import { type Attempt, type Decision, decide } from './router.ts';

export type Routed =
  /** Answered by another node and relayed; nothing is left to do. */
  { readonly kind: 'done'; readonly status: number } | Exclude<Decision, { kind: 'forward' }>;

export interface RouteOptions {
  readonly self: string;
  readonly locate: (dataset: string) => Whereabouts;
  readonly forwarder: HopForwarder;
  readonly metrics: Metrics;
}

/**
 * `localRefusal`: this node tried itself and its gate said NOT_OWNER before anything was read from the body; the request
 * is routed on by what the refusal knows.
 */
export async function route(
  exchange: Exchange,
  dataset: string,
  options: RouteOptions,
  localRefusal: NotOwnerDetails | null = null,
): Promise<Routed> {
  const { self, locate, forwarder } = options;
  const tried: Attempt[] = localRefusal ? [{ node: self, refusal: localRefusal }] : [];
  let replayable = true;
  for (;;) {
    const decision = decide({
      scope: 'dataset',
      origin: exchange.origin.kind,
      self,
      whereabouts: locate(dataset),
      tried,
      replayable,
      buffered: forwarder.buffered(exchange),
    });
    if (decision.kind !== 'forward') return decision;
    if (tried.length > 0) options.metrics.hopReroutes.inc();
    const outcome = await forwarder.forward(exchange, decision.node);
    if (outcome.kind === 'done') return outcome;
    replayable = outcome.replayable;
    tried.push({ node: decision.node, refusal: outcome.kind === 'not-owner' ? outcome.details : null });
  }
}
