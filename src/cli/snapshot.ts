// `zring snapshot create|list|destroy|rollback|clone BUCKET …`: any node answers for the bucket's owner. docs/SNAPSHOTS.md.
import { defineCommand } from 'citty';
import type { BucketSnapshots, SnapshotAnswer, SnapshotChange } from '../admin/bucket-snapshots.ts';
import { ZringError } from '../common/errors.ts';
import type { RollbackReport } from '../ownership/access.ts';
import { connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

const bucket = { type: 'positional', required: true, description: 'Bucket name' } as const;

const create = defineCommand({
  meta: { name: 'create', description: 'Keep the bucket as it is now; it can be read below .zfs/snapshot/' },
  args: {
    ...connectionArgs,
    bucket,
    name: { type: 'positional', required: false, description: 'Name (default: made from the time)' },
  },
  async run({ args }) {
    const { name, node } = await change(args, { verb: 'create', name: args.name ?? null });
    if (args.json) printJson({ bucket: args.bucket, node, name });
    else print(`${name}: read it as s3://${args.bucket}/.zfs/snapshot/${name}/`);
  },
});

const list = defineCommand({
  meta: { name: 'list', description: 'The snapshots of a bucket, the oldest first' },
  args: { ...connectionArgs, bucket },
  async run({ args }) {
    const found = (await connectAdmin(args).get(`/snapshots/${encodeURIComponent(args.bucket)}`)) as BucketSnapshots;
    if (args.json) printJson(found);
    else print(formatSnapshots(found));
  },
});

const destroy = defineCommand({
  meta: { name: 'destroy', description: 'Destroy one snapshot for good; the bucket itself does not change' },
  args: { ...connectionArgs, bucket, name: { type: 'positional', required: true, description: 'Name' } },
  async run({ args }) {
    const { name, node } = await change(args, { verb: 'destroy', name: args.name });
    if (args.json) printJson({ bucket: args.bucket, node, name });
    else print(`${name} of ${args.bucket} is destroyed`);
  },
});

const rollback = defineCommand({
  meta: { name: 'rollback', description: 'Make the bucket what it was; everything written since is lost' },
  args: {
    ...connectionArgs,
    bucket,
    name: { type: 'positional', required: true, description: 'Name' },
    'accept-loss': { type: 'boolean', description: 'Yes: what was written since is given up', default: false },
  },
  async run({ args }) {
    const acceptLoss = args['accept-loss'];
    const answer = await change(args, { verb: 'rollback', name: args.name, acceptLoss });
    if (args.json) printJson(answer);
    else if (answer.rollback) print(formatRollback(args.bucket, answer.rollback, acceptLoss));
    if (!acceptLoss) throw new ZringError('CONFIG_REFUSED', 'nothing was changed; to roll back, add --accept-loss');
  },
});

const clone = defineCommand({
  meta: {
    name: 'clone',
    description: 'Make a new bucket that begins as the snapshot was; it takes no space of its own',
  },
  args: {
    ...connectionArgs,
    bucket,
    name: { type: 'positional', required: true, description: 'Name of the snapshot' },
    new: { type: 'positional', required: true, description: 'Name of the new bucket' },
  },
  async run({ args }) {
    const { name, node, target = args.new } = await change(args, { verb: 'clone', name: args.name, target: args.new });
    if (args.json) printJson({ bucket: args.bucket, node, name, target });
    else print(formatClone(args.bucket, { name, node, target }));
  },
});

export const snapshotCommand = defineCommand({
  meta: { name: 'snapshot', description: 'Snapshots of one bucket: make, list, destroy, go back to one, clone one' },
  subCommands: { create, list, destroy, rollback, clone },
});

type Connection = Parameters<typeof connectAdmin>[0] & { readonly bucket: string };

async function change(args: Connection, wanted: SnapshotChange): Promise<SnapshotAnswer> {
  const admin = connectAdmin(args);
  const path = `/snapshots/${encodeURIComponent(args.bucket)}`;
  // Done again, going back loses what was written since the first time. Asking what would be lost changes nothing.
  const isQuestion = wanted.verb === 'rollback' && !wanted.acceptLoss;
  const look = wanted.verb === 'clone' ? `zring explain ${wanted.target}` : `zring snapshot list ${args.bucket}`;
  const once = { once: true, look } as const;
  return (await admin.post(path, wanted, isQuestion ? undefined : once)) as SnapshotAnswer;
}

export function formatRollback(name: string, { snapshot, createdMs, later }: RollbackReport, done: boolean): string {
  const taken = new Date(createdMs).toISOString();
  const others = later.length > 0 ? `, and these later snapshots: ${later.join(', ')}` : '';
  return done
    ? `${name} is as it was in ${snapshot} (${taken}); gone is what was written since${others}`
    : `Rolling ${name} back to ${snapshot} (${taken}) gives up everything written since${others}.`;
}

export function formatClone(
  source: string,
  { name, node, target }: Record<'name' | 'node' | 'target', string>,
): string {
  return [
    `${target} is a bucket of its own now, as ${source} was in ${name}; on node ${node}, and pinned to it`,
    'Only its owner has access, and nothing in it is public or expires, until you say so.',
  ].join('\n');
}

export function formatSnapshots({ bucket: name, node, snapshots }: BucketSnapshots): string {
  if (snapshots.length === 0) return `${name} (node ${node}) has no snapshots`;
  const rows = snapshots.map((snapshot) => [
    snapshot.name,
    new Date(snapshot.createdMs).toISOString(),
    snapshot.kept ? 'zring' : 'the storage',
  ]);
  return [`${name} on node ${node}`, formatTable(['NAME', 'TAKEN', 'MADE BY'], rows)].join('\n');
}
