/** Leases of different members, made in a real InfluxDB and in the stand-in: each has its own rights, and no others. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { createLog } from "../../src/base/log.ts";
import { Secret } from "../../src/base/secret.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../src/identity/attributes.ts";
import type { Identifier } from "../../src/identity/identifier.ts";
import { InfluxdbApi } from "../../src/outlet/influxdb-api.ts";
import { influxdbSend } from "../../src/outlet/influxdb-send.ts";
import { LeaseKeeper } from "../../src/outlet/lease-keeper.ts";
import { ProfileBook } from "../../src/outlet/lease-profile.ts";
import { Upstream } from "../../src/outlet/upstream.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import { parseTemplate } from "../../src/policy/template.ts";
import { eventually } from "../harness/eventually.ts";
import type { InfluxDbUnderTest } from "../harness/influxdb-under-test.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

describe("the stand-in", () => contract(startStandInInfluxDb, false));
describeReal(["influxd"], "the real InfluxDB", () => contract(startRealInfluxDb, true));

const profiles = new ProfileBook({
  permissions: [
    { action: "write", bucket: parseTemplate("metrics"), allow: parsePolicy("everywhere") },
    { action: "write", bucket: parseTemplate("site-{{ site }}"), allow: parsePolicy("has(subject.site)") },
    {
      action: "read",
      bucket: parseTemplate("site-{{ site }}"),
      allow: parsePolicy(`subject.role == "analyst"`),
    },
  ],
});

function profileOf(attributes: Record<string, string>) {
  const identifier = "m".repeat(52) as Identifier;
  return profiles.profileFor({ identifier, attributes: parseAttributes(attributes), isMember: true });
}

function contract(
  start: () => Promise<InfluxDbUnderTest & { stop(): Promise<void> }>,
  deletesBuckets: boolean,
): void {
  let db: InfluxDbUnderTest & { stop(): Promise<void> };
  let upstream: Upstream;
  let keeper: LeaseKeeper;
  beforeAll(async () => {
    db = await start();
    for (const site of ["berlin", "paris"]) await db.createBucket(`site-${site}`);
    upstream = new Upstream({
      url: db.url,
      maxConnections: 4,
      timeoutMs: 5_000,
      tlsMinVersion: "TLSv1.2",
      insecureSkipVerify: false,
    });
    keeper = new LeaseKeeper({
      realm: "outlet/influxdb",
      key: new Uint8Array(32).fill(3),
      resumeKey: new Uint8Array(32).fill(4),
      crypto: nodeProvider,
      api: new InfluxdbApi({
        send: influxdbSend(upstream),
        token: async () => new Secret(db.operatorToken.reveal()),
      }),
      organization: db.organization,
      fixedBuckets: profiles.fixedBuckets,
      strategy: "per-client",
      lifetimeMs: 60_000,
      clock: systemClock,
      random: Math.random,
      schedule: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
      log: createLog({ level: "error", format: "json", wallMs: Date.now, write() {} }),
    });
    keeper.start();
  });
  afterAll(async () => {
    await keeper?.stop(5_000);
    await upstream?.destroy();
    await db?.stop();
  });

  async function tokenOf(member: string, attributes: Record<string, string>): Promise<string> {
    return (await keeper.lease(member, profileOf(attributes))).token.reveal();
  }

  async function statusOfWrite(token: string, bucket: string): Promise<number> {
    return (await db.write("m v=1", { token, bucket })).status;
  }

  it("L11 a member writes to the bucket of its site and to no other", async () => {
    const token = await tokenOf("a", { site: "berlin" });
    expect(await statusOfWrite(token, "site-berlin")).toBe(204);
    expect(await statusOfWrite(token, "site-paris")).not.toBe(204);
    expect(await statusOfWrite(token, "metrics")).not.toBe(204);
  });

  it("L11 a member reads where its attributes say so", async () => {
    const flux = `from(bucket: "site-paris") |> range(start: -1h)`;
    const analyst = await tokenOf("b", { site: "paris", role: "analyst" });
    expect((await db.query(flux, { token: analyst })).status).toBe(200);
    const other = await tokenOf("c", { site: "paris", role: "none" });
    expect((await db.query(flux, { token: other })).status).not.toBe(200);
  });

  it("a member whose site changes loses the bucket of the one before at once", async () => {
    const before = await tokenOf("d", { site: "berlin" });
    expect(await statusOfWrite(before, "site-berlin")).toBe(204);
    keeper.retain("d", profileOf({ site: "paris" }));
    await eventually("the lease is gone", async () => (await statusOfWrite(before, "site-berlin")) === 401);
    const after = await tokenOf("d", { site: "paris" });
    expect(await statusOfWrite(after, "site-paris")).toBe(204);
    expect(await statusOfWrite(after, "site-berlin")).not.toBe(204);
  });

  it("L11 a site without a bucket gets no token, until there is one under the same name", async () => {
    await expect(tokenOf("e", { site: "rome" })).rejects.toMatchObject({ code: "lease.denied" });
    const tokens = await db.listAuthorizations();
    expect(tokens.filter(({ description }) => description.includes("site-rome"))).toEqual([]);
    expect(keeper.readiness).toEqual({ ready: true });
  });

  if (!deletesBuckets) return;
  it("a bucket that was deleted and made anew takes its leases with it", async () => {
    const id = await db.createBucket("site-oslo");
    const before = await tokenOf("f", { site: "oslo" });
    expect(await statusOfWrite(before, "site-oslo")).toBe(204);
    await db.call(`/api/v2/buckets/${id}`, { method: "DELETE" });
    await db.createBucket("site-oslo");
    keeper.bucketGone(profileOf({ site: "oslo" }));
    // The survey that looks at it comes no sooner than five seconds after the one before.
    const isGone = async () => (await statusOfWrite(before, "site-oslo")) === 401;
    await eventually("the lease is gone", isGone, { deadlineMs: 15_000 });
    expect(await statusOfWrite(await tokenOf("f", { site: "oslo" }), "site-oslo")).toBe(204);
  }, 30_000);
}
