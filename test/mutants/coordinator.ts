// Mutants of the coordinators: the rules in Lua (redis-scripts.ts) and in TypeScript (coordinator-state.ts), one suite for
// both. The rules are small, so what is broken here is what they are for: compare-and-set, leases, completeness.
import { embedded, inMemory, inRedis, redis } from './catchers.ts';
import type { Catcher, Mutant } from './mutant.ts';

const RECORD_RACE = 'record: of 100 that race to create and to change, one wins each';
const MAP_RACE = 'map: of many that race from the same epoch one wins, and all others see it';
const LEASE_RACE = 'lease: of 100 instances that want it one gets it';
const LEASE_LIFE = 'lease: held by one instance, renewed, shown, released';
const COMPLETE = 'complete once every node of the map has reported, and then for good';
const LOST_REPLY = 'a lost reply is told apart from a call never made';
const LOST_WRITES = 'lost writes: a node that remembers more starts a new incarnation, once';
const DISK = 'disk: goes on from what was heard, and from nothing else, beyond the lease too';
const DISK_FORGOTTEN =
  'disk: a coordinator that went back takes the disk that has been heard since, and no image of then';

const LUA = 'src/cluster/redis-scripts.ts';
const STATE = 'src/cluster/coordinator-state.ts';

function lua(
  name: string,
  breaks: string,
  find: string,
  replace: string,
  ...caughtBy: [Catcher, ...Catcher[]]
): Mutant {
  return { name, breaks, file: LUA, find, replace, caughtBy };
}

function state(
  name: string,
  breaks: string,
  find: string,
  replace: string,
  ...caughtBy: [Catcher, ...Catcher[]]
): Mutant {
  return { name, breaks, file: STATE, find, replace, caughtBy };
}

