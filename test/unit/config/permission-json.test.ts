import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { parsePermissionJson, parsePermissionSource } from "../../../src/config/permission-json.ts";

const OURS = { type: "buckets", orgID: "INFLUX_ORG_ID", name: "metrics" };

function faultOf(value: unknown): Fault {
  try {
    parsePermissionJson(typeof value === "string" ? value : JSON.stringify(value));
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
  }
  throw new Error("it was taken");
}

describe("permissions in InfluxDB's own form", () => {
  it("name a bucket by name or id, and may leave the organization out", () => {
    const text = JSON.stringify([
      { action: "write", resource: OURS },
      { action: "read", resource: { type: "buckets", id: "0123456789abcdef" } },
      { action: "read", resource: { type: "buckets", name: "site-{{ site }}" } },
    ]);
    expect(parsePermissionJson(text).map(({ action, bucket }) => [action, bucket.text])).toEqual([
      ["write", "metrics"],
      ["read", "0123456789abcdef"],
      ["read", "site-{{ site }}"],
    ]);
  });

  it.each([
    ["no bucket", { type: "buckets", orgID: "INFLUX_ORG_ID" }],
    ["an empty name", { ...OURS, name: "" }],
    ["a name that is no text", { ...OURS, name: ["metrics"] }],
    ["a null id", { type: "buckets", id: null }],
    ["an id that is none", { type: "buckets", id: "metrics" }],
    ["both name and id", { ...OURS, id: "0123456789abcdef" }],
    ["another type", { ...OURS, type: "authorizations" }],
    ["no type", { name: "metrics" }],
    ["another organization", { ...OURS, orgID: "0123456789abcdef" }],
    ["an unknown field", { ...OURS, iD: "0123456789abcdef" }],
    ["a list", [OURS]],
  ])("are refused with %s", (_, resource) => {
    const fault = faultOf([
      { action: "write", resource: OURS },
      { action: "write", resource },
    ]);
    expect(fault.code).toBe("config.invalid");
    expect(fault.message).toMatch(/^permission 2/);
  });

  it.each([
    ["an unknown action", [{ action: "delete", resource: OURS }]],
    ["an unknown field", [{ action: "write", resource: OURS, status: "active" }]],
    ["no list", { action: "write", resource: OURS }],
    ["an empty list", []],
    ["too many", Array.from({ length: 257 }, () => ({ action: "write", resource: OURS }))],
    ["no JSON", "[{"],
  ])("are refused for %s", (_, value) => {
    expect(faultOf(value).code).toBe("config.invalid");
  });

  it("may be in a file of their own", () => {
    expect(parsePermissionSource("@{file:/etc/culvert/p.json}")).toEqual({
      kind: "file",
      path: "/etc/culvert/p.json",
    });
  });

  it.each(["@{file:p.json}", "@{file:/a/../b}", "@{env:P}", "@{file:/a} "])("take no %s", (text) => {
    expect(parsePermissionSource(text)).toHaveProperty("text");
  });
});
