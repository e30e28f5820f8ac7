/**
 * relay: what a relay between inlet and outlet costs, in requests, CPU and time, next to none, and to haproxy and
 * nginx that pass the same bytes on in the same place. It prints figures and judges them against the aim; it is not
 * a test, and its exit code says only whether it could measure.
 */
import { existsSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { readFlags } from "./flags.ts";
import { Generator, writeBody } from "./load.ts";
import { missingCulvert } from "./members.ts";
import { allowedCores, privateBytes } from "./process-tree.ts";
import { type RelayFindings, relayAims, renderRelay } from "./relay-report.ts";
import { type Sample, sampled } from "./sample.ts";
import { Sink } from "./sink.ts";
import { STREAM_MODULE, straight, throughHaproxy, throughNginx, throughRelay } from "./splices.ts";
import { Stage } from "./stage.ts";
import { firstWrite, type Surroundings, type Target } from "./target.ts";

const HELP = `Usage: scripts/bench/relay [flags]
  --targets a,b       of straight,relay,haproxy,nginx (default: all)
  --connections a,b   connections at once (default 1,32)
  --rounds n          interleaved rounds, of which medians are shown (default 5)
  --seconds n         length of one run (default 3)
  --json FILE         also write everything measured to FILE
`;
const WARM_UP = { connections: 32, seconds: 2 };

interface Entry {
  readonly missing: () => string | undefined;
  readonly open: (around: Surroundings) => Promise<Target>;
}

const program = (name: string) => () => (Bun.which(name) === null ? `${name} is not installed` : undefined);
const ENTRIES: Readonly<Record<string, Entry>> = {
  straight: { missing: () => undefined, open: straight },
  relay: { missing: () => undefined, open: throughRelay },
  haproxy: { missing: program("haproxy"), open: throughHaproxy },
  nginx: {
    missing: () =>
      existsSync(STREAM_MODULE) ? undefined : "nginx's stream module (libnginx-mod-stream) is not installed",
    open: throughNginx,
  },
};

const flags = readFlags({
  bench: "relay",
  help: HELP,
  known: ENTRIES,
  usual: Object.keys(ENTRIES),
});
const stage = new Stage();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(130)));
}
try {
  const findings = await measure();
  process.stdout.write(`${introduction()}\n\n${renderRelay(findings)}\n`);
  if (flags.json !== undefined) {
    const machine = { cpu: cpus()[0]?.model, cores: allowedCores().length, kernel: release() };
    const all = { machine, flags, ...findings, aims: relayAims(findings.samples) };
    writeFileSync(flags.json, `${JSON.stringify(all, null, 2)}\n`);
  }
  if (findings.samples.some(({ errors }) => errors > 0)) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`relay: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stage.close();
}
process.exit();

async function measure(): Promise<RelayFindings> {
  const cannot = missingCulvert() ?? Sink.missing() ?? program("wrk")();
  if (cannot !== undefined) throw new Error(`${cannot}; nothing can be measured without it`);
  const sink = await Sink.open(stage);
  const generator = new Generator(stage);
  const targets: Target[] = [];
  const skipped: { target: string; reason: string }[] = [];
  for (const name of flags.targets) {
    const reason = ENTRIES[name]!.missing();
    if (reason === undefined) targets.push(await ENTRIES[name]!.open({ stage, sinkPort: sink.port }));
    else skipped.push({ target: name, reason });
  }
  for (const target of targets) {
    await firstWrite(target);
    await generator.run({ ...WARM_UP, port: target.port });
  }
  const samples: Sample[] = [];
  const memory: { target: string; role: string; privateBytes: number }[] = [];
  const most = Math.max(...flags.connections);
  for (let round = 1; round <= flags.rounds; round++) {
    for (const connections of flags.connections) {
      for (const target of targets) {
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
  sink.close();
  return { samples, memory, skipped };
}

function introduction(): string {
  return `One write of ${writeBody().length} bytes per request, keep-alive, through an inlet and an outlet with one channel, answered 204.
${cpus()[0]?.model ?? "unknown CPU"}, ${allowedCores().length} cores, Linux ${release()}: all processes share these cores, generator (wrk) and sink too.
What is between inlet and outlet passes the channel's bytes on: nothing (straight), culvert's relay, haproxy in TCP mode, nginx's stream module.
Splice CPU is user and system time of what is between; all CPU that of inlet, splice and outlet. ${flags.rounds} rounds of ${flags.seconds} s, interleaved; medians (min to max).`;
}
