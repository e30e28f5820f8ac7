import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, makePair, type Pair, startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

describeReal(["influxd"], "the outlet's own token", () => {
  let influx: RealInfluxDb;
  beforeAll(async () => {
    influx = await startRealInfluxDb();
  });
  afterAll(async () => {
    await influx.stop();
  });

  const operator = () => influx.operatorToken.reveal();

  async function check(pair: Pair, token: string) {
    const args = ["config", "check", "--config", pair.outlet.configFile];
    const ended = await culvert(args, { env: { INFLUXDB_TOKEN: token } });
    return { code: ended.exit.code, said: ended.stderr };
  }

  it("is refused when it is an operator's: no lease is made, and /ready and config check say why", async () => {
    const pair = await makePair({ influxUrl: influx.url, adminToken: operator(), allowOperatorToken: false });
    expect(await check(pair, operator())).toMatchObject({
      code: 1,
      said: expect.stringContaining("allow_operator_token"),
    });
    await Promise.all([pair.outlet.start(), pair.inlet.start()]);
    const { reason } = await pair.outlet.untilEvent("lease.not-ready");
    expect(reason).toContain("operator token");
    await eventually(
      "the channel",
      async () => (await pair.inlet.status()).roles.inlet.channel.state === "up",
    );
    expect((await writeLines(pair.url, "refused x=1 1")).status).toBe(503);
    const ready = await fetch(`${pair.outlet.statusUrl}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain("allow_operator_token");
    expect(await leasedTokens(influx)).toEqual([]);
    expect(pair.outlet.log).not.toContain(operator());
    await pair.stop();
  });

  it("is taken where the config says so, with a warning at every start, in the status and by config check", async () => {
    const pair = await startPair({ influxUrl: influx.url, adminToken: operator() });
    expect((await writeLines(pair.url, "taken x=1 1")).status).toBe(204);
    expect(pair.outlet.events("token.too-powerful")).toEqual([
      expect.objectContaining({ kind: "operator", level: "warn" }),
    ]);
    const [service] = (await pair.outlet.status()).roles.outlet.services;
    expect(service.token).toMatchObject({ kind: "operator", missing: [] });
    expect(service.token.warnings).toEqual([expect.stringContaining("operator token")]);
    const status = await culvert(["status", "--state-dir", pair.outlet.stateDir]);
    expect(status.stdout).toMatch(/WARNING: .*operator token/);
    expect(await check(pair, operator())).toMatchObject({
      code: 0,
      said: expect.stringMatching(/^warning: .*operator token/),
    });
    await pair.outlet.stop();
    await pair.outlet.start();
    await pair.outlet.untilEvent("token.too-powerful");
    await pair.stop();
  });

  it("that is made for it is taken without a word", async () => {
    const { token } = await makeOutletToken(influx);
    const pair = await startPair({ influxUrl: influx.url, adminToken: token, allowOperatorToken: false });
    expect((await writeLines(pair.url, "scoped x=1 1")).status).toBe(204);
    expect(pair.outlet.events("token.too-powerful")).toEqual([]);
    const [service] = (await pair.outlet.status()).roles.outlet.services;
    expect(service.token).toMatchObject({ kind: "scoped", missing: [], surplus: [], warnings: [] });
    expect(await check(pair, token)).toEqual({ code: 0, said: "" });
    await pair.stop();
  });

  it("that could do more is taken, and what it could do is said", async () => {
    const tasks = { action: "write", resource: { type: "tasks", orgID: influx.organizationId } } as const;
    const { token } = await makeOutletToken(influx, { more: [tasks] });
    const pair = await makePair({ influxUrl: influx.url, adminToken: token, allowOperatorToken: false });
    const { code, said } = await check(pair, token);
    expect(code).toBe(0);
    expect(said).toContain(`write:orgs/${influx.organizationId}/tasks`);
  });

  it.each(["write:authorizations", "write:buckets", "read:buckets"])(
    "that lacks %s is refused by that name",
    async (right) => {
      const { token } = await makeOutletToken(influx, { without: [right] });
      const pair = await makePair({ influxUrl: influx.url, adminToken: token, allowOperatorToken: false });
      const { code, said } = await check(pair, token);
      const [action, type] = right.split(":");
      expect(code).toBe(1);
      expect(said).toMatch(new RegExp(`lacks ${action}:orgs/[0-9a-f]{16}/${type}`));
      await pair.outlet.start();
      const { reason } = await pair.outlet.untilEvent("lease.not-ready");
      expect(reason).toMatch(new RegExp(`lacks ${action}:orgs/[0-9a-f]{16}/${type}`));
      await pair.stop();
    },
  );

  describe("permissions in InfluxDB's own form", () => {
    const wanted = (resource: object) => JSON.stringify([{ action: "write", resource }]);
    const ours = wanted({ type: "buckets", orgID: "INFLUX_ORG_ID", name: "metrics" });

    async function leasedFor(outlet: string): Promise<unknown> {
      const { token } = await makeOutletToken(influx);
      const pair = await startPair({
        ...{ influxUrl: influx.url, adminToken: token, allowOperatorToken: false, permissions: [], outlet },
      });
      expect((await writeLines(pair.url, "json x=1 1")).status).toBe(204);
      const [lease] = await leasedTokens(influx);
      await pair.stop();
      return lease!.permissions;
    }
    const one = () => [
      {
        action: "write",
        resource: expect.objectContaining({
          type: "buckets",
          id: influx.bucketId,
          orgID: influx.organizationId,
        }),
      },
    ];

    it("lead to leases for just these buckets, by their ids", async () => {
      expect(await leasedFor(`permissions_json = '''${ours}'''`)).toEqual(one());
    });

    it("may be in a file, and name a bucket by its id", async () => {
      const file = join(await tempDir("permissions"), "permissions.json");
      await writeFile(file, wanted({ type: "buckets", id: influx.bucketId }));
      await chmod(file, 0o644);
      expect(await leasedFor(`permissions_json = "@{file:${file}}"`)).toEqual(one());
    });

    it.each([
      ["names no bucket", wanted({ type: "buckets", orgID: "INFLUX_ORG_ID" })],
      ["is for something else", wanted({ type: "authorizations", orgID: "INFLUX_ORG_ID", name: "metrics" })],
    ])("are an error at the start when one %s", async (_, json) => {
      const pair = await makePair({
        ...{ influxUrl: influx.url, adminToken: operator(), permissions: [] },
        outlet: `permissions_json = '''${json}'''`,
      });
      const ended = await culvert(["run", "--config", pair.outlet.configFile]);
      expect(ended.exit.code).toBe(1);
      expect(ended.stderr).toMatch(/key "permissions_json" permission 1/);
    });
  });
});
