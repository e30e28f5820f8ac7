/**
 * bench: what one write costs on its way from a client to InfluxDB, through culvert and through the pairs
 * of proxies that people would otherwise put there. It prints figures and judges them against the aims; it
 * is not a test, and its exit code says only whether it could measure.
 */
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { type CulvertTarget, culvertPair, missingBinary } from "./culvert.ts";
import { readFlags } from "./flags.ts";
import { Generator, writeBody } from "./load.ts";
import { haproxyPair, nginxPair, stunnelPair } from "./peers.ts";
import { allowedCores, privateBytes } from "./process-tree.ts";
import { aims, type Findings, type Memory, ratios, render } from "./report.ts";
import { type Sample, sampled } from "./sample.ts";
import { Sink } from "./sink.ts";
import { Stage } from "./stage.ts";
import { firstWrite, type Surroundings, type Target } from "./target.ts";

const HELP = `Usage: scripts/bench/write-path [flags]
  --targets a,b       of direct,culvert,culvert-placement-outlet,nginx,haproxy,stunnel
                      (default: all but culvert-placement-outlet)
  --connections a,b   connections at once (default 1,32)
  --rounds n          interleaved rounds, of which medians are shown (default 5)
  --seconds n         length of one run (default 3)
  --json FILE         also write everything measured to FILE
`;
const WARM_UP = { connections: 32, seconds: 2 };

interface Entry {
  readonly missing: () => string | undefined;
  readonly open: (around: Surroundings, certificates: () => Certificates) => Promise<Target>;
}

const program = (name: string) => () => (Bun.which(name) === null ? `${name} is not installed` : undefined);
const ENTRIES: Readonly<Record<string, Entry>> = {
  direct: {
    missing: () => undefined,
    open: async ({ sinkPort }) => ({ name: "direct", port: sinkPort, processes: [] }),
  },
  culvert: {
    missing: missingBinary,
    open: (around) => culvertPair(around, { name: "culvert", leasePlacement: "inlet" }),
  },
  "culvert-placement-outlet": {
    missing: missingBinary,
    open: (around) => culvertPair(around, { name: "culvert-placement-outlet", leasePlacement: "outlet" }),
  },
  nginx: {
    missing: program("nginx"),
    open: (around, certificates) => nginxPair({ ...around, certificates: certificates() }),
  },
  haproxy: {
    missing: program("haproxy"),
    open: (around, certificates) => haproxyPair({ ...around, certificates: certificates() }),
  },
  stunnel: {
    missing: program("stunnel4"),
    open: (around, certificates) => stunnelPair({ ...around, certificates: certificates() }),
  },
};

const flags = readFlags({
  bench: "write-path",
  help: HELP,
  known: ENTRIES,
  usual: Object.keys(ENTRIES).filter((name) => name !== "culvert-placement-outlet"),
});
const stage = new Stage();
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    interrupted = true;
    void stage.close().finally(() => process.exit(130));
  });
}
try {
  const findings = await measure();
  process.stdout.write(`${introduction()}\n\n${render(findings)}\n`);
  if (flags.json !== undefined)
    writeFileSync(flags.json, `${JSON.stringify(everything(findings), null, 2)}\n`);
  if (findings.samples.some((sample) => sample.errors > 0)) process.exitCode = 1;
} catch (error) {
  process.exitCode = interrupted ? 130 : 1;
  const text = error instanceof Error ? error.message : String(error);
  if (!interrupted) process.stderr.write(`write-path: ${text}\n`);
} finally {
  await stage.close();
}
process.exit();

async function measure(): Promise<Findings> {
  const cannot = Sink.missing() ?? program("wrk")() ?? program("openssl")();
  if (cannot !== undefined) throw new Error(`${cannot}; nothing can be measured without it`);
  const sink = await Sink.open(stage);
  const generator = new Generator(stage);
  const { targets, skipped } = await openTargets({ stage, sinkPort: sink.port });

  for (const target of targets) {
    await firstWrite(target);
    progress(`warming up ${target.name}`);
    await generator.run({ ...WARM_UP, port: target.port });
  }
  const samples: Sample[] = [];
  const memory: Memory[] = [];
  const most = Math.max(...flags.connections);
  for (let round = 1; round <= flags.rounds; round++) {
    for (const connections of flags.connections) {
      for (const target of targets) {
        progress(`round ${round} of ${flags.rounds}, ${connections} connections, ${target.name}`);
        // Only in the last run: walking the memory map takes a little from the one that is measured.
        const last = round === flags.rounds && connections === most;
        const underLoad = () => {
          for (const { role, pid } of target.processes) {
            memory.push({ target: target.name, role, privateBytes: privateBytes(pid) });
          }
        };
        const run = { target, connections, round, seconds: flags.seconds };
        samples.push(await sampled(generator, { ...run, ...(last && { underLoad }) }));
      }
    }
  }
  progress("");
  sink.close();
  return { samples, memory, starts: targets.flatMap(starts), skipped };
}

async function openTargets(around: Surroundings) {
  let made: Certificates | undefined;
  const certificates = () => {
    made ??= makeCertificates(stage);
    return made;
  };
  const targets: Target[] = [];
  const skipped: { target: string; reason: string }[] = [];
  for (const name of flags.targets) {
    const reason = ENTRIES[name]!.missing();
    if (reason !== undefined) {
      skipped.push({ target: name, reason });
      continue;
    }
    progress(`starting ${name}`);
    targets.push(await ENTRIES[name]!.open(around, certificates));
  }
  return { targets, skipped };
}

function starts(target: Target) {
  if (!("startMs" in target)) return [];
  const { name, startMs } = target as CulvertTarget;
  return (["inlet", "outlet"] as const).map((role) => ({ target: name, role, runsMs: startMs[role] }));
}

function introduction(): string {
  return `One write of ${writeBody().length} bytes per request, keep-alive, answered 204 by the same nginx sink once it has the body.
${cpus()[0]?.model ?? "unknown CPU"}, ${allowedCores().length} cores, Linux ${release()}: all processes share these cores, generator (wrk) and sink too.
Pairs use mutual TLS 1.3, AES-256-GCM, P-256; nginx worker_processes 1, haproxy nbthread 1, stunnel a thread per connection.
CPU is user and system time of both proxies; generator and sink are not counted. ${flags.rounds} rounds of ${flags.seconds} s, interleaved; medians (min to max).`;
}

function everything(findings: Findings) {
  const machine = { cpu: cpus()[0]?.model, cores: allowedCores().length, kernel: release() };
  return { machine, flags, ...findings, ratios: ratios(findings.samples), aims: aims(findings) };
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
