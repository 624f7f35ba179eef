// Mutants of replicas: who is followed, what is called current, what is destroyed, and who takes over.
import { page, replicas, transitions } from './catchers.ts';
import type { Mutant } from './mutant.ts';

const AWAY_AND_BACK = 'dir: away and back: what was written meanwhile is not missed';
const OLD_DISK = 'an owner whose disk went back gives its replicas nothing';

export const REPLICA_MUTANTS: readonly Mutant[] = [
  {
    name: 'mark-outlives-ownership',
    breaks: 'what was noted as current while this node was the owner does not count after somebody else was',
    file: 'src/ownership/runner.ts',
    find: "    if (state.copy?.role !== 'owner') this.forgetShared();\n",
    replace: '',
    caughtBy: [replicas(AWAY_AND_BACK)],
  },
  {
    name: 'mark-outlives-rollback',
    breaks: 'commits that are numbered again are not taken for the old ones',
    file: 'src/ownership/snapshot-desk.ts',
    find: '        runner.forgetShared();\n',
    replace: '',
    caughtBy: [replicas('dir: rolled back, and as many writes again: not taken for the same')],
  },
  {
    name: 'follow-an-old-disk',
    breaks: 'I2: an owner below what is known is an old copy of itself, and nothing is taken from it',
    file: 'src/ownership/pull.ts',
    find: 'if (known === null || (theirs && compareTerms(theirs, known) >= 0)) return;',
    replace: 'if (theirs) return;',
    also: [
      {
        file: 'src/ownership/handoff-server.ts',
        find: ' && !copy.deleting && isSound(runner.state)) return copy;',
        replace: ' && !copy.deleting) return copy;',
      },
    ],
    caughtBy: [replicas(OLD_DISK)],
  },
  {
    name: 'go-back-onto-another-line',
    breaks: 'what a replica has beyond one that took over stands nowhere else, and is kept',
    file: 'src/ownership/pull.ts',
    find: 'return term === null || term.n - copy.term.n >= ACCEPTED_TERM_STEP / 2;',
    replace: 'return term === null;',
    caughtBy: [replicas('dir: an owner that is given up for an older replica: what the newer one has is kept')],
  },
  {
    name: 'own-snapshot-for-each-replica',
    breaks: 'after a change of owner every replica goes on with an increment',
    file: 'src/ownership/snapshot-names.ts',
    find: '.filter((snapshot) => !isReserved(snapshot.name) || newest.includes(snapshot));',
    replace: '.filter((snapshot) => !isReserved(snapshot.name) || newest.length < 0);',
    caughtBy: [replicas('dir: a new owner has what the other replicas begin with, though it missed that itself')],
  },
  {
    name: 'share-after-the-end',
    breaks: 'nothing comes after the final snapshot: the former owner would have no base any more',
    file: 'src/ownership/handoff-server.ts',
    find: "if (at === 'sealing' || at === 'promising') {",
    replace: "if (at === 'raising') {",
    caughtBy: [replicas('dir: while the final snapshot is taken, nothing is taken after it')],
  },
  {
    name: 'last-copy-one-too-many',
    breaks: 'a replica that should not be here is kept until those that should be are there',
    file: 'src/ownership/janitor.ts',
    find: 'if (role === null || snapshots.length === 0) return false;',
    replace: 'if (role === null || snapshots.length === 0) continue;',
    caughtBy: [replicas('dir: one too many goes only when those that should be there are')],
  },
  {
    name: 'take-over-without-the-record',
    breaks: 'I1: of two replicas that are told to take over, one does',
    file: 'src/ownership/replica-transitions.ts',
    find: "  if (!event.result.ok) return stay(state, { do: 'read-record' });\n  const { record, tag } = event.result.value;",
    replace:
      '  const { record, tag } = event.result.ok ? event.result.value : { record: recordOfTakeover(state, copy, raisedTerm(state, copy), null), tag: state.tag };',
    caughtBy: [page('steps: what the machine does is what the tables say, and the other way round')],
  },
  {
    name: 'take-over-from-a-living-owner',
    breaks: 'while the owner holds its lease, no operator takes its place by mistake',
    file: 'src/ownership/replicas/succession.ts',
    find: '  if (remainingMs !== undefined) {',
    replace: '  if (remainingMs === -1) {',
    also: [
      {
        file: 'src/ownership/replicas/succession.ts',
        find: "if (readDescription(answer).role !== 'owner') return null;",
        replace: 'if (answer) return null;',
      },
    ],
    caughtBy: [replicas('dir: an owner is lost: a replica takes its place, and says what is missing')],
  },
  {
    name: 'believe-an-old-dump',
    breaks: 'a coordinator that went back does not make a living owner a lost one',
    file: 'src/ownership/replicas/succession.ts',
    find: 'compareTerms(known.term, told.term) > 0 ? known : told;',
    replace: 'compareTerms(known.term, told.term) > 0 ? told : told;',
    caughtBy: [replicas('dir: a coordinator that went back does not make a living owner a lost one')],
  },
  {
    name: 'prepared-for-ever',
    breaks: 'a handover from an owner that was given up ends',
    file: 'src/ownership/pull-transitions.ts',
    find: "if (record.id === copy.id && record.phase !== 'deleted' && record.owner !== state.self) {",
    replace: 'if (record.id === copy.id && record.term.n < 0) {',
    caughtBy: [
      transitions(
        'a prepared copy commits over a lost record, over its own lost reply, and refuses under a higher one',
      ),
    ],
  },
  {
    name: 'shared-snapshots-without-age',
    breaks: 'a replica that was away for days finds a snapshot that it has',
    file: 'src/ownership/replicas/shared-snapshots.ts',
    find: '    if (!classes.has(ageClass)) kept.add(snapshot);\n',
    replace: '',
    caughtBy: [replicas('shared snapshots: few stay, and one that a replica has, however long it was away')],
  },
];
