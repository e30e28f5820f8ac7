/**
 * fleet: one outlet whose process dies and comes back, and thousands of inlets that all want it at once. How soon
 * each of them has its channel and the answer to a request, how many never get there, and what an idle channel
 * costs the outlet in memory. The inlets are simulated (fleet-inlets.ts), the outlet is the compiled binary.
 */
import { existsSync } from "node:fs";
import { cpus, release } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { encodeIdentityFile } from "../../src/identity/identity.ts";
import { AdminStub, BUCKET, ORGANIZATION } from "./admin-stub.ts";
import { writeAuthority } from "./authority-files.ts";
import type { FleetOrder, FleetPart, FleetReport } from "./fleet-inlets.ts";
import { type Round, render } from "./fleet-report.ts";
import { allowedCores, cpuTimeMs, privateBytes } from "./process-tree.ts";
import { OUTLET_ATTRIBUTES, Realm, type RealmMember } from "./realm.ts";
import { freePort, Stage, type Started } from "./stage.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SERVICE = "influxdb";
/** Who is not served by then counts as refused for good. */
const DEADLINE_MS = 60_000;
/** At first every inlet's token has to be made, at the outlet's own limit. */
const LEASE_DEADLINE_MS = 300_000;
/** An idle channel is judged when what the handshakes left behind has been collected. */
const IDLE_MS = 10_000;
const POLL_MS = 250;
const HELP = `Usage: scripts/bench/fleet [flags]
  --inlets n         inlets in all (default 10000)
  --processes n      processes that simulate them (default 2)
  --admission A      members: enrolled, each with its credential; pinned: by identifier in the config (default members)
  --restarts n       how often the outlet is killed and started again (default 3)
  --orderly          end it by SIGTERM, so that it asks its inlets to go away first
  --leases           have every inlet lease a token, and write whenever its channel has come up
  --backlog n        batches that each then writes one after the other, obeying Retry-After (default 1; needs --leases)
  --return-window D  return_window of the outlet (default "", which is off)
  --influxdb-rate n  writes a second that InfluxDB takes, one after the other (default 0, as they come)
  --outage n         instead of the outlet, InfluxDB is away, for n seconds, and inlets have a backlog meanwhile
  --binary FILE      the outlet (default dist/culvert)
`;

