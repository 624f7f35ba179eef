// What a scrub of one dataset tells, and who may be asked for it. Shapes only. docs/REPAIR.md.

export interface ScrubFault {
  /** Example: an object, a version or a part that needs it. null = the index as a whole, or nobody needs it any more. */
  readonly key: string | null;
  /** Id of the data file; null = it is in the index. */
  readonly blob: string | null;
  readonly reason: string;
  readonly repaired: boolean;
}

export interface ScrubReport {
  /** `stopped`: somebody said so. `failed`: it could not go on, see `reason`. */
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly reason: string | null;
  readonly startedMs: number;
  readonly endedMs: number | null;
  /** The index counts as bytes only. `total`: as of the start, it grows when more is found. */
  readonly files: { readonly done: number; readonly total: number };
  readonly bytes: { readonly done: number; readonly total: number };
  /** Data files. */
  readonly damaged: number;
  readonly repaired: number;
  /** In the index: never repaired. */
  readonly indexFaults: number;
  /** Those that are damaged still come first; at most FAULTS_SHOWN. */
  readonly faults: readonly ScrubFault[];
}

export const FAULTS_SHOWN = 100;

/** Scrubs of datasets that this node owns. Errors of all: those of `enter`. */
export interface ScrubDesk {
  /** Starts one, or joins the one under way. */
  begin(dataset: string): Promise<ScrubReport>;
  /** The one under way, else the last one of this process; null = there was none. */
  show(dataset: string): Promise<ScrubReport | null>;
  /** As `show`, after it has ended. */
  end(dataset: string): Promise<ScrubReport | null>;
}

/** Something is damaged and was not repaired, or may be: it was not looked at. */
export function isUnsound({ state, damaged, repaired, indexFaults }: ScrubReport): boolean {
  return state === 'failed' || damaged > repaired || indexFaults > 0;
}
