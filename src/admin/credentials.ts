// What an operator does with the credentials that the cluster keeps: add, show, disable, rotate, remove. Turns requests of
// the admin API into drafts for the keeper; owns nothing. A secret comes sealed from the command line and goes sealed to
// the coordinator; it is in no answer.
import type { CredentialView, OpenedCredential } from '../cluster/credential-book.ts';
import { KEPT_MAX } from '../cluster/credential-book.ts';
import type { CredentialDraft, CredentialKeeper } from '../cluster/credential-keeper.ts';
import type { CredentialProfile } from '../cluster/credential-record.ts';
import { sealKeyId } from '../cluster/credential-seal.ts';
import { ZringError } from '../common/errors.ts';
import { checkCredential } from '../config/check-credential.ts';
import { SECRET_KEY_CHARACTERS_MIN } from '../config/schema-credentials.ts';
import { secretProblem } from '../config/secrets.ts';
import type { Logger } from '../telemetry/log.ts';

/** The newest, and the one before it while clients change over. */
const SECRETS_KEPT = 2;

export interface CredentialList {
  readonly credentials: readonly CredentialView[];
  /** Id of the key that seals on this node; null without one. */
  readonly keyId: string | null;
}

export interface ResealAnswer {
  readonly resealed: readonly string[];
  readonly failed: readonly { readonly accessKey: string; readonly fault: string }[];
}

export interface CredentialDesk {
  list(): CredentialList;
  show(name: string): CredentialView;
  /** `verb`: add, enable, disable, remove, rotate, reseal. Errors: CREDENTIAL_*, CONFIG_INVALID, COORDINATOR_*, ABORTED. */
  run(verb: string, request: unknown): Promise<CredentialView | ResealAnswer>;
}

type Fields = Readonly<Record<string, unknown>>;

export function createCredentialDesk(keeper: CredentialKeeper, logger: Logger): CredentialDesk {
  const verbs: Readonly<Record<string, (request: Fields) => Promise<CredentialView | ResealAnswer>>> = {
    add: (request) => add(keeper, request),
    enable: (request) => setState(keeper, request, 'active'),
    disable: (request) => setState(keeper, request, 'disabled'),
    remove: async (request) => keeper.change(resolve(keeper, request.name), () => ({ state: 'removed' })),
    rotate: (request) => rotate(keeper, request),
    reseal: () => reseal(keeper),
  };
  return {
    list: () => ({ credentials: keeper.views(), keyId: keeper.book.keys[0]?.id ?? null }),
    show(name) {
      const found = keeper.views().find((view) => view.accessKey === name);
      return found ?? requireView(keeper, resolve(keeper, name));
    },
    async run(verb, request) {
      const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
      if (!run) throw new ZringError('CONFIG_INVALID', `no such change of credentials: ${verb}`);
      const answer = await run(typeof request === 'object' && request !== null ? (request as Fields) : {});
      const who = 'accessKey' in answer ? { accessKey: answer.accessKey, revision: answer.revision } : {};
      logger.info({ change: verb, ...who }, 'kept credentials changed');
      return answer;
    },
  };
}

/** By access key, or by the name that one alone has. */
function resolve(keeper: CredentialKeeper, name: unknown): string {
  const kept = keeper.views().filter(({ source }) => source === 'cluster');
  if (kept.some(({ accessKey }) => accessKey === name)) return name as string;
  const named = kept.filter(({ profile }) => profile?.displayName === name);
  const [only] = named;
  if (only && named.length === 1) return only.accessKey;
  const subject = String(name).slice(0, 128);
  if (named.length > 1) {
    const keys = named.map(({ accessKey }) => accessKey).join(', ');
    throw new ZringError('CREDENTIAL_MISSING', `several credentials are named ${subject}: ${keys}`, { subject });
  }
  if (keeper.book.configuredHas(subject)) {
    throw new ZringError('CREDENTIAL_MISSING', `${subject} is in the configuration file: change it there`, { subject });
  }
  throw new ZringError('CREDENTIAL_MISSING', `the cluster keeps no credential ${subject}`, { subject });
}

function requireView(keeper: CredentialKeeper, accessKey: string): CredentialView {
  const view = keeper.book.view(accessKey);
  if (view) return view;
  throw new ZringError('CREDENTIAL_MISSING', `the cluster keeps no credential ${accessKey}`, { subject: accessKey });
}

