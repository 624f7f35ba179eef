// Takes the lock named by its argument, says so on stdout, and holds it until it is killed or its stdin ends.
import { acquireExclusiveLock } from '../../src/common/lock.ts';

try {
  const lock = await acquireExclusiveLock(process.argv[2] ?? '');
  process.stdout.write('held\n');
  process.stdin.resume();
  process.stdin.on('end', () => void lock.release());
} catch (error) {
  process.stdout.write(`${error.code}\n`);
}
