// Cuts `zfs send` and `zfs receive` short. A node's PATH begins with a folder that has a `zfs` of ours: everything passes
// through to the real one, but a stream for which an order lies in the control folder ends after so many bytes. Owns the
// control folder; every cut that really fired is a line in its append-only `fired` file, and nothing else counts.
//
// `badly`: the command says so (exit code 1), as a lost connection or a killed process does. `well`: the command claims
// that all went well, as a buggy one would; the receiver has to find out by itself that something is missing.
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type Direction = 'send' | 'receive';

export interface CutOrder {
  readonly id: string;
  readonly direction: Direction;
  readonly end: 'badly' | 'well';
  readonly bytes: number;
}

export interface FiredCut {
  readonly id: string;
  readonly node: string;
  readonly direction: Direction;
  readonly end: 'badly' | 'well';
  readonly bytes: number;
  readonly stream: 'full' | 'incremental';
}

export interface StreamCutter {
  /** Goes first in the node's PATH. */
  readonly binFolder: string;
  /** The next stream of this direction on this node is cut. The same id again replaces what was ordered. */
  order(order: CutOrder): Promise<void>;
  withdraw(order: Pick<CutOrder, 'id' | 'direction'>): Promise<void>;
}

/** What the wrapper runs as `zfs`. Orders are taken by rename, so each cuts one stream; one that had no effect goes back. */
function script(real: string, control: string, node: string): string {
  return `#!/bin/sh
case "$1" in send) way=send ;; receive|recv) way=receive ;; *) exec ${real} "$@" ;; esac
mine=${control}/taken.$$
for order in ${control}/$way.*; do mv "$order" "$mine" 2>/dev/null && break; done
[ -e "$mine" ] || exec ${real} "$@"
read -r id end bytes <"$mine"
stream=full
for word in "$@"; do last=$word; [ "$word" = -i ] && stream=incremental; done
[ $way = receive ] && case "$last" in */_recv-*) ;; *) stream=incremental ;; esac
# Passes on so many bytes; 9 = there were more.
limited() { head -c "$bytes"; [ -n "$(head -c 1 | tr '\\000' x)" ] && return 9; return 0; }
fired() { echo "$id ${node} $way $end $bytes $stream" >>${control}/../fired; rm -f "$mine" "$mine".*; }
if [ $way = send ]; then
  { ${real} "$@"; echo $? >"$mine.code"; } | limited
  cut=$?
else
  mkfifo "$mine.pipe"
  ${real} "$@" <"$mine.pipe" &
  child=$!
  { limited; cut=$?; [ $cut = 9 ] && kill -9 $child; } >"$mine.pipe"
  wait $child
  echo $? >"$mine.code"
fi
if [ $cut = 9 ]; then
  fired
  [ $end = well ] && exit 0
  echo 'cannot go on: cut by the lab' >&2
  exit 1
fi
code=$(cat "$mine.code")
mv "$mine" "$order"
rm -f "$mine".*
exit "$code"
`;
}

export async function createCutter(options: { folder: string; node: string; zfs: string }): Promise<StreamCutter> {
  const control = join(options.folder, options.node);
  const binFolder = join(control, 'bin');
  await mkdir(binFolder, { recursive: true });
  await writeFile(join(binFolder, 'zfs'), script(options.zfs, control, options.node));
  await chmod(join(binFolder, 'zfs'), 0o755);
  const file = ({ direction, id }: Pick<CutOrder, 'id' | 'direction'>) => join(control, `${direction}.${id}`);
  return {
    binFolder,
    async order(order) {
      await writeFile(join(control, `new.${order.id}`), `${order.id} ${order.end} ${order.bytes}\n`);
      await rename(join(control, `new.${order.id}`), file(order));
    },
    withdraw: (order) => rm(file(order), { force: true }),
  };
}

export function parseFired(text: string): FiredCut[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id = '', node = '', direction, end, bytes, stream] = line.split(' ');
      return { id, node, direction, end, bytes: Number(bytes), stream } as FiredCut;
    });
}

export async function readFired(folder: string): Promise<FiredCut[]> {
  return parseFired(await readFile(join(folder, 'fired'), 'utf8').catch(() => ''));
}
