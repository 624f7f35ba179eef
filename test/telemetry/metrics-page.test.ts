import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { renderMetricsPage } from '../../src/telemetry/metrics-page.ts';

test('docs/METRICS.md says what the code exports', async () => {
  const metrics = createMetrics();
  try {
    const page = readFileSync(new URL('../../docs/METRICS.md', import.meta.url), 'utf8');
    assert.equal(
      page,
      await renderMetricsPage(metrics),
      'write the page again: node --import tsx test/telemetry/write-page.ts',
    );
  } finally {
    metrics.stop();
  }
});
