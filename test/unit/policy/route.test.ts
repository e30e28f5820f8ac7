import { describe, expect, it } from "vitest";
import { Fault, type FaultCode } from "../../../src/base/fault.ts";
import {
  canonicalTarget,
  classify,
  isOpen,
  MAX_TARGET_CHARS,
  resolveRoute,
} from "../../../src/policy/route.ts";

function codeOf(action: () => unknown): FaultCode | undefined {
  try {
    action();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
}

describe("canonical target", () => {
  it.each([
    ["/api/v2/write?bucket=b&org=o", "/api/v2/write?bucket=b&org=o"],
    ["/api/v2/%77rite", "/api/v2/write"],
    ["/api/v2/buckets/a%2db", "/api/v2/buckets/a-b"],
    ["/a/%c3%a9", "/a/%C3%A9"],
    ["/ping?", "/ping"],
    ["/query?&q=a&&db=b&", "/query?q=a&db=b"],
    ["/query?q=SELECT+1;DROP", "/query?q=SELECT+1%3BDROP"],
    ['/query?q="a"{b}|c', "/query?q=%22a%22%7Bb%7D%7Cc"],
    ["/query?q=a%2fb%5c%0a", "/query?q=a%2Fb%5C%0A"],
    ["/write/", "/write/"],
  ])("of %s is %s", (raw, target) => {
    expect(canonicalTarget(raw).target).toBe(target);
  });

  it.each([
    "",
    "api/v2/write",
    "http://evil.example/api/v2/write",
    "//api/v2/write",
    "/api//v2/write",
    "/api/./v2/write",
    "/api/x/../v2/write",
    "/api/x/%2e%2e/v2/write",
    "/api/x/.%2E/v2/write",
    "/api/%2e/v2/write",
    "/api/v2/write/..",
    "/api%2fv2/delete",
    "/api%2Fv2/delete",
    "/api%5cv2/delete",
    "/api/v2\\delete",
    "/api/v2/delete%00",
    "/api/v2/write%0d%0a",
    "/api/v2/write\u0000",
    "/api/v2/write\n",
    "/api/v2/wr ite",
    "/api/v2/wr\u00e9te",
    "/api/v2/write#?bucket=b",
    "/api/v2/write%",
    "/api/v2/write%7",
    "/api/v2/write%zz",
    "/api/v2/write?bucket=%zz",
    "/api/v2/write?bucket=%00",
    "/api/v2/write?bucket=%ff",
    "/api/v2/write?bucket=a&bucket=b",
    "/api/v2/write?bucket=a&b%75cket=b",
    "/api/v2/write?org=a&org=a",
    "/api/v2/write?orgID=a&orgID=b",
    "/write?db=a&db=b",
    "/write?rp=a&rp=b",
    "/write?u=a&u=b",
    `/${"a".repeat(MAX_TARGET_CHARS)}`,
  ])("H7 refuses %s", (raw) => {
    expect(codeOf(() => canonicalTarget(raw))).toBe("request.route");
  });

  it.each(["/write?u=admin&p=secret&db=x", "/write?%75=admin&db=x&%70=secret", "/write?u&p&db=x"])(
    "H6 strips user and password from %s",
    (raw) => {
      expect(canonicalTarget(raw).target).toBe("/write?db=x");
    },
  );

  it("tells the decoded parameters that decide about rights", () => {
    const { parameters } = canonicalTarget("/api/v2/write?bucket=my+b%26c&org=o&u=x&precision=ns");
    expect([...parameters]).toEqual([
      ["bucket", "my b&c"],
      ["org", "o"],
    ]);
  });
});

describe("route classes", () => {
  it.each([
    ["GET", "/ping", "always"],
    ["HEAD", "/health", "always"],
    ["POST", "/ping", "other"],
    ["POST", "/api/v2/write", "write"],
    ["OPTIONS", "/api/v2/write", "write"],
    ["GET", "/api/v2/write", "other"],
    ["POST", "/write", "write"],
    ["POST", "/write/", "other"],
    ["POST", "/api/v2/query", "read"],
    ["POST", "/api/v2/query/analyze", "read"],
    ["GET", "/api/v2/query/suggestions/mean", "read"],
    ["GET", "/query", "read"],
    ["POST", "/query", "read"],
    ["DELETE", "/query", "other"],
    ["GET", "/api/v2/buckets", "read"],
    ["GET", "/api/v2/buckets/0123", "read"],
    ["GET", "/api/v2/buckets/0123/labels", "other"],
    ["POST", "/api/v2/buckets", "other"],
    ["GET", "/api/v2/orgs/0123/secrets", "other"],
    ["POST", "/api/v2/delete", "delete"],
    ["POST", "/api/v2/delete/", "delete"],
    ["POST", "/API/v2/Delete", "delete"],
    ["GET", "/api/v2/authorizations/0123", "authorizations"],
    ["GET", "/private/legacy/authorizations", "authorizations"],
    ["GET", "/debug/pprof/profile", "debug"],
    ["GET", "/metrics", "debug"],
    ["GET", "/api/v2/deletes", "other"],
  ])("%s %s is %s", (method, path, routeClass) => {
    expect(classify(method, path)).toBe(routeClass);
  });

  it.each(["CONNECT", "TRACE", "PRI", "post", ""])("H9 refuses method %j", (method) => {
    expect(codeOf(() => classify(method, "/ping"))).toBe("request.method");
  });
});

describe("decision", () => {
  it.each([
    ["POST", "/api/v2/write", ["write"], []],
    ["POST", "/api/v2/%77rite", ["write"], []],
    ["POST", "/api/v2/query", ["read"], []],
    ["GET", "/ping", [], []],
    ["GET", "/", "all", []],
    ["POST", "/api/v2/delete", ["write"], ["delete"]],
  ] as const)("lets %s %s through with %j and %j", (method, target, routes, openRoutes) => {
    expect(isOpen(resolveRoute(method, target).routeClass, { routes, openRoutes })).toBe(true);
  });

  it.each([
    ["POST", "/api/v2/query", ["write"], []],
    ["POST", "/api/v2/write", ["read"], []],
    ["GET", "/", ["read", "write"], []],
    ["POST", "/api/v2/delete", ["read", "write"], []],
    ["POST", "/api/v2/%64elete", "all", []],
    ["POST", "/api/v2/DELETE/", "all", []],
    ["POST", "/api/v2/delete", "all", ["authorizations"]],
    ["GET", "/api/v2/authorizations", "all", ["delete"]],
    ["GET", "/debug/pprof/heap", "all", ["delete", "authorizations"]],
  ] as const)("H7 refuses %s %s with %j and %j", (method, target, routes, openRoutes) => {
    expect(isOpen(resolveRoute(method, target).routeClass, { routes, openRoutes })).toBe(false);
  });

  it.each([
    ["POST", "/api/v2/write", true],
    ["GET", "/api/v2/buckets", true],
    ["POST", "/api/v2/query", false],
    ["GET", "/query?q=SELECT+1+INTO+x", false],
    ["POST", "/api/v2/buckets", false],
  ])("%s %s is idempotent: %s", (method, target, idempotent) => {
    expect(resolveRoute(method, target).idempotent).toBe(idempotent);
  });
});
