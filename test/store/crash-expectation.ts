// What a store may hold after a crash, from the lines that crash-writer.ts wrote before it.
import assert from 'node:assert/strict';

export interface Line {
  readonly begin?: string;
  readonly ack?: string;
  readonly etag?: string | null;
  readonly sequence?: number;
  readonly opened?: string;
}

/** What may be found under each key: what was acknowledged last, and what was begun since. */
export class Expectation {
  readonly #acknowledged = new Map<string, string | null>();
  readonly #begun = new Map<string, Set<string | null>>();
  sequence = 0;

  note({ begin, ack, etag = null, sequence = 0 }: Line): void {
    if (begin !== undefined) this.#begun.set(begin, (this.#begun.get(begin) ?? new Set()).add(etag));
    if (ack === undefined) return;
    this.#acknowledged.set(ack, etag);
    this.#begun.delete(ack);
    this.sequence = Math.max(this.sequence, sequence);
  }

  /** And takes what was found as the truth from now on. */
  check(found: ReadonlyMap<string, string>, hint: string): void {
    for (const key of new Set([...this.#acknowledged.keys(), ...this.#begun.keys(), ...found.keys()])) {
      const etag = found.get(key) ?? null;
      const allowed = [this.#acknowledged.get(key) ?? null, ...(this.#begun.get(key) ?? [])];
      assert.ok(allowed.includes(etag), `${key} is ${etag}, may be ${allowed.join(' or ')} (${hint})`);
      this.#acknowledged.set(key, etag);
    }
    this.#begun.clear();
  }
}

export type VersionChange =
  | { readonly do: 'put'; readonly etag: string }
  | { readonly do: 'delete' }
  | { readonly do: 'remove'; readonly version: string | null }
  | { readonly do: 'tag'; readonly version: string | null; readonly tag: number };

export interface VersionLine {
  readonly mode?: 'enabled' | 'suspended';
  readonly begin?: string;
  readonly change?: VersionChange;
  readonly ack?: string;
  readonly version?: string | null;
  readonly sequence?: number;
}

/** `etag` null = a delete marker; `id` undefined = any: the change was not acknowledged. */
export interface StackedVersion {
  readonly id: string | null | undefined;
  readonly etag: string | null;
  readonly tag?: number | undefined;
}

/** The lines of crash-versions-writer.ts: which versions of each key may be found, newest first. */
export class VersionExpectation {
  #enabled = true;
  readonly #stacks = new Map<string, readonly StackedVersion[]>();
  /** One worker has each key, so one change of it is under way at most. */
  readonly #begun = new Map<string, VersionChange>();
  sequence = 0;

  note({ mode, begin, change, ack, version, sequence = 0 }: VersionLine): void {
    if (mode !== undefined) this.#enabled = mode === 'enabled';
    if (begin !== undefined && change) this.#begun.set(begin, change);
    if (ack === undefined) return;
    const acknowledged = this.#begun.get(ack) ?? assert.fail(`${ack} was not begun`);
    this.#stacks.set(ack, this.#after(this.#stacks.get(ack) ?? [], acknowledged, version));
    this.#begun.delete(ack);
    this.sequence = Math.max(this.sequence, sequence);
  }

  #after(stack: readonly StackedVersion[], change: VersionChange, id: string | null | undefined): StackedVersion[] {
    if (change.do === 'remove') return stack.filter((version) => version.id !== change.version);
    if (change.do === 'tag') {
      return stack.map((version) => (version.id === change.version ? { ...version, tag: change.tag } : version));
    }
    const top = { id: this.#enabled ? id : null, etag: change.do === 'put' ? change.etag : null };
    return [top, ...stack.filter((version) => this.#enabled || version.id !== null)];
  }

  /** And takes what was found as the truth from now on. */
  check(found: ReadonlyMap<string, readonly StackedVersion[]>, hint: string): void {
    for (const key of new Set([...this.#stacks.keys(), ...this.#begun.keys(), ...found.keys()])) {
      const stack = found.get(key) ?? [];
      const before = this.#stacks.get(key) ?? [];
      const begun = this.#begun.get(key);
      const allowed = begun ? [before, this.#after(before, begun, undefined)] : [before];
      const text = JSON.stringify({ key, stack, allowed });
      assert.ok(
        allowed.some((expected) => sameStack(stack, expected)),
        `${text} (${hint})`,
      );
      this.#stacks.set(key, stack);
    }
    this.#begun.clear();
  }
}

function sameStack(found: readonly StackedVersion[], expected: readonly StackedVersion[]): boolean {
  if (found.length !== expected.length) return false;
  return found.every((version, i) => {
    const { id, etag, tag } = expected[i] ?? assert.fail();
    return (id === undefined ? version.id !== null : version.id === id) && version.etag === etag && version.tag === tag;
  });
}
