// The simulated store: one dataset's objects as a map of texts, with the commit of the real one: the guard right before it,
// readers see it once it is flushed, and only then is it acknowledged. Covers what ownership asks of a store, and the few
// calls that the simulated clients make; anything else is a bug of the simulator.
import { ZringError } from '../../src/common/errors.ts';
import { compareTerms, formatTerm, type Term } from '../../src/common/term.ts';
import type { StoreFactory } from '../../src/ownership/runner.ts';
import type { OpenStoreOptions, Store } from '../../src/store/types.ts';
import type { Content, SimDataset, SimDisk } from './disk.ts';
import type { SimProcess } from './process.ts';
import type { Truth } from './truth.ts';

const FLUSH_MS = 3;

export interface StoreDeps {
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly truth: Truth;
}

export function createSimStores(deps: StoreDeps): StoreFactory {
  const { disk, process } = deps;
  const datasetAt = (path: string): SimDataset => {
    const dataset = disk.datasets.get(path);
    if (!dataset?.mounted) throw new ZringError('MOUNT_INVALID', `${path} is not mounted`, { subject: path });
    return dataset;
  };
  return {
    create: (path, { id }) =>
      process.io(FLUSH_MS, () => {
        datasetAt(path).content = { storeId: id, term: null, objects: new Map(), documents: new Map(), sequence: 0 };
      }),
    relabel: async (path) => {
      throw new ZringError('STORAGE_UNAVAILABLE', `${path}: the simulator clones nothing`, { subject: path });
    },
    open: (path, options) =>
      process.io(FLUSH_MS, () => {
        const dataset = datasetAt(path);
        const { content } = dataset;
        if (!content || content.storeId !== options.id)
          throw new ZringError('MOUNT_INVALID', `${path} is not ${options.id}`);
        const { term } = options;
        if (!term) throw new Error('a store opened without a term');
        if (dataset.readonly) throw new ZringError('STORAGE_UNAVAILABLE', `${path} is read-only`, { subject: path });
        if (content.term && compareTerms(term, content.term) < 0)
          throw new ZringError('TERM_REFUSED', `${path} has seen ${formatTerm(content.term)}`, { subject: path });
        dataset.content = { ...content, term };
        dataset.users++;
        const store = new SimStore(deps, dataset, options, term);
        // What is made before anybody can see it is no opening.
        if (!path.includes(':new:')) deps.truth.opened(process.node, content.storeId, term, content.objects);
        return store as unknown as Store;
      }),
  };
}

export class SimStore {
  readonly path: string;
  readonly id: string;
  readonly readonly = false;
  readonly term: Term;
  readonly #deps: StoreDeps;
  readonly #dataset: SimDataset;
  readonly #guard: () => void;
  #closed = false;
  #inFlight = 0;
  #whenIdle: (() => void)[] = [];

  constructor(deps: StoreDeps, dataset: SimDataset, options: OpenStoreOptions, term: Term) {
    this.#deps = deps;
    this.#dataset = dataset;
    this.path = dataset.name;
    this.id = dataset.content?.storeId ?? '';
    this.term = term;
    this.#guard = options.guard ?? (() => undefined);
  }

  get #content(): Content {
    const { content } = this.#dataset;
    if (!content) throw new Error('no content');
    return content;
  }

  /** The value of a key, as flushed; null = none. */
  value(key: string): string | null {
    this.#requireOpen();
    return this.#content.objects.get(key) ?? null;
  }

  keys(): string[] {
    this.#requireOpen();
    return [...this.#content.objects.keys()].sort();
  }

  /**
   * @param condition checked inside the commit against what is current.
   * @returns the write's number when it is on stable storage; null when the condition did not hold.
   */
  async write(
    key: string,
    value: string | null,
    condition: (current: string | null) => boolean = () => true,
  ): Promise<number | null> {
    this.#requireOpen();
    this.#inFlight++;
    try {
      // Bodies take their time before the commit.
      const { process, truth } = this.#deps;
      await process.io(process.random.latency(1), () => undefined);
      this.#requireOpen();
      this.#guard();
      const change = (content: Content): Content => {
        if (!condition(content.objects.get(key) ?? null)) return content;
        const objects = new Map(content.objects);
        if (value === null) objects.delete(key);
        else objects.set(key, value);
        return { ...content, objects, sequence: content.sequence + 1 };
      };
      const write = truth.begin(this.id, this.term, key, value);
      this.#dataset.dirty.push(change);
      return await process.io(process.random.latency(FLUSH_MS), () => {
        this.#dataset.dirty = this.#dataset.dirty.filter((candidate) => candidate !== change);
        if (this.#dataset.readonly || this.#deps.disk.failing !== null) {
          truth.dropped(write);
          throw new ZringError('STORAGE_UNAVAILABLE', `${this.path} cannot be written`, { subject: this.path });
        }
        const changed = change(this.#content);
        if (changed === this.#content) {
          truth.dropped(write);
          return null;
        }
        this.#dataset.content = changed;
        truth.flushed(write, changed.objects);
        return write.number;
      });
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) for (const wake of this.#whenIdle.splice(0)) wake();
    }
  }

  isEmpty(): boolean {
    return this.#content.objects.size === 0;
  }

  document(name: string): unknown {
    const text = this.#content.documents.get(name);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async setDocument(name: string, value: unknown): Promise<void> {
    await this.#deps.process.io(FLUSH_MS, () => {
      const documents = new Map(this.#content.documents).set(name, JSON.stringify(value));
      this.#dataset.content = { ...this.#content, documents, sequence: this.#content.sequence + 1 };
    });
  }

  async reusableBytes(): Promise<number> {
    return 0;
  }

  stats() {
    return { objects: this.#content.objects.size, versions: 0, bytes: 0, uploads: 0, sequence: this.#content.sequence };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    await this.#deps.process.io(FLUSH_MS, () => {
      this.#dataset.users = Math.max(0, this.#dataset.users - 1);
    });
  }

  #requireOpen(): void {
    if (this.#closed) throw new ZringError('DATASET_UNAVAILABLE', `${this.path} is closed`, { subject: this.path });
  }
}
