// The lab's network: one bridge in the network namespace that this process was started in (never the machine's own), a
// cable to each namespace that joins, and one-way cuts between addresses. Owns the bridge and the cuts.
//
// A cut is made at the sender. `refused`: a route that rejects, so the program is told at once (`ip route add
// unreachable`). `silent`: a neighbour entry with a hardware address that nobody has, so packets leave and vanish, as
// they do in a broken switch; programs find out by their own time limits.
import { run } from './commands.ts';

export type Cut = 'refused' | 'silent';

const BRIDGE = 'zring';
const NOBODY = '02:00:00:00:00:99';
export const HARNESS_IP = '10.77.0.1';

export interface Port {
  readonly ip: string;
  /** A process in the namespace. */
  readonly pid: number;
}

export async function openNetwork(): Promise<void> {
  await run('ip', 'link', 'set', 'lo', 'up');
  await run('ip', 'link', 'add', BRIDGE, 'type', 'bridge');
  await run('ip', 'addr', 'add', `${HARNESS_IP}/24`, 'dev', BRIDGE);
  await run('ip', 'link', 'set', BRIDGE, 'up');
}

export async function connectPort(name: string, port: Port): Promise<void> {
  const near = `v-${name}`;
  await run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(port.pid));
  await run('ip', 'link', 'set', near, 'master', BRIDGE, 'up');
  await inside(port, 'addr', 'add', `${port.ip}/24`, 'dev', 'eth0');
  await inside(port, 'link', 'set', 'eth0', 'up');
  await inside(port, 'link', 'set', 'lo', 'up');
}

function inside(port: Port, ...args: string[]): Promise<string> {
  return run('nsenter', `--net=/proc/${port.pid}/ns/net`, '--', 'ip', ...args);
}

/** What `from` sends to `to` is lost; what `to` sends arrives. @returns what heals it. */
export async function cutOneWay(from: Port, to: Port, how: Cut): Promise<() => Promise<void>> {
  if (how === 'refused') {
    const route = ['unreachable', `${to.ip}/32`];
    await inside(from, 'route', 'add', ...route);
    return async () => void (await inside(from, 'route', 'del', ...route));
  }
  const neighbour = [to.ip, 'dev', 'eth0'];
  await inside(from, 'neigh', 'replace', ...neighbour, 'lladdr', NOBODY, 'nud', 'permanent');
  return async () => void (await inside(from, 'neigh', 'del', ...neighbour));
}
