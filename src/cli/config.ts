// `zring config check FILE` and `zring config docs`. Reads the file only; no node and no coordinator is asked.
import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { isZringError } from '../common/errors.ts';
import { formatFault, loadConfig } from '../config/load.ts';
import { renderConfigPage } from '../config/page.ts';
import type { Config, ConfigFault } from '../config/types.ts';
import { findConfig } from './admin-client.ts';

export interface CheckReport {
  readonly file: string;
  readonly ok: boolean;
  readonly faults: readonly ConfigFault[];
  /** Of a file without faults. */
  readonly summary: {
    readonly cluster: string;
    readonly revision: number;
    readonly nodes: readonly string[];
    readonly mapContentHash: string;
  } | null;
}

export function checkConfig(file: string, env: NodeJS.ProcessEnv): CheckReport {
  const path = resolve(file);
  try {
    return { file: path, ok: true, faults: [], summary: summarise(loadConfig(path, env)) };
  } catch (error) {
    if (!isZringError(error, 'CONFIG_INVALID')) throw error;
    return { file: path, ok: false, faults: error.details as readonly ConfigFault[], summary: null };
  }
}

function summarise(config: Config): CheckReport['summary'] {
  const { name, revision } = config.cluster;
  const nodes = config.nodes.map(({ id }) => id);
  return { cluster: name, revision, nodes, mapContentHash: config.mapContentHash };
}

export function formatReport(report: CheckReport): string {
  const { file, faults, summary } = report;
  if (summary) {
    const { cluster, revision, nodes } = summary;
    return `${file}: good. Cluster ${cluster}, revision ${revision}, ${nodes.length} nodes: ${nodes.join(', ')}`;
  }
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
  return [`${file}: ${count}`, ...faults.map((fault) => `  ${formatFault(fault)}`)].join('\n');
}

const check = defineCommand({
  meta: { name: 'check', description: 'Report every fault of a configuration file; exit code 1 when there is one' },
  args: {
    file: {
      type: 'positional',
      required: false,
      description: 'Configuration file (default: as for zring status)',
    },
    json: { type: 'boolean', default: false, description: 'Print JSON for programs' },
  },
  run({ args }) {
    const report = checkConfig(findConfig(args.file), process.env);
    process.stdout.write(`${args.json ? JSON.stringify(report, null, 2) : formatReport(report)}\n`);
    if (!report.ok) process.exitCode = 1;
  },
});

const docs = defineCommand({
  meta: { name: 'docs', description: 'Print the reference of all configuration keys (docs/CONFIG.md)' },
  run() {
    process.stdout.write(renderConfigPage());
  },
});

export const configCommand = defineCommand({
  meta: { name: 'config', description: 'Check a configuration file, or print what can stand in one' },
  subCommands: { check, docs },
});
