import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { culvert, makePair, type PairOptions, startPair } from "../harness/culvert.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

describeReal(["influxd"], "doctor --canary", () => {
  let influx: RealInfluxDb;
  let token = "";
  beforeAll(async () => {
    influx = await startRealInfluxDb();
    ({ token } = await makeOutletToken(influx));
  });
  afterAll(async () => {
    await influx.stop();
  });

  const pairOf = (permissions: readonly string[]): PairOptions => ({
    ...{ influxUrl: influx.url, adminToken: token, allowOperatorToken: false, permissions },
  });
  const WHERE = ["--organization", "edge", "--bucket", "metrics"];

  it("goes through the inlet, is found again, and says how long each hop took", async () => {
    const pair = await startPair(pairOf(["write:metrics", "read:metrics"]));
    const args = ["doctor", "--config", pair.inlet.configFile, "--canary", ...WHERE];
    const ended = await culvert(args, { binary: "culvert-inlet" });
    expect(ended.exit.code).toBe(0);
    for (const hop of ["hop.inlet", "hop.outlet", "hop.influxdb", "canary.write", "canary.read"]) {
      expect(ended.stdout).toMatch(new RegExp(`^OK +${hop} .*\\d ms$`, "m"));
    }
    expect(await influx.countPoints({ measurement: "culvert_canary" })).toBe(1);
    await pair.stop();
  });

  it("says that a lease which may only write cannot look, and takes its place from a telegraf.conf", async () => {
    const pair = await startPair(pairOf(["write:metrics"]));
    const file = join(await tempDir("telegraf"), "telegraf.conf");
    await writeFile(
      file,
      `[agent]\nflush_jitter = "5s"\nmetric_buffer_limit = 100000\n[[outputs.influxdb_v2]]\nurls = ["${pair.url}"]\norganization = "edge"\nbucket = "metrics"\n`,
    );
    const args = ["--config", pair.inlet.configFile, "--telegraf", file, "--measurement", "our canary"];
    const ended = await culvert(["doctor", "--canary", ...args], { binary: "culvert-inlet" });
    expect(ended.exit.code).toBe(0);
    expect(ended.stdout).toMatch(/^INFO +canary\.read .*the lease may not read/m);
    expect(ended.stdout).toMatch(/^OK +canary\.write /m);
    expect(await influx.countPoints({ measurement: "our canary" })).toBe(1);
    await pair.stop();
  });

  it("goes from the outlet with a lease of its own, which is gone afterwards", async () => {
    const pair = await makePair(pairOf(["write:metrics"]));
    const before = await influx.countPoints({ measurement: "culvert_canary" });
    const args = ["doctor", "--config", pair.outlet.configFile, "--canary"];
    const ended = await culvert(args, { binary: "culvert-outlet", env: { INFLUXDB_TOKEN: token } });
    expect(ended.stdout).toMatch(/^OK +hop\.influxdb /m);
    expect(ended.stdout).toMatch(/^OK +canary\.read /m);
    expect(await influx.countPoints({ measurement: "culvert_canary" })).toBe(before + 1);
    expect(await leasedTokens(influx, pair.outlet.identifier)).toEqual([]);
  });

  it("is an error where it does not get through", async () => {
    const pair = await makePair(pairOf(["write:metrics"]));
    await pair.inlet.start();
    const args = ["doctor", "--config", pair.inlet.configFile, "--canary", ...WHERE];
    const ended = await culvert(args, { binary: "culvert-inlet" });
    expect(ended.exit.code).toBe(1);
    expect(ended.stdout).toMatch(/^ERROR +canary\.write .*503/m);
    await pair.stop();
  });

  it("asks where to, at an inlet", async () => {
    const pair = await makePair(pairOf(["write:metrics"]));
    const ended = await culvert(["doctor", "--config", pair.inlet.configFile, "--canary"]);
    expect(ended.exit.code).toBe(2);
    expect(ended.stderr).toContain("--bucket");
  });
});
