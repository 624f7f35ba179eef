// A process that takes part in the embedded coordinator of the folder named by its argument: says `ready` once it is
// connected, and lives until it is killed or its stdin ends.
import { openEmbeddedCoordinator } from '../../src/cluster/embedded-coordinator.ts';
import { createSystemClock } from '../../src/common/system-clock.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const coordinator = await openEmbeddedCoordinator(process.argv[2] ?? '', {
  cluster: 'lab',
  logger: silentLogger(),
  clock: createSystemClock(),
});
await coordinator.state();
process.stdout.write('ready\n');
process.stdin.resume();
process.stdin.on('end', () => void coordinator.close());
