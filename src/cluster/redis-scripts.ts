// The coordinator's rules as Lua, one script per call, so that each is one atomic step in Redis; and the names of its keys.
// No import of a client. The same rules as coordinator-state.ts; the contract suite runs over both.
//
// All keys share the hash tag {zring:<cluster>}:
//   meta      hash: version, incarnation, counter, complete, count (records that must be there), digest (of their tags;
//             absent in what an older release began)
//   map       hash: epoch, text, nodes (JSON list of ids), stamp (begins with the epoch, or an older release wrote the text)
//   leases    hash: node -> "<expires ms> <instance> <info>", on the server's clock (TIME)
//   records   hash: dataset -> "<tag> <text>"
//   changes   sorted set: dataset by the counter of its last change
//   reported  set of node ids
//   credentials  hash: access key -> "<revision> <text>"; " stamp" -> the stamp, lost with them and never without them
//   disks     hash: node -> "<disk id> <mark> <instance>" (disk-chain.ts); outlives leases and incarnations
//   hints     pub/sub channel: "map", "record <dataset>" or "credentials"
// Numbers go back as text: Lua rounds what it returns as a number. Texts of maps and records are never decoded in Lua.

import { NO_RECORDS } from './record-digest.ts';

export const SCRIPT_FORMAT_VERSION = 1;

const KEY_NAMES = ['meta', 'map', 'leases', 'records', 'changes', 'reported', 'credentials', 'disks'] as const;

export function scriptKeys(cluster: string): readonly string[] {
  return KEY_NAMES.map((name) => `{zring:${cluster}}:${name}`);
}

export function hintChannel(cluster: string): string {
  return `{zring:${cluster}}:hints`;
}

// Every script begins here. ARGV: 1 = a fresh incarnation, 2 = the newest version the caller reads, 3 = the hint channel.
// A missing incarnation (flushed, or evicted) is created in the same step as whatever follows, so no record can be written
// into a void that others would take for the old life. Records that are not as many as counted were evicted in part or
// deleted by hand: what is left proves nothing, so they go, and the nodes report again in a new incarnation.
const PRELUDE = `
local META, MAP, LEASES, RECORDS, CHANGES, REPORTED, CREDENTIALS, DISKS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local call = redis.call
local meta = call('HMGET', META, 'version', 'incarnation', 'counter', 'count')
if meta[1] and tonumber(meta[1]) > tonumber(ARGV[2]) then
  return redis.error_reply('ZRING_VERSION ' .. meta[1])
end
local records, changes = call('HLEN', RECORDS), call('ZCARD', CHANGES)
local function begin_incarnation(counter)
  call('HSET', META, 'version', '${SCRIPT_FORMAT_VERSION}', 'incarnation', ARGV[1], 'counter', counter, 'complete', '0')
  call('DEL', REPORTED)
end
if not meta[2] or records ~= tonumber(meta[4]) or changes ~= records then
  call('DEL', RECORDS, CHANGES)
  begin_incarnation(meta[3] or '0')
  call('HSET', META, 'count', '0', 'digest', '${NO_RECORDS}')
end
local function life()
  local m = call('HMGET', META, 'incarnation', 'counter', 'complete', 'digest')
  return {m[1], m[2], m[3], call('HGET', MAP, 'epoch') or '0', m[4] or ''}
end
local function state()
  local m = life()
  return {m[1], m[2], m[3], m[4], m[3] == '1' and {} or call('SMEMBERS', REPORTED)}
end
local function mix_tag(digest, tag)
  local hash, mixed = redis.sha1hex(tag), ''
  for i = 1, #digest, 8 do
    local word = bit.bxor(tonumber(string.sub(digest, i, i + 7), 16), tonumber(string.sub(hash, i, i + 7), 16))
    mixed = mixed .. bit.tohex(word)
  end
  return mixed
end
local function decide_complete()
  local nodes = call('HGET', MAP, 'nodes')
  if not nodes or call('HGET', META, 'complete') == '1' then return end
  for _, node in ipairs(cjson.decode(nodes)) do
    if call('SISMEMBER', REPORTED, node) == 0 then return end
  end
  call('HSET', META, 'complete', '1')
end
local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text_of(number) return string.format('%.0f', number) end
`;

