// `zring credential …`: the credentials that the cluster keeps beside the configuration file. A secret is made here or read
// from a file or standard input, shown once, and leaves this process sealed; it is never an argument, for arguments are
// seen by everybody on the machine.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { defineCommand } from 'citty';
import type { CredentialList, ResealAnswer } from '../admin/credentials.ts';
import type { CredentialView } from '../cluster/credential-book.ts';
import { seal, sealKeys, transportContext } from '../cluster/credential-seal.ts';
import { ZringError } from '../common/errors.ts';
import { SECRET_KEY_CHARACTERS_MIN } from '../config/schema-credentials.ts';
import { SECRET_CHARACTERS_MAX, secretProblem } from '../config/secrets.ts';
import type { Config } from '../config/types.ts';
import { type AdminClient, connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

const ACCESS_KEY_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const ACCESS_KEY_CHARACTERS = 20;
const SECRET_BYTES = 30;

const nameArgs = {
  ...connectionArgs,
  name: { type: 'positional', required: true, description: 'Access key, or the name that one alone has' },
} as const;

const secretFile = {
  type: 'string',
  description: 'Take the secret from this file (- for standard input) instead of making one',
  valueHint: 'file',
} as const;

const add = defineCommand({
  meta: { name: 'add', description: 'Add a credential; its secret is printed this once' },
  args: {
    ...connectionArgs,
    name: { type: 'positional', required: true, description: 'Name that listings and bucket policies show' },
    'access-key': { type: 'string', description: 'Access key (default: a new one)', valueHint: 'key' },
    allow: {
      type: 'string',
      description: 'Rules, as PATTERN:ACTION[,…]; actions are *, read, write, create (default: none)',
      valueHint: 'rules',
    },
    email: { type: 'string', description: 'Address by which ACLs may grant to it', valueHint: 'address' },
    'canonical-id': {
      type: 'string',
      description: 'Owner of what it makes (default: one of its own)',
      valueHint: 'id',
    },
    account: {
      type: 'string',
      description: 'Account in bucket policies (default: the canonical id)',
      valueHint: 'name',
    },
    'secret-file': secretFile,
  },
  async run({ args }) {
    const client = connectAdmin(args);
    const accessKey = args['access-key'] ?? newAccessKey();
    const secret = takeSecret(args['secret-file']);
    const wanted = {
      accessKey,
      displayName: args.name,
      allow: parseRules(args.allow ?? ''),
      ...(args.email === undefined ? {} : { email: args.email }),
      ...(args['canonical-id'] === undefined ? {} : { canonicalId: args['canonical-id'] }),
      ...(args.account === undefined ? {} : { account: args.account }),
      secret: sealSecret(client.config, accessKey, secret.text),
    };
    // Done again, it would hear that the access key is taken: by itself.
    const once = { once: true, look: `zring credential show ${accessKey}` } as const;
    const view = (await client.post('/credentials/add', wanted, once)) as CredentialView;
    if (args.json) return printJson(secret.isNew ? { ...view, secretKey: secret.text } : view);
    printPair(view, secret);
    if (!args.allow) {
      print('\nIt may do nothing by itself; bucket policies can let it in. Rules: --allow "PATTERN:ACTION,…"');
    }
  },
});

const list = defineCommand({
  meta: { name: 'list', description: "Every credential: the configuration file's and the cluster's" },
  args: connectionArgs,
  async run({ args }) {
    const answer = (await connectAdmin(args).get('/credentials')) as CredentialList;
    if (args.json) return printJson(answer);
    const rows = answer.credentials.map((view) => [
      view.accessKey,
      view.profile?.displayName,
      view.source === 'configuration' ? 'file' : 'cluster',
      view.fault === null ? view.state : 'NOT IN USE',
      view.profile ? formatRules(view.profile.allow) : null,
    ]);
    print(formatTable(['ACCESS KEY', 'NAME', 'FROM', 'STATE', 'ALLOW'], rows));
    for (const { accessKey, fault } of answer.credentials) if (fault !== null) print(`\n${accessKey}: ${fault}`);
    if (answer.keyId === null) print('\ncluster.credentialKey is not set: the cluster keeps no secrets.');
  },
});

const show = defineCommand({
  meta: { name: 'show', description: 'Everything about one credential but its secret' },
  args: nameArgs,
  async run({ args }) {
    const path = `/credentials/${encodeURIComponent(args.name)}`;
    const view = (await connectAdmin(args).get(path)) as CredentialView;
    if (args.json) return printJson(view);
    print(describe(view));
  },
});

const rotate = defineCommand({
  meta: { name: 'rotate', description: 'Give it a new secret; the old one works until --finish' },
  args: {
    ...nameArgs,
    now: { type: 'boolean', description: 'The old secret stops working at once', default: false },
    finish: { type: 'boolean', description: 'End the old secret; makes no new one', default: false },
    'secret-file': secretFile,
  },
  async run({ args }) {
    const { finish, now } = args;
    if (finish && (now || args['secret-file'] !== undefined)) {
      throw new ZringError('CONFIG_INVALID', '--finish makes no secret: it goes with neither --now nor --secret-file');
    }
    const client = connectAdmin(args);
    if (finish) return report(await change(client, 'rotate', { name: args.name }), args.json, 'has one secret');
    // The secret is sealed for the access key, which a name stands for.
    const { accessKey } = (await client.get(`/credentials/${encodeURIComponent(args.name)}`)) as CredentialView;
    const secret = takeSecret(args['secret-file']);
    const sealed = sealSecret(client.config, accessKey, secret.text);
    const view = await change(client, 'rotate', { name: accessKey, now, secret: sealed });
    if (args.json) return printJson(secret.isNew ? { ...view, secretKey: secret.text } : view);
    printPair(view, secret);
    if (view.secrets !== 1)
      print(`\nThe one before it works too, until: zring credential rotate ${accessKey} --finish`);
  },
});

const reseal = defineCommand({
  meta: {
    name: 'reseal',
    description: 'Seal all secrets under the first cluster.credentialKey, so that an old key can go',
  },
  args: connectionArgs,
  async run({ args }) {
    const answer = (await connectAdmin(args).post('/credentials/reseal', {})) as ResealAnswer;
    if (args.json) printJson(answer);
    else {
      print(`${answer.resealed.length} sealed again`);
      for (const { accessKey, fault } of answer.failed) print(`${accessKey}: ${fault}`);
    }
    if (answer.failed.length > 0) process.exitCode = 1;
  },
});

function simple(verb: 'enable' | 'disable' | 'remove', description: string, done: string) {
  return defineCommand({
    meta: { name: verb, description },
    args: nameArgs,
    async run({ args }) {
      report(await change(connectAdmin(args), verb, { name: args.name }), args.json, done);
    },
  });
}

export const credentialCommand = defineCommand({
  meta: { name: 'credential', description: 'Credentials that the cluster keeps beside the configuration file' },
  subCommands: {
    add,
    list,
    show,
    enable: simple('enable', 'Let a disabled credential in again', 'is enabled'),
    disable: simple(
      'disable',
      'Refuse it until it is enabled',
      'is disabled on every node that reaches the coordinator',
    ),
    remove: simple('remove', 'Remove it for good', 'is removed'),
    rotate,
    reseal,
  },
});

async function change(client: AdminClient, verb: string, request: unknown): Promise<CredentialView> {
  return (await client.post(`/credentials/${verb}`, request)) as CredentialView;
}

function report(view: CredentialView, json: boolean, done: string): void {
  if (json) printJson(view);
  else print(`${view.accessKey} ${done}`);
}

interface Secret {
  readonly text: string;
  readonly isNew: boolean;
}

function printPair(view: CredentialView, secret: Secret): void {
  print(`access key  ${view.accessKey}`);
  print(secret.isNew ? `secret key  ${secret.text}\n\nThe secret is shown this once.` : 'secret key  as given');
}

function newAccessKey(): string {
  const letters = [...randomBytes(ACCESS_KEY_CHARACTERS)].map((byte) => ACCESS_KEY_LETTERS[byte % 32]);
  return letters.join('');
}

function takeSecret(file: string | undefined): Secret {
  if (file === undefined) return { text: randomBytes(SECRET_BYTES).toString('base64url'), isNew: true };
  const text = readSecretFile(file).replace(/\r?\n$/, '');
  const problem = secretProblem(text, 'the secret', SECRET_KEY_CHARACTERS_MIN);
  if (problem !== null) throw new ZringError('CONFIG_INVALID', problem);
  return { text, isNew: false };
}

function readSecretFile(file: string): string {
  try {
    // A descriptor reads what a pipe or a terminal has to say.
    return readFileSync(file === '-' ? 0 : file, 'utf8').slice(0, SECRET_CHARACTERS_MAX + 2);
  } catch (cause) {
    const where = file === '-' ? 'standard input' : file;
    throw new ZringError('CONFIG_INVALID', `no secret could be read from ${where}`, { cause });
  }
}

function sealSecret(config: Config, accessKey: string, secret: string): string {
  const [key] = sealKeys(config.cluster.credentialKeys);
  if (!key) {
    throw new ZringError(
      'CREDENTIAL_KEY_MISSING',
      `cluster.credentialKey is not set in ${config.path}: make one with \`openssl rand -base64 32\`, the same on every node`,
    );
  }
  return seal(key, secret, transportContext(config.cluster.name, accessKey));
}

/** `photos-*:read,logs:*` */
export function parseRules(text: string): { buckets: string; actions: string }[] {
  if (text.trim() === '') return [];
  return text.split(',').map((rule) => {
    const [buckets = '', actions = '', ...rest] = rule.trim().split(':');
    if (buckets === '' || actions === '' || rest.length > 0) {
      throw new ZringError(
        'CONFIG_INVALID',
        `"${rule.trim()}" is no rule; a rule is PATTERN:ACTION, as in "photos-*:read"`,
      );
    }
    return { buckets, actions };
  });
}

export function formatRules(allow: readonly { readonly buckets: string; readonly actions: string }[]): string {
  return allow.length === 0
    ? 'nothing by itself'
    : allow.map(({ buckets, actions }) => `${buckets}:${actions}`).join(',');
}

function describe(view: CredentialView): string {
  const { profile, changedMs } = view;
  const lines: [string, string | number | null | undefined][] = [
    ['access key', view.accessKey],
    ['name', profile?.displayName],
    ['from', view.source === 'configuration' ? 'the configuration file' : 'the cluster'],
    ['state', view.state],
    ['canonical id', profile?.canonicalId],
    ['account', profile?.account],
    ['e-mail', profile?.email],
    ['allow', profile ? formatRules(profile.allow) : null],
    ['secrets', view.secrets],
    ['sealed under', view.keyId],
    ['revision', view.source === 'cluster' ? view.revision : null],
    ['changed', changedMs === null ? null : new Date(changedMs).toISOString()],
    ['NOT IN USE', view.fault],
  ];
  const shown = lines.filter(([, value]) => value !== null && value !== undefined);
  return shown.map(([name, value]) => `${name.padEnd(14)}${value}`).join('\n');
}
