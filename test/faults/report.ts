// Results as people read them: a few lines a run, a summary of a campaign, and its row for the table in docs/FAULTS.md.
// Pure: text only.
import { type CampaignResult, judge, type RunResult, sumCampaign } from './verdict.ts';

/** The line that starts the same run again: the same plan and the same choices of the load, not the same timing. */
export function againLine(run: RunResult, commit: string, options: { faults: number; ratePerSecond: number }): string {
  const built = commit.endsWith('-dirty') ? '--worktree' : `--commit ${commit}`;
  const size = `--faults ${options.faults} --rate ${options.ratePerSecond}`;
  return `  again       npm run faults -- --run ${run.seed} --profile ${run.profile} ${size} ${built}`;
}

export function runLines(run: RunResult, commit: string): string[] {
  const { verdict, reasons } = judge(run);
  const kinds = Object.entries(run.faults).map(([kind, { planned, fired }]) => {
    return `${kind} ${fired}${fired === planned ? '' : ` of ${planned}`}`;
  });
  const { ok, failed, unknown } = run.operations;
  const perSecond = run.faultSeconds > 0 ? (ok + failed + unknown) / run.faultSeconds : 0;
  return [
    `${verdict}  seed ${run.seed} profile ${run.profile} commit ${commit} ${run.seconds.toFixed(0)} s`,
    `  faults      ${kinds.join(', ')}; moves ${run.counts.moves}`,
    `  operations  ${ok} ok, ${failed} failed, ${unknown} unknown; ${perSecond.toFixed(0)} a second; ${run.checkedOperations} checked`,
    ...(run.endedAlone > 0 ? [`  processes   ${run.endedAlone} ended without the lab`] : []),
    `  found       ${run.violations.length} violations, ${run.acknowledgedLost} acknowledged writes lost, ${run.false404} false 404s`,
    ...reasons.slice(0, 8).map((reason) => `  ${verdict === 'VOID' ? 'void' : 'fault'}        ${reason.slice(0, 400)}`),
    ...run.violations.slice(0, 5).map((violation) => `  violation   ${violation.slice(0, 600)}`),
    `  kept        ${run.folder}`,
  ];
}

const COLUMNS: readonly (readonly [string, (campaign: CampaignResult) => string | number])[] = [
  ['commit', (c) => `\`${c.commit}\``],
  ['date', (c) => c.startedAt.slice(0, 10)],
  ['seed', (c) => c.seed],
  ['minutes', (c) => c.minutes.toFixed(0)],
  ['clusters', (c) => c.clusters],
  [
    'runs passed / failed / void',
    (c) => {
      const sum = sumCampaign(c.runs);
      return `${sum.passed} / ${sum.failed} / ${sum.void}`;
    },
  ],
  ['node kills', (c) => sumCampaign(c.runs).counts.nodeKills],
  ['power cuts', (c) => sumCampaign(c.runs).counts.powerCuts],
  ['partitions', (c) => sumCampaign(c.runs).counts.partitions],
  ['Redis faults', (c) => sumCampaign(c.runs).counts.redisFaults],
  ['zombie owners', (c) => sumCampaign(c.runs).counts.zombies],
  ['cut streams', (c) => sumCampaign(c.runs).counts.cutStreams],
  ['moves', (c) => sumCampaign(c.runs).counts.moves],
  ['operations checked', (c) => sumCampaign(c.runs).checkedOperations],
  ['acknowledged writes lost', (c) => sumCampaign(c.runs).acknowledgedLost],
  ['false 404s', (c) => sumCampaign(c.runs).false404],
  ['violations', (c) => sumCampaign(c.runs).violations],
  ['verdict', (c) => `**${sumCampaign(c.runs).verdict}**`],
];

export function tableHead(): string {
  return `| ${COLUMNS.map(([name]) => name).join(' | ')} |\n|${COLUMNS.map(() => '---|').join('')}`;
}

export function tableRow(campaign: CampaignResult): string {
  return `| ${COLUMNS.map(([, of]) => of(campaign)).join(' | ')} |`;
}

export function campaignLines(campaign: CampaignResult): string[] {
  const sum = sumCampaign(campaign.runs);
  const others = Object.entries(sum.counts).filter(([, count]) => count > 0);
  return [
    `${sum.verdict}  campaign seed ${campaign.seed}, commit ${campaign.commit}, ${campaign.minutes.toFixed(1)} minutes, ${campaign.clusters} cluster(s)`,
    `  runs        ${sum.passed} passed, ${sum.failed} failed, ${sum.void} void; what follows leaves the void ones out`,
    `  counts      ${others.map(([name, count]) => `${name} ${count}`).join(', ')}`,
    `  operations  ${sum.operations.ok} ok, ${sum.operations.failed} failed, ${sum.operations.unknown} unknown; ${sum.checkedOperations} checked`,
    `  found       ${sum.violations} violations, ${sum.acknowledgedLost} acknowledged writes lost, ${sum.false404} false 404s`,
    sum.below.length === 0
      ? '  bar         reached: every count that a full campaign asks for'
      : `  bar         a full campaign has more: ${sum.below.join(', ')}`,
  ];
}

/** The page with the row put in at the end of its table; the table is what stands between the two marks. */
export function withRow(page: string, campaign: CampaignResult): string {
  const mark = '<!-- campaigns end -->';
  if (!page.includes(mark)) throw new Error(`docs/FAULTS.md has no line ${mark}`);
  return page.replace(mark, `${tableRow(campaign)}\n${mark}`);
}
