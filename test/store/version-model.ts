// A bucket with versions as plainly as possible: per key a list, the newest first. What the real store is compared with by
// versions-model.test.ts. Takes the time as an argument, and ids from the store, for it cannot know them.
import { type ErrorCode, ZringError } from '../../src/common/errors.ts';
import type { Versioning, WriteCondition } from '../../src/store/types.ts';
import { byBytes } from './fixture.ts';

export interface ModelVersion {
  id: string | null;
  readonly marker: boolean;
  readonly etag: string;
  readonly sequence: number;
  readonly modifiedMs: number;
  attributes: Record<string, unknown>;
}

type Content = Pick<ModelVersion, 'etag' | 'attributes'>;

function fail(code: ErrorCode): never {
  throw new ZringError(code, 'the model refuses');
}

function check(current: ModelVersion | null, { ifMatch, ifNoneMatch }: WriteCondition = {}): void {
  const is = (wanted: readonly string[] | '*') => current && (wanted === '*' || wanted.includes(current.etag));
  if (ifMatch && !current) fail('OBJECT_MISSING');
  if (ifMatch && !is(ifMatch)) fail('PRECONDITION_FAILED');
  if (ifNoneMatch && is(ifNoneMatch)) fail('PRECONDITION_FAILED');
}

export class VersionModel {
  versioning: Versioning = 'off';
  sequence = 0;
  readonly #keys = new Map<string, ModelVersion[]>();

  of(key: string): readonly ModelVersion[] {
    return this.#keys.get(key) ?? [];
  }

  current(key: string): ModelVersion | null {
    const [latest] = this.of(key);
    return latest && !latest.marker ? latest : null;
  }

  version(key: string, id: string | null): ModelVersion | null {
    return this.of(key).find((version) => version.id === id) ?? null;
  }

  keys(): string[] {
    return [...this.#keys.keys()].sort(byBytes);
  }

  stats() {
    const all = this.keys().map((key) => this.of(key));
    const objects = all.filter(([latest]) => latest && !latest.marker).length;
    const stored = all.flat();
    const bytes = stored.reduce((sum, { etag, marker }) => sum + (marker ? 0 : Buffer.byteLength(etag)), 0);
    return { objects, versions: stored.length - objects, bytes, uploads: 0, sequence: this.sequence };
  }

  setVersioning(state: 'enabled' | 'suspended'): void {
    if (this.versioning !== state) this.sequence++;
    this.versioning = state;
  }

  put(key: string, content: Content, nowMs: number, condition?: WriteCondition): ModelVersion {
    check(this.current(key), condition);
    return this.#push(key, { ...content, marker: false }, nowMs);
  }

  copy(source: string, version: string | null | undefined, key: string, content: Content, nowMs: number) {
    const found = version === undefined ? this.current(source) : this.version(source, version);
    if (!found || found.marker) fail('OBJECT_MISSING');
    return this.#push(key, { ...content, etag: found.etag, marker: false }, nowMs);
  }

  #push(key: string, content: Content & { marker: boolean }, nowMs: number): ModelVersion {
    const before = this.of(key);
    const modifiedMs = Math.max((before[0]?.modifiedMs ?? 0) + 1, nowMs);
    const version = { ...content, id: null, sequence: ++this.sequence, modifiedMs };
    const kept = this.versioning === 'enabled' ? before : before.filter(({ id }) => id !== null);
    this.#keys.set(key, [version, ...kept]);
    return version;
  }

  remove(key: string, condition: WriteCondition | undefined, nowMs: number) {
    check(this.current(key), condition);
    const removed = this.versioning === 'enabled' ? null : this.version(key, null);
    if (this.versioning !== 'off') {
      return { removed, marker: this.#push(key, { marker: true, etag: '', attributes: {} }, nowMs) };
    }
    if (removed) this.#without(key, removed);
    return { removed, marker: null };
  }

  removeVersion(key: string, id: string | null, condition: WriteCondition | undefined) {
    const found = this.version(key, id);
    check(found?.marker ? null : found, condition);
    if (found) this.#without(key, found);
    return { removed: found, marker: null };
  }

  #without(key: string, version: ModelVersion): void {
    this.sequence++;
    const rest = this.of(key).filter((other) => other !== version);
    if (rest.length > 0) this.#keys.set(key, rest);
    else this.#keys.delete(key);
  }

  annotate(key: string, id: string | null | undefined, attributes: Record<string, unknown>): ModelVersion {
    const found = id === undefined ? this.current(key) : this.version(key, id);
    if (!found || found.marker) fail('OBJECT_MISSING');
    this.sequence++;
    found.attributes = attributes;
    return found;
  }

  rename(source: string, key: string, condition: WriteCondition | undefined): ModelVersion {
    if (this.versioning !== 'off') fail('VERSIONING_CONFLICT');
    const found = this.current(source) ?? fail('OBJECT_MISSING');
    const previous = this.current(key);
    check(previous, condition);
    if (source === key) return found;
    this.#keys.delete(source);
    const modifiedMs = Math.max((previous?.modifiedMs ?? 0) + 1, found.modifiedMs);
    const renamed = { ...found, sequence: ++this.sequence, modifiedMs };
    this.#keys.set(key, [renamed]);
    return renamed;
  }

  /** As texts: versions and common prefixes in order, behind a start as S3 means it. */
  list(request: { prefix: string; delimiter: string; afterKey: string; afterVersion?: string | null }): string[] {
    const { prefix, delimiter, afterKey } = request;
    const found: string[] = [];
    for (const key of this.keys()) {
      if (!key.startsWith(prefix)) continue;
      const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      const common = at < 0 ? null : key.slice(0, at + delimiter.length);
      if (common !== null && common === afterKey) continue;
      let above: ModelVersion | null = null;
      for (const version of this.of(key)) {
        const name: string = common === null ? listedName(key, version.id, above?.modifiedMs ?? null) : `${common}\t/`;
        above = version;
        if (this.#isBehind(key, version, request) && found.at(-1) !== name) found.push(name);
      }
    }
    return found;
  }

  #isBehind(
    key: string,
    { sequence }: ModelVersion,
    start: { afterKey: string; afterVersion?: string | null },
  ): boolean {
    const order = start.afterKey === '' ? 1 : byBytes(key, start.afterKey);
    if (order !== 0 || start.afterVersion === undefined) return order > 0;
    if (start.afterVersion === null) return sequence < (this.version(key, null)?.sequence ?? Number.POSITIVE_INFINITY);
    if (!/^[0-9a-f]{32}$/.test(start.afterVersion)) return false;
    return sequence < Number.parseInt(start.afterVersion.slice(20), 16);
  }
}

/** null = the latest. */
export function listedName(key: string, id: string | null, noncurrentSinceMs: number | null): string {
  return JSON.stringify([key, id, noncurrentSinceMs]);
}
