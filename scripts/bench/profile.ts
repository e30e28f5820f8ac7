/**
 * profile: where the CPU time of inlet and outlet, and of a relay between them, goes under the load of the
 * benchmarks. They run from source under Bun's sampling profiler, so the shares are what to read; the absolute figures are
 * the benchmark's business.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { culvertPair } from "./culvert.ts";
import { Generator } from "./load.ts";
import { Sink } from "./sink.ts";
import { SPLICE, throughRelay } from "./splices.ts";
import { Stage } from "./stage.ts";
import { firstWrite } from "./target.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const HELP = `Usage: scripts/bench/profile [flags]
  --entry FILE       the command line's source (default src/cli/culvert.ts)
  --placement P      lease_placement: inlet or outlet (default inlet)
  --relay            with a relay between
  --connections n    connections at once (default 32)
  --seconds n        length of the load (default 5)
  --top n            functions shown of each process (default 25)
`;

/** As the profiler writes it, Chrome's .cpuprofile: times in microseconds. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    entry: { type: "string", default: "src/cli/culvert.ts" },
    placement: { type: "string", default: "inlet" },
    relay: { type: "boolean", default: false },
    connections: { type: "string", default: "32" },
    seconds: { type: "string", default: "5" },
    top: { type: "string", default: "25" },
  },
});
if (flags.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const stage = new Stage();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(130)));
}
try {
  const cannot = Sink.missing();
  if (cannot !== undefined) throw new Error(cannot);
  await profile();
} catch (error) {
  process.stderr.write(`profile: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stage.close();
}
process.exit();

async function profile(): Promise<void> {
  const sink = await Sink.open(stage);
  const folder = (role: string) => stage.subfolder(`profile-${role}`);
  const folders = { inlet: folder("inlet"), [SPLICE]: folder(SPLICE), outlet: folder("outlet") };
  const command = (role: keyof typeof folders) => [
    process.execPath,
    ...["--cpu-prof", "--cpu-prof-dir", folders[role]],
    resolve(ROOT, flags.entry),
  ];
  const around = { stage, sinkPort: sink.port };
  const commands = { inlet: command("inlet"), relay: command(SPLICE), outlet: command("outlet") };
  const leasePlacement = flags.placement === "outlet" ? "outlet" : "inlet";
  const target = flags.relay
    ? await throughRelay(around, commands)
    : await culvertPair(around, { name: "culvert", leasePlacement, commands, startRuns: 1 });
  await firstWrite(target);
  const load = { port: target.port, connections: Number(flags.connections), seconds: Number(flags.seconds) };
  const answered = await new Generator(stage).run(load);
  const rate = answered.requests / answered.seconds;
  process.stdout.write(
    `${answered.requests} requests, ${rate.toFixed(0)} a second, ${answered.errors} errors\n`,
  );
  for (const { role, pid } of target.processes) {
    // The profile is written when the process ends by itself, as it does when asked to.
    await stage.stop(pid);
    show(role, folders[role as keyof typeof folders], answered.requests);
  }
  sink.close();
}

function show(role: string, folder: string, requests: number): void {
  // `identity show` left a profile as well: the run's is the one with the most samples.
  const profiles = readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile,
  );
  const run = profiles.toSorted((a, b) => b.samples.length - a.samples.length)[0];
  if (run === undefined) throw new Error(`${role} left no profile: it did not end by itself when asked to`);
  const names = new Map(run.nodes.map(({ id, callFrame }) => [id, label(callFrame)]));
  const selfUs = new Map<string, number>();
  for (const [index, id] of run.samples.entries()) {
    const name = names.get(id) ?? "(unknown)";
    selfUs.set(name, (selfUs.get(name) ?? 0) + (run.timeDeltas[index] ?? 0));
  }
  const ranked = [...selfUs].filter(([name]) => name !== "(idle)").toSorted((a, b) => b[1] - a[1]);
  const totalUs = ranked.reduce((sum, [, us]) => sum + us, 0);
  process.stdout.write(`\n${role}: self time\n share  us/req  function\n`);
  for (const [name, us] of ranked.slice(0, Number(flags.top))) {
    const share = `${((us / totalUs) * 100).toFixed(1)} %`.padStart(6);
    process.stdout.write(`${share}  ${(us / requests).toFixed(2).padStart(6)}  ${name}\n`);
  }
}

function label({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName || "(anonymous)";
  if (url === "") return name;
  const path = url.startsWith("file://") ? relative(ROOT, new URL(url).pathname) : url;
  return `${name}  ${path}:${lineNumber + 1}`;
}
