// Mutants of what a node knows and says beyond one dataset: the catalog, the fence on disk, the lease, the map, pulls,
// sealing, clean-up, and where a request is sent.
import {
  absence,
  catalog,
  catalogKeeper,
  durableWords,
  facts,
  janitor,
  life,
  mapChange,
  mapKeeper,
  oldDisk,
  parts,
  pull,
  reports,
  seal,
  takeover,
  twin,
} from './catchers.ts';
import type { Mutant } from './mutant.ts';

const CONTINUITY = 'continuity: same, new, lost records, a life that was left before';
const BELIEF = 'what is believed after something else was heard';
const WHOLE = 'complete only when the coordinator says so and everything was read';
const ABSENCE = 'absence: a fresh and complete catalog, whatever tombstone is in sight';
const FLUSHED =
  'a flushed coordinator: nobody says *absent* before all have reported; records, pins and terms come back';
const GONE = 'an id that is gone for good is gone in the next life too, heard of or made here';
const LEASE = 'the lease counts from before the call, ends by itself, and tells a predecessor from a stranger';
const NEW_HOME =
  'a new home reads what the former one made before it says absent, and creates only when that one is quiet';
const INSIDE = 'a write that is inside when the drain begins is in the snapshot that is promised';
const PROMISED = 'what is promised is read-only, and its snapshot is held until the other side has spoken';
const OTHER_GUID =
  'a stream whose snapshot has another GUID than the promise is not taken, and nothing of it is published';

