// The coordinator in Redis: turns each call into one script, and what comes back into the contract's answers and errors.
// Owns two connections, one for calls and one for hints. What a script decides is in redis-scripts.ts, how a connection
// lives in redis-coordinator-link.ts.
import { createHash, randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { assert, ZringError } from '../common/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type {
  CasResult,
  Coordinator,
  CoordinatorLife,
  CoordinatorState,
  CredentialPage,
  Hint,
  Lease,
  LeaseResult,
  NodeInfo,
  RecordPage,
  StoredCredential,
} from './coordinator.ts';
import { CHANGES_PAGE_MAX, isRead } from './coordinator-call.ts';
import { newerFormat } from './coordinator-state.ts';
import { isOffer } from './credential-shelf.ts';
import { type DiskChain, isDiskChain } from './disk-chain.ts';
import { isCount, isName, isNodeId } from './fields.ts';
import { Listeners } from './listeners.ts';
import { type ClusterMap, parseMap, serializeMap, stampOf } from './map.ts';
import { type OwnershipRecord, parseRecord, serializeRecord, type TaggedRecord } from './record.ts';
import { DEFAULT_LINK_TIMES, type Link, type LinkTimes, openLink } from './redis-coordinator-link.ts';
import {
  hintChannel,
  SCRIPT_FORMAT_VERSION,
  SCRIPT_NAMES,
  type ScriptName,
  scriptKeys,
  scriptText,
} from './redis-scripts.ts';
import { parseRedisUrl } from './redis-url.ts';

export interface RedisCoordinatorOptions {
  readonly cluster: string;
  readonly logger: Logger;
  readonly times?: Partial<LinkTimes>;
}

const SCRIPTS = new Map(
  SCRIPT_NAMES.map((name) => {
    const text = scriptText(name);
    return [name, { text, sha: createHash('sha1').update(text).digest('hex') }];
  }),
);

/** Replies that say the server at the other end will not do, though the connection is fine: another attempt may find one that does. */
const WRONG_SERVER = /^(READONLY|LOADING|MASTERDOWN|NOAUTH|NOREPLICAS|BUSY|CLUSTERDOWN)\b/;

/**
 * Resolves when the first attempt to connect has succeeded or failed: a node starts without its coordinator too.
 * Errors: CONFIG_INVALID for an address that cannot be read.
 */
export async function openRedisCoordinator(url: string, options: RedisCoordinatorOptions): Promise<Coordinator> {
  const coordinator = new RedisCoordinator(url, options);
  await coordinator.firstAttempt;
  return coordinator;
}

class RedisCoordinator implements Coordinator {
  readonly kind = 'redis';
  readonly firstAttempt: Promise<void>;
  readonly #keys: readonly string[];
  readonly #channel: string;
  readonly #logger: Logger;
  readonly #link: Link;
  readonly #hintLink: Link;
  readonly #hints = new Listeners<Hint>();
  readonly #availability = new Listeners<boolean>();
  readonly #inFlight = new Set<Promise<unknown>>();
  #closed: Promise<void> | null = null;

