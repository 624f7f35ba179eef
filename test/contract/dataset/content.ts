// What the dataset suites write into a dataset folder, and how they compare folders byte for byte.
import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

/** Bytes that do not compress, the same for the same seed. */
export function bytesOf(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at * 32 < length; at++) blocks.push(createHash('sha256').update(`${seed} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

/** Immutable data files and an index, as a store lays them out. */
export async function writeStore(path: string, files: Record<string, Buffer>, index: Buffer | null): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const folder = join(path, 'data', name.slice(0, 2));
    await fs.mkdir(folder, { recursive: true });
    await writeSynced(join(folder, name), content);
  }
  if (index) await writeSynced(join(path, 'index'), index);
}

export async function writeSynced(path: string, content: Buffer): Promise<void> {
  const handle = await fs.open(path, 'w');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function removeData(path: string, name: string): Promise<void> {
  await fs.rm(join(path, 'data', name.slice(0, 2), name));
}

/** Path → SHA-256 of every file of the store in a dataset folder. */
export async function readStore(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const add = async (name: string) => {
    found[name] = createHash('sha256')
      .update(await fs.readFile(join(path, name)))
      .digest('hex');
  };
  for (const fan of (await fs.readdir(join(path, 'data')).catch(() => [])).sort()) {
    for (const id of (await fs.readdir(join(path, 'data', fan))).sort()) await add(`data/${fan}/${id}`);
  }
  await add('index');
  return found;
}

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** In pieces, as they come from a socket. */
export function streamOf(bytes: Buffer, pieceBytes = 50_000): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    })(),
    { objectMode: false },
  );
}
