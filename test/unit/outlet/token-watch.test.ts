import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import type { Permission } from "../../../src/lease/permission.ts";
import type { FoundAuthorization } from "../../../src/outlet/influxdb-api.ts";
import type { ListingToken } from "../../../src/outlet/listing-token.ts";
import type { TokenPermission } from "../../../src/outlet/token-rights.ts";
import { type TokenReview, TokenWatch } from "../../../src/outlet/token-watch.ts";

const ORG = "0000000000000001";
const USER = "0000000000000002";
const METRICS = "0000000000000003";
const WRITE: Permission = { action: "write", bucket: "metrics" };

const both = (type: string, more: Partial<TokenPermission> = {}): TokenPermission[] =>
  (["read", "write"] as const).map((action) => ({ action, type, ...more }));
const operator = ["authorizations", "buckets", "orgs", "users"].flatMap((type) => both(type));
const fit = [
  ...both("authorizations", { orgId: ORG }),
  ...both("users", { id: USER }),
  ...both("buckets", { orgId: ORG, id: METRICS, name: "metrics" }),
];

function token(
  permissions: readonly TokenPermission[],
  more: Partial<ListingToken> = {},
): FoundAuthorization {
  const listing = { userId: USER, madeAtMs: 1, isOwn: false, permissions, ...more };
  return { id: "00000000000000ff", description: "", listing };
}

interface Asked {
  readonly userId?: string | undefined;
  readonly isOperator?: boolean | Fault | undefined;
  readonly allowOperatorToken?: boolean;
}

async function review(found: readonly FoundAuthorization[], asked: Asked = {}): Promise<TokenReview> {
  const { isOperator = false, allowOperatorToken = false } = asked;
  const watch = new TokenWatch({
    api: {
      ownUserId: async () => ("userId" in asked ? asked.userId : USER),
      isOperator: async () => {
        if (isOperator instanceof Fault) throw isOperator;
        return isOperator;
      },
    },
    fixed: [WRITE],
    openActions: [],
    allowOperatorToken,
  });
  await watch.admit(found);
  return watch.compare((permission) => ({ ...permission, bucketId: METRICS, organizationId: ORG }));
}

const NO_PROBE = new Fault("upstream.malformed", "no such call");

describe("the outlet's own token", () => {
  it("is the one of its user that may list", async () => {
    const others = [
      token([...both("buckets", { orgId: ORG, id: METRICS })]),
      token([...fit, ...both("tasks", { orgId: ORG })], { userId: "0000000000000009" }),
      { id: "00000000000000fe", description: "a lease" },
    ];
    expect(await review([...others, token(fit)])).toMatchObject({ kind: "scoped", missing: [], surplus: [] });
  });

  it("is known by its text where InfluxDB shows that", async () => {
    const wide = token([...fit, ...both("tasks", { orgId: ORG })]);
    expect(await review([wide, token(fit, { isOwn: true })])).toMatchObject({ surplus: [] });
  });

  it("is not an operator's because its user has one of these as well", async () => {
    expect((await review([token(operator), token(fit)])).kind).toBe("scoped");
  });

  it.each([
    ["InfluxDB says so", [token(operator), token(fit)], true],
    ["InfluxDB says so, and it is not in the list", [], true],
    ["the list says so, where InfluxDB has no call for it", [token(operator)], NO_PROBE],
    ["the list has no other, where InfluxDB denies the call to everyone", [token(operator)], false],
  ])("is an operator's where %s", async (_, found, isOperator) => {
    await expect(review(found, { isOperator })).rejects.toMatchObject({ code: "upstream.denied" });
    expect((await review(found, { isOperator, allowOperatorToken: true })).kind).toBe("operator");
  });

  it("is unknown where InfluxDB does not say whose it is: nothing is refused, and that is said", async () => {
    const seen = await review([token(fit)], { userId: undefined });
    expect(seen).toMatchObject({ kind: "unknown", missing: [], surplus: [] });
    expect(seen.reason).toBeDefined();
  });

  it("is judged by what holds for every token that it may be", async () => {
    const tasks = both("tasks", { orgId: ORG });
    const found = [token([...fit, ...tasks]), token([...fit, ...tasks, ...both("checks", { orgId: ORG })])];
    expect((await review(found)).surplus).toEqual([`read:orgs/${ORG}/tasks`, `write:orgs/${ORG}/tasks`]);
    const lacking = token(fit.filter(({ type, action }) => type !== "buckets" || action !== "write"));
    expect((await review([token(fit), lacking])).missing).toEqual([]);
    await expect(review([lacking, lacking])).rejects.toMatchObject({ code: "upstream.denied" });
  });

  it("is reported once for each thing that it is found to be", async () => {
    const told: TokenReview[] = [];
    const watch = new TokenWatch({
      api: { ownUserId: async () => USER, isOperator: async () => false },
      fixed: [WRITE],
      openActions: [],
      allowOperatorToken: false,
      onReview: (seen) => told.push(seen),
    });
    const look = async (permissions: readonly TokenPermission[]) => {
      await watch.admit([token(permissions)]);
      watch.compare((permission) => ({ ...permission, bucketId: METRICS, organizationId: ORG }));
    };
    await look(fit);
    await look(fit);
    await look([...fit, ...both("tasks", { orgId: ORG })]);
    expect(told.map(({ surplus }) => surplus.length)).toEqual([0, 2]);
  });
});
