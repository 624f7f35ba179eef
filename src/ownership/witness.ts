// What other nodes remember of this node's datasets, asked at a start at which the coordinator cannot say it: it is away,
// or it has lost its records. Every node keeps all records it has seen, and every handover and every opening raises a
// term, so any peer that has heard of a term above a copy's proves that the copy is an old one. Pure, but for the calls.

import { type OwnershipRecord, parseRecord, serializeRecord } from '../cluster/record.ts';
import { isZringError } from '../common/errors.ts';
import type { PeerTransport } from '../common/peer.ts';
import type { Logger } from '../telemetry/log.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import { Fields, METHODS } from './peer-messages.ts';
import type { DatasetRunner } from './runner.ts';

/** All nodes keep the same records: a few answers are as good as all, and a start is not a storm. */
const ANSWERS_WANTED = 3;
const ROUNDS_MAX = 3;
/** A start waits for this, a few times at most. */
const CALL_MS = 2_000;
/** Datasets in one question. */
export const WITNESS_DATASETS_MAX = 5_000;

export interface WitnessDeps {
  readonly self: string;
  readonly peers: PeerTransport;
  readonly catalog: CatalogKeeper;
  readonly logger: Logger;
  /** Of the map in use. */
  readonly members: () => readonly string[];
  readonly runners: () => Iterable<DatasetRunner>;
}

interface Question {
  readonly dataset: string;
  readonly id: string;
  readonly n: number;
}

/** How many answered. What they know goes into the catalog, and acts from there as any record does. */
export async function askWitnesses(deps: WitnessDeps): Promise<number> {
  const questions: Question[] = [];
  for (const { dataset, state } of deps.runners()) {
    const { copy } = state;
    if (copy?.role !== 'owner' && copy?.role !== 'prepared') continue;
    questions.push({ dataset, id: copy.id, n: copy.term.n });
  }
  if (questions.length === 0) return 0;
  // Beginning behind this node, so that a whole cluster that starts does not ask the same three.
  const { self } = deps;
  const members = deps.members().filter((node) => node !== self);
  const order = [...members.filter((node) => node > self), ...members.filter((node) => node < self)];
  let answers = 0;
  for (let round = 0; round < ROUNDS_MAX && answers < ANSWERS_WANTED && order.length > 0; round++) {
    const asked = order.splice(0, ANSWERS_WANTED - answers);
    const results = await Promise.all(asked.map((node) => askOne(deps, node, questions)));
    answers += results.filter((answered) => answered).length;
  }
  return answers;
}

async function askOne({ peers, catalog, logger }: WitnessDeps, node: string, questions: Question[]): Promise<boolean> {
  try {
    for (let from = 0; from < questions.length; from += WITNESS_DATASETS_MAX) {
      const copies = questions.slice(from, from + WITNESS_DATASETS_MAX);
      const answer = await peers.call(node, METHODS.witness, { copies }, { timeoutMs: CALL_MS });
      const records = new Fields(answer, METHODS.witness).list('records').map((text) => parseRecord(String(text)));
      for (const record of records) {
        const { term } = record;
        logger.warn({ dataset: record.dataset, node, term, owner: record.owner }, 'a node knows of a higher term');
      }
      await catalog.hear(records.filter((record) => copies.some(({ id }) => id === record.id)));
    }
    return true;
  } catch (error) {
    logger.debug({ node, code: isZringError(error) ? error.code : 'INTERNAL' }, 'no witness');
    return false;
  }
}

/** The answer of a node that is asked: its records of these datasets that are above what the asker's copies are at. */
export function answerWitness(catalog: CatalogKeeper, request: unknown): { readonly records: readonly string[] } {
  const copies = new Fields(request, METHODS.witness).list('copies').slice(0, WITNESS_DATASETS_MAX);
  const records: OwnershipRecord[] = [];
  for (const copy of copies) {
    const fields = new Fields(copy, METHODS.witness);
    const record = catalog.entry(fields.dataset())?.record;
    if (record && record.id === fields.id() && record.term.n > fields.count('n')) records.push(record);
  }
  return { records: records.map(serializeRecord) };
}
