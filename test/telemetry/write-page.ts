// Writes docs/METRICS.md from the instruments. Run it after a change of src/telemetry/metrics.ts.
import { writeFileSync } from 'node:fs';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { renderMetricsPage } from '../../src/telemetry/metrics-page.ts';

const metrics = createMetrics();
writeFileSync(new URL('../../docs/METRICS.md', import.meta.url), await renderMetricsPage(metrics));
metrics.stop();
