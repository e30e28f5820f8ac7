/** sample: one run of the generator against one target, and what it cost each process of the target. */
import type { Answered, Generator } from "./load.ts";
import { allowedCores, cpuTimeMs, strangersCpuTimeMs } from "./process-tree.ts";
import type { Target } from "./target.ts";

export interface Sample extends Answered {
  readonly target: string;
  readonly connections: number;
  readonly round: number;
  readonly requestsPerSecond: number;
  /** User and system time of all the target's processes together; 0 when it has none. */
  readonly cpuUsPerRequest: number;
  /** The same of each, by its role. */
  readonly partCpuUsPerRequest: Readonly<Record<string, number>>;
  /** What processes that are not ours took of the cores meanwhile, 0..1: how far to trust the sample. */
  readonly strangersShare: number;
}

export interface Run {
  readonly target: Target;
  readonly connections: number;
  readonly seconds: number;
  readonly round: number;
  /** Called once, when nine tenths of the time are over. */
  readonly underLoad?: () => void;
}

export async function sampled(
  generator: Generator,
  { target, connections, seconds, round, underLoad }: Run,
): Promise<Sample> {
  const strangersBeforeMs = strangersCpuTimeMs();
  const before = target.processes.map(({ pid }) => cpuTimeMs([pid]));
  const load = { port: target.port, connections, seconds };
  const answered = await generator.run({ ...load, ...(underLoad && { underLoad }) });
  const cpuMs = target.processes.map(({ pid }, i) => cpuTimeMs([pid]) - before[i]!);
  const strangersMs = Math.max(0, strangersCpuTimeMs() - strangersBeforeMs);
  const perRequest = (ms: number) => (ms * 1e3) / answered.requests;
  return {
    ...answered,
    target: target.name,
    connections,
    round,
    requestsPerSecond: answered.requests / answered.seconds,
    cpuUsPerRequest: perRequest(cpuMs.reduce((sum, ms) => sum + ms, 0)),
    partCpuUsPerRequest: Object.fromEntries(
      target.processes.map(({ role }, i) => [role, perRequest(cpuMs[i]!)]),
    ),
    strangersShare: strangersMs / (answered.seconds * 1e3 * allowedCores().length),
  };
}
