import { describe, expect, it } from "vitest";
import {
  missingRights,
  surplusRights,
  type TokenNeeds,
  type TokenPermission,
  tokenKind,
} from "../../../src/outlet/token-rights.ts";

const ORG = "0000000000000001";
const USER = "0000000000000002";
const METRICS = "0000000000000003";
const OTHER = "0000000000000004";

const right = (
  action: "read" | "write",
  type: string,
  more: Partial<TokenPermission> = {},
): TokenPermission => ({
  action,
  type,
  ...more,
});
const both = (type: string, more: Partial<TokenPermission> = {}) => [
  right("read", type, more),
  right("write", type, more),
];

const TYPES = ["authorizations", "buckets", "dashboards", "orgs", "secrets", "tasks", "users"];
const operator = TYPES.flatMap((type) => both(type));
const allAccess = TYPES.filter((type) => type !== "orgs" && type !== "users").flatMap((type) =>
  both(type, { orgId: ORG }),
);
const fit = [
  ...both("authorizations", { orgId: ORG }),
  ...both("users", { id: USER }),
  ...both("buckets", { orgId: ORG, id: METRICS, name: "metrics" }),
];
const needs: TokenNeeds = {
  organizationId: ORG,
  userId: USER,
  buckets: [{ name: "metrics", id: METRICS, actions: ["write"] }],
  openActions: [],
};

describe("the kind of a token", () => {
  it.each([
    ["operator", operator],
    ["operator", [...fit, right("write", "orgs")]],
    ["all-access", allAccess],
    ["scoped", fit],
    ["scoped", [...fit, ...both("buckets", { orgId: ORG })]],
    ["scoped", [...fit, ...both("users")]],
    ["scoped", [right("read", "buckets")]],
    ["scoped", []],
  ] as const)("%s", (kind, permissions) => {
    expect(tokenKind(permissions)).toBe(kind);
  });
});

describe("what is missing", () => {
  it.each([
    ["operator", operator],
    ["scoped", fit],
  ])("is nothing in an %s token", (_, permissions) => {
    expect(missingRights(permissions, needs)).toEqual([]);
  });

  it.each(fit.map((permission, i) => [`${permission.action} ${permission.type}`, i] as const))(
    "is just %s where that is taken away",
    (_, i) => {
      const missing = missingRights(fit.toSpliced(i, 1), needs);
      const { action, type } = fit[i]!;
      expect(missing).toHaveLength(1);
      expect(missing[0]).toMatch(new RegExp(`^${action}:.*${type}`));
    },
  );

  it("is written as InfluxDB writes it", () => {
    expect(missingRights([], needs)).toEqual([
      `read:orgs/${ORG}/authorizations`,
      `write:orgs/${ORG}/authorizations`,
      `read:users/${USER}`,
      `write:users/${USER}`,
      `read:orgs/${ORG}/buckets/${METRICS} ("metrics")`,
      `write:orgs/${ORG}/buckets/${METRICS} ("metrics")`,
    ]);
  });

  it("is not said of a bucket that InfluxDB does not show: it may not be there", () => {
    const unseen = { ...needs, buckets: [{ name: "metrics", id: undefined, actions: ["write"] as const }] };
    expect(missingRights(fit, unseen)).toEqual([]);
  });

  it("is not made up by the same right elsewhere", () => {
    const elsewhere = [
      ...fit.filter(({ type }) => type !== "buckets"),
      ...both("buckets", { orgId: OTHER }),
      ...both("buckets", { orgId: ORG, id: OTHER }),
    ];
    expect(missingRights(elsewhere, needs)).toHaveLength(2);
  });
});

describe("what is more than needed", () => {
  it("is nothing in a token that fits", () => {
    expect(surplusRights([...fit, right("read", "orgs", { id: ORG })], needs)).toEqual([]);
  });

  it.each([
    ["another bucket", right("read", "buckets", { orgId: ORG, id: OTHER })],
    ["all buckets", right("write", "buckets", { orgId: ORG })],
    ["all users", right("write", "users")],
    ["another organization's tokens", right("read", "authorizations", { orgId: OTHER })],
    ["every organization's tokens", right("read", "authorizations")],
    ["the organization itself", right("write", "orgs", { id: ORG })],
    ["tasks", right("write", "tasks", { orgId: ORG })],
  ])("is %s", (_, permission) => {
    expect(surplusRights([...fit, permission], needs)).toHaveLength(1);
  });

  it("is the right to write where leases read alone", () => {
    const reading = { ...needs, buckets: [{ name: "metrics", id: METRICS, actions: ["read"] as const }] };
    expect(surplusRights(fit, reading)).toEqual([expect.stringMatching(/^write:.*buckets/)]);
  });

  it("is not a right to all buckets where members' attributes name them, and only for what they may do there", () => {
    const open = { ...needs, openActions: ["read"] as const };
    const wide = both("buckets", { orgId: ORG });
    expect(surplusRights([...fit, ...wide], open)).toEqual([`write:orgs/${ORG}/buckets`]);
  });
});
