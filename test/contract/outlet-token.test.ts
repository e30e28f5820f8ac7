/** What the outlet finds out about its own token, against the real InfluxDB: which calls tell what is its word alone. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { Secret } from "../../src/base/secret.ts";
import type { Permission } from "../../src/lease/permission.ts";
import { BucketDirectory } from "../../src/outlet/bucket-directory.ts";
import { InfluxdbApi } from "../../src/outlet/influxdb-api.ts";
import { influxdbSend } from "../../src/outlet/influxdb-send.ts";
import { type TokenReview, TokenWatch } from "../../src/outlet/token-watch.ts";
import { Upstream } from "../../src/outlet/upstream.ts";
import type { InfluxDbUnderTest } from "../harness/influxdb-under-test.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const WRITE: Permission = { action: "write", bucket: "metrics" };

/** As the outlet's survey does it. @throws Fault where the token is refused. */
async function review(
  influx: InfluxDbUnderTest,
  token: string,
  options: { fixed?: readonly Permission[]; allowOperatorToken?: boolean } = {},
): Promise<TokenReview> {
  const { fixed = [WRITE], allowOperatorToken = false } = options;
  const upstream = new Upstream({
    url: influx.url,
    maxConnections: 2,
    timeoutMs: 5_000,
    tlsMinVersion: "TLSv1.2",
    insecureSkipVerify: false,
  });
  try {
    const api = new InfluxdbApi({ send: influxdbSend(upstream), token: async () => new Secret(token) });
    const watch = new TokenWatch({ api, fixed, openActions: [], allowOperatorToken });
    await watch.admit(await api.listAuthorizations());
    const buckets = new BucketDirectory({
      ...{ api, organization: "edge", fixed: fixed.map(({ bucket }) => bucket) },
      monotonicMs: () => 0,
    });
    await buckets.refresh(() => {}).catch(() => {});
    return watch.compare((permission) => buckets.remembered([permission])?.[0]);
  } finally {
    await upstream.destroy();
  }
}

async function refusal(reviewed: Promise<TokenReview>): Promise<Fault> {
  return await reviewed.then(
    (taken) => expect.fail(`it was taken: ${JSON.stringify(taken)}`),
    (thrown) => Fault.from(thrown),
  );
}

describeReal(["influxd"], "a token at the real InfluxDB", () => {
  let influx: RealInfluxDb;
  beforeAll(async () => {
    influx = await startRealInfluxDb();
  });
  afterAll(async () => {
    await influx.stop();
  });

  it("of the set-up is an operator's, and refused", async () => {
    const operator = influx.operatorToken.reveal();
    const fault = await refusal(review(influx, operator));
    expect(fault.code).toBe("upstream.denied");
    expect(fault.message).toContain("allow_operator_token");
    expect(await review(influx, operator, { allowOperatorToken: true })).toMatchObject({
      kind: "operator",
      missing: [],
      surplus: expect.arrayContaining(["write:orgs", "write:buckets"]),
    });
  });

  it("that is made for an outlet fits: nothing is missing, and nothing too much", async () => {
    const { token } = await makeOutletToken(influx);
    expect(await review(influx, token)).toMatchObject({
      kind: "scoped",
      missing: [],
      surplus: [],
      inClear: false,
      madeAtMs: expect.any(Number),
    });
  });

  it("is told from others of its user: the leases beside it, and one of another kind", async () => {
    const { token, userId } = await makeOutletToken(influx, {
      more: [{ action: "write", resource: { type: "tasks", orgID: influx.organizationId } }],
    });
    const orgID = influx.organizationId;
    const permissions = [influx.permission("write")];
    await influx.json("/api/v2/authorizations", { body: { orgID, userID: userId, permissions } });
    expect((await review(influx, token)).surplus).toEqual([`write:orgs/${orgID}/tasks`]);
  });

  it("of an administrator that may do everything in one organization is no operator's", async () => {
    const orgID = influx.organizationId;
    const types = ["authorizations", "buckets", "dashboards", "tasks", "secrets"];
    const all = types.flatMap((type) =>
      (["read", "write"] as const).map((action) => ({ action, resource: { type, orgID } })),
    );
    const me = await influx.json<{ id: string }>("/api/v2/me");
    const user = (["read", "write"] as const).map((action) => ({
      action,
      resource: { type: "users", id: me.id },
    }));
    const { token } = await influx.createAuthorization({ permissions: [...all, ...user] });
    expect(await review(influx, token)).toMatchObject({
      kind: "all-access",
      surplus: expect.arrayContaining([`write:orgs/${orgID}/secrets`, `write:orgs/${orgID}/buckets`]),
    });
  });

  describe("lacks a right, and is refused with its name", () => {
    it.each([
      ["write:authorizations", /lacks write:orgs\/[0-9a-f]{16}\/authorizations$/],
      ["write:users", /lacks write:users\/[0-9a-f]{16}$/],
      ["write:buckets", /lacks write:orgs\/[0-9a-f]{16}\/buckets\/[0-9a-f]{16} \("metrics"\)$/],
      ["read:buckets", /lacks read:orgs\/[0-9a-f]{16}\/buckets\/[0-9a-f]{16} \("metrics"\)$/],
    ])("%s", async (right, said) => {
      const { token } = await makeOutletToken(influx, { without: [right] });
      const fault = await refusal(review(influx, token));
      expect(fault.code).toBe("upstream.denied");
      expect(fault.message).toMatch(said);
    });

    it.each(["read:authorizations", "read:users"])(
      "%s: without it InfluxDB shows it no list",
      async (right) => {
        const { token } = await makeOutletToken(influx, { without: [right] });
        const fault = await refusal(review(influx, token));
        expect(fault.code).toBe("upstream.denied");
        expect(fault.message).toContain("may not list tokens");
      },
    );
  });
});

describeReal(["influxd"], "InfluxDB that keeps tokens in clear", () => {
  it("is noticed, and the token is known by its text", async () => {
    const influx = await startRealInfluxDb({ hashedTokens: false });
    const { token } = await makeOutletToken(influx);
    expect(await review(influx, token)).toMatchObject({ kind: "scoped", inClear: true, surplus: [] });
    await influx.stop();
  });
});