async function add(keeper: CredentialKeeper, { secret, ...fields }: Fields): Promise<CredentialView> {
  const checked = checkCredential(fields);
  if ('faults' in checked) {
    throw new ZringError('CONFIG_INVALID', 'the credential has faults', { details: checked.faults });
  }
  const { accessKey, ...profile } = checked.credential;
  const plain = takeSecret(keeper, accessKey, secret);
  return keeper.change(accessKey, (current) => {
    const subject = { subject: accessKey };
    if (keeper.book.configuredHas(accessKey)) {
      throw new ZringError('CREDENTIAL_EXISTS', `${accessKey} is in the configuration file`, subject);
    }
    const heard = keeper.book.entry(accessKey);
    if (heard && current?.record.state !== 'removed') {
      throw new ZringError('CREDENTIAL_EXISTS', `the cluster keeps a credential ${accessKey} already`, subject);
    }
    refuseSharedEmail(keeper, profile);
    if (keeper.book.live() >= KEPT_MAX || (!heard && keeper.book.isFull())) {
      throw new ZringError('LIMIT_EXCEEDED', `the cluster keeps ${KEPT_MAX} credentials; remove one first`, {
        details: { limit: 'keptCredentials', max: KEPT_MAX },
      });
    }
    return { state: 'active', profile, secrets: [plain] };
  });
}

/** A grant by e-mail names one owner. */
function refuseSharedEmail(keeper: CredentialKeeper, { email, canonicalId }: CredentialProfile): void {
  if (email === null) return;
  const other = keeper.views().find(({ profile }) => {
    return profile?.email?.toLowerCase() === email.toLowerCase() && profile.canonicalId !== canonicalId;
  });
  if (other) {
    const message = `the e-mail address is that of ${other.accessKey}, which has another canonical id`;
    throw new ZringError('CREDENTIAL_EXISTS', message, { subject: email });
  }
}

function takeSecret(keeper: CredentialKeeper, accessKey: string, sealed: unknown): string {
  if (typeof sealed !== 'string') throw new ZringError('CONFIG_INVALID', 'the request has no sealed secret');
  const secret = keeper.openTransport(accessKey, sealed);
  const problem = secretProblem(secret, 'the secret', SECRET_KEY_CHARACTERS_MIN);
  if (problem !== null) throw new ZringError('CONFIG_INVALID', problem);
  return secret;
}

async function setState(
  keeper: CredentialKeeper,
  request: Fields,
  state: 'active' | 'disabled',
): Promise<CredentialView> {
  const accessKey = resolve(keeper, request.name);
  return keeper.change(accessKey, (current) => ({ ...requireOpen(accessKey, current), state }));
}

async function rotate(keeper: CredentialKeeper, request: Fields): Promise<CredentialView> {
  const accessKey = resolve(keeper, request.name);
  const isFinish = request.secret === undefined;
  const plain = isFinish ? null : takeSecret(keeper, accessKey, request.secret);
  return keeper.change(accessKey, (current) => {
    const { profile, secrets, state } = requireOpen(accessKey, current);
    const before = request.now === true ? [] : secrets.filter((secret) => secret !== plain);
    const next = plain === null ? secrets.slice(0, 1) : [plain, ...before].slice(0, SECRETS_KEPT);
    return { state, profile, secrets: next };
  });
}

async function reseal(keeper: CredentialKeeper): Promise<ResealAnswer> {
  const { id } = keeper.requireKey();
  await keeper.sync();
  const resealed: string[] = [];
  const failed: { accessKey: string; fault: string }[] = [];
  for (const view of keeper.views()) {
    if (view.source !== 'cluster' || view.keyId === id) continue;
    const { accessKey } = view;
    try {
      await keeper.change(accessKey, (current) => {
        if (current?.record.sealed && sealKeyId(current.record.sealed) === id) throw new AlreadyDone();
        return requireOpen(accessKey, current);
      });
      resealed.push(accessKey);
    } catch (error) {
      if (error instanceof AlreadyDone) continue;
      if (!(error instanceof ZringError) || !error.code.startsWith('CREDENTIAL_')) throw error;
      failed.push({ accessKey, fault: error.message });
    }
  }
  return { resealed, failed };
}

class AlreadyDone extends Error {}

/** Its content can only be sealed again by a node that can open it. */
function requireOpen(
  accessKey: string,
  current: OpenedCredential | null,
): Exclude<CredentialDraft, { state: 'removed' }> {
  const subject = { subject: accessKey };
  if (current === null) {
    const message = `the entry of ${accessKey} is not understood by this release; it can only be removed`;
    throw new ZringError('CREDENTIAL_KEY_MISSING', message, subject);
  }
  const { record, secrets, fault } = current;
  if (record.state === 'removed' || record.profile === null) {
    throw new ZringError('CREDENTIAL_MISSING', `the cluster keeps no credential ${accessKey}`, subject);
  }
  if (secrets === null) {
    throw new ZringError('CREDENTIAL_KEY_MISSING', `${accessKey}: ${fault ?? 'does not open'}`, subject);
  }
  return { state: record.state, profile: record.profile, secrets };
}
