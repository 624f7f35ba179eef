// How full the pool below a root is, and whether it can be written. Owns nothing.
import { isZringError } from '../common/errors.ts';
import type { Usage } from './driver.ts';
import type { ZfsCommands } from './zfs-commands.ts';
import { numberOf } from './zfs-parse.ts';

/** Never fails: what goes wrong is the pool's health. */
export async function poolUsage(commands: ZfsCommands, root: string, timeoutMs: number): Promise<Usage> {
  const pool = root.split('/')[0] ?? '';
  try {
    const health = (await commands.zpool(['list', '-H', '-o', 'health', pool], pool, timeoutMs)).trim();
    const read = async (dataset: string) => (await commands.find(dataset, 'used,available', timeoutMs)) ?? new Map();
    const [whole, own] = [await read(pool), await read(root)];
    return {
      totalBytes: numberOf(whole, 'used') + numberOf(whole, 'available'),
      freeBytes: numberOf(own, 'available'),
      health: ['ONLINE', 'DEGRADED'].includes(health) ? 'ok' : `pool ${pool} is ${health}`,
    };
  } catch (error) {
    return { totalBytes: 0, freeBytes: 0, health: isZringError(error) ? error.message : String(error) };
  }
}
