// `zring bucket get BUCKET` and `zring bucket set BUCKET quota=10GiB …`: what a bucket may take of the storage, and how it is
// kept there. Any node answers for the bucket's owner. Sizes and words are read here; what they mean, the owner says.
import { defineCommand } from 'citty';
import type { BucketSettings } from '../admin/bucket-settings.ts';
import { ZringError } from '../common/errors.ts';
import { formatBytes } from '../common/text.ts';
import { parseSize } from '../config/units.ts';
import type { StorageSettings } from '../dataset/driver.ts';
import { connectAdmin, connectionArgs } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

const bucket = { type: 'positional', required: true, description: 'Bucket name' } as const;
const another = { type: 'positional', required: false, description: 'Another setting' } as const;

const get = defineCommand({
  meta: { name: 'get', description: "A bucket's quota, reservation and compression, what it uses and what is left" },
  args: { ...connectionArgs, bucket },
  async run({ args }) {
    show(await connectAdmin(args).get(`/bucket/${encodeURIComponent(args.bucket)}`), args.json);
  },
});

const set = defineCommand({
  meta: {
    name: 'set',
    description: 'Change settings of a bucket: quota=10GiB reservation=1GiB compression=zstd, each also =none',
  },
  args: {
    ...connectionArgs,
    bucket,
    setting: { type: 'positional', required: true, description: 'quota=SIZE, reservation=SIZE or compression=NAME' },
    setting2: another,
    setting3: another,
  },
  async run({ args }) {
    const words = [args.setting, args.setting2, args.setting3].filter((word) => word !== undefined);
    const change = parseSettingWords(words);
    show(await connectAdmin(args).post(`/bucket/${encodeURIComponent(args.bucket)}`, change), args.json);
  },
});

export const bucketCommand = defineCommand({
  meta: { name: 'bucket', description: 'Storage settings of one bucket' },
  subCommands: { get, set },
});

/** `quota=10GiB` … → a change. Errors: CONFIG_INVALID naming the word and what there is. */
export function parseSettingWords(words: readonly string[]): Partial<StorageSettings> {
  const change: { -readonly [Key in keyof StorageSettings]?: StorageSettings[Key] } = {};
  for (const word of words) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    switch (name) {
      case 'quota':
        change.quotaBytes = sizeOf(word, value);
        break;
      case 'reservation':
        change.reservationBytes = sizeOf(word, value);
        break;
      case 'compression':
        if (value === '') throw invalid(word, 'names no compression');
        change.compression = value === 'none' ? null : value;
        break;
      default:
        throw invalid(word, 'is no setting; there are: quota=SIZE, reservation=SIZE, compression=NAME');
    }
  }
  if (Object.keys(change).length < words.length) throw invalid(words.join(' '), 'sets something twice');
  return change;
}

function sizeOf(word: string, value: string): number | null {
  if (value === 'none') return null;
  const parsed = parseSize(value);
  if ('problem' in parsed) throw invalid(word, `: ${value || 'nothing'} ${parsed.problem}; a size is 10GiB, or none`);
  return parsed.value;
}

function invalid(word: string, problem: string): ZringError {
  return new ZringError('CONFIG_INVALID', `"${word}" ${problem}`, { subject: word });
}

function show(answer: unknown, json: boolean): void {
  if (json) printJson(answer);
  else print(formatBucket(answer as BucketSettings));
}

export function formatBucket(settings: BucketSettings): string {
  const { wanted, applied, notApplied } = settings;
  const size = (bytes: number | null) => (bytes === null ? 'none' : formatBytes(bytes));
  const rows = [
    ['quota', size(wanted.quotaBytes), size(applied.quotaBytes)],
    ['reservation', size(wanted.reservationBytes), size(applied.reservationBytes)],
    ['compression', wanted.compression ?? 'default', applied.compression ?? '-'],
  ];
  const ratio = settings.compressRatio === null ? '' : `, compressed ${settings.compressRatio.toFixed(2)}x`;
  const lines = [
    `${settings.bucket} on node ${settings.node}, ${settings.storage}`,
    formatTable(['SETTING', 'WANTED', 'IN FORCE'], rows),
    `used ${formatBytes(settings.usedBytes)}${ratio}; ${formatBytes(settings.availableBytes)} left; ` +
      `${formatBytes(settings.snapshotBytes)} more kept by snapshots`,
    `encryption: ${settings.encryption ?? 'off'}`,
    ...notApplied.map(({ setting, reason }) => `not in force: ${setting}: ${reason}`),
  ];
  return lines.join('\n');
}
