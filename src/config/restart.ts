// Which changes of a new configuration wait for a restart of this process. Pure.
import type { Config } from './types.ts';

/** Keys whose change this process cannot take over live, as docs/CONFIG.md says; empty when all is taken over. */
export function restartReasons(before: Config, after: Config, nodeId: string): string[] {
  const of = (config: Config) => config.nodes.find(({ id }) => id === nodeId);
  const [old, next] = [of(before), of(after)];
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const reasons: string[] = [];
  if (before.cluster.name !== after.cluster.name) reasons.push('cluster.name');
  if (differs(before.cluster.coordinator, after.cluster.coordinator)) reasons.push('cluster.coordinator');
  for (const listener of ['s3', 'peer', 'admin'] as const) {
    if (differs(before.tls[listener], after.tls[listener])) reasons.push(`tls.${listener}`);
  }
  if (old && next) {
    if (differs(old.storage, next.storage)) reasons.push('nodes[].storage');
    for (const listener of ['s3', 'peer', 'admin'] as const) {
      // `listen` follows the advertised address where it is not overridden: a moved address is bound after a restart.
      if (differs(old.listen[listener], next.listen[listener])) reasons.push(`nodes[].listen.${listener}`);
    }
  }
  return reasons;
}
