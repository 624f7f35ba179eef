// docs/CONFIG.md, generated from the schema: key, type, unit, default, limit, and when a change takes effect. Pure.
// `zring config docs > docs/CONFIG.md` writes it; a test compares the committed page with this.
import { CREDENTIALS_MAX, configSchema, type Effect, NODES_MAX } from './schema.ts';
import { ALLOW_MAX } from './schema-credentials.ts';
import { allFields, type Field } from './schema-walk.ts';
import { SECRET_CHARACTERS_MAX } from './secrets.ts';
import { CONFIG_CHARACTERS_MAX, CONFIG_VALUES_MAX } from './tree.ts';

const EFFECTS: Readonly<Record<Effect, string>> = {
  live: 'live',
  revision: 'with `revision`',
  restart: 'restart',
};

const SECTIONS: Readonly<Record<string, string>> = {
  cluster: 'What all nodes agree on.',
  nodes: `One entry a node, at most ${NODES_MAX}. Growing the cluster is an entry here and a raised \`cluster.revision\`. Taking an entry out is refused while the node owns anything: set \`state: draining\` first.`,
  credentials: `Who may use the S3 listener; at least one, at most ${CREDENTIALS_MAX}, with at most ${ALLOW_MAX} \`allow\` entries each. A request is allowed when any entry allows it.`,
  tls: 'A listener speaks TLS when its section is there; the keys of a section that is there are required. On the peer listener both sides show certificates.',
  defaults: 'What holds for buckets that set nothing else.',
  storage: 'Applies to the storage root of every node.',
  rebalance: 'How datasets move to their home after the map has changed.',
  snapshots:
    'Snapshots that are taken by themselves, and which of them stay. Those that somebody has made by name are never destroyed by this.',
  replication: 'How closely the replicas of buckets follow their owners. How many there are is `cluster.copies`.',
  retention: 'How long copies that are not needed any more are kept.',
  log: 'Logs are JSON lines on standard output; secrets are redacted.',
};

const HEAD = `# Configuration

One YAML file, the same on every node; \`--node ID\` (or \`ZRING_NODE\`) says which entry of \`nodes\` a process is.
\`zring config check FILE\` reports every fault at once with its line, and what was expected. This page is generated from
the schema (\`zring config docs\`).

**Values.** Durations are written with a unit (\`500ms\`, \`10s\`, \`15m\`, \`24h\`, \`7d\`), sizes too (\`64MiB\`, \`10GB\`), rates
end with \`/s\` (\`100MB/s\`), percentages with \`%\`. A number without its unit is a fault. Unknown and repeated keys are
faults. A section whose lines are all comments counts as absent. Addresses are \`host:port\`; IPv6 stands in brackets and,
because YAML reads brackets as a list, in quotes: \`"[::1]:9000"\`.

**Variables.** \`\${NAME}\` in a value, whole or part of it, is replaced by that environment variable; one that is unset or
empty is a fault. Not in keys, and not in \`nodes[].id\`. What a variable holds is not searched for variables again.

**Secrets** are a text (usually \`\${NAME}\`), \`file:PATH\` (the file's content without its last newline; relative paths
start at the folder of the configuration file), or a list of these: the first signs, all are accepted, so that rotation
needs no downtime. At most ${SECRET_CHARACTERS_MAX} characters, no blanks.

**Changes.** A running node notices a changed file by itself and on SIGHUP. A file with faults changes nothing and is
reported in the log. *live*: taken over at once. *with \`revision\`*: part of the map; taken over once \`cluster.revision\`
has grown, and the same revision with another map is refused. What counts is the meaning, not the writing: order of keys
and nodes, comments, units and defaults written out make no difference; variables count by name. *restart*: waits for
a restart of the node; the log says so.

Limits of the file: ${CONFIG_CHARACTERS_MAX / 2 ** 20} Mi characters, ${CONFIG_VALUES_MAX} values.
`;

export function renderConfigPage(): string {
  const fields = allFields(configSchema({ folder: '/', readSecret: () => '' }));
  const sections = [...new Set(fields.map(({ key }) => sectionOf(key)))].map((section) => {
    const rows = fields.filter(({ key }) => sectionOf(key) === section).map(row);
    const table = ['| key | type | default | limit | change |', '|---|---|---|---|---|', ...rows].join('\n');
    const notes = fields.filter(({ key }) => sectionOf(key) === section).map(note);
    return `## \`${section}\`\n\n${SECTIONS[section] ?? ''}\n\n${table}\n\n${notes.join('\n')}\n`;
  });
  return `${[HEAD, ...sections].join('\n')}`;
}

function sectionOf(key: string): string {
  return key.split(/[.[]/)[0] ?? key;
}

function row({ key, doc, required, defaultText }: Field): string {
  const unit = doc.unit === undefined ? '' : ` (${doc.unit})`;
  const fallback = required
    ? '**required**'
    : (doc.otherwise ?? (defaultText === 'none' ? 'none' : `\`${defaultText}\``));
  const cells = [`\`${key}\``, `${doc.type}${unit}`, fallback, doc.limit ?? '', EFFECTS[doc.effect]];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function note({ key, doc }: Field): string {
  return `- \`${key}\`: ${doc.text}`;
}
