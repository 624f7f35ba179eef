// CPU time as Linux accounts it, from /proc. Work of kernel threads (write-back, journal of the file system) belongs to
// no process and is seen only in the machine's sum.
import { readdirSync, readFileSync } from 'node:fs';

/** Unit of /proc's times: USER_HZ, which is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** utime + stime of a `/proc/PID/stat` line, all threads. The program's name may hold blanks and brackets. */
export function cpuSecondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(readFileSync(`/proc/${pid}/stat`, 'latin1')), 0);
}

/** CPU time of everything on this machine since it started; neither idle nor waiting for a disk. */
export function machineBusySeconds(): number {
  const line = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false; // Ended meanwhile.
      }
    })
    .map(Number);
}
