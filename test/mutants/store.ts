// Mutants of the store and of the file below it: flushes, the guard, terms, sweeping, conditions, damage.
import {
  blobs,
  durability,
  faults,
  fullDisk,
  listing,
  lmdb,
  multipart,
  objects,
  sweep,
  unknownOutcome,
  versionListing,
} from './catchers.ts';
import type { Mutant } from './mutant.ts';

const FLUSHED = 'an object is seen only after its body, its pages and the meta page that names them are flushed';
const MADE = 'a new store is flushed whole: its folders, its index under its name, and the folder that names it';
const SOON = 'is read by who comes after its promise, and by nobody before it is durable';
const TERMS = 'takes a term that is not lower than any it has seen';
const GUARDED = 'is asked inside every commit, and nothing is written when it throws';
const ONE_OF_MANY = 'let exactly one of a hundred create a key (10 bytes), and leave nothing of the others';

export const STORE_MUTANTS: readonly Mutant[] = [
  // --- flushes
  {
    name: 'body-without-fsync',
    breaks: 'an acknowledged object loses its body in a power cut',
    file: 'src/store/blob-writer.ts',
    find: "    await this.#guarded('flushing', () => this.#open().sync());\n",
    replace: '',
    caughtBy: [durability(FLUSHED)],
  },
  {
    name: 'body-with-fdatasync',
    breaks: 'the name of a new data file is not durable',
    file: 'src/store/blob-writer.ts',
    find: 'this.#open().sync()',
    replace: 'this.#open().datasync()',
    caughtBy: [durability(FLUSHED)],
  },
  {
    name: 'index-without-flush',
    breaks: 'acknowledged changes are lost in a power cut',
    file: 'src/common/lmdb.ts',
    find: '      overlappingSync: false,',
    replace: '      overlappingSync: false,\n      noSync: true,',
    caughtBy: [durability(FLUSHED)],
  },
  {
    name: 'expose-an-unflushed-write',
    breaks: 'a reader sees what a crash takes back',
    file: 'src/common/lmdb.ts',
    find: '      overlappingSync: false,',
    replace: '      overlappingSync: true,',
    caughtBy: [durability(FLUSHED)],
  },
  {
    name: 'acknowledge-before-the-flush',
    breaks: 'a client hears of success before anything is on disk',
    file: 'src/common/lmdb.ts',
    find: '      waiting.outcome = { value };',
    replace: '      waiting.outcome = { value };\n      waiting.resolve(value);',
    caughtBy: [fullDisk('writes fail as STORAGE_FULL and leave nothing, reads and deletes go on'), objects(SOON)],
  },
  {
    name: 'new-store-without-its-folders',
    breaks: 'a bucket that was acknowledged loses the folders of its data files in a power cut',
    file: 'src/store/store.ts',
    find: '      await handle.sync().catch(() => {});\n',
    replace: '',
    caughtBy: [durability(MADE)],
  },
  {
    name: 'new-index-without-its-name',
    breaks: 'the name of a new index is not durable',
    file: 'src/common/lmdb.ts',
    find: "    for (const flushed of [path, dirname(path)]) await withFile(flushed, 'r', (file) => file.sync());\n",
    replace: '',
    caughtBy: [durability(MADE)],
  },
  // --- terms and the guard
  {
    name: 'store-opens-at-a-lower-term',
    breaks: 'I4: a store that has seen a term is opened below it',
    file: 'src/store/index.ts',
    find: 'if (stored && compareTerms(options.term, stored) < 0) {',
    replace: 'if (stored && options.term.n < 0) {',
    caughtBy: [objects(TERMS)],
  },
  {
    name: 'an-opening-binds-nobody',
    breaks: 'I4: the term of an opening is stored with its first write only',
    file: 'src/store/index.ts',
    find: '{ opening: inherited.opening + 1, term: options.term, clean: false }',
    replace: '{ opening: inherited.opening + 1, term: inherited.term, clean: false }',
    caughtBy: [objects(TERMS)],
  },
  {
    name: 'commit-without-the-guard',
    breaks: 'I1: nobody is asked whether this node still owns the dataset',
    file: 'src/store/index.ts',
    find: '      guard();\n',
    replace: '',
    caughtBy: [objects(GUARDED)],
  },
  {
    name: 'guard-before-the-wait',
    breaks: 'I1: a commit that waits for its turn is not asked again',
    file: 'src/store/index.ts',
    find: '      guard();\n',
    replace: '',
    also: [
      {
        file: 'src/store/index.ts',
        find: '    return this.#database.transact((transaction) => {',
        replace: '    guard();\n    return this.#database.transact((transaction) => {',
      },
    ],
    caughtBy: [objects('is asked when the commit is made, not when it was asked for')],
  },
  {
    name: 'a-missing-index-is-an-empty-store',
    breaks: 'a dataset that is not mounted is served as an empty bucket',
    file: 'src/store/index.ts',
    find: '    const path = indexPath(folder);\n    // A store belongs',
    replace: `    const path = indexPath(folder);
    if (!(await import('node:fs')).existsSync(path)) await createIndex(folder, options.id ?? '', 0);
    // A store belongs`,
    caughtBy: [objects('is strict: no index, or that of another dataset, is no empty store')],
  },
  {
    name: 'reuse-a-sequence-number',
    breaks: 'two commits have one number',
    file: 'src/store/index.ts',
    find: 'encodeState({ sequence: before.sequence + 1, term, ...totals, versioning })',
    replace: 'encodeState({ sequence: before.sequence, term, ...totals, versioning })',
    caughtBy: [objects('numbers commits, and never lets the time of one key go back')],
  },
  // --- conditions and contents
  {
    name: 'condition-outside-the-commit',
    breaks: 'two conditional writes of one key both succeed',
    file: 'src/store/store.ts',
    find: `    return this.#commitBlob(blob, (commit) => {
      const putVersion = prepareVersion(commit, key, condition);`,
    replace: `    const { checkCondition } = await import('./conditions.ts');
    checkCondition(key, this.head(key), condition);
    return this.#commitBlob(blob, (commit) => {
      const putVersion = prepareVersion(commit, key, undefined);`,
    caughtBy: [objects(ONE_OF_MANY)],
  },
  {
    name: 'multipart-drops-a-part',
    breaks: 'an object of many parts is complete, and one of them is missing',
    file: 'src/store/multipart.ts',
    find: 'blobs: chosen.filter(({ size }) => size > 0).map(({ blob }) => blob),',
    replace: 'blobs: chosen.filter(({ size }, i) => size > 0 && i !== 1).map(({ blob }) => blob),',
    caughtBy: [multipart('makes an object of the chosen parts, moves no bytes, and frees the rest')],
  },
  {
    name: 'list-skips-a-key',
    breaks: 'a page of a listing begins behind a key that was not listed',
    file: 'src/store/listing.ts',
    find: 'Buffer.concat([bytes, Buffer.of(0)]);',
    replace: 'Buffer.concat([bytes, Buffer.of(0x62)]);',
    caughtBy: [listing('is the model, for any keys, prefix, delimiter, start and page size')],
  },
  {
    name: 'list-skips-a-version',
    breaks: 'a page of versions begins behind one that was not listed',
    file: 'src/store/version-listing.ts',
    find: 'if (afterVersion === undefined) return end;',
    replace: 'if (afterVersion !== null) return end;',
    caughtBy: [
      versionListing('meets each version that stays exactly once, whatever is removed, put or marked on its way'),
    ],
  },
  // --- sweeping
  {
    name: 'sweep-what-is-read',
    breaks: 'a body is deleted under its reader',
    file: 'src/store/sweep.ts',
    find: 'if (due <= now && !this.#readers.has(id)) ids.push(id);',
    replace: 'if (due <= now) ids.push(id);',
    caughtBy: [blobs('goes on when its object is replaced and swept, in every part')],
  },
  {
    name: 'sweep-what-is-shared',
    breaks: 'the bytes of a copy are deleted with its source',
    file: 'src/store/blob-references.ts',
    find: 'this.#count(blob, 1);',
    replace: 'this.#count(blob, 0);',
    caughtBy: [objects('shares the bytes, and keeps them until the last one is gone')],
  },
  {
    name: 'sweep-what-is-being-written',
    breaks: 'a body is deleted between its flush and its commit',
    file: 'src/store/sweep.ts',
    find: '!this.#ids.owns(name) && ',
    replace: '',
    caughtBy: [sweep('waits while paused, and never takes what this opening writes')],
  },
  {
    name: 'sweep-what-the-index-names',
    breaks: 'after a crash the bodies of acknowledged objects are deleted',
    file: 'src/store/sweep.ts',
    find: " && this.#index.get('blobs', idBytes(name)) === undefined;",
    replace: ';',
    caughtBy: [sweep('a body without its commit is deleted; files with foreign names are not')],
  },
  {
    name: 'sweep-while-paused',
    breaks: 'a snapshot names files that were deleted while it was taken',
    file: 'src/store/sweep.ts',
    find: '      if (this.#pauses > 0) return;\n      done = true;',
    replace: '      done = true;',
    caughtBy: [sweep('waits while paused, and never takes what this opening writes')],
  },
  {
    name: 'forget-what-was-dropped',
    breaks: 'bodies that nobody refers to stay for ever after a crash',
    file: 'src/store/blob-references.ts',
    find: "    if (references === 0) this.#transaction.put('garbage', idBytes(id), Buffer.of(1));\n",
    replace: '',
    caughtBy: [sweep('a file whose object was dropped is deleted, with or without its unlink')],
  },
  {
    name: 'sweep-after-an-unknown-outcome',
    breaks: 'the body of an object that was committed after all is deleted',
    file: 'src/store/store.ts',
    find: 'if (!this.#mayBeNamed(blob, error)) {',
    replace: 'if (error instanceof Error) {',
    caughtBy: [unknownOutcome('an object that was committed after all keeps its body')],
  },
  // --- damage
  {
    name: 'read-without-the-checksum',
    breaks: 'damaged bytes end as a complete answer',
    file: 'src/store/blob-reader.ts',
    find: 'if (crc32c(bytes) !== this.#checksums[block]) throw corruptBlock(blob, block);',
    replace: '',
    caughtBy: [blobs('of any byte ends the stream with STORAGE_CORRUPT before that block is given out')],
  },
  {
    name: 'map-an-unchecked-file',
    breaks: 'a file that a crash or a bad sector has damaged is mapped, and kills the process or is believed',
    file: 'src/common/lmdb.ts',
    find: "const trusted = options.check === 'never' || (options.check !== 'always' && (await stoppedCleanly(path, meta)));",
    replace: "const trusted = options.check !== 'always';",
    caughtBy: [faults('a sector that cannot be read is found before the file is mapped')],
  },
  {
    name: 'keep-a-foreign-lock-file',
    breaks: 'reader slots of another machine pin pages for ever',
    file: 'src/common/lmdb.ts',
    find: 'if (options.alone && !readonly) for (const left of',
    replace: 'if (options.alone && readonly) for (const left of',
    caughtBy: [lmdb('removes a lock file that came from elsewhere')],
  },
];
