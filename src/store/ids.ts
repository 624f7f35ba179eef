// Names of blobs and uploads: 13 bytes (26 hex digits) = opening u32, random u32, counter u40. Pure but for the random
// number that a source of ids takes once.
//
// The opening number grows with every opening for writes and is durable before the first id is given out, so a name from
// this opening is never a leftover, and a name from an earlier one is never still being written. The random number keeps
// two copies of a dataset that went on from the same snapshot apart.
import { randomBytes } from 'node:crypto';

export const ID_BYTES = 13;
const ID_TEXT = /^[0-9a-f]{26}$/;

export class IdSource {
  readonly opening: number;
  readonly #head: Buffer;
  #counter = 0;

  constructor(opening: number) {
    this.opening = opening;
    this.#head = Buffer.alloc(8);
    this.#head.writeUInt32BE(opening, 0);
    randomBytes(4).copy(this.#head, 4);
  }

  next(): string {
    const id = Buffer.alloc(ID_BYTES);
    this.#head.copy(id);
    id.writeUIntBE(++this.#counter, 8, 5);
    return id.toString('hex');
  }

  /** Whether the name was given out by this source, and so belongs to the present opening. */
  owns(id: string): boolean {
    return id.startsWith(this.#head.toString('hex'));
  }
}

export function isId(text: string): boolean {
  return ID_TEXT.test(text);
}

export function idBytes(id: string): Buffer {
  return Buffer.from(id, 'hex');
}

/** `data/<2 hex>/<id>`: the last digits of the counter spread evenly. */
export function dataPath(id: string): string {
  return `data/${id.slice(-2)}/${id}`;
}

export function fanOutFolders(): string[] {
  return Array.from({ length: 256 }, (_, i) => `data/${i.toString(16).padStart(2, '0')}`);
}
