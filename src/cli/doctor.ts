// `zring doctor`: what would keep a node from working, each with its fix. Safe to run beside a running node.
import { defineCommand } from 'citty';
import {
  type Check,
  checkConfigMode,
  checkPeers,
  checkPorts,
  checkSpace,
  checkStorage,
  checkTls,
} from '../admin/checks.ts';
import { ZringError } from '../common/errors.ts';
import { loadConfig } from '../config/load.ts';
import { openDriver } from '../dataset/open-driver.ts';
import { silentLogger } from '../telemetry/log.ts';
import { connectionArgs, findConfig } from './admin-client.ts';
import { formatTable, print, printJson } from './output.ts';

export const doctorCommand = defineCommand({
  meta: { name: 'doctor', description: 'Check privileges, storage, clocks, ports and certificates; name each fix' },
  args: {
    config: connectionArgs.config,
    node: {
      type: 'string',
      description: 'Which node of the file this machine is (default: $ZRING_NODE)',
      valueHint: 'id',
    },
    json: connectionArgs.json,
  },
  async run({ args }) {
    const config = loadConfig(findConfig(args.config), process.env);
    const id = args.node ?? process.env.ZRING_NODE;
    const node = config.nodes.find((candidate) => candidate.id === id);
    if (!node) {
      const known = config.nodes.map((candidate) => candidate.id).join(', ');
      throw new ZringError('CONFIG_INVALID', `say which node this machine is: --node ID (one of ${known})`);
    }
    const checks: Check[] = [{ name: 'configuration', status: 'ok', found: config.path, fix: '' }];
    checks.push(...(await checkConfigMode(config)));
    try {
      const driver = await openDriver(node.storage, { logger: silentLogger(), cluster: config.cluster.name });
      checks.push(...(await checkStorage(driver)), ...(await checkSpace(driver, config)));
      await driver.shutdown();
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      checks.push({
        name: 'storage',
        status: 'fail',
        found,
        fix: 'create the pool or folder; see `storage` of the node',
      });
    }
    checks.push(
      ...(await checkPorts(config, node)),
      ...(await checkPeers(config, node.id)),
      ...(await checkTls(config, Date.now())),
    );
    if (args.json) printJson({ node: node.id, checks });
    else print(describe(checks));
    if (checks.some(({ status }) => status === 'fail')) process.exitCode = 1;
  },
});

function describe(checks: readonly Check[]): string {
  const table = formatTable(
    ['CHECK', 'RESULT', 'FOUND'],
    checks.map(({ name, status, found }) => [name, status, found]),
  );
  const fixes = checks.filter(({ fix }) => fix !== '').map(({ name, fix }) => `${name}: ${fix}`);
  return fixes.length === 0 ? table : `${table}\n\nWhat to do:\n  ${fixes.join('\n  ')}`;
}
