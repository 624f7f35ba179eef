// docs/METRICS.md, made from the instruments themselves, so that the page cannot lie. Pure.
import type { Metrics } from './metrics.ts';

interface MetricDescription {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** Only ours: the process metrics of prom-client (`process_*`, `nodejs_*`) are described by its own documentation. */
export async function renderMetricsPage(metrics: Metrics): Promise<string> {
  const described: MetricDescription[] = metrics.registry
    .getMetricsAsArray()
    .map((metric) => metric as unknown as { name: string; type: string; help: string; labelNames?: string[] })
    .filter(({ name }) => name.startsWith('zring_'))
    .map(({ name, type, help, labelNames }) => ({ name, type, help, labels: labelNames ?? [] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = described.map(
    ({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.join(', ') || '–'} | ${help} |`,
  );
  return `# Metrics

Every node serves these on its admin listener at \`/metrics\`; \`/sd\` there lists all nodes for Prometheus' HTTP service
discovery (\`config/prometheus.yml\`). Labels are bounded sets, never keys or buckets. \`place\` is \`owner\`
(answered here) or \`entry\` (relayed from the owner). The usual \`process_*\` and \`nodejs_*\` metrics are there too.

| name | type | labels | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}