export const COORDINATOR_MUTANTS: readonly Mutant[] = [
  lua(
    'redis-set-in-place-of-compare-and-set',
    'I1: of two nodes that change a record from the same state both are told that they have',
    'if tag ~= ARGV[5] then return {0, stored} end\n',
    '',
    inRedis(RECORD_RACE),
  ),
  lua(
    'redis-epoch-without-compare',
    'I4: two maps are committed as the same epoch',
    'if tonumber(epoch) ~= tonumber(ARGV[4]) or tonumber(ARGV[5]) <= tonumber(epoch) then',
    'if tonumber(ARGV[5]) < tonumber(epoch) then',
    inRedis(MAP_RACE),
  ),
  lua(
    'redis-counter-that-is-set',
    'I4: the counter is written and not counted up, so changes hide behind one another',
    "local counter = call('HINCRBY', META, 'counter', 1)",
    "local counter = 1\ncall('HSET', META, 'counter', counter)",
    inRedis('changes: every change once, in order, by pages; deleted ones too'),
  ),
  lua(
    'redis-release-of-any-lease',
    'a process gives back the lease of the one that took its place',
    "if held and string.match(held, '^%d+ (%S+) ') == ARGV[5] then call('HDEL', LEASES, ARGV[4]) end",
    "if held then call('HDEL', LEASES, ARGV[4]) end",
    inRedis(LEASE_LIFE),
  ),
  lua(
    'redis-lease-for-everybody',
    'I1: two processes of one node id both hold its lease',
    'if instance ~= ARGV[5] and tonumber(expires) > now then return',
    'if instance ~= ARGV[5] and tonumber(expires) < 0 then return',
    inRedis(LEASE_RACE),
  ),
  lua(
    'redis-complete-too-early',
    'I3: absence is concluded while a node has not reported',
    "    if call('SISMEMBER', REPORTED, node) == 0 then return end\n",
    '',
    inRedis(COMPLETE),
  ),
  lua(
    'redis-evicted-records-unnoticed',
    'I3: records that Redis threw away are taken for datasets that never were',
    'if not meta[2] or records ~= tonumber(meta[4]) or changes ~= records then',
    'if not meta[2] then',
    redis('evicted or deleted by hand: one record: a new incarnation, never a catalog that only looks complete'),
  ),
  lua(
    'redis-old-disk-accepted',
    'I1: an old image that has counted up gets the lease, and the right disk is refused ever after',
    'or (id == ARGV[8] and kept < heard)',
    "or (id == ARGV[8] and kept < tonumber(string.match(newest, '^%d+')))",
    inRedis(DISK),
  ),
  lua(
    'redis-two-processes-on-copies-of-one-disk',
    'I1: another process that says the mark that was heard gets the lease',
    'refused = not goes_on or (newest == mark and by ~= ARGV[5])',
    'refused = not goes_on',
    inRedis(DISK),
  ),
  {
    name: 'redis-unknown-outcome-told-as-not-done',
    breaks: 'a change whose reply was lost is taken for one that never was',
    file: 'src/cluster/redis-coordinator.ts',
    find: "return new ZringError('COORDINATOR_OUTCOME_UNKNOWN', `${name}: the reply was lost: ${cause.message}`, { cause });",
    replace: 'return unavailable(name, cause.message, cause);',
    caughtBy: [inRedis(LOST_REPLY)],
  },
  state(
    'state-set-in-place-of-compare-and-set',
    'I1: of two nodes that change a record from the same state both are told that they have',
    'if ((current?.tag ?? null) !== expectedTag)',
    "if (expectedTag === '')",
    inMemory(RECORD_RACE),
  ),
  state(
    'state-epoch-without-compare',
    'I4: two maps are committed as the same epoch',
    'if ((this.#map?.epoch ?? 0) !== expectedEpoch || map.epoch <= expectedEpoch) {',
    'if (map.epoch < (this.#map?.epoch ?? 0)) {',
    inMemory(MAP_RACE),
  ),
  state(
    'state-release-of-any-lease',
    'a process gives back the lease of the one that took its place',
    'if (this.#leases.get(node)?.instance === instance) this.#dropLease(node);',
    "if (instance !== '') this.#dropLease(node);",
    inMemory(LEASE_LIFE),
  ),
  state(
    'state-lease-for-everybody',
    'I1: two processes of one node id both hold its lease',
    'if (held && held.instance !== instance && held.expiresMs > now) {',
    'if (held && held.instance !== instance && held.expiresMs < 0) {',
    inMemory(LEASE_RACE),
  ),
  state(
    'state-lease-forgotten-in-a-restart',
    'I1: a lease is given to a second process while the first one holds it',
    '...lease, expiresMs: now + lease.ttlMs });',
    '...lease, expiresMs: now });',
    embedded('a holder keeps its lease for a full term after the host was restarted, and no longer'),
  ),
  state(
    'state-complete-too-early',
    'I3: absence is concluded while a node has not reported',
    'this.#map?.nodes.every((node) => reported.includes(node.id))',
    'this.#map?.nodes.some((node) => reported.includes(node.id))',
    inMemory(COMPLETE),
  ),
  state(
    'state-regress-below-what-was-seen',
    'I4: a cursor of the life that was lost looks valid in the new one',
    'counter: seen.counter, complete: false, reported: []',
    'counter, complete: false, reported: []',
    inMemory(LOST_WRITES),
  ),
  state(
    'state-old-disk-accepted',
    'I1: another process that says the mark that was heard gets the lease',
    'return goesOnFrom(known, disk) && (newestOf(disk) !== known.mark || instance === known.instance);',
    'return goesOnFrom(known, disk);',
    inMemory(DISK),
  ),
  {
    name: 'marks-that-only-count',
    breaks: 'I1: an old image that has counted up gets the lease, and the right disk is refused ever after',
    file: 'src/cluster/disk-chain.ts',
    find: 'return kept.id === id && numberOf(kept.mark) < numberOf(heard);',
    replace: 'return kept.id === id && numberOf(kept.mark) < numberOf(offers.at(-1) ?? heard);',
    caughtBy: [inMemory(DISK)],
  },
  {
    name: 'a-coordinator-that-went-back-refuses-the-right-disk',
    breaks: 'a failover that lost a renewal takes every node out of service',
    file: 'src/cluster/disk-chain.ts',
    find: 'return kept.id === id && numberOf(kept.mark) < numberOf(heard);',
    replace: 'return false;',
    caughtBy: [inMemory(DISK_FORGOTTEN)],
  },
];