  constructor(url: string, { cluster, logger, times }: RedisCoordinatorOptions) {
    assert(isName(cluster), 'cluster name');
    const endpoint = parseRedisUrl(url);
    const linkTimes = { ...DEFAULT_LINK_TIMES, ...times };
    this.#keys = scriptKeys(cluster);
    this.#channel = hintChannel(cluster);
    this.#logger = logger;
    let attempted = () => {};
    this.firstAttempt = new Promise((done) => {
      attempted = done;
    });
    let failing = false;
    this.#link = openLink(endpoint, 'zring', linkTimes, {
      up: (client) => {
        failing = false;
        logger.info('coordinator connected');
        void this.#inspect(client);
        attempted();
        this.#availability.emit(true);
      },
      down: () => {
        if (this.#closed) return;
        logger.warn('coordinator connection lost');
        this.#availability.emit(false);
      },
      failed: (error) => {
        if (!failing) logger.warn({ err: error }, 'coordinator cannot be reached; trying on');
        failing = true;
        attempted();
      },
    });
    this.#hintLink = openLink(endpoint, 'zring-hints', linkTimes, {
      up: (client) => this.#subscribe(client),
      down: () => {},
      failed: () => {},
    });
  }

  async state(): Promise<CoordinatorState> {
    return stateOf(await this.#run('state'));
  }

  async declareRegress(seen: { incarnation: string; counter: number }): Promise<CoordinatorState> {
    assert(isCount(seen.counter), 'counter');
    return stateOf(await this.#run('declareRegress', seen.incarnation, seen.counter));
  }

  async markReported(node: string, incarnation: string): Promise<CoordinatorState> {
    assert(isNodeId(node), 'node id');
    return stateOf(await this.#run('markReported', node, incarnation));
  }

  async readMap(): Promise<ClusterMap | null> {
    return mapOf(await this.#run('readMap'));
  }

  async mapStamp(): Promise<string> {
    return (await this.#run('mapStamp')) as string;
  }

  async commitMap(expectedEpoch: number, map: ClusterMap): Promise<CasResult<ClusterMap>> {
    const text = serializeMap(map);
    const ids = JSON.stringify(map.nodes.map((node) => node.id));
    const args = [expectedEpoch, map.epoch, text, ids, stampOf(map)];
    const [done, current] = (await this.#run('commitMap', ...args)) as [number, unknown];
    return done === 1 ? { ok: true, value: parseMap(text) } : { ok: false, current: mapOf(current) };
  }

  async acquireLease(
    node: string,
    instance: string,
    ttlMs: number,
    info: NodeInfo,
    disk: DiskChain | null = null,
  ): Promise<LeaseResult> {
    assert(isNodeId(node) && isName(instance) && isCount(ttlMs) && (disk === null || isDiskChain(disk)), 'lease');
    const said = disk ? [disk.id, disk.heard, disk.offers.join(' ')] : ['', '', ''];
    const reply = await this.#run('acquireLease', node, instance, ttlMs, JSON.stringify(info), ...said);
    const [done, one, two] = reply as [number, string, string];
    if (done === 1) return { ok: true };
    if (done === 2) return { ok: false, known: { id: one, mark: two } };
    return { ok: false, holder: one, remainingMs: Number(two) };
  }

  async releaseLease(node: string, instance: string): Promise<void> {
    await this.#run('releaseLease', node, instance);
  }

  async leases(): Promise<readonly Lease[]> {
    const reply = (await this.#run('leases')) as [node: string, remaining: string, instance: string, info: string][];
    const leases = reply.map(([node, remaining, instance, info]) => {
      return { node, instance, remainingMs: Number(remaining), info: JSON.parse(info) as NodeInfo };
    });
    return leases.sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  async readRecord(dataset: string): Promise<TaggedRecord | null> {
    return taggedOf(dataset, await this.#run('readRecord', dataset));
  }

  async casRecord(
    dataset: string,
    expectedTag: string | null,
    next: OwnershipRecord,
  ): Promise<CasResult<TaggedRecord>> {
    const text = serializeRecord(next);
    const record = parseRecord(text, dataset);
    const unlikeOthers = randomBytes(12).toString('hex');
    // An empty tag stands for "must not exist" in the script; no record has one.
    const expected = expectedTag === null ? '' : expectedTag || 'none';
    const [done, answer] = (await this.#run('casRecord', dataset, expected, unlikeOthers, text)) as [number, unknown];
    if (done === 1) return { ok: true, value: { record, tag: String(answer) } };
    return { ok: false, current: taggedOf(dataset, answer) };
  }

  async changesSince(cursor: number, limit: number): Promise<RecordPage> {
    assert(isCount(cursor) && isCount(limit) && limit > 0, 'page');
    const most = Math.min(limit, CHANGES_PAGE_MAX);
    const reply = await this.#run('changesSince', cursor, most);
    const [lifeReply, page] = reply as [string[], [dataset: string, counter: string, stored: string][]];
    const state = lifeOf(lifeReply);
    const records = page.map(([dataset, , stored]) => requireTagged(dataset, stored));
    const last = page.at(-1);
    const digest = lifeReply[4] ? { digest: lifeReply[4] } : {};
    return { state, ...digest, records, cursor: last && page.length === most ? Number(last[1]) : state.counter };
  }

  async readCredentials(knownStamp: string | null): Promise<CredentialPage | null> {
    // No stamp has a blank.
    const reply = (await this.#run('readCredentials', knownStamp ?? 'no stamp')) as 0 | [string, string[]];
    if (reply === 0) return null;
    const [stamp, flat] = reply;
    const credentials: StoredCredential[] = [];
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] !== ' stamp') credentials.push(credentialOf(flat[i] ?? '', flat[i + 1] ?? ''));
    }
    return { stamp, credentials };
  }

  async offerCredentials(offers: readonly StoredCredential[]): Promise<readonly StoredCredential[]> {
    if (!isOffer(offers)) throw new ZringError('COORDINATOR_CORRUPT', 'not a credential that a coordinator can keep');
    const stamp = randomBytes(16).toString('hex');
    const args = offers.flatMap(({ accessKey, revision, text }) => [accessKey, revision, text]);
    const reply = (await this.#run('offerCredentials', stamp, ...args)) as string[];
    return reply.map((stored, i) => credentialOf(offers[i]?.accessKey ?? '', stored));
  }

  onHint(listener: (hint: Hint) => void): () => void {
    return this.#hints.add(listener);
  }

  onAvailability(listener: (available: boolean) => void): () => void {
    return this.#availability.add(listener);
  }

  /** Waits for the calls under way (each has its timeout), so that none is left in doubt by closing. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.allSettled(this.#inFlight);
      await Promise.all([this.#link.close(), this.#hintLink.close()]);
    })();
    return this.#closed;
  }

  async #run(name: ScriptName, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = this.#closed ? null : this.#link.client();
    if (!client) throw unavailable(name, this.#closed ? 'the connection is closed' : 'not connected');
    const running = this.#ask(client, name, args);
    this.#inFlight.add(running);
    try {
      return await running;
    } catch (error) {
      throw this.#errorOf(client, name, error as Error);
    } finally {
      this.#inFlight.delete(running);
    }
  }

  async #ask(client: Redis, name: ScriptName, args: readonly (string | number)[]): Promise<unknown> {
    const script = SCRIPTS.get(name);
    assert(script, `script ${name}`);
    const incarnation = randomBytes(16).toString('hex');
    const argv = [...this.#keys, incarnation, SCRIPT_FORMAT_VERSION, this.#channel, ...args];
    try {
      return await client.evalsha(script.sha, this.#keys.length, ...argv);
    } catch (error) {
      // Nothing ran. Redis forgets scripts when it restarts.
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
      return await client.eval(script.text, this.#keys.length, ...argv);
    }
  }

  #errorOf(client: Redis, name: ScriptName, cause: Error): ZringError {
    // The whole command with its script hangs on it; nobody wants that in a log.
    delete (cause as { command?: unknown }).command;
    // An answer is an answer, also a refusal: scripts check before they write, so nothing has happened.
    if (cause.name === 'ReplyError') {
      const newer = /^ZRING_VERSION (\d+)/.exec(cause.message)?.[1];
      if (newer) return newerFormat(Number(newer));
      if (WRONG_SERVER.test(cause.message)) this.#link.drop(client);
      return unavailable(name, cause.message, cause);
    }
    if (cause.message.startsWith("Stream isn't writeable")) return unavailable(name, 'not connected', cause);
    // Unanswered. What else is under way on this connection is in doubt as well, so all of it ends here.
    this.#link.drop(client);
    if (isRead(name)) return unavailable(name, cause.message, cause);
    return new ZringError('COORDINATOR_OUTCOME_UNKNOWN', `${name}: the reply was lost: ${cause.message}`, { cause });
  }

  /** Evicted records are found out and told again by the nodes, but that costs availability each time. */
  async #inspect(client: Redis): Promise<void> {
    const memory = await client.info('memory').catch(() => '');
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1] ?? 'noeviction';
    if (policy !== 'noeviction' && !/^maxmemory:0\b/m.test(memory)) {
      this.#logger.warn({ policy }, 'the coordinator may evict records; set maxmemory-policy noeviction');
    }
  }

  #subscribe(client: Redis): void {
    client.on('message', (channel, message) => {
      if (channel !== this.#channel) return;
      const hint = parseHint(message);
      if (hint) this.#hints.emit(hint);
    });
    client.subscribe(this.#channel).catch((error: Error) => {
      // Polling goes on without hints; e.g. an access list that allows no channels.
      this.#logger.warn({ err: error }, 'no hints from the coordinator');
    });
  }
}

function unavailable(name: string, why: string, cause?: Error): ZringError {
  return new ZringError('COORDINATOR_UNAVAILABLE', `${name}: ${why}`, cause ? { cause } : {});
}

function stateOf(reply: unknown): CoordinatorState {
  const reported = (reply as unknown[])[4] as string[];
  return { ...lifeOf(reply), reported: [...reported].sort() };
}

function lifeOf(reply: unknown): CoordinatorLife {
  const [incarnation, counter, complete, epoch] = reply as [string, string, string, string];
  return { incarnation, counter: Number(counter), complete: complete === '1', mapEpoch: Number(epoch) };
}

function mapOf(reply: unknown): ClusterMap | null {
  return typeof reply === 'string' ? parseMap(reply) : null;
}

function taggedOf(dataset: string, reply: unknown): TaggedRecord | null {
  return typeof reply === 'string' ? requireTagged(dataset, reply) : null;
}

function requireTagged(dataset: string, stored: string): TaggedRecord {
  const blank = stored.indexOf(' ');
  return { record: parseRecord(stored.slice(blank + 1), dataset), tag: stored.slice(0, blank) };
}

/** Whatever stands there: an entry that makes no sense must not hide the others. */
function credentialOf(accessKey: string, stored: string): StoredCredential {
  const blank = stored.indexOf(' ');
  const revision = Number(stored.slice(0, Math.max(blank, 0)));
  return { accessKey, revision: isCount(revision) ? revision : 0, text: stored.slice(blank + 1) };
}

function parseHint(message: string): Hint | null {
  if (message === 'map' || message === 'credentials') return { kind: message };
  const dataset = message.startsWith('record ') ? message.slice('record '.length) : '';
  return isName(dataset) ? { kind: 'record', dataset } : null;
}
