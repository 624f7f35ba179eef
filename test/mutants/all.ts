// Every mutant, in the order of the layers. There is no journal yet, so nothing here trims one by the owner's word or counts a
// stale member of an in-sync set; those come with that stage.
import { CLONE_MUTANTS } from './clones.ts';
import { COORDINATOR_MUTANTS } from './coordinator.ts';
import { DATASET_MUTANTS } from './dataset.ts';
import type { Mutant } from './mutant.ts';
import { PROTOCOL_MUTANTS } from './protocol.ts';
import { RECORD_MUTANTS } from './records.ts';
import { REPAIR_MUTANTS } from './repair.ts';
import { REPLICA_MUTANTS } from './replicas.ts';
import { ROUTING_MUTANTS } from './routing.ts';
import { SNAPSHOT_MUTANTS } from './snapshots.ts';
import { STORE_MUTANTS } from './store.ts';

export const MUTANTS: readonly Mutant[] = [
  ...PROTOCOL_MUTANTS,
  ...RECORD_MUTANTS,
  ...COORDINATOR_MUTANTS,
  ...DATASET_MUTANTS,
  ...STORE_MUTANTS,
  ...SNAPSHOT_MUTANTS,
  ...REPAIR_MUTANTS,
  ...CLONE_MUTANTS,
  ...REPLICA_MUTANTS,
  ...ROUTING_MUTANTS,
];
