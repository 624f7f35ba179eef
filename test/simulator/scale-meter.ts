// Counts what nodes and coordinator say to each other: calls, bytes each way, hints; by method, by node, by virtual second.
// Owns the counts of the phase under way. Bytes are those of the JSON that would be sent, without framing.
export interface MethodCount {
  readonly calls: number;
  readonly bytes: number;
}

export interface PhaseCounts {
  readonly name: string;
  readonly seconds: number;
  readonly calls: number;
  readonly bytes: number;
  /** Messages to nodes, not events: one change is told to every node. */
  readonly hints: number;
  readonly hintBytes: number;
  readonly methods: Readonly<Record<string, MethodCount>>;
  /** Calls in the busiest second, and bytes in the heaviest. */
  readonly peakCalls: number;
  readonly peakBytes: number;
  /** Calls of the busiest node, in the whole phase. */
  readonly nodeCallsMax: number;
  /** Streams of datasets. */
  readonly streams: number;
  readonly sendingMost: number;
  readonly receivingMost: number;
}

export class ScaleMeter {
  readonly #nowMs: () => number;
  #name = '';
  #beganMs = 0;
  #methods = new Map<string, { calls: number; bytes: number }>();
  #callsBySecond = new Map<number, number>();
  #bytesBySecond = new Map<number, number>();
  #callsByNode = new Map<number, number>();
  #hints = 0;
  #hintBytes = 0;
  #streams = 0;
  #sendingMost = 0;
  #receivingMost = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  begin(name: string): void {
    this.#name = name;
    this.#beganMs = this.#nowMs();
    this.#methods = new Map();
    this.#callsBySecond = new Map();
    this.#bytesBySecond = new Map();
    this.#callsByNode = new Map();
    this.#hints = 0;
    this.#hintBytes = 0;
    this.#streams = 0;
    this.#sendingMost = 0;
    this.#receivingMost = 0;
  }

  call(node: number, method: string, bytes: number): void {
    const count = this.#methods.get(method) ?? { calls: 0, bytes: 0 };
    count.calls++;
    count.bytes += bytes;
    this.#methods.set(method, count);
    const second = Math.floor((this.#nowMs() - this.#beganMs) / 1000);
    add(this.#callsBySecond, second, 1);
    add(this.#bytesBySecond, second, bytes);
    add(this.#callsByNode, node, 1);
  }

  hint(receivers: number, bytes: number): void {
    this.#hints += receivers;
    this.#hintBytes += receivers * bytes;
    add(this.#bytesBySecond, Math.floor((this.#nowMs() - this.#beganMs) / 1000), receivers * bytes);
  }

  /** A stream began, with so many now under way at its two ends. */
  stream(sending: number, receiving: number): void {
    this.#streams++;
    this.#sendingMost = Math.max(this.#sendingMost, sending);
    this.#receivingMost = Math.max(this.#receivingMost, receiving);
  }

  end(): PhaseCounts {
    let calls = 0;
    let bytes = 0;
    for (const count of this.#methods.values()) {
      calls += count.calls;
      bytes += count.bytes;
    }
    const methods = [...this.#methods].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      name: this.#name,
      seconds: (this.#nowMs() - this.#beganMs) / 1000,
      calls,
      bytes: bytes + this.#hintBytes,
      hints: this.#hints,
      hintBytes: this.#hintBytes,
      methods: Object.fromEntries(methods),
      peakCalls: most(this.#callsBySecond),
      peakBytes: most(this.#bytesBySecond),
      nodeCallsMax: most(this.#callsByNode),
      streams: this.#streams,
      sendingMost: this.#sendingMost,
      receivingMost: this.#receivingMost,
    };
  }
}

function add(counts: Map<number, number>, key: number, value: number): void {
  counts.set(key, (counts.get(key) ?? 0) + value);
}

function most(counts: ReadonlyMap<number, number>): number {
  let highest = 0;
  for (const count of counts.values()) if (count > highest) highest = count;
  return highest;
}