// Arguments from ARGV[4] on.
const BODIES = {
  state: 'return state()',

  // incarnation, counter
  declareRegress: `
if call('HGET', META, 'incarnation') == ARGV[4] and tonumber(ARGV[5]) > tonumber(call('HGET', META, 'counter')) then
  begin_incarnation(ARGV[5])
end
return state()`,

  // node, incarnation
  markReported: `
if call('HGET', META, 'incarnation') == ARGV[5] then call('SADD', REPORTED, ARGV[4]) end
decide_complete()
return state()`,

  readMap: `return call('HGET', MAP, 'text')`,

  mapStamp: `
local epoch, stamp = call('HGET', MAP, 'epoch'), call('HGET', MAP, 'stamp')
if not epoch then return '' end
if stamp and string.match(stamp, '^(%d+) ') == epoch then return stamp end
return epoch .. ' unknown'`,

  // expected epoch, epoch, text, node ids, stamp
  commitMap: `
local epoch = call('HGET', MAP, 'epoch') or '0'
if tonumber(epoch) ~= tonumber(ARGV[4]) or tonumber(ARGV[5]) <= tonumber(epoch) then
  return {0, call('HGET', MAP, 'text')}
end
local before = call('HGET', MAP, 'nodes')
call('HSET', MAP, 'epoch', ARGV[5], 'text', ARGV[6], 'nodes', ARGV[7], 'stamp', ARGV[8])
local members, former = {}, {}
for _, node in ipairs(cjson.decode(ARGV[7])) do members[node] = true end
for _, node in ipairs(cjson.decode(before or ARGV[7])) do former[node] = true end
for _, node in ipairs(call('HKEYS', DISKS)) do
  if not (members[node] and former[node]) then call('HDEL', DISKS, node) end
end
decide_complete()
call('PUBLISH', ARGV[3], 'map')
return {1}`,

  // node, instance, ttl, info, disk id or '', the mark that was heard, those offered since (newest last, blanks between).
  // `goesOnFrom` of disk-chain.ts. Numbers of marks fit a Lua number.
  acquireLease: `
local now = now_ms()
local known = ARGV[8] ~= '' and call('HGET', DISKS, ARGV[4])
local newest = string.match(ARGV[10], '(%S+)$') or ARGV[9]
local id, mark, by
local refused = false
if known then
  id, mark, by = string.match(known, '^(%S+) (%S+) (%S+)$')
  local kept, heard = tonumber(string.match(mark, '^%d+')), tonumber(string.match(ARGV[9], '^%d+'))
  local goes_on
  if string.match(mark, '^%d+$') then
    goes_on = id == ARGV[8] and kept <= heard
  else
    goes_on = string.find(' ' .. ARGV[9] .. ' ' .. ARGV[10] .. ' ', ' ' .. mark .. ' ', 1, true)
      or (id == ARGV[8] and kept < heard)
  end
  refused = not goes_on or (newest == mark and by ~= ARGV[5])
  if refused and id == ARGV[8] then return {2, id, mark} end
end
local held = call('HGET', LEASES, ARGV[4])
if held then
  local expires, instance = string.match(held, '^(%d+) (%S+) ')
  if instance ~= ARGV[5] and tonumber(expires) > now then return {0, instance, text_of(tonumber(expires) - now)} end
end
if refused then return {2, id, mark} end
if ARGV[8] ~= '' then call('HSET', DISKS, ARGV[4], ARGV[8] .. ' ' .. newest .. ' ' .. ARGV[5]) end
call('HSET', LEASES, ARGV[4], text_of(now + tonumber(ARGV[6])) .. ' ' .. ARGV[5] .. ' ' .. ARGV[7])
return {1}`,

  // node, instance
  releaseLease: `
local held = call('HGET', LEASES, ARGV[4])
if held and string.match(held, '^%d+ (%S+) ') == ARGV[5] then call('HDEL', LEASES, ARGV[4]) end
return 1`,

  // Answers node, remaining ms, instance, info for each.
  leases: `
local now, all, answer = now_ms(), call('HGETALL', LEASES), {}
for i = 1, #all, 2 do
  local expires, instance, info = string.match(all[i + 1], '^(%d+) (%S+) (.*)$')
  if tonumber(expires) > now then
    answer[#answer + 1] = {all[i], text_of(tonumber(expires) - now), instance, info}
  else
    call('HDEL', LEASES, all[i])
  end
end
return answer`,

  // dataset
  readRecord: `return call('HGET', RECORDS, ARGV[4])`,

  // dataset, expected tag or '', what makes the new tag unlike all others, text. Answers 1 and the new tag.
  casRecord: `
local stored = call('HGET', RECORDS, ARGV[4])
local tag = stored and string.match(stored, '^(%S+) ') or ''
if tag ~= ARGV[5] then return {0, stored} end
local counter = call('HINCRBY', META, 'counter', 1)
local made = counter .. '-' .. ARGV[6]
call('HSET', RECORDS, ARGV[4], made .. ' ' .. ARGV[7])
if not stored then call('HINCRBY', META, 'count', 1) end
call('ZADD', CHANGES, counter, ARGV[4])
local m = call('HMGET', META, 'digest', 'complete')
if m[1] then
  local digest = mix_tag(m[1], made)
  if stored then digest = mix_tag(digest, tag) end
  call('HSET', META, 'digest', digest)
end
if m[2] == '1' then call('PUBLISH', ARGV[3], 'record ' .. ARGV[4]) end
return {1, made}`,

  // cursor, limit. Answers the state and dataset, counter, stored for each.
  changesSince: `
local found = call('ZRANGEBYSCORE', CHANGES, '(' .. ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local page = {}
for i = 1, #found, 2 do
  page[#page + 1] = {found[i], found[i + 1], call('HGET', RECORDS, found[i])}
end
return {life(), page}`,

  // known stamp. Answers 0 for an unchanged one, or the stamp and everything: access key, stored, …
  readCredentials: `
local stamp = call('HGET', CREDENTIALS, ' stamp') or ''
if stamp == ARGV[4] then return 0 end
return {stamp, call('HGETALL', CREDENTIALS)}`,

  // new stamp, then access key, revision, text of each. Answers what is stored of each.
  offerCredentials: `
local answer, taken = {}, false
for i = 5, #ARGV, 3 do
  local stored = call('HGET', CREDENTIALS, ARGV[i])
  local revision = tonumber(string.match(stored or '', '^(%d+) ') or '0')
  if tonumber(ARGV[i + 1]) > revision then
    stored = ARGV[i + 1] .. ' ' .. ARGV[i + 2]
    call('HSET', CREDENTIALS, ARGV[i], stored)
    taken = true
  end
  answer[#answer + 1] = stored
end
if taken then
  call('HSET', CREDENTIALS, ' stamp', ARGV[4])
  call('PUBLISH', ARGV[3], 'credentials')
end
return answer`,
} as const;

export type ScriptName = keyof typeof BODIES;

export function scriptText(name: ScriptName): string {
  return PRELUDE + BODIES[name];
}

export const SCRIPT_NAMES = Object.keys(BODIES) as readonly ScriptName[];
