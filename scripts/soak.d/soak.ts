/**
 * soak: a relay, two outlets under one name and a few inlets with portals, for long, under mixed load. Channels, leases and
 * credentials are renewed at short times; one outlet and one inlet are killed, frozen, stopped and started again all
 * the time. What the others hold is sampled: it must be flat. Nothing that was acknowledged may
 * be missing, nothing altered, nothing answered late.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Ledger } from "../../test/harness/ledger.ts";
import { AdminStub } from "../bench/admin-stub.ts";
import { type MemberNode, missingCulvert, statusOf } from "../bench/members.ts";
import { cpuTimeMs } from "../bench/process-tree.ts";
import { Stage, type Started, tail } from "../bench/stage.ts";
import { Clients } from "./clients.ts";
import { type Holding, holdingOf } from "./holdings.ts";
import { startNodes } from "./nodes.ts";
import { PortalClients, startEcho } from "./portal-clients.ts";
import { renderSoak, type SoakFindings, soakVerdict } from "./soak-report.ts";

const HELP = `Usage: scripts/soak [flags]
  --minutes n     how long, 3 at least: less is all warming up (default 60)
  --inlets n      inlets that live as long (default 3)
  --json FILE     also write everything sampled to FILE
`;
const QUERY_ANSWER_BYTES = 200_000;
const TROUBLE_EVERY_MS = 20_000;
const DOWN_MS = 2_000;
/** Far longer than a channel lives on without a sign of life. */
const FROZEN_MS = 60_000;
const LEAST_MINUTES = 3;
const SAMPLES = 240;
const LEAST_SAMPLE_MS = 1_000;

const flags = readFlags();
const stage = new Stage();
const ledger = new Ledger();
const echo = await startEcho();
const influxdb = new AdminStub({
  onWrite: (lines) => ledger.arrive(lines),
  answer: `,result,table,_value\r\n${",_result,0,1\r\n".repeat(QUERY_ANSWER_BYTES / 14)}`,
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(130)));
}
try {
  const cannot = missingCulvert();
  if (cannot !== undefined) throw new Error(cannot);
  const findings = await soak();
  process.stdout.write(`${renderSoak(findings)}\n`);
  if (flags.json !== undefined) {
    const { holdings, outcomes } = findings;
    const all = {
      ...findings,
      holdings: Object.fromEntries(holdings),
      outcomes: Object.fromEntries(outcomes),
    };
    writeFileSync(flags.json, `${JSON.stringify(all)}\n`);
  }
  if (soakVerdict(findings).length > 0) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stage.close();
  influxdb.close();
  echo.server.close();
}
process.exit();

async function soak(): Promise<SoakFindings> {
  const { steady, troubled, inlets, troubledInlet } = await startNodes(stage, {
    influxPort: influxdb.port,
    echoPort: echo.port,
    inlets: flags.inlets,
  });
  const clients = new Clients(ledger, 0);
  for (const { port } of inlets) clients.use(port);
  // How these are answered says nothing: their inlet is away half of the time. What they were told has to be true.
  const troubledClients = new Clients(ledger, 1_000_000);
  troubledClients.use(troubledInlet.port);
  const portals = new PortalClients();
  for (const { portalPort } of inlets) portals.use(portalPort);
  const holdings = new Map<string, Holding[]>(steady.map(({ name }) => [name, []]));
  const startMs = performance.now();
  const endMs = startMs + flags.minutes * 60_000;
  const sampleMs = Math.max(LEAST_SAMPLE_MS, (endMs - startMs) / SAMPLES);
  const cpuBeforeMs = cpuTimeMs(steady.map(({ pid }) => pid));
  const troubles = troubleInTurn(troubled, endMs);
  while (performance.now() < endMs) {
    await Bun.sleep(sampleMs);
    for (const started of steady) {
      const holding = holdingOf(started.pid, performance.now() - startMs);
      if (holding === undefined) throw new Error(`${started.name} ended${tail(started)}`);
      holdings.get(started.name)!.push(holding);
    }
    progress(`${((performance.now() - startMs) / 60_000).toFixed(1)} of ${flags.minutes} minutes`);
  }
  const cpuShare = (cpuTimeMs(steady.map(({ pid }) => pid)) - cpuBeforeMs) / (performance.now() - startMs);
  const troubleCount = await troubles;
  await Promise.all([clients.stop(), troubledClients.stop(), portals.stop()]);
  progress("");
  return {
    minutes: flags.minutes,
    holdings,
    cpuShare,
    troubles: troubleCount,
    channels: statusOf(inlets[0]!).roles.inlet.channel.connects as number,
    leases: influxdb.counts,
    outcomes: clients.outcomes,
    slowestMs: clients.slowestMs,
    ledger,
    portals,
  };
}

/** Killed, frozen and asked to end by turns. @returns how often that was. */
async function troubleInTurn(nodes: readonly MemberNode[], endMs: number): Promise<number> {
  let running: Started[] = nodes.map(({ start }) => stage.start(start));
  const again = async (): Promise<void> => {
    await Bun.sleep(DOWN_MS);
    running = nodes.map(({ start }) => stage.start(start));
  };
  const troubles = [
    async () => {
      await Promise.all(running.map(({ pid }) => stage.crash(pid)));
      await again();
    },
    async () => {
      for (const { pid } of running) process.kill(pid, "SIGSTOP");
      await Bun.sleep(frozenMs);
      for (const { pid } of running) process.kill(pid, "SIGCONT");
    },
    async () => {
      await Promise.all(running.map(({ pid }) => stage.stop(pid)));
      await again();
    },
  ];
  const frozenMs = Math.min(FROZEN_MS, (endMs - performance.now()) / 9);
  const everyMs = Math.min(TROUBLE_EVERY_MS, (endMs - performance.now()) / 9);
  let count = 0;
  // The last of them is over before the end.
  while (performance.now() + everyMs + frozenMs + DOWN_MS < endMs) {
    await Bun.sleep(everyMs);
    await troubles[count++ % troubles.length]!();
  }
  return count;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        minutes: { type: "string", default: "60" },
        inlets: { type: "string", default: "3" },
        json: { type: "string" },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return { minutes: count(values.minutes, LEAST_MINUTES), inlets: count(values.inlets), json: values.json };
  } catch (error) {
    process.stderr.write(`soak: ${(error as Error).message}\n${HELP}`);
    process.exit(2);
  }
}

function count(text: string, least = 1): number {
  if (!/^[1-9]\d{0,3}$/.test(text) || Number(text) < least) {
    throw new Error(`${text} is not a count from ${least} to 9999`);
  }
  return Number(text);
}
