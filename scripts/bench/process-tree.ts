/**
 * process-tree: what Linux tells of a process and everything it started: CPU time and private memory.
 * It knows nothing of what the processes are.
 */
import { readdirSync, readFileSync } from "node:fs";

/** The kernel reports CPU time in hundredths of a second to programs (USER_HZ, proc_pid_stat(5)). */
const MS_PER_TICK = 10;

/** The process and all its descendants that are alive. */
export function processTree(pid: number): number[] {
  const children = list(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}

/** User and system time of the trees, ended and reaped children included (utime, stime, cutime, cstime). */
export function cpuTimeMs(roots: readonly number[]): number {
  return roots.flatMap(processTree).reduce((sum, pid) => sum + ownCpuTimeMs(pid), 0);
}

/**
 * Private bytes of each tree that no file holds (Private_Dirty of smaps_rollup, proc_pid_smaps(5)): what the
 * machine has to keep. A program's own clean pages are left out: the kernel drops and rereads them at will.
 */
export function privateBytes(root: number): number {
  return processTree(root).reduce((sum, pid) => {
    const rollup = read(`/proc/${pid}/smaps_rollup`);
    const lines = rollup.matchAll(/^Private_Dirty:\s+(\d+) kB$/gm);
    return sum + [...lines].reduce((kib, line) => kib + Number(line[1]), 0) * 1024;
  }, 0);
}

/** The cores that this process may run on: what the pinning left; the machine may have more. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(.*)$/m.exec(read("/proc/self/status"))?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [first, last] = range.split("-").map(Number);
    return Array.from({ length: (last ?? first!) - first! + 1 }, (_, index) => first! + index);
  });
}

/** Time that our cores spent on anything but this process and what it started; only differences mean something. */
export function strangersCpuTimeMs(): number {
  const stat = read("/proc/stat");
  const busyTicks = allowedCores().map((core) => {
    // user nice system idle iowait irq softirq steal (proc_stat(5)); guests are within user.
    const fields = new RegExp(`^cpu${core} (.*)$`, "m").exec(stat)?.[1]?.split(" ").map(Number) ?? [];
    return [0, 1, 2, 5, 6, 7].reduce((sum, field) => sum + (fields[field] ?? 0), 0);
  });
  return busyTicks.reduce((sum, ticks) => sum + ticks, 0) * MS_PER_TICK - cpuTimeMs([process.pid]);
}

function ownCpuTimeMs(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the name in parentheses, which may hold spaces; field 3 comes after the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * MS_PER_TICK;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // It ended between the listing and the reading.
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
