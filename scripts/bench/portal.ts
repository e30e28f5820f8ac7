/**
 * bench: what a TCP connection costs on its way through a portal, next to pairs of stunnel and of socat; and
 * what a bulk transfer through a portal does to the writes of the same two nodes. It prints figures and judges
 * them against the aims; it is not a test, and its exit code says only whether it could measure.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Direction, transfer } from "./bulk.ts";
import { makeCertificates } from "./certificates.ts";
import { culvertPair, missingBinary } from "./culvert.ts";
import { Generator } from "./load.ts";
import { stunnelPair } from "./peers.ts";
import { type BulkSample, render, type WriteSample } from "./portal-report.ts";
import { socatPair } from "./portal-socat.ts";
import { cpuTimeMs, strangersCpuTimeMs } from "./process-tree.ts";
import { Sink } from "./sink.ts";
import { freePort, Stage } from "./stage.ts";
import { firstWrite, type Target } from "./target.ts";

const HELP = `Usage: scripts/bench/portal [flags]
  --rounds n          interleaved rounds, of which medians are shown (default 5)
  --seconds n         length of one run (default 3)
  --targets a,b       of direct,culvert,stunnel,socat (default: all)
  --no-writes         leave out the writes beside a bulk transfer
`;

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    targets: { type: "string", default: "direct,culvert,stunnel,socat" },
    "no-writes": { type: "boolean" },
  },
});
if (flags.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [rounds, seconds] = [Number(flags.rounds), Number(flags.seconds)];
const stage = new Stage();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => void stage.close().finally(() => process.exit(130)));
try {
  await measure();
} catch (error) {
  process.stderr.write(`portal: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stage.close();
}
process.exit();

async function measure(): Promise<void> {
  const cannot = missingBinary() ?? Sink.missing() ?? program("openssl") ?? program("wrk");
  if (cannot !== undefined) throw new Error(`${cannot}; nothing can be measured without it`);
  const servicePort = await freePort();
  const service = stage.start({
    name: "bulk-service",
    command: [process.execPath, resolve(import.meta.dirname, "bulk-service.ts"), String(servicePort)],
  });
  await stage.listening(service, servicePort);
  const sink = await Sink.open(stage);
  const portal = { servicePort, port: await freePort() };
  const nodes = await culvertPair(
    { stage, sinkPort: sink.port },
    { name: "culvert", leasePlacement: "inlet", startRuns: 1, portal },
  );
  const { targets, skipped } = await openTargets(servicePort, { ...nodes, port: portal.port });
  const bulk: BulkSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const direction of ["download", "upload"] as const)
      for (const target of targets) bulk.push(await sampled(target, direction, round));
  }
  const writes = flags["no-writes"]
    ? []
    : await writesBeside(
        nodes,
        targets.filter(({ name }) => name === "culvert" || name === "stunnel"),
      );
  sink.close();
  process.stdout.write(`${render({ bulk, writes, skipped, rounds, seconds })}\n`);
}

async function openTargets(servicePort: number, culvert: Target) {
  const wanted = flags.targets.split(",");
  const targets: Target[] = [];
  const skipped: string[] = [];
  if (wanted.includes("direct")) targets.push({ name: "direct", port: servicePort, processes: [] });
  if (wanted.includes("culvert")) targets.push(culvert);
  const around = { stage, sinkPort: servicePort, certificates: makeCertificates(stage) };
  for (const [name, command, open] of [
    ["stunnel", "stunnel4", stunnelPair],
    ["socat", "socat", socatPair],
  ] as const) {
    if (!wanted.includes(name)) continue;
    const missing = program(command);
    if (missing === undefined) targets.push(await open(around));
    else skipped.push(`${name}: ${missing}`);
  }
  return { targets, skipped };
}

async function sampled(target: Target, direction: Direction, round: number): Promise<BulkSample> {
  progress(`round ${round} of ${rounds}, ${direction}, ${target.name}`);
  const pids = target.processes.map(({ pid }) => pid);
  const cpu: number[] = [];
  const strangers: number[] = [];
  const moved = await transfer({ port: target.port, direction, seconds }, () => {
    cpu.push(cpuTimeMs(pids));
    strangers.push(strangersCpuTimeMs());
  });
  const gigabytes = moved.bytes / 1e9;
  return {
    ...{ target: target.name, direction, round },
    gigabytesPerSecond: gigabytes / moved.seconds,
    cpuSecondsPerGigabyte: (cpu[1]! - cpu[0]!) / 1e3 / gigabytes,
    strangersShare: (strangers[1]! - strangers[0]!) / (moved.seconds * 2e3),
  };
}

/**
 * Writes over one connection, alone and while bulk goes through the portal of the same two nodes; as fast as it
 * goes, the cores are short, so the same bulk through a pair of stunnel shows what that alone does.
 */
async function writesBeside(nodes: Target, bulks: readonly Target[]): Promise<WriteSample[]> {
  await firstWrite(nodes);
  const generator = new Generator(stage);
  const samples: WriteSample[] = [];
  const load = { port: nodes.port, connections: 1, seconds };
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}, writes alone`);
    samples.push({ beside: "nothing", round, ...(await generator.run(load)) });
    for (const { name, port } of bulks) {
      for (const paced of [true, false]) {
        for (const direction of ["download", "upload"] as const) {
          const beside = `${direction} through ${name}, ${paced ? "50 MB/s" : "unlimited"}`;
          progress(`round ${round} of ${rounds}, writes beside a ${beside}`);
          const bulk = transfer({ port, direction, paced, seconds: seconds + 0.5 });
          const answered = await generator.run(load);
          const { bytes, seconds: took } = await bulk;
          samples.push({ beside, round, ...answered, bulkGigabytesPerSecond: bytes / 1e9 / took });
        }
      }
    }
  }
  progress("");
  return samples;
}

function program(name: string): string | undefined {
  return Bun.which(name) === null ? `${name} is not installed` : undefined;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
