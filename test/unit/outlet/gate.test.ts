import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import type { HttpRequestHead } from "../../../src/channel/exchange.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { type Access, passRequest, type ServiceRules } from "../../../src/outlet/gate.ts";
import { admitMember } from "../../../src/policy/admit-member.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import { RouteMemory } from "../../../src/policy/route-memory.ts";
import type { Subject } from "../../../src/policy/subject.ts";

const PINNED = "p".repeat(52) as Identifier;
const MEMBER = "m".repeat(52) as Identifier;

function subject(attributes: Record<string, string> = {}, identifier = MEMBER): Subject {
  return { identifier, attributes: parseAttributes(attributes), isMember: identifier === MEMBER };
}

function rules(allow: string, openRoutes: ServiceRules["openRoutes"] = []): ServiceRules {
  return { authorized: new Set([PINNED]), allow: parsePolicy(allow), openRoutes };
}

function head(method: string, target: string): HttpRequestHead {
  return { kind: "http", service: "influxdb", method, target, headers: [] };
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return undefined;
}

describe("whom the gate lets in", () => {
  const allowed = rules("influxdb-inlet");

  it("is a member whose attributes the policy wants", () => {
    expect(codeOf(() => admitMember(subject({ "influxdb-inlet": "true" }), allowed))).toBeUndefined();
  });

  it.each([
    ["without the attribute", subject()],
    ["with another value", subject({ "influxdb-inlet": "yes" })],
    ["with a like name", subject({ "influxdb-inlet-2": "true" })],
  ])("is no member %s", (_, member) => {
    expect(codeOf(() => admitMember(member, allowed))).toBe("policy.denied");
  });

  it("is a node that is pinned, whatever the policy says", () => {
    expect(codeOf(() => admitMember(subject({}, PINNED), rules("false")))).toBeUndefined();
  });

  it("is nobody else who is no member, whatever the policy says", () => {
    const stranger: Subject = { ...subject({}, "x".repeat(52) as Identifier), isMember: false };
    expect(codeOf(() => admitMember(stranger, rules("true")))).toBe("policy.denied");
  });

  it("may be someone for whom only some requests are allowed", () => {
    expect(codeOf(() => admitMember(subject(), rules(`request.method == "GET"`)))).toBeUndefined();
    const never = rules(`request.method == "GET" && subject.site == "berlin"`);
    expect(codeOf(() => admitMember(subject({ site: "paris" }), never))).toBe("policy.denied");
  });
});

describe("what the gate lets through", () => {
  function pass(
    allow: string,
    request: HttpRequestHead,
    as = subject(),
    routes: Access["routes"] = () => "all",
  ) {
    return codeOf(() =>
      passRequest(request, { subject: as, rules: rules(allow), routes }, new RouteMemory()),
    );
  }

  it.each([
    ["v2", "/api/v2/write?org=o&bucket=site-a"],
    ["v1", "/write?db=site-a"],
    ["v2, with a name of v1's beside it", "/api/v2/write?org=o&bucket=site-a&db=site-b"],
    ["v1, with a name of v2's beside it", "/write?db=site-a&bucket=site-b"],
    ["escaped", "/api/v2/write?bucket=%73ite-a"],
  ])("is a request for the bucket that the policy allows, by %s", (_, target) => {
    const allow = `request.bucket == "site-" + subject.site`;
    expect(pass(allow, head("POST", target), subject({ site: "a" }))).toBeUndefined();
    expect(pass(allow, head("POST", target), subject({ site: "b" }))).toBe("policy.denied");
  });

  it("names no bucket where the request does not", () => {
    expect(pass(`request.bucket == ""`, head("POST", "/api/v2/query"))).toBeUndefined();
    expect(pass(`request.bucket == "a"`, head("POST", "/api/v2/write?bucketID=a"))).toBe("policy.denied");
  });

  it.each([
    ["/api/v2/%77rite", undefined],
    ["/api/v2/write/", "policy.denied"],
    ["/api/v2/../v2/write", "request.route"],
    ["//api/v2/write", "request.route"],
  ])("C13 is decided on the canonical path alone: %s", (target, expected) => {
    expect(pass(`request.path == "/api/v2/write"`, head("POST", target))).toBe(expected);
  });

  it("of methods is what the policy allows", () => {
    const allow = `request.method in ["GET", "HEAD"]`;
    expect(pass(allow, head("GET", "/api/v2/buckets"))).toBeUndefined();
    expect(pass(allow, head("POST", "/api/v2/write?bucket=a"))).toBe("policy.denied");
  });

  it("is asked for each request, also for one that needs no lease", () => {
    expect(pass(`request.path != "/health"`, head("GET", "/health"))).toBe("policy.denied");
  });

  it("does not depend on request policies for a pinned node", () => {
    const pinned = subject({}, PINNED);
    expect(pass(`request.method == "GET"`, head("POST", "/api/v2/write?bucket=a"), pinned)).toBeUndefined();
  });

  it("follows the member's own permissions", () => {
    expect(pass("true", head("POST", "/api/v2/query"), subject(), () => ["write"])).toBe("request.route");
    expect(pass("true", head("POST", "/api/v2/query"), subject(), () => ["read"])).toBeUndefined();
  });

  it("asks for no permissions where no lease is needed", () => {
    const none = () => {
      throw new Fault("lease.denied", "no permissions");
    };
    expect(pass("true", head("GET", "/ping"), subject(), none)).toBeUndefined();
    expect(pass("true", head("POST", "/api/v2/write?bucket=a"), subject(), none)).toBe("lease.denied");
  });
});
