// The load, its history and the verdict on it, for the fault harness (test/faults): what others use of this folder.
export { type Checked, type CheckOptions, checkHistory } from './check.ts';
export { type FinalOptions, finalReads } from './final-reads.ts';
export type { Operation, OperationKind, Outcome } from './operation.ts';
export { openRecorder, type Recorder, readHistory } from './recorder.ts';
export type { Violation, ViolationKind } from './violation.ts';
export { startWorkload, type Workload, type WorkloadOptions } from './workload.ts';