export const RECORD_MUTANTS: readonly Mutant[] = [
  // --- the catalog
  {
    name: 'absent-from-an-incomplete-catalog',
    breaks: 'I3: 404 for a bucket whose owner has not reported since the coordinator forgot',
    file: 'src/ownership/catalog.ts',
    find: "return fresh && catalog.complete ? 'absent' : 'unknown';",
    replace: "return fresh ? 'absent' : 'unknown';",
    caughtBy: [catalog(ABSENCE), life(FLUSHED)],
  },
  {
    name: 'absent-from-a-stale-catalog',
    breaks: 'I3: 404 for a bucket that another node has created since',
    file: 'src/ownership/catalog.ts',
    find: "return fresh && catalog.complete ? 'absent' : 'unknown';",
    replace: "return catalog.complete ? 'absent' : 'unknown';",
    caughtBy: [catalog(ABSENCE), absence(NEW_HOME)],
  },
  {
    name: 'complete-before-all-is-read',
    breaks: 'I3: absence is concluded from the first page of the records',
    file: 'src/ownership/catalog.ts',
    find: 'complete: catalog.complete || (page.state.complete && whole),',
    replace: 'complete: catalog.complete || page.state.complete,',
    caughtBy: [catalog(WHOLE)],
  },
  {
    name: 'complete-in-the-next-incarnation',
    breaks: 'I3: a catalog that was complete once is believed after the coordinator has forgotten',
    file: 'src/ownership/catalog.ts',
    find: 'counter: 0, cursor: 0, complete: false, reported: false,',
    replace: 'counter: 0, cursor: 0, complete: catalog.complete, reported: false,',
    caughtBy: [catalog(WHOLE)],
  },
  {
    name: 'ignore-a-counter-that-went-back',
    breaks: 'I4: records that a failover lost are not noticed',
    file: 'src/ownership/catalog.ts',
    find: "if (state.counter >= catalog.counter) return { kind: 'same' };",
    replace: "if (state.counter >= 0) return { kind: 'same' };",
    caughtBy: [catalog(CONTINUITY)],
  },
  {
    name: 'take-a-restored-dump-for-a-new-life',
    breaks: 'I4: an incarnation that was left before comes back unnoticed',
    file: 'src/ownership/catalog.ts',
    find: 'if (catalog.left.includes(state.incarnation)) {',
    replace: "if (state.incarnation === '') {",
    caughtBy: [catalog(CONTINUITY)],
  },
  {
    name: 'keep-tags-over-an-incarnation',
    breaks: 'knowledge of a life that ended is taken for what the coordinator holds',
    file: 'src/ownership/catalog.ts',
    find: 'for (const [name, { record }] of catalog.entries) forgotten.push([name, { record, tag: null, behind: true }]);',
    replace: 'for (const [name, entry] of catalog.entries) forgotten.push([name, entry]);',
    caughtBy: [catalog(WHOLE)],
  },
  {
    name: 'believe-a-lower-term',
    breaks: 'I4: an old record of a dataset replaces a newer one',
    file: 'src/ownership/catalog.ts',
    find: 'return compareTerms(known.term, heard.term) > 0;',
    replace: 'return false;',
    caughtBy: [catalog(BELIEF)],
  },
  {
    name: 'forget-tombstones',
    breaks: 'a deleted dataset comes back with a restored dump',
    file: 'src/ownership/catalog.ts',
    find: 'if (isTombstone(record) && !isBuried(record.id)) buried.add(record.id);',
    replace: '',
    caughtBy: [catalog(BELIEF), durableWords(GONE)],
  },
  {
    name: 'tombstones-only-in-memory',
    breaks: 'a deleted dataset comes back after a restart',
    file: 'src/ownership/catalog-keeper.ts',
    find: "...buried.map((id) => ({ key: `catalog/tombstone/${id}`, value: '1' })),",
    replace: '',
    caughtBy: [durableWords(GONE)],
  },
  {
    name: 'a-removal-remembered-only-in-memory',
    breaks: 'a dataset removed here comes back after a restart',
    file: 'src/ownership/catalog-keeper.ts',
    find: "    await this.#deps.disk.commit([{ key: `catalog/tombstone/${record.id}`, value: '1' }]);",
    replace: '',
    caughtBy: [durableWords(GONE)],
  },
  {
    name: 'report-before-publishing',
    breaks: 'I3: a node says that it has told everything it owns, and has told nothing',
    file: 'src/ownership/report.ts',
    find: 'for (const runner of deps.runners()) if (!(await publish(deps, runner))) return;',
    replace: '',
    caughtBy: [reports('everything owned here is told before the report')],
  },
  {
    name: 'a-buried-copy-is-published',
    breaks: 'a copy whose dataset was deleted elsewhere is served and told again',
    file: 'src/ownership/publication.ts',
    find: 'if (buried) return',
    replace: 'if (buried && current === undefined) return',
    caughtBy: [catalog('what an owner copy means for the record')],
  },
  // --- the fence on disk
  {
    name: 'a-fence-only-in-memory',
    breaks: 'I1: after a crash a node adopts what it refused',
    file: 'src/ownership/fence-book.ts',
    find: '    await this.#disk.commit([{ key: `fence/${id}`, value: JSON.stringify({ n: fence.n, verdict: fence.verdict }) }]);',
    replace: '',
    caughtBy: [durableWords('a decided promise is decided in the next life too, and never otherwise')],
  },
  // --- the lease
  {
    name: 'lease-counted-from-after-the-call',
    breaks: 'I1: a lease seems longer here than it is at the coordinator',
    file: 'src/ownership/lease.ts',
    find: 'this.#expiresMs = beforeMs + this.#deps.ttlMs();',
    replace: 'this.#expiresMs = Math.max(beforeMs, this.#deps.clock.monotonicMs()) + this.#deps.ttlMs();',
    caughtBy: [parts(LEASE)],
  },
  {
    name: 'serve-under-a-taken-node-id',
    breaks: 'I1: two processes of one node id both serve',
    file: 'src/ownership/lease.ts',
    find: "      this.#taken = true;\n      throw new ZringError('NODE_ID_TAKEN'",
    replace: "      throw new ZringError('NODE_ID_TAKEN'",
    caughtBy: [life('a second process under the same node id: the one without the lease serves nothing'), parts(LEASE)],
  },
  {
    name: 'take-any-holder-for-the-predecessor',
    breaks: 'I1: a second machine of one node id throws the first one out',
    file: 'src/ownership/lease.ts',
    find: "if (result.ok || !('holder' in result) || result.holder !== disk.former) return { result, beforeMs };",
    replace: "if (result.ok || !('holder' in result)) return { result, beforeMs };",
    caughtBy: [parts(LEASE)],
  },
  {
    name: 'serve-from-an-old-disk',
    breaks: 'I1: a node put back to an old image of its disk serves what it had handed over',
    file: 'src/ownership/lease.ts',
    find: 'return disk.refusal && refused(node, disk.refusal);',
    replace: 'return disk.refusal && node === null ? refused(node, disk.refusal) : null;',
    caughtBy: [
      oldDisk(
        'acknowledged writes that an old disk lacks are not missing: 503, no drain, no answer, until it is accepted',
      ),
    ],
  },
  {
    name: 'the-mark-of-the-disk-stands-still',
    breaks: 'I1: an old image of a disk says the same as the disk of today',
    file: 'src/ownership/node-disk.ts',
    find: '      await this.#disk.commit(chainChanges(this.#heard, offers));\n      this.#offers = offers;',
    replace: '      await Promise.resolve(offers);',
    caughtBy: [
      oldDisk('what another node hears is known to be said: the mark stands at the coordinator before the answer'),
    ],
  },
  // --- the map
  {
    name: 'follow-a-lower-epoch',
    breaks: 'I4: a node goes back to an older map',
    file: 'src/ownership/map-keeper.ts',
    find: 'if (map.epoch < this.#highestEpoch) {',
    replace: 'if (map.epoch < 0) {',
    caughtBy: [
      mapKeeper(
        'a map of a lower epoch is not followed, though its revision is newer and nothing can be committed over it',
      ),
    ],
  },
  {
    name: 'epochs-start-again',
    breaks: 'I4: after a flush the epochs begin at 1',
    file: 'src/cluster/map-change.ts',
    find: 'const epoch = Math.max(expectedEpoch, remembered?.epoch ?? 0, known.highestEpoch) + 1;',
    replace: 'const epoch = expectedEpoch + 1;',
    caughtBy: [
      mapChange('whatever nodes remember and in whatever order they act: epochs only grow, and all settle on one map'),
    ],
  },
  {
    name: 'one-revision-of-two-contents',
    breaks: 'I4: two files that claim to be the same revision are both accepted',
    file: 'src/cluster/map-change.ts',
    find: 'if (input.revision === base.revision && input.contentHash !== base.contentHash) {',
    replace: "if (input.revision === base.revision && input.contentHash === '') {",
    caughtBy: [mapChange('the same revision with other content is refused, and the map stays')],
  },
  {
    name: 'drop-a-node-that-owns',
    breaks: 'a node leaves the map with datasets that nobody else has',
    file: 'src/cluster/map-change.ts',
    find: 'return holdings.length > 0 ? refused(stillHolding(holdings))',
    replace: 'return holdings.length < 0 ? refused(stillHolding(holdings))',
    caughtBy: [mapChange('a node that still holds something cannot leave; the error lists everything it holds')],
  },
  {
    name: 'the-home-of-an-old-map-creates',
    breaks: 'I3: a dataset is created where nobody looks for it, beside another one of its name',
    file: 'src/ownership/dataset-access.ts',
    find: 'if ((await coordinator.state()).mapEpoch !== map.epoch) await map.sync();',
    replace: '',
    caughtBy: [absence('a home of an old map creates nothing')],
  },
  {
    name: 'a-new-home-creates-at-once',
    breaks: 'I3: the former home still answers 404 for what the new one has just created',
    file: 'src/ownership/dataset-access.ts',
    find: 'const waitMs = map.settlesInMs(dataset);',
    replace: 'const waitMs = 0;',
    caughtBy: [absence(NEW_HOME)],
  },
  // --- pulls and sealing
  {
    name: 'prepare-without-comparing-the-guid',
    breaks: 'I2: whatever snapshot the stream brought is taken for the promised one',
    file: 'src/ownership/pull.ts',
    find: 'if (received.guid !== target.guid) {',
    replace: 'if (received.name !== target.name) {',
    caughtBy: [pull(OTHER_GUID)],
  },
  {
    name: 'take-a-name-for-the-final-snapshot',
    breaks: 'I2: a snapshot that has the name of the promised one is enough',
    file: 'src/ownership/pull.ts',
    find: 'if (base?.guid !== source.guid) {',
    replace: 'if (base?.name !== source.snapshot) {',
    caughtBy: [pull('a snapshot here that only has the name of the promised one is not taken for it')],
  },
  {
    name: 'publish-before-the-copy-is-proven',
    breaks: 'I2: a staged copy gets its name before its snapshot is known to be the right one',
    file: 'src/ownership/pull.ts',
    find: 'if (received.guid !== target.guid) {',
    replace: 'if (!base) await this.#publish(job, into, description);\n    if (received.guid !== target.guid) {',
    also: [
      {
        file: 'src/ownership/pull.ts',
        find: '    }\n    if (!base) await this.#publish(job, into, description);',
        replace: '    }',
      },
    ],
    caughtBy: [pull(OTHER_GUID)],
  },
  {
    name: 'promise-before-the-gate-has-drained',
    breaks: 'I2: a write that was inside is acknowledged after the final snapshot',
    file: 'src/ownership/disk-effects.ts',
    find: 'if (!(await gate.drained(limits.drainMs))) {',
    replace: 'if (gate.inside < 0) {',
    caughtBy: [seal(INSIDE)],
  },
  {
    name: 'final-snapshot-before-the-drain',
    breaks: 'I2: the promised snapshot lacks what was acknowledged while the gate drained',
    file: 'src/ownership/disk-effects.ts',
    find: "    if (!effect.force && gate.oldestMs() > limits.longHoldMs) throw busy(runner, 'has long requests in flight');",
    replace:
      '    const snapshot = await driver.snapshot(dataset, finalName(effect.term, salt()), runner.store ?? undefined);',
    also: [
      {
        file: 'src/ownership/disk-effects.ts',
        find: '    const snapshot = await driver.snapshot(dataset, finalName(effect.term, salt()));\n',
        replace: '',
      },
    ],
    caughtBy: [seal(INSIDE)],
  },
  {
    name: 'promise-while-still-writable',
    breaks: 'I2: nothing keeps the dataset from being written after its final snapshot',
    file: 'src/ownership/disk-effects.ts',
    find: '    await driver.setReadonly(dataset, true);\n',
    replace: '',
    caughtBy: [seal(PROMISED)],
  },
  {
    name: 'forget-the-hold',
    breaks: 'I2: the promised snapshot may be destroyed before the other side has it',
    file: 'src/ownership/disk-effects.ts',
    find: '    await driver.hold(dataset, snapshot.name, HOLD_TAG);\n',
    replace: '',
    caughtBy: [seal(PROMISED)],
  },
  {
    name: 'skip-the-second-check-of-the-gate',
    breaks: 'I1: a write that was inside is committed after its owner was deposed',
    file: 'src/ownership/runner.ts',
    find: 'const serving = !this.#fenced && term !== null && mayCommit(this.#state, term);',
    replace: 'const serving = term !== null;',
    caughtBy: [seal('a write that is inside when its owner is deposed is refused at the commit')],
  },
  // --- clean-up
  {
    name: 'retire-without-asking-the-owner',
    breaks: 'a prior copy is destroyed by the word of the record alone',
    file: 'src/ownership/janitor.ts',
    find: "if (record.phase === 'deleted') return true;",
    replace: "if (record.phase === 'deleted' || (record.owner !== self && record.phase === 'stable')) return true;",
    caughtBy: [life('a prior copy is destroyed after its time, and only when the owner says that it has the dataset')],
  },
  {
    name: 'drop-the-base-of-a-pull-under-way',
    breaks: 'a stream that takes longer than a prior copy is kept loses its base, and all is sent again, without end',
    file: 'src/ownership/janitor.ts',
    find: " && record?.phase === 'stable';",
    replace: ';',
    caughtBy: [
      janitor('snapshots of moves, older than a prior copy gets, when somebody copies, however long: kept'),
      janitor('snapshots of moves, older than a prior copy gets, when it was asked to drain: kept'),
      janitor('snapshots of moves, older than a prior copy gets, when nobody knows: kept'),
    ],
  },
  {
    name: 'a-newcomer-takes-its-life-for-the-first',
    breaks: 'I3: a node that joined after the coordinator lost its data lets a node leave that nobody has heard',
    file: 'src/cluster/map-change.ts',
    find: 'return state.complete || isFirst ? null : state.reported;',
    replace: 'return state.complete || maps.length > 0 ? null : state.reported;',
    caughtBy: [mapChange('after a loss, a node that has not reported cannot leave: nobody knows what it holds')],
  },
  {
    name: 'a-newcomers-map-stands',
    breaks: 'I3: the first to find the coordinator empty leaves out a node that owns datasets, and all follow',
    file: 'src/cluster/map-change.ts',
    find: "if (holdingsOf(removedNodes(remembered, current), known).length > 0) return commit('republish', remembered);",
    replace: '',
    caughtBy: [mapChange('a newcomer that found the coordinator empty cannot leave out a node that nobody has heard')],
  },
  {
    name: 'promised-to-nobody-in-the-record',
    breaks: 'the node of a promise may leave the map, and nobody can take the dataset back',
    file: 'src/ownership/publication.ts',
    find: 'if (order === 0 && copy.promise && !isGivenTo(current, copy.promise.to)) {',
    replace: 'if (order > 0 && copy.promise) {',
    caughtBy: [facts('the record against an owner’s copy')],
  },
  {
    name: 'take-back-right-above-the-record',
    breaks: 'I4: the lost node had raised its term once more: what it comes back with deposes what is served since',
    file: 'src/ownership/owner-transitions.ts',
    find: 'const term = phase.far ? { n: raised.n + ACCEPTED_TERM_STEP, node: raised.node } : raised;',
    replace: 'const term = raised;',
    caughtBy: [takeover('taken over and written to: the loss is said, and the copy that comes back is set aside')],
  },
  {
    name: 'take-back-without-the-lease',
    breaks: 'I1: a second process under the node id, or one on a disk that is refused, takes a bucket back',
    file: 'src/ownership/takeover.ts',
    find: 'await this.#deps.confirm();',
    replace: '',
    caughtBy: [twin('nothing is taken back by a process whose lease is another’s')],
  },
  {
    name: 'take-back-from-the-living',
    breaks: 'I1: an operator takes back what the other node serves at this moment',
    file: 'src/ownership/takeover.ts',
    find: 'if (aliveForS !== null)',
    replace: 'if (aliveForS === -1)',
    caughtBy: [takeover('not taken over yet: nothing is lost, and the bucket is served again')],
  },
  {
    name: 'absent-without-the-lease',
    breaks: 'I3: a second process under a node id says 404 for what the real one, the home, has just created',
    file: 'src/ownership/dataset-access.ts',
    find: 'return holdsLease() && catalog',
    replace: 'return catalog',
    caughtBy: [twin('nobody says absent while the lease of its id is another’s')],
  },
  {
    name: 'ask-for-a-promise-without-the-lease',
    breaks: 'a second process under a node id takes datasets over, onto a disk that is not the node’s',
    file: 'src/ownership/runner.ts',
    find: "      // Nothing is promised to a process whose node id is another's by now, or to a disk that is not the node's.\n      await this.deps.confirm();",
    replace: '',
    caughtBy: [twin('nothing is promised to a process whose lease is another’s')],
  },
  {
    name: 'a-report-is-for-ever',
    breaks: 'a failover loses the report of a node that is down: nobody may create a bucket, for ever',
    file: 'src/ownership/catalog-keeper.ts',
    find: "this.#fromStart = this.#catalog.incarnation !== '';",
    replace: 'this.#fromStart = false;',
    caughtBy: [catalogKeeper('a report that a failover lost while this node was down is said again after its start')],
  },
  {
    name: 'a-cursor-ahead-of-its-records',
    breaks: 'a record that could not be stored is never read again after a restart: the node goes by the one before',
    file: 'src/ownership/catalog-keeper.ts',
    find: 'for (const dataset of this.#unstored.entries) {',
    replace:
      'for (const dataset of [...this.#unstored.entries].slice(-1)) {\n      this.#unstored.entries.delete(dataset);',
    caughtBy: [
      catalogKeeper(
        'what could not be stored is stored with what comes next: a restart never knows less than its cursor says',
      ),
    ],
  },
  {
    name: 'a-failover-loses-a-creation-for-good',
    breaks: 'I3: what the coordinator lost and only its owner had seen is told by nobody',
    file: 'src/ownership/catalog.ts',
    find: 'missed.set(dataset, { record: entry.record, tag: null, behind: true });',
    replace: 'missed.delete(dataset);',
    caughtBy: [
      life('a failover that lost a creation only its owner had seen: the owner tells it again, for nobody else knows'),
    ],
  },
  {
    name: 'an-overtaken-answer-is-news',
    breaks: 'I4: a record that was read long ago pushes out a newer one',
    file: 'src/ownership/catalog-keeper.ts',
    find: 'if (known !== null && isOlderTag(tagged.tag, known)) return;',
    replace: '',
    caughtBy: [catalogKeeper('an answer that was long on its way does not push a newer record out')],
  },
];
