import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import {
  binary,
  type CulvertNode,
  culvert,
  type Pair,
  type PairOptions,
  startPair,
} from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { type LeasedToken, leasedTokens } from "../harness/leased-tokens.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal, realServer } from "../harness/real-servers.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;
const LIFETIME_MS = 3_000;
/** What a member that stops asking may keep its token beyond: a listing, a deletion, a busy machine. */
const SLACK_MS = 5_000;

/** Says its token and its process id, and waits; `trap` decides how it takes SIGTERM. */
const WAITING = 'printf %s "$INFLUX_TOKEN" > token; echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done';

/** The same, of which nothing is heard: then the end of `culvert exec` alone is what a test waits for. */
const SILENT = `exec > /dev/null 2>&1; ${WAITING}`;

/** By their process ids: what outlives a killed `culvert exec`. */
const orphans: number[] = [];
afterEach(() => {
  for (const pid of orphans.splice(0)) process.kill(pid, "SIGKILL");
});

async function start(options: Partial<PairOptions> = {}): Promise<{ influx: RealInfluxDb; pair: Pair }> {
  const influx = await startRealInfluxDb();
  // What an outlet has to hold is enough for all of this.
  const { token } = await makeOutletToken(influx, { leased: ["read", "write"] });
  const pair = await startPair({
    influxUrl: influx.url,
    adminToken: token,
    allowOperatorToken: false,
    permissions: ["write:metrics", "read:metrics"],
    outlet: `lease_expires_in = "${LIFETIME_MS / 1_000}s"`,
    ...options,
  });
  return { influx, pair };
}

/** The whole of it, in one folder. */
class Exec {
  readonly folder: string;
  readonly process: Spawned;

  private constructor(folder: string, inlet: CulvertNode, args: readonly string[]) {
    this.folder = folder;
    this.process = new Spawned({
      command: binary("culvert-inlet"),
      args: ["exec", "--state-dir", inlet.stateDir, ...args],
      cwd: folder,
    });
  }

  static async start(inlet: CulvertNode, ...args: string[]): Promise<Exec> {
    return new Exec(await tempDir("exec"), inlet, args);
  }

  async token(): Promise<string> {
    await eventually("the command", () => existsSync(join(this.folder, "pid")));
    return await readFile(join(this.folder, "token"), "utf8");
  }

  async pid(): Promise<number> {
    return Number(await readFile(join(this.folder, "pid"), "utf8"));
  }

  async go(): Promise<void> {
    await writeFile(join(this.folder, "go"), "");
  }
}

async function extraToken(influx: RealInfluxDb): Promise<LeasedToken | undefined> {
  return (await leasedTokens(influx)).find(({ member }) => member.includes("/"));
}

