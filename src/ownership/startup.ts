// What a node finds on its pool when it starts: which copies there are, and which leftovers of interrupted work. Destroys
// only what can be shown to be no copy that anybody needs; everything else stays.
import type { DatasetDriver, DatasetInfo } from '../dataset/driver.ts';
import type { Logger } from '../telemetry/log.ts';
import { DELETED_PREFIX, DEPOSED_PREFIX, type NamedCopy, parseCopy, RECEIVING_PREFIX } from './copy-properties.ts';

export interface Found {
  readonly copies: readonly NamedCopy[];
  /** Set aside; shown to the operator, never destroyed here. */
  readonly deposed: readonly { readonly name: string; readonly dataset: string | null; readonly usedBytes: number }[];
  /** To be destroyed in the background. */
  readonly leftovers: readonly string[];
}

export async function takeStock(driver: DatasetDriver, logger: Logger): Promise<Found> {
  const copies: NamedCopy[] = [];
  const deposed: { name: string; dataset: string | null; usedBytes: number }[] = [];
  const leftovers: string[] = [];
  const infos = await driver.list();
  const names = new Set(infos.map((info) => info.name));
  for (const info of infos) {
    const { name } = info;
    if (name.startsWith(DELETED_PREFIX)) leftovers.push(name);
    else if (name.startsWith(DEPOSED_PREFIX))
      deposed.push({ name, dataset: info.properties.name ?? null, usedBytes: info.usedBytes });
    else if (name.startsWith(RECEIVING_PREFIX)) {
      const published = await finishReceiving(driver, info, names);
      if (published) copies.push(published);
      else leftovers.push(name);
    } else if (!name.startsWith('_')) {
      const found = parseCopy(info);
      if (found) copies.push({ dataset: name, copy: found.copy });
      else logger.warn({ dataset: name }, 'a dataset with zring:id but without zring:state is left alone');
    }
  }
  logger.info(
    { copies: copies.length, deposed: deposed.length, leftovers: leftovers.length },
    'took stock of the pool',
  );
  return { copies, deposed, leftovers };
}

/** Whole when it carries its state: only the rename was missing. Otherwise the stream was cut, and it is pulled again. */
async function finishReceiving(
  driver: DatasetDriver,
  info: DatasetInfo,
  names: Set<string>,
): Promise<NamedCopy | null> {
  const found = parseCopy(info);
  if (!found || names.has(found.dataset)) return null;
  await driver.rename(info.name, found.dataset);
  names.add(found.dataset);
  return found;
}
