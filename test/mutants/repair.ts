// Mutants of scrub and repair: what is called damaged, whose bytes are taken, and who is given some.
import { damagedIndex, repair, upkeep } from './catchers.ts';
import type { Mutant } from './mutant.ts';

const STRICT = 'a file is given only to who says exactly which, and only out of a copy that is not served';

export const REPAIR_MUTANTS: readonly Mutant[] = [
  {
    name: 'repair-believes-anybody',
    breaks: 'what another node offers is compared with the index of this one',
    file: 'src/store/upkeep.ts',
    find: "  if (checksums.some((checksum, block) => checksum !== wanted.checksums[block])) throw wrong('is something else');\n",
    replace: '',
    caughtBy: [upkeep('takes nothing but what was written, and leaves all as it was')],
  },
  {
    name: 'repair-beside-the-sweep',
    breaks: 'a file that is being repaired is not swept, and none is left that no object names',
    file: 'src/store/upkeep.ts',
    find: '    pin(id);\n',
    replace: '',
    caughtBy: [upkeep('of what is deleted meanwhile leaves no file behind')],
  },
  {
    name: 'repair-only-by-scrub',
    breaks: 'what a reader has met damaged is repaired without being asked for',
    file: 'src/store/store.ts',
    find: 'if (isDamage(error)) options.onDamage?.(id, error);',
    replace: '',
    caughtBy: [
      repair(
        'a read that meets damage breaks off, and the next ones get it whole: repaired from a former owner’s copy',
      ),
    ],
  },
  {
    name: 'repair-tried-without-rest',
    breaks: 'what nobody could help with costs no more than one attempt a minute, however often it is read',
    file: 'src/ownership/repair/repairs.ts',
    find: 'if (triedMs !== undefined && clock.monotonicMs() - triedMs < limits.repairRetryMs) return;',
    replace: '',
    caughtBy: [repair('what nobody has whole stays damaged, is never served, and is not tried again at once')],
  },
  {
    name: 'scrub-calls-the-deleted-damaged',
    breaks: 'an object that is deleted while it is read is no damage',
    file: 'src/store/upkeep.ts',
    find: 'return (await this.#isFault(id)) ? error : null;',
    replace: 'return error;',
    caughtBy: [upkeep('reads at the pace it is given, and an object that goes meanwhile is no fault')],
  },
  {
    name: 'scrub-maps-before-it-reads',
    breaks: 'a page that the disk cannot read is told, and not touched in memory',
    file: 'src/store/upkeep.ts',
    find: '      await this.#tracked(this.#access.index.readThrough(this.#pacedBy(pace)));\n',
    replace: '',
    caughtBy: [upkeep('tells what the disk cannot read instead of touching it in memory')],
  },
  {
    name: 'blob-by-any-path',
    breaks: 'nothing but a data file is read for another node',
    file: 'src/ownership/peer-messages.ts',
    find: "    if (!isId(value)) throw refuse(this.#method, 'blob');\n",
    replace: '',
    caughtBy: [repair(STRICT)],
  },
  {
    name: 'blob-of-another-dataset',
    breaks: 'only a copy of the very same dataset helps',
    file: 'src/ownership/repair/blob-server.ts',
    find: "if (copy?.id !== id || copy.role === 'owner') throw",
    replace: "if (!copy || copy.role === 'owner') throw",
    caughtBy: [repair(STRICT)],
  },
  {
    name: 'rollback-to-a-damaged-snapshot',
    breaks: 'later snapshots are not given up for one that cannot be opened',
    file: 'src/ownership/snapshot-desk.ts',
    find: '      if (runner.place.isDamaged) await requireSound(runner, name);\n',
    replace: '',
    caughtBy: [
      damagedIndex('a snapshot whose index is damaged as well is not gone back to: an older one may be whole'),
    ],
  },
  {
    name: 'replicas-of-what-is-damaged',
    breaks: 'replicas keep what is whole as long as their owner is known to be damaged',
    file: 'src/ownership/replicas/shared-snapshots.ts',
    find: '  if (runner.place.isDamaged) {',
    replace: '  if (!runner.place) {',
    caughtBy: [damagedIndex('replicas of a bucket that is known to be damaged keep what they have')],
  },
];
