// Builds histories for tests of the checker: short to write, with times that overlap or not by choice. Pure.
import { contentOf } from './content.ts';
import type { Condition, Operation, OperationKind, Outcome, Written } from './operation.ts';

type Times = readonly [invokedMs: number, completedMs: number | null];
type Rest = Partial<Operation>;

/** Times are given; each operation is of a client of its own unless told otherwise. */
export class Story {
  readonly operations: Operation[] = [];
  readonly bucket: string;

  constructor(bucket = 'b') {
    this.bucket = bucket;
  }

  written(value: string): Written {
    return contentOf(value, 200).written;
  }

  put(times: Times, key: string, value: string, rest: Rest = {}): this {
    return this.#add('put', times, key, { written: this.written(value), ...succeeded(times), ...rest });
  }

  /** null: 404. */
  get(times: Times, key: string, value: string | null, rest: Rest = {}): this {
    return this.#add('get', times, key, { ...this.#shown(value, true), ...rest });
  }

  head(times: Times, key: string, value: string | null, rest: Rest = {}): this {
    return this.#add('head', times, key, { ...this.#shown(value, false), ...rest });
  }

  delete(times: Times, key: string, rest: Rest = {}): this {
    return this.#add('delete', times, key, { ...succeeded(times), status: 204, ...rest });
  }

  /** A page of everything, with the values that it shows. */
  list(
    times: Times,
    shown: Readonly<Record<string, string>>,
    page: { prefix?: string; after?: string; truncated?: boolean } = {},
  ): this {
    const entries = Object.entries(shown).map(([key, value]) => [key, this.written(value).etag] as const);
    const listing = { prefix: '', after: '', truncated: false, ...page, entries };
    return this.#add('list', times, null, { outcome: 'ok', status: 200, listing });
  }

  add(kind: OperationKind, times: Times, key: string | null, rest: Rest = {}): this {
    return this.#add(kind, times, key, { ...succeeded(times), ...rest });
  }

  #shown(value: string | null, withBody: boolean): Rest {
    if (value === null) return { outcome: 'ok', status: 404, code: 'NoSuchKey', seen: null };
    const { etag, bytes, body } = this.written(value);
    return { outcome: 'ok', status: 200, seen: { value, etag, bytes, ...(withBody && { body }) } };
  }

  #add(kind: OperationKind, [invokedMs, completedMs]: Times, key: string | null, rest: Rest): this {
    const id = this.operations.length + 1;
    const base = { id, client: `c${id}`, kind, bucket: this.bucket, key, node: 'a', invokedMs, completedMs };
    this.operations.push({ ...base, outcome: 'ok', status: 200, code: null, ...rest });
    return this;
  }
}

function succeeded([, completedMs]: Times): { outcome: Outcome; status: number | null } {
  return completedMs === null ? { outcome: 'unknown', status: null } : { outcome: 'ok', status: 200 };
}

export const REFUSED = { outcome: 'failed', status: 412, code: 'PreconditionFailed' } as const;
export const SLOW_DOWN = { outcome: 'failed', status: 503, code: 'SlowDown' } as const;
export const NO_SUCH_BUCKET = { outcome: 'failed', status: 404, code: 'NoSuchBucket' } as const;
export const IF_ABSENT: { condition: Condition } = { condition: { ifNoneMatch: '*' } };
export const ifMatch = (value: string): { condition: Condition } => ({
  condition: { ifMatch: contentOf(value, 200).written.etag },
});
