/** A lease that one run of an outlet made and the next one takes back, in a real InfluxDB and in the stand-in. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { Secret } from "../../src/base/secret.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { LeaseClaim } from "../../src/lease/resume-seal.ts";
import type { HandedLease } from "../../src/outlet/handed-lease.ts";
import { InfluxdbApi } from "../../src/outlet/influxdb-api.ts";
import { influxdbSend } from "../../src/outlet/influxdb-send.ts";
import { LeaseKeeper } from "../../src/outlet/lease-keeper.ts";
import { createLeaseProfile } from "../../src/outlet/lease-profile.ts";
import { Upstream } from "../../src/outlet/upstream.ts";
import { eventually } from "../harness/eventually.ts";
import type { InfluxDbUnderTest } from "../harness/influxdb-under-test.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

describe("the stand-in", () => contract(startStandInInfluxDb, false));
describeReal(["influxd"], "the real InfluxDB", () => contract(startRealInfluxDb, true));

const BOTH = createLeaseProfile({
  permissions: [
    { action: "write", bucket: "metrics" },
    { action: "read", bucket: "metrics" },
  ],
});
const WRITE = createLeaseProfile({ permissions: [{ action: "write", bucket: "metrics" }] });

function contract(
  start: () => Promise<InfluxDbUnderTest & { stop(): Promise<void> }>,
  deletesBuckets: boolean,
): void {
  let db: InfluxDbUnderTest & { stop(): Promise<void> };
  let upstream: Upstream;
  const runs: LeaseKeeper[] = [];
  beforeAll(async () => {
    db = await start();
    upstream = new Upstream({
      url: db.url,
      maxConnections: 4,
      timeoutMs: 5_000,
      tlsMinVersion: "TLSv1.2",
      insecureSkipVerify: false,
    });
  });
  afterAll(async () => {
    for (const run of runs) await run.stop(5_000);
    await upstream?.destroy();
    await db?.stop();
  });

  /** One that knows nothing of those before it, as after a kill. */
  function anotherRun(): LeaseKeeper {
    const run = new LeaseKeeper({
      realm: "outlet/influxdb",
      key: new Uint8Array(32).fill(3),
      resumeKey: new Uint8Array(32).fill(4),
      crypto: nodeProvider,
      api: new InfluxdbApi({
        send: influxdbSend(upstream),
        token: async () => new Secret(db.operatorToken.reveal()),
      }),
      organization: db.organization,
      fixedBuckets: ["metrics"],
      strategy: "per-client",
      lifetimeMs: 600_000,
      clock: systemClock,
      random: Math.random,
      schedule: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
      log: silentLog,
    });
    runs.push(run);
    run.start();
    return run;
  }

  async function idsOf(member: string): Promise<string[]> {
    const tokens = await leasedTokens(db);
    return tokens.filter((token) => token.member === member).map(({ id }) => id);
  }

  it("is the same token in InfluxDB, and its member writes on with it", async () => {
    const lease = await anotherRun().lease("a", BOTH);
    const ids = await idsOf("a");
    expect(ids).toHaveLength(1);
    const run = anotherRun();
    const resumed = await run.lease("a", BOTH, claimOf(lease));
    expect(resumed.leaseId).toBe(lease.leaseId);
    expect(run.ownsToken("a", BOTH, lease.token.reveal())).toBe(lease.leaseId);
    expect(await idsOf("a")).toEqual(ids);
    expect((await db.write("m v=1", { token: lease.token.reveal() })).status).toBe(204);
  });

  it("L1 is gone at its end, as one that was made here", async () => {
    const lease = await anotherRun().lease("b", WRITE);
    const run = anotherRun();
    await run.lease("b", WRITE, claimOf(lease));
    run.revokeMember("b");
    await eventually("its end", async () => (await idsOf("b")).length === 0);
    expect((await db.write("m v=1", { token: lease.token.reveal() })).status).toBe(401);
  });

  it("L5 L11 is not taken back for another profile, or by another member", async () => {
    const lease = await anotherRun().lease("c", BOTH);
    const run = anotherRun();
    expect((await run.lease("d", BOTH, claimOf(lease))).leaseId).not.toBe(lease.leaseId);
    expect((await run.lease("c", WRITE, claimOf(lease))).leaseId).not.toBe(lease.leaseId);
    await eventually("its end", async () => (await idsOf("c")).length === 1);
    expect((await db.write("m v=1", { token: lease.token.reveal() })).status).toBe(401);
  });

  it("is not taken back once somebody has switched it off in InfluxDB", async () => {
    const lease = await anotherRun().lease("e", WRITE);
    const [id] = await idsOf("e");
    const change = { method: "PATCH", body: { status: "inactive" } };
    expect((await db.call(`/api/v2/authorizations/${id}`, change)).status).toBe(200);
    expect((await anotherRun().lease("e", WRITE, claimOf(lease))).leaseId).not.toBe(lease.leaseId);
  });

  if (!deletesBuckets) return;
  it("L11 is not taken back for a bucket that was made anew meanwhile under its name", async () => {
    const profile = createLeaseProfile({ permissions: [{ action: "write", bucket: "site-oslo" }] });
    const bucketId = await db.createBucket("site-oslo");
    const lease = await anotherRun().lease("f", profile);
    await db.call(`/api/v2/buckets/${bucketId}`, { method: "DELETE" });
    await db.createBucket("site-oslo");
    const given = await anotherRun().lease("f", profile, claimOf(lease));
    expect(given.leaseId).not.toBe(lease.leaseId);
    const written = await db.write("m v=1", { token: given.token.reveal(), bucket: "site-oslo" });
    expect(written.status).toBe(204);
  });
}

function claimOf({ leaseId, token, resume }: HandedLease): LeaseClaim {
  return { leaseId, token, resume: resume! };
}
