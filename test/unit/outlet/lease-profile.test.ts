import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { NO_ATTRIBUTES, parseAttributes } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { createLeaseProfile, ProfileBook } from "../../../src/outlet/lease-profile.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import type { Subject } from "../../../src/policy/subject.ts";
import { parseTemplate } from "../../../src/policy/template.ts";
import { LeaseBed } from "./lease-bed.ts";

function subject(attributes: Record<string, string>, isMember = true): Subject {
  return { identifier: "a".repeat(52) as Identifier, attributes: parseAttributes(attributes), isMember };
}

function rule(action: "read" | "write", bucket: string, allow?: string) {
  return {
    action,
    bucket: parseTemplate(bucket),
    allow: allow === undefined ? undefined : parsePolicy(allow),
  };
}

const book = new ProfileBook({
  permissions: [
    rule("write", "metrics", "writer"),
    rule("write", "site-{{ site }}", "has(subject.site)"),
    rule("read", "site-{{ site }}", `has(subject.site) && subject.role == "analyst"`),
    rule("read", "public", "has(subject.role)"),
  ],
});

function denial(subject: Subject, from = book): Fault {
  try {
    from.profileFor(subject);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
  }
  throw new Error("not denied");
}

describe("what a member gets", () => {
  it.each([
    [{ writer: "true" }, "write:metrics", ["write"]],
    [{ site: "berlin" }, "write:site-berlin", ["write"]],
    [
      { site: "berlin", role: "analyst" },
      "write:site-berlin,read:site-berlin,read:public",
      ["write", "read"],
    ],
    [{ role: "guest" }, "read:public", ["read"]],
  ])("with %j is %s", (attributes, name, routes) => {
    expect(book.profileFor(subject(attributes as Record<string, string>))).toMatchObject({ name, routes });
  });

  it("is refused where no permission is for it", () => {
    expect(denial(subject({ writer: "false" })).code).toBe("lease.denied");
  });

  it("is nothing that asks for attributes, for a node that is no member", () => {
    expect(denial(subject({ writer: "true", site: "berlin" }, false)).code).toBe("lease.denied");
  });

  it("is what asks for none, for a node that is no member", () => {
    const open = new ProfileBook({
      permissions: [rule("write", "metrics"), rule("read", "metrics", "true")],
    });
    expect(open.profileFor(subject({}, false)).name).toBe("write:metrics");
    const attributes = NO_ATTRIBUTES;
    expect(open.profileFor({ ...subject({}), attributes }).name).toBe("write:metrics,read:metrics");
    expect(open.profileFor({ ...subject({}, false), attributes }).name).toBe("write:metrics");
  });

  it.each([["_monitoring"], ["../x"], ["a,read:b"], ["{{ site }}"]])(
    "is refused to the member whose attribute %s is no part of a name",
    (site) => expect(denial(subject({ site })).code).toBe("lease.denied"),
  );

  it("is refused where the name's attribute is missing, and says which", () => {
    const byRoom = new ProfileBook({
      permissions: [rule("write", "metrics"), rule("write", "room-{{ room }}")],
    });
    const { code, message } = denial(subject({ site: "berlin" }), byRoom);
    expect(code).toBe("lease.denied");
    expect(message).toContain("room");
  });

  it("follows the attributes, whatever was worked out before", () => {
    const before = subject({ site: "berlin" });
    expect(book.profileFor(before).name).toBe("write:site-berlin");
    expect(book.profileFor(before)).toBe(book.profileFor(before));
    expect(book.profileFor(subject({ site: "paris" })).name).toBe("write:site-paris");
  });

  it("opens all routes where the service does", () => {
    const all = new ProfileBook({ permissions: [rule("write", "metrics")], routes: "all" });
    expect(all.profileFor(subject({})).routes).toBe("all");
  });

  it("names the buckets that have to be there: those without attributes, each once", () => {
    const some = [
      rule("write", "metrics"),
      rule("read", "metrics"),
      rule("write", "a-{{ b }}"),
      rule("read", "x", "y"),
    ];
    expect(new ProfileBook({ permissions: some }).fixedBuckets).toEqual(["metrics", "x"]);
  });
});

describe("the name of a lease profile", () => {
  const write = { action: "write", bucket: "metrics" } as const;
  const read = { action: "read", bucket: "metrics" } as const;

  it("opens the routes of its actions, each once", () => {
    const profile = createLeaseProfile({ permissions: [write, write, read, { ...write, bucket: "b" }] });
    expect(profile.permissions).toEqual([write, read, { ...write, bucket: "b" }]);
    expect(profile.name).toBe("write:metrics,read:metrics,write:b");
    expect(profile.routes).toEqual(["write", "read"]);
    expect(createLeaseProfile({ permissions: [write], routes: "all" }).routes).toBe("all");
  });

  it("has a name that fits in a description, however long the bucket's", async () => {
    const bucket = "\u{1f9ed}".repeat(500);
    const bed = new LeaseBed({ profile: createLeaseProfile({ permissions: [{ action: "write", bucket }] }) });
    bed.influxdb.buckets.set(bucket, "00000000000000b3");
    await bed.start();
    await bed.result(bed.lease("m"));
    expect(bed.influxdb.authorizations.size).toBe(1);
  });

  it("tells two long sets of permissions apart", () => {
    const named = (last: string) =>
      createLeaseProfile({ permissions: [{ action: "write", bucket: `${"x".repeat(200)}${last}` }] }).name;
    expect(named("a")).toHaveLength(80);
    expect(named("a")).not.toBe(named("b"));
    expect(named("a")).toBe(named("a"));
  });

  it("tells a bucket with a comma from two permissions", () => {
    const odd = createLeaseProfile({ permissions: [{ action: "write", bucket: "a,read:b" }] });
    const two = createLeaseProfile({
      permissions: [
        { action: "write", bucket: "a" },
        { action: "read", bucket: "b" },
      ],
    });
    expect(odd.name).not.toBe(two.name);
  });
});
