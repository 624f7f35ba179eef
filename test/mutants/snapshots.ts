// Mutants of snapshots: what moves with a bucket, what is destroyed when, and who may see the past.
import { snapshots as owned, snapshotReading as reading, snapshotSchedule as scheduled } from './catchers.ts';
import type { Mutant } from './mutant.ts';

const MOVE = 'dir: snapshots move with the bucket, each as it was, also those of the storage’s own commands';
const BACK = 'dir: back again, what was made meanwhile comes, and what was destroyed meanwhile stays gone';
const WHO = 'who may read versions may read the past; a policy speaks of the key inside';

export const SNAPSHOT_MUTANTS: readonly Mutant[] = [
  {
    name: 'snapshots-stay-behind',
    breaks: 'a snapshot is there as long as its bucket is, wherever that goes',
    file: 'src/ownership/pull.ts',
    find: 'const missing = description.sendsAll ? between(',
    replace: 'const missing = !description.sendsAll ? between(',
    caughtBy: [owned(MOVE)],
  },
  {
    name: 'snapshots-not-held-on-arrival',
    breaks: 'what zring has made, nobody else destroys by accident',
    file: 'src/ownership/pull.ts',
    find: 'if (kept) await this.#deps.driver.hold(job.dataset, name, KEEP_TAG);',
    replace: '',
    also: [
      {
        file: 'src/ownership/pull.ts',
        find: 'if (known?.kept && !held.has(name)) await driver.hold(dataset, name, KEEP_TAG);',
        replace: '',
      },
    ],
    caughtBy: [owned(MOVE)],
  },
  {
    name: 'snapshots-of-a-stale-list',
    breaks: 'a snapshot that is made while its bucket moves arrives too',
    file: 'src/ownership/pull.ts',
    find: 'description = await this.#describe(job);\n      base =',
    replace: 'base =',
    caughtBy: [owned('dir: a snapshot that is made while the bucket moves is there afterwards')],
  },
  {
    name: 'snapshots-destroyed-return',
    breaks: 'what was destroyed stays so when the bucket returns to an older copy',
    file: 'src/ownership/pull.ts',
    find: 'if (known || !held.has(name)) continue;',
    replace: 'continue;',
    caughtBy: [owned(BACK)],
  },
  {
    name: 'snapshots-die-with-an-empty-bucket',
    breaks: 'what may be all that is left of a bucket is not destroyed by deleting it',
    file: 'src/ownership/disk-effects.ts',
    find: 'if (snapshot && runner.store.isEmpty()) {',
    replace: 'if (snapshot && !runner.store.isEmpty()) {',
    caughtBy: [owned('dir: a bucket with snapshots is not deleted')],
  },
  {
    name: 'snapshots-destroyed-under-a-reader',
    breaks: 'whoever reads a snapshot reads it to the end',
    file: 'src/ownership/snapshot-shelf.ts',
    find: 'if (entry.users > 0)\n      throw',
    replace: 'if (entry.users > 1_000)\n      throw',
    caughtBy: [owned('dir: one that is being read is not destroyed; one that was read is')],
  },
  {
    name: 'snapshots-by-hand-destroyed',
    breaks: 'what a person has made goes when a person says so',
    file: 'src/ownership/snapshot-retention.ts',
    find: 'snapshots.filter(({ name }) => isScheduled(name)).reverse()',
    replace: '[...snapshots].reverse()',
    caughtBy: [scheduled('what a person has made is never destroyed')],
  },
  {
    name: 'snapshots-taken-away-under-a-copy',
    breaks: 'the base of the next increment stays as long as somebody copies',
    file: 'src/ownership/snapshot-desk.ts',
    find: 'requireUnclaimed(runner);\n        if (!(await',
    replace: 'if (!(await',
    caughtBy: [owned('dir: while somebody copies the bucket, nothing that the copy may need is taken away')],
  },
  {
    name: 'snapshots-left-behind-by-an-old-release',
    breaks: 'a release that does not take snapshots along gets no bucket that has some',
    file: 'src/ownership/handoff-server.ts',
    find: 'if (kept === undefined) return;',
    replace: 'return;',
    caughtBy: [owned('dir: a node of a release that would leave snapshots behind is given nothing')],
  },
  {
    name: 'snapshots-past-a-deny',
    breaks: 'who may not see an object as it is may not see it as it was',
    file: 'src/s3/access/operation-access.ts',
    find: 'if (historic && row.actions.some(',
    replace: 'if (!historic && row.actions.some(',
    caughtBy: [reading(WHO)],
  },
  {
    name: 'snapshots-opened-for-strangers',
    breaks: 'nothing is opened, and no name told, for somebody who could be shown nothing',
    file: 'src/s3/snapshots/moment.ts',
    find: 'throw mayHearOfPast(authorizer, key) ?',
    replace: 'throw 1 > 0 ?',
    caughtBy: [reading(WHO)],
  },
  {
    name: 'snapshots-public-by-a-public-present',
    breaks: 'what was deleted or made private is not shown to whom the present is shown',
    file: 'src/s3/access/operation-access.ts',
    find: '(version === undefined && !historic ? undefined : row.versioned)',
    replace: '(version === undefined ? undefined : row.versioned)',
    caughtBy: [reading(WHO)],
  },
  {
    name: 'snapshots-under-the-policy-of-then',
    breaks: 'who may is decided today',
    file: 'src/s3/snapshots/view.ts',
    find: '    document: documentsOf(present),\n    list: (request) => listBelow',
    replace: '    list: (request) => listBelow',
    caughtBy: [reading(WHO)],
  },
  {
    name: 'snapshots-written-as-keys',
    breaks: 'a snapshot is never shadowed by an object, nor an object by a snapshot',
    file: 'src/s3/snapshots/address.ts',
    find: 'if (!READS.has(operation)) requirePresent(key);',
    replace: '',
    caughtBy: [reading('the past cannot be changed')],
  },
];