describeReal(["influxd", "influx"], "culvert exec", () => {
  it("gives influx a token to write straight to InfluxDB, and revokes it when it ends", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start();
    const script =
      '"$0" write --host "$1" -o edge -b metrics "exec v=1" && printf %s "$INFLUX_TOKEN" > token';
    const exec = await Exec.start(
      ...([pair.inlet, "--", "sh", "-c", script, realServer("influx"), influx.url] as const),
    );
    expect(await exec.process.waitForExit()).toEqual({ code: 0, signal: undefined });
    expect(await influx.countPoints({ measurement: "exec" })).toBe(1);
    const token = await readFile(join(exec.folder, "token"), "utf8");
    await eventually("its end", async () => (await influx.write("m v=1", { token })).status === 401);
    expect(exec.process.output).toBe("");
    for (const node of [pair.inlet, pair.outlet]) expect(node.log).not.toContain(token);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });

  it("keeps the token alive while the command runs, through a killed outlet and inlet too", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start({ outlet: 'lease_expires_in = "10s"' });
    const exec = await Exec.start(pair.inlet, "--", "sh", "-c", WAITING);
    const token = await exec.token();
    const prolonged = async (what: string) => {
      const before = (await extraToken(influx))!;
      await eventually(
        what,
        async () => {
          const now = await extraToken(influx);
          return now?.id === before.id && now.expiresAtMs > before.expiresAtMs;
        },
        { deadlineMs: 20_000 },
      );
    };
    for (let i = 0; i < 2; i++) await prolonged(`a longer life, ${i}`);
    await pair.outlet.kill();
    await pair.outlet.start();
    await prolonged("a longer life from the outlet's next run");
    await pair.inlet.kill();
    await pair.inlet.start();
    await prolonged("a longer life asked for by the inlet's next run");
    expect((await influx.write("m v=1", { token })).status).toBe(204);
    await exec.go();
    expect(await exec.process.waitForExit()).toEqual({ code: 0, signal: undefined });
    await eventually("its end", async () => (await influx.write("m v=1", { token })).status === 401);
    await pair.stop();
    await influx.stop();
  });

  it("ends as the command does, by its code or its signal, and hands signals on", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start();
    const codeOf = async (...command: string[]) =>
      (await culvert(["exec", "--state-dir", pair.inlet.stateDir, "--", ...command])).exit.code;
    expect(await codeOf("sh", "-c", "exit 7")).toBe(7);
    expect(await codeOf("sh", "-c", "kill -9 $$")).toBe(128 + 9);
    expect(await codeOf("/no/such/command")).toBe(127);
    expect(await codeOf("/etc/passwd")).toBe(126);
    for (const [signal, script, code] of [
      ["SIGTERM", WAITING, 128 + 15],
      ["SIGINT", `trap 'exit 5' INT; ${WAITING}`, 5],
      ["SIGHUP", `trap 'exit 6' HUP; ${WAITING}`, 6],
    ] as const) {
      const exec = await Exec.start(pair.inlet, "--", "sh", "-c", script);
      const token = await exec.token();
      exec.process.signal(signal);
      expect(await exec.process.waitForExit()).toEqual({ code, signal: undefined });
      await eventually("its end", async () => (await influx.write("m v=1", { token })).status === 401);
    }
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });

  it("L3 loses the token within a lifetime when it is killed itself, though the command runs on", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start();
    const exec = await Exec.start(pair.inlet, "--", "sh", "-c", SILENT);
    const token = await exec.token();
    orphans.push(await exec.pid());
    expect((await influx.write("m v=1", { token })).status).toBe(204);
    await exec.process.kill();
    const killedAtMs = Date.now();
    await eventually("its end", async () => (await influx.write("m v=1", { token })).status === 401);
    expect(Date.now() - killedAtMs).toBeLessThan(LIFETIME_MS + SLACK_MS);
    await pair.stop();
    await influx.stop();
  });

  it("leaves nothing alive that no outlet knows of: a crash of all of them ends it on time", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start();
    const exec = await Exec.start(pair.inlet, "--", "sh", "-c", SILENT);
    await exec.token();
    orphans.push(await exec.pid());
    const { expiresAtMs } = (await extraToken(influx))!;
    await eventually("a longer life", async () => (await extraToken(influx))!.expiresAtMs > expiresAtMs);
    for (const process of [exec.process, pair.outlet, pair.inlet]) await process.kill();
    const last = (await extraToken(influx))!;
    await pair.outlet.start();
    await eventually("its end", async () => (await extraToken(influx)) === undefined);
    expect(Date.now()).toBeLessThan(last.expiresAtMs + SLACK_MS);
    await pair.stop();
    await influx.stop();
  });

  it("gives each variable just the permissions that it names, and none that the member does not have", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start();
    const exec = await Exec.start(
      ...([
        pair.inlet,
        "--env",
        "INFLUX_SRC_TOKEN=read:metrics",
        "--env",
        "INFLUX_TOKEN=write:metrics",
      ] as const),
      ...(["--", "sh", "-c", `printf %s "$INFLUX_SRC_TOKEN" > source; ${WAITING}`] as const),
    );
    const token = await exec.token();
    const source = await readFile(join(exec.folder, "source"), "utf8");
    const flux = 'from(bucket: "metrics") |> range(start: -1h)';
    expect((await influx.write("m v=1", { token })).status).toBe(204);
    expect((await influx.query(flux, { token })).status).not.toBe(200);
    expect((await influx.query(flux, { token: source })).status).toBe(200);
    expect((await influx.write("m v=1", { token: source })).status).toBe(403);
    await exec.go();
    expect((await exec.process.waitForExit()).code).toBe(0);

    const refused = await Exec.start(
      pair.inlet,
      "--env",
      "A",
      "--env",
      "B=write:other",
      "--",
      "touch",
      "run",
    );
    expect((await refused.process.waitForExit()).code).toBe(1);
    expect(refused.process.stderr).toContain("lease.denied");
    expect(existsSync(join(refused.folder, "run"))).toBe(false);
    await eventually("no extra leases", async () => (await leasedTokens(influx)).length === 1);
    await pair.stop();
    await influx.stop();
  });

  it("L7 tells the command's user when the lease is revoked, and lets the command run on", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair } = await start();
    const exec = await Exec.start(pair.inlet, "--", "sh", "-c", WAITING);
    await exec.token();
    const { leaseId } = (await extraToken(influx))!;
    const revoked = await culvert(["lease", "revoke", leaseId, "--state-dir", pair.outlet.stateDir]);
    expect(revoked.exit.code).toBe(0);
    await exec.process.waitForOutput(/token has been revoked/);
    expect(await extraToken(influx)).toBeUndefined();
    await exec.go();
    expect((await exec.process.waitForExit()).code).toBe(0);
    await pair.stop();
    await influx.stop();
  });
});
