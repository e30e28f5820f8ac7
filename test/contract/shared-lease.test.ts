/** One lease for many members, in a real InfluxDB and in the stand-in: it ends for all with one that was given it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { Secret } from "../../src/base/secret.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { InfluxdbApi } from "../../src/outlet/influxdb-api.ts";
import { influxdbSend } from "../../src/outlet/influxdb-send.ts";
import { LeaseKeeper } from "../../src/outlet/lease-keeper.ts";
import { createLeaseProfile, type LeaseProfile } from "../../src/outlet/lease-profile.ts";
import { Upstream } from "../../src/outlet/upstream.ts";
import { eventually } from "../harness/eventually.ts";
import type { InfluxDbUnderTest } from "../harness/influxdb-under-test.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

describe("the stand-in", () => contract(startStandInInfluxDb));
describeReal(["influxd"], "the real InfluxDB", () => contract(startRealInfluxDb));

const METRICS = createLeaseProfile({ permissions: [{ action: "write", bucket: "metrics" }] });
const OTHER = createLeaseProfile({ permissions: [{ action: "write", bucket: "other" }] });

function contract(start: () => Promise<InfluxDbUnderTest & { stop(): Promise<void> }>): void {
  let db: InfluxDbUnderTest & { stop(): Promise<void> };
  let upstream: Upstream;
  const keepers: LeaseKeeper[] = [];
  beforeAll(async () => {
    db = await start();
    await db.createBucket("other");
    upstream = new Upstream({
      url: db.url,
      maxConnections: 4,
      timeoutMs: 5_000,
      tlsMinVersion: "TLSv1.2",
      insecureSkipVerify: false,
    });
  });
  afterAll(async () => {
    for (const keeper of keepers) await keeper.stop(5_000);
    await upstream?.destroy();
    await db?.stop();
  });

  async function startKeeper(realm: string, placement: "inlet" | "outlet" = "inlet"): Promise<LeaseKeeper> {
    const keeper = new LeaseKeeper({
      realm: `${realm}/influxdb`,
      key: new Uint8Array(32).fill(3),
      resumeKey: new Uint8Array(32).fill(4),
      crypto: nodeProvider,
      api: new InfluxdbApi({
        send: influxdbSend(upstream),
        token: async () => new Secret(db.operatorToken.reveal()),
      }),
      organization: db.organization,
      fixedBuckets: ["metrics", "other"],
      strategy: "shared",
      placement,
      lifetimeMs: 60_000,
      clock: systemClock,
      random: Math.random,
      schedule: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
      log: silentLog,
    });
    keepers.push(keeper);
    keeper.start();
    await eventually("it is ready", () => keeper.readiness.ready);
    return keeper;
  }

  const tokenOf = async (keeper: LeaseKeeper, member: string, profile: LeaseProfile) =>
    (await keeper.lease(member, profile)).token.reveal();

  const writes = async (token: string, bucket: string) =>
    (await db.write("m v=1", { token, bucket })).status === 204;

  it("L11 is one token for each profile, with the rights of that profile", async () => {
    const keeper = await startKeeper("one");
    const [a, b] = [await tokenOf(keeper, "a", METRICS), await tokenOf(keeper, "b", METRICS)];
    const other = await tokenOf(keeper, "c", OTHER);
    expect(a).toBe(b);
    expect(await leasedTokens(db, "one")).toHaveLength(2);
    expect([await writes(a, "metrics"), await writes(a, "other")]).toEqual([true, false]);
    expect([await writes(other, "metrics"), await writes(other, "other")]).toEqual([false, true]);
  });

  it("C13 a member that is revoked takes the token with it, and the others have another at once", async () => {
    const keeper = await startKeeper("two");
    const before = await tokenOf(keeper, "a", METRICS);
    await tokenOf(keeper, "b", METRICS);
    const other = await tokenOf(keeper, "c", OTHER);
    keeper.revokeMember("a");
    const after = await tokenOf(keeper, "b", METRICS);
    expect(await writes(after, "metrics")).toBe(true);
    await eventually("the token that it knows is dead", async () => !(await writes(before, "metrics")));
    expect(await writes(other, "other")).toBe(true);
    expect(await leasedTokens(db, "two")).toHaveLength(2);
  });

  it("a member that is revoked never saw the token where that stays at the outlet", async () => {
    const keeper = await startKeeper("three", "outlet");
    const before = await tokenOf(keeper, "a", METRICS);
    keeper.revokeMember("a");
    expect(await tokenOf(keeper, "b", METRICS)).toBe(before);
    expect(await writes(before, "metrics")).toBe(true);
  });

  it("C13 the token of a run that was killed ends with the next one's start", async () => {
    const killed = await startKeeper("four");
    const before = await tokenOf(killed, "a", METRICS);
    killed.abandon();
    const keeper = await startKeeper("four");
    await eventually("it is dead", async () => !(await writes(before, "metrics")));
    expect(await writes(await tokenOf(keeper, "a", METRICS), "metrics")).toBe(true);
  });

  it("L12 leases of the other realms are counted and left alone", async () => {
    const keeper = await startKeeper("five");
    const { foreign } = keeper.snapshot();
    expect(foreign.realms.map(({ realm }) => realm)).toContain("two/influxdb");
    expect(foreign.count).toBeGreaterThanOrEqual(3);
    expect(await leasedTokens(db, "two")).toHaveLength(2);
  });
}
