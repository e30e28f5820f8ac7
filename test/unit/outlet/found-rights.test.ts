import { describe, expect, it } from "vitest";
import { rightsOf } from "../../../src/lease/permission.ts";
import { rightsIn } from "../../../src/outlet/found-rights.ts";

const ID = "00000000000000b1";

function entry(permissions: unknown, status: unknown = "active") {
  return { id: "1", status, permissions };
}

function granting(action: string, resource: object) {
  return { action, resource };
}

describe("the rights of a token in a list", () => {
  it("are those that a lease was made with, in whatever order they stand", () => {
    const read = granting("read", { type: "buckets", id: ID, orgID: "o", name: "metrics" });
    const write = granting("write", { type: "buckets", id: ID });
    const organization = { organizationId: "o", bucket: "metrics", bucketId: ID };
    const lease = rightsOf([
      { action: "write", ...organization },
      { action: "read", ...organization },
    ]);
    expect(rightsIn(entry([read, write]))).toBe(lease);
    expect(rightsIn(entry([write, read, write]))).toBe(lease);
    expect(rightsIn(entry([write]))).not.toBe(lease);
  });

  it.each([
    ["an inactive token", entry([granting("write", { type: "buckets", id: ID })], "inactive")],
    ["every bucket", entry([granting("write", { type: "buckets" })])],
    [
      "something else besides",
      entry([granting("write", { type: "buckets", id: ID }), granting("read", { type: "users" })]),
    ],
    ["another action", entry([granting("own", { type: "buckets", id: ID })])],
    ["no list", entry({})],
    ["nothing", null],
    ["odd permissions", entry([null, 7])],
  ])("L11 are not a lease's for %s", (_, odd) => {
    expect(rightsIn(odd)).toBeUndefined();
  });
});
