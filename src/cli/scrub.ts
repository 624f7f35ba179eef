// `zring scrub BUCKET`: starts a scrub at the bucket's owner, or joins the one under way, and shows it until it ends. Any node
// answers. docs/REPAIR.md.
import { setTimeout as delay } from 'node:timers/promises';
import { defineCommand } from 'citty';
import type { BucketScrub } from '../admin/bucket-scrubs.ts';
import { isZringError, ZringError } from '../common/errors.ts';
import { formatBytes, formatDuration } from '../common/text.ts';
import { isUnsound, type ScrubReport } from '../ownership/repair/types.ts';
import { type AdminClient, connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

const POLL_MS = 1_000;
const LINE_EVERY_MS = 10_000;
/** So long without an answer of the owner, and nobody knows how the scrub is. */
const SILENCE_MS = 30_000;

export const scrubCommand = defineCommand({
  meta: {
    name: 'scrub',
    description: "Read everything in a bucket, and repair what is damaged from other nodes' copies",
  },
  args: {
    ...connectionArgs,
    bucket: { type: 'positional', required: true, description: 'Bucket name' },
    stop: { type: 'boolean', description: 'End the scrub under way', default: false },
  },
  async run({ args }) {
    const client = connectAdmin(args);
    const path = `/scrubs/${encodeURIComponent(args.bucket)}`;
    const verb = args.stop ? 'end' : 'begin';
    // Before anything is begun: who interrupts this hears that it goes on, and where.
    let interrupted = false;
    const note = (): void => {
      interrupted = true;
    };
    if (!args.stop) process.once('SIGINT', note);
    const began = (await client.post(path, { verb })) as BucketScrub;
    process.off('SIGINT', note);
    if (interrupted) leave(began);
    const ended = args.stop ? began : await follow(client, path, began);
    if (args.json) printJson(ended);
    else print(formatScrub(ended));
    const { scrub } = ended;
    const isCut = !args.stop && scrub?.state !== 'done';
    if (isCut || (scrub && isUnsound(scrub))) process.exitCode = 1;
  },
});

function leave({ bucket, node }: BucketScrub): never {
  process.stderr.write(`the scrub goes on at node ${node}; stop it with: zring scrub ${bucket} --stop\n`);
  process.exit(130);
}

async function follow(client: AdminClient, path: string, began: BucketScrub): Promise<BucketScrub> {
  const line = new ProgressLine();
  const interrupt = (): void => {
    line.end();
    leave(began);
  };
  process.once('SIGINT', interrupt);
  try {
    let heardMs = Date.now();
    for (let seen = began; ; ) {
      const { scrub } = seen;
      if (!scrub || seen.node !== began.node || scrub.startedMs !== began.scrub?.startedMs) throw lost(began);
      if (scrub.state !== 'running') return seen;
      line.show(formatProgress(seen.bucket, scrub));
      await delay(POLL_MS);
      try {
        seen = (await client.get(path)) as BucketScrub;
        heardMs = Date.now();
      } catch (error) {
        if (!isPassing(error) || Date.now() - heardMs > SILENCE_MS) throw error;
      }
    }
  } finally {
    process.off('SIGINT', interrupt);
    line.end();
  }
}

/** The bucket is just being moved or opened, or its node was not reached this once. */
function isPassing(error: unknown): boolean {
  const codes = ['DATASET_BUSY', 'DATASET_UNAVAILABLE', 'NOT_OWNER', 'NODE_UNREACHABLE', 'CATALOG_INCOMPLETE'] as const;
  return codes.some((code) => isZringError(error, code));
}

function lost({ bucket, node }: BucketScrub): ZringError {
  const message = `the scrub of ${bucket} did not come to its end: node ${node} was started again, or the bucket has moved; start it again`;
  return new ZringError('ABORTED', message, { subject: bucket });
}

/** On a terminal one line that is rewritten, elsewhere a line every few seconds. */
class ProgressLine {
  readonly #terminal = process.stderr.isTTY === true;
  #shownMs = Date.now();
  #open = false;

  show(text: string): void {
    if (this.#terminal) process.stderr.write(`\r\x1b[K${text}`);
    else if (Date.now() - this.#shownMs >= LINE_EVERY_MS) {
      process.stderr.write(`${text}\n`);
      this.#shownMs = Date.now();
    }
    this.#open = this.#terminal;
  }

  end(): void {
    if (this.#open) process.stderr.write('\n');
    this.#open = false;
  }
}

export function formatProgress(bucket: string, { files, bytes, damaged, repaired }: ScrubReport): string {
  const found = damaged > 0 ? `, ${damaged} damaged, ${repaired} repaired` : '';
  return `${bucket}: ${files.done} of ${files.total} files, ${formatBytes(bytes.done)} of ${formatBytes(bytes.total)}${found}`;
}

export function formatScrub({ bucket, node, scrub }: BucketScrub): string {
  if (!scrub) return `${bucket} (node ${node}): no scrub is under way, and none is remembered`;
  const { state, reason, startedMs, endedMs, files, bytes, damaged, repaired, indexFaults, faults } = scrub;
  const took = endedMs === null ? '' : ` in ${formatDuration(endedMs - startedMs)}`;
  const read = `${files.done} of ${files.total} files, ${formatBytes(bytes.done)}${took}`;
  const how = {
    running: 'is under way',
    done: 'has read all',
    stopped: 'was stopped',
    failed: `could not go on (${reason})`,
  }[state];
  const lines = [`the scrub of ${bucket} on node ${node} ${how}: ${read}`];
  if (damaged > 0) lines.push(`${damaged} damaged files, ${repaired} of them repaired`);
  if (indexFaults > 0) lines.push(`${indexFaults} faults in the index, which are not repaired`);
  if (damaged + indexFaults === 0 && state === 'done') lines.push('all sound');
  const rows = faults.map(({ key, blob, reason: why, repaired: isRepaired }) => [
    isRepaired ? 'repaired' : 'DAMAGED',
    key ?? (blob === null ? '(the index)' : '(no object)'),
    why,
  ]);
  if (rows.length > 0) lines.push('', formatTable(['', 'OBJECT', 'REASON'], rows));
  const more = damaged + indexFaults - faults.length;
  if (more > 0) lines.push(`… and ${more} more`);
  if (faults.some(({ blob, key }) => blob === null && key === null)) {
    lines.push(
      '',
      `The index cannot be read. Go back to a snapshot: zring snapshot list ${bucket}; see docs/REPAIR.md.`,
    );
  }
  return lines.join('\n');
}