const flags = readFlags();
const stage = new Stage();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(130)));
}
const influxdb = new AdminStub({ writesPerSecond: flags.influxdbRate });
try {
  if (!existsSync(flags.binary)) throw new Error(`${flags.binary} is missing (npm run build)`);
  await measure();
} catch (error) {
  process.stderr.write(`fleet: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stage.close();
  influxdb.close();
}
process.exit();

async function measure(): Promise<void> {
  const realm = new Realm(nodeProvider);
  const self = realm.enroll(OUTLET_ATTRIBUTES);
  const members = Array.from({ length: flags.inlets }, () => realm.enroll());
  const outlet = await prepareOutlet(realm, self, members);
  const fleet = await startFleet(outlet.port, self, members);

  let running = await outlet.start();
  await Bun.sleep(IDLE_MS);
  const emptyBytes = privateBytes(running.pid);
  let startMs = now();
  fleet.tell("start");
  const first = { name: "first connect", startMs, fleet, outlet: running, troublesBefore: {} };
  const rounds = [await round(first)];
  for (let i = 1; i <= flags.restarts; i++) {
    startMs = now();
    const troublesBefore = rounds.at(-1)!.troubles;
    if (flags.outage > 0) {
      influxdb.close();
      fleet.tell("write");
      await Bun.sleep(flags.outage * 1_000);
      influxdb.reopen();
      startMs = now();
    } else {
      await (flags.orderly ? stage.stop(running.pid) : stage.crash(running.pid));
      running = await outlet.start();
    }
    const isOutage = flags.outage > 0;
    const name = `${isOutage ? "outage" : "restart"} ${i}`;
    rounds.push(await round({ fleet, troublesBefore, name, isOutage, startMs, outlet: running }));
  }
  await Bun.sleep(IDLE_MS);
  const fullBytes = privateBytes(running.pid);
  process.stdout.write(
    `${introduction()}\n\n${render({ rounds, inlets: flags.inlets, emptyBytes, fullBytes })}\n`,
  );
  if (rounds.some(({ servedMs }) => servedMs.length < flags.inlets)) process.exitCode = 1;
}

// ---- the outlet ----------------------------------------------------------------------------------

interface Outlet {
  readonly port: number;
  /** Resolves when its port takes connections. */
  start(): Promise<Started>;
}

async function prepareOutlet(
  realm: Realm,
  self: RealmMember,
  members: readonly RealmMember[],
): Promise<Outlet> {
  const port = await freePort();
  const stateDir = stage.subfolder("outlet");
  stage.write("outlet/identity.json", encodeIdentityFile(self.identity));
  const isPinned = flags.admission === "pinned";
  if (!isPinned) await writeAuthority(stateDir, realm.authority, members);
  const welcome = isPinned
    ? `authorized = ${JSON.stringify(members.map(({ identifier }) => identifier))}`
    : `allow = "influxdb-inlet"`;
  const config = stage.write(
    "outlet.toml",
    `[agent]
  state_dir = "${stateDir}"
  status_listen = ""
  log_level = "warn"
[channel]
  listen = ["tcp://127.0.0.1:${port}"]
${isPinned ? "" : "[authority]"}
[[outlets.influxdb]]
  service = "${SERVICE}"
  url = "http://127.0.0.1:${influxdb.port}"
  organization = "${ORGANIZATION}"
  token = "\${INFLUXDB_TOKEN}"
  return_window = "${flags.returnWindow}"
  ${welcome}
  [[outlets.influxdb.permissions]]
    action = "write"
    bucket = "${BUCKET}"
`,
  );
  const start = async () => {
    const started = stage.start({
      name: "outlet",
      command: [flags.binary, "run", "--config", config],
      env: { INFLUXDB_TOKEN: "bench-admin-token" },
    });
    await stage.listening(started, port);
    return started;
  };
  return { port, start };
}

// ---- the fleet -----------------------------------------------------------------------------------

interface Fleet {
  readonly pids: readonly number[];
  tell(order: FleetOrder): void;
  report(): Promise<FleetReport>;
}

async function startFleet(port: number, self: RealmMember, members: readonly RealmMember[]): Promise<Fleet> {
  const processes = await Promise.all(
    Array.from({ length: flags.processes }, async (_, index) => {
      const part: FleetPart = {
        port,
        outlet: self.identifier,
        service: SERVICE,
        leases: flags.leases,
        backlog: flags.backlog,
        members: members
          .filter((_, i) => i % flags.processes === index)
          .map(({ identity, credential }) => ({
            privateKey: Buffer.from(identity.revealPrivateKey()).toString("hex"),
            ...(flags.admission === "members" && { credential }),
          })),
      };
      const file = stage.write(`inlets-${index}.json`, JSON.stringify(part));
      let heard: (message: unknown) => void = () => {};
      const ready = new Promise((resolve) => {
        heard = resolve;
      });
      const started = stage.start({
        name: `inlets-${index}`,
        command: [process.execPath, join(import.meta.dirname, "fleet-inlets.ts"), file],
        onMessage: (message) => heard(message),
      });
      await ready;
      const report = () =>
        new Promise<FleetReport>((resolve) => {
          heard = (message) => resolve(message as FleetReport);
          stage.tell(started, "report");
        });
      return { started, report };
    }),
  );
  return {
    pids: processes.map(({ started }) => started.pid),
    tell: (order) => {
      for (const { started } of processes) stage.tell(started, order);
    },
    report: async () => joined(await Promise.all(processes.map(({ report }) => report()))),
  };
}

function joined(parts: readonly FleetReport[]): FleetReport {
  const troubles: Record<string, number> = {};
  for (const part of parts) {
    for (const [code, count] of Object.entries(part.troubles)) troubles[code] = (troubles[code] ?? 0) + count;
  }
  return {
    upAtMs: parts.flatMap(({ upAtMs }) => upAtMs),
    servedAtMs: parts.flatMap(({ servedAtMs }) => servedAtMs),
    writtenAtMs: parts.flatMap(({ writtenAtMs }) => writtenAtMs),
    troubles,
  };
}

// ---- one restart ---------------------------------------------------------------------------------

interface RoundOptions {
  readonly name: string;
  /** InfluxDB was away, and no channel. */
  readonly isOutage?: boolean;
  /** Where the clock starts: when the old process was told to end. */
  readonly startMs: number;
  readonly fleet: Fleet;
  readonly outlet: Started;
  readonly troublesBefore: FleetReport["troubles"];
}

/** Waits until every inlet is served, or the deadline. */
async function round(options: RoundOptions): Promise<Round> {
  const { name, isOutage = false, startMs, fleet, outlet, troublesBefore } = options;
  const listensMs = now() - startMs;
  const inletsCpuBeforeMs = cpuTimeMs(fleet.pids);
  const tokensBefore = influxdb.counts;
  const isWhole = ({ servedAtMs, writtenAtMs }: FleetReport) =>
    after(flags.leases ? writtenAtMs : servedAtMs, startMs).length === flags.inlets;
  const report = await reportWhen(fleet, isWhole, flags.leases ? LEASE_DEADLINE_MS : DEADLINE_MS);
  const { made, deleted } = influxdb.counts;
  return {
    name,
    listensMs,
    upMs: after(report.upAtMs, startMs),
    // Whoever kept its channel is served again once it has written.
    servedMs: after(isOutage ? report.writtenAtMs : report.servedAtMs, startMs),
    writtenMs: flags.leases ? after(report.writtenAtMs, startMs) : undefined,
    arrivalsMs: after(influxdb.writesAtMs, startMs),
    tokens: { made: made - tokensBefore.made, deleted: deleted - tokensBefore.deleted },
    troubles: report.troubles,
    newTroubles: Object.entries(report.troubles)
      .map(([code, count]) => ({ code, count: count - (troublesBefore[code] ?? 0) }))
      .filter(({ count }) => count > 0),
    outletCpuMs: cpuTimeMs([outlet.pid]),
    inletsCpuMs: cpuTimeMs(fleet.pids) - inletsCpuBeforeMs,
  };
}

async function reportWhen(
  fleet: Fleet,
  isWhole: (report: FleetReport) => boolean,
  deadlineMs: number,
): Promise<FleetReport> {
  const endMs = now() + deadlineMs;
  for (;;) {
    await Bun.sleep(POLL_MS);
    const report = await fleet.report();
    if (isWhole(report) || now() > endMs) return report;
  }
}

/** Milliseconds after `startMs`, of those that came later than it; sorted. */
function after(timesMs: readonly (number | null)[], startMs: number): number[] {
  return timesMs
    .filter((time) => time !== null && time > startMs)
    .map((time) => time! - startMs)
    .toSorted((a, b) => a - b);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function introduction(): string {
  const inlets =
    flags.admission === "members" ? "enrolled inlets, each with its own credential" : "pinned inlets";
  const end = flags.orderly ? "SIGTERM" : "SIGKILL";
  return `${flags.inlets} ${inlets}, in ${flags.processes} processes, and one outlet, ended by ${end} and started again at once.
${cpus()[0]?.model ?? "unknown CPU"}, ${allowedCores().length} cores, Linux ${release()}: outlet, inlets and a stand-in for InfluxDB share these cores.
Up: the channel is established. Served: GET /ping was answered 204 through it. ${flags.leases ? "Written: one write with the inlet's lease was answered 204. All" : "Both"} since the old process was told to end.`;
}

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        inlets: { type: "string", default: "10000" },
        processes: { type: "string", default: "2" },
        admission: { type: "string", default: "members" },
        restarts: { type: "string", default: "3" },
        orderly: { type: "boolean", default: false },
        leases: { type: "boolean", default: false },
        backlog: { type: "string", default: "1" },
        "return-window": { type: "string", default: "" },
        "influxdb-rate": { type: "string", default: "0" },
        outage: { type: "string", default: "0" },
        binary: { type: "string", default: resolve(ROOT, "dist/culvert") },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const { admission, orderly, leases, binary } = values;
    if (admission !== "members" && admission !== "pinned")
      throw new Error(`no admission is called ${admission}`);
    return {
      ...{ admission, orderly, leases, binary: resolve(binary) },
      inlets: count(values.inlets),
      processes: count(values.processes),
      restarts: count(values.restarts),
      backlog: count(values.backlog),
      returnWindow: values["return-window"],
      influxdbRate: count(values["influxdb-rate"], 0),
      outage: count(values.outage, 0),
    };
  } catch (error) {
    process.stderr.write(`fleet: ${(error as Error).message}\n${HELP}`);
    process.exit(2);
  }
}

function count(text: string, least = 1): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < least)
    throw new Error(`${text} is not a count from ${least} to 99999`);
  return Number(text);
}
