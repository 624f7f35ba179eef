// The files in config/ agree with each other, with the schema and with the metrics.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { formatAddress } from '../../src/config/address.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { part, program } from '../support/parts.ts';
import { EXAMPLE, parseShipped, ROOT, repositoryText } from './repository.ts';

function promtool(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program('promtool'), args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout;
}

describe('zring.example.yaml', () => {
  const text = repositoryText('config/zring.example.yaml');

  test('three nodes in three zones', () => {
    assert.equal(EXAMPLE.nodes.length, 3);
    assert.equal(new Set(EXAMPLE.nodes.map(({ zone }) => zone)).size, 3);
  });

  test('what it writes out as defaults are the defaults', () => {
    const start = text.indexOf('# What follows are the defaults.');
    assert.ok(start > 0);
    assert.deepEqual({ ...parseShipped(text.slice(0, start), EXAMPLE.path) }, { ...EXAMPLE });
  });

  test('its commented lines work when they are uncommented', () => {
    const uncommented = text
      .replace('  # domains:', '  domains:')
      .replaceAll('  # - { accessKey', '  - { accessKey')
      .replace('  # credentialKey:', '  credentialKey:')
      .replace(/^# (tls:| {2}s3: | {2}peer: | {2}admin: )/gm, '$1');
    const config = parseShipped(uncommented, EXAMPLE.path);
    assert.deepEqual(config.cluster.domains, ['s3.example.org']);
    assert.equal(config.credentials.length, 3);
    assert.equal(config.cluster.credentialKeys.length, 1);
    assert.ok(config.tls.s3 && config.tls.peer?.caFile && config.tls.admin);
  });
});

describe('prometheus.yml and alerts.yml', () => {
  interface Scrape {
    readonly job_name: string;
    readonly http_sd_configs: readonly { readonly url: string }[];
  }
  const prometheus = parseYaml(repositoryText('config/prometheus.yml')) as {
    readonly rule_files: readonly string[];
    readonly scrape_configs: readonly [Scrape];
  };
  const alerts = repositoryText('config/alerts.yml');

  test('the nodes of the example are asked for all nodes', () => {
    const urls = prometheus.scrape_configs[0].http_sd_configs.map(({ url }) => url);
    assert.deepEqual(
      urls,
      EXAMPLE.nodes.map(({ admin }) => `http://${formatAddress(admin)}/sd`),
    );
  });

  test('its rule files are there', () => {
    for (const file of prometheus.rule_files) assert.ok(existsSync(join(ROOT, 'config', file)), file);
  });

  test('rules speak only of metrics, labels and jobs that exist', async () => {
    const metrics = createMetrics();
    const known = new Map((await metrics.registry.getMetricsAsJSON()).map(({ name }) => [name, true]));
    metrics.stop();
    const expressions = [...alerts.matchAll(/zring_[a-z0-9_]+/g)].map(([name]) => name);
    const used = new Set(expressions.filter((name) => name !== 'zring_node'));
    assert.ok(used.size >= 12, `only ${used.size} metrics found in the rules`);
    for (const name of used) assert.ok(known.has(name), `${name} is not a metric`);
    assert.ok(alerts.includes(`job="${prometheus.scrape_configs[0].job_name}"`));
  });

  test('promtool accepts the configuration and its rules', part('promtool'), () => {
    promtool('check', 'config', 'config/prometheus.yml');
    assert.match(promtool('check', 'rules', 'config/alerts.yml'), /SUCCESS: \d+ rules found/);
  });

  test('each rule fires when it should, and only then', part('promtool'), () => {
    const rules = parseYaml(alerts) as { groups: { rules: { alert: string }[] }[] };
    const tested = repositoryText('test/project/alerts.promtool.yml');
    for (const { alert } of rules.groups.flatMap((group) => group.rules)) {
      assert.ok(tested.includes(`alertname: ${alert}\n`), `${alert} has no test`);
    }
    promtool('test', 'rules', 'test/project/alerts.promtool.yml');
  });
});

describe('zring@.service', () => {
  const lines = repositoryText('config/zring@.service').split('\n');
  const settings = lines.filter((line) => /^[A-Za-z]+=/.test(line)).map((line) => line.split('=')[0] ?? '');
  const value = (name: string) => lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';

  test('every line is a comment, a section or a setting', () => {
    for (const line of lines) assert.match(line, /^(#.*|\[(Unit|Service|Install)\]|[A-Za-z]+=.*|)$/);
  });

  test('nothing gives it a mount namespace of its own or closes /dev/zfs', () => {
    const harmful = [
      ...[
        'PrivateTmp',
        'PrivateDevices',
        'PrivateMounts',
        'PrivateUsers',
        'ProtectSystem',
        'ProtectHome',
        'ProtectProc',
      ],
      ...['ProtectKernelTunables', 'ProtectKernelModules', 'ProtectKernelLogs', 'ProtectControlGroups', 'ProtectClock'],
      ...['ReadWritePaths', 'ReadOnlyPaths', 'InaccessiblePaths', 'TemporaryFileSystem', 'BindPaths', 'RootDirectory'],
      ...['DynamicUser', 'DeviceAllow', 'DevicePolicy', 'MemoryDenyWriteExecute', 'MountFlags', 'LoadCredential'],
    ];
    assert.deepEqual(
      settings.filter((setting) => harmful.includes(setting)),
      [],
    );
  });

  test('what ZFS needs is allowed', () => {
    assert.match(value('CapabilityBoundingSet'), /\bCAP_SYS_ADMIN\b.*\bCAP_DAC_OVERRIDE\b/);
    assert.match(value('SystemCallFilter'), /@system-service.*@mount/);
    assert.equal(value('KillMode'), 'mixed');
  });

  test('it starts, checks and reloads the same file', () => {
    assert.match(value('ExecStart'), /^zring serve --config (\S+) --node %i$/);
    const file = /--config (\S+)/.exec(value('ExecStart'))?.[1];
    assert.equal(value('ExecStartPre'), `zring config check ${file}`);
    assert.equal(value('AssertPathExists'), file);
    assert.equal(value('ExecReload'), '/bin/kill -HUP $MAINPID');
  });
});

test('dns-round-robin.md names the nodes of the example', () => {
  const records = [...repositoryText('config/dns-round-robin.md').matchAll(/IN\s+A\s+(\S+)/g)].map(
    ([, address]) => address,
  );
  assert.deepEqual(
    records,
    EXAMPLE.nodes.map(({ s3 }) => s3.host),
  );
});
