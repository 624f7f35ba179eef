// Mutants of the dataset drivers: mounts, streams, snapshots, holds, properties.
import { command, dir, dirSnapshot, dirStream, zfsFaults, zfsParse, zfsProof } from './catchers.ts';
import type { Mutant } from './mutant.ts';

export const DATASET_MUTANTS: readonly Mutant[] = [
  {
    name: 'children-hold-the-index-open',
    breaks: 'a dataset cannot be handed over while a stream of another one runs: its file system is busy',
    file: 'src/dataset/command.ts',
    find: "const stdio = [stdin, stdout, 'pipe' as const, ...covers()];",
    replace: "const stdio = [stdin, stdout, 'pipe' as const];",
    caughtBy: [command('hold no index open: a long stream would keep other datasets from being unmounted')],
  },
  {
    name: 'zfs-open-an-unmounted-path',
    breaks: 'what lies below an absent mount is served as the dataset',
    file: 'src/dataset/zfs-datasets.ts',
    find: "if (values?.get('mounted')?.value !== 'yes') throw refuse('not mounted');",
    replace: '',
    caughtBy: [zfsProof('a dataset that is not mounted is not opened')],
  },
  {
    name: 'zfs-open-where-nothing-is-mounted',
    breaks: 'a folder of the system disk is served as the dataset',
    file: 'src/dataset/zfs-datasets.ts',
    find: "if (inside === null || inside === outside) throw refuse('nothing is mounted there');",
    replace: '',
    also: [
      {
        file: 'src/dataset/zfs-datasets.ts',
        find: "if (top !== full) throw refuse(`what is mounted there is ${top ?? 'not listed'}`);",
        replace: 'if (top !== undefined && top !== full) throw refuse(`what is mounted there is ${top}`);',
      },
    ],
    caughtBy: [zfsProof('a folder on which nothing is mounted is not the dataset, whatever ZFS says')],
  },
  {
    name: 'zfs-open-under-another-mount',
    breaks: 'what is mounted over a dataset is served in its place',
    file: 'src/dataset/zfs-datasets.ts',
    find: "if (top !== full) throw refuse(`what is mounted there is ${top ?? 'not listed'}`);",
    replace: '',
    caughtBy: [zfsProof('a folder on which something else is mounted is not the dataset')],
  },
  {
    name: 'zfs-receive-with-force',
    breaks: 'what was written to a copy is rolled back without a word',
    file: 'src/dataset/zfs.ts',
    find: "['receive', '-u', found.full]",
    replace: "['receive', '-u', '-F', found.full]",
    caughtBy: [zfsFaults('never rolls back a copy that was written: the increment is refused, and both sides stay')],
  },
  {
    name: 'zfs-inherited-properties-are-ours',
    breaks: "somebody's dataset below the root is taken for ours",
    file: 'src/dataset/zfs-parse.ts',
    find: "if (key.startsWith(PREFIX) && source === 'local')",
    replace: 'if (key.startsWith(PREFIX) && source !== null)',
    caughtBy: [zfsParse('gives our properties of this very dataset only')],
  },
  {
    name: 'zfs-an-exported-pool-is-empty',
    breaks: 'I3: datasets of a pool that is away are taken for datasets that never were',
    file: 'src/dataset/zfs-datasets.ts',
    find: "if (values === null && (await this.#commands.find(this.root, 'type')) === null) {",
    replace: "if (values === null && this.root === '') {",
    caughtBy: [zfsFaults('does not take an exported pool for an empty one')],
  },
  {
    name: 'dir-accept-a-damaged-stream',
    breaks: 'a copy differs from its source, and says that it is the same',
    file: 'src/dataset/dir-stream.ts',
    find: "if ((payload as { sha256?: unknown } | null)?.sha256 !== digestBefore.digest('hex')) {",
    replace: "if ((payload as { sha256?: unknown } | null)?.sha256 === digestBefore.digest('base64')) {",
    caughtBy: [
      dirStream('with any byte changed, or with more behind its end, is refused'),
      dir('is found by its checksum'),
    ],
  },
  {
    name: 'dir-accept-a-truncated-stream',
    breaks: 'the beginning of a stream is taken for all of it',
    file: 'src/dataset/dir-stream.ts',
    find: '    const digestBefore = hash.copy();\n',
    replace:
      '    const digestBefore = hash.copy();\n    if (begun && left <= 0 && (await reader.isOver())) return reader.bytes;\n',
    also: [
      {
        file: 'src/dataset/dir-stream.ts',
        find: '  async end(): Promise<void> {',
        replace: `  async isOver(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#pull());
  }

  async end(): Promise<void> {`,
      },
    ],
    caughtBy: [dirStream('that ends early is refused wherever it ends, between two records too')],
  },
  {
    name: 'dir-receive-with-force',
    breaks: 'what was written to a copy is overwritten without a word',
    file: 'src/dataset/dir-transfer.ts',
    find: 'if (!meta || !(await isUnchangedSince(this.#folder, meta, newest)))',
    replace: 'if (!meta)',
    caughtBy: [dir('refuses to overwrite a copy that was written, and keeps both')],
  },
  {
    name: 'dir-increment-onto-another-base',
    breaks: 'an increment is applied to a snapshot that it was not made from',
    file: 'src/dataset/dir-transfer.ts',
    find: 'if (newest?.guid !== begin.fromGuid) {',
    replace: 'if (newest === undefined) {',
    caughtBy: [dir('refuses an increment when another snapshot came in between')],
  },
  {
    name: 'dir-snapshot-of-half-a-write',
    breaks: 'a snapshot holds an index that is being written',
    file: 'src/dataset/dir-capture.ts',
    find: 'if (!source && (await indexFingerprint(folder)) !== before) {',
    replace: "if (!source && before === '') {",
    caughtBy: [dirSnapshot('of a closed one that is written meanwhile is whole, or refused')],
  },
  {
    name: 'dir-snapshot-without-pausing-the-sweep',
    breaks: 'a snapshot names data files that were deleted while it was taken',
    file: 'src/dataset/dir-capture.ts',
    find: 'const resumeSweep = await source?.pauseSweep();',
    replace: 'const resumeSweep: (() => void) | undefined = undefined as (() => void) | undefined;',
    caughtBy: [dirSnapshot('takes the index from the store, with the sweep paused')],
  },
  {
    name: 'dir-files-before-the-index',
    breaks: 'a snapshot lacks files that its index names',
    file: 'src/dataset/dir-capture.ts',
    find: "    const indexBytes = await copyIndex(folder, join(building, 'index'), source);\n    const files = await listDataFiles(folder);",
    replace:
      "    const files = await listDataFiles(folder);\n    const indexBytes = await copyIndex(folder, join(building, 'index'), source);",
    caughtBy: [dirSnapshot('has every file that was there when the index was copied')],
  },
  {
    name: 'dir-forget-the-hold',
    breaks: 'I2: a held snapshot is destroyed',
    file: 'src/dataset/dir.ts',
    find: 'if (!held && (await holdsOf(folder, snapshot)).length > 0) {',
    replace: 'if ((await holdsOf(folder, snapshot)).length < 0) {',
    caughtBy: [dir('are kept by every hold until it is released')],
  },
  {
    name: 'dir-open-another-dataset',
    breaks: 'a dataset of another id is opened under the name',
    file: 'src/dataset/dir.ts',
    find: 'if (meta.properties.id !== options.id) {',
    replace: "if (meta.properties.id === '') {",
    caughtBy: [dir('refuses another id and a missing dataset')],
  },
  {
    name: 'dir-a-received-copy-is-writable',
    breaks: 'nothing keeps a copy from being written between two increments',
    file: 'src/dataset/dir.ts',
    find: '{ readonly: true, properties: {}, head: null }',
    replace: '{ readonly: false, properties: {}, head: null }',
    caughtBy: [dir('carries a full copy byte for byte, with the same guid')],
  },
];
