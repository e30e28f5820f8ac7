import { describe, expect, it } from "vitest";
import { Fault, type FaultCode } from "../../../src/base/fault.ts";
import { createBrowserGuard } from "../../../src/proxy/browser-guard.ts";

const guard = createBrowserGuard({
  allowHosts: ["edge.example", "influxdb.example:9000"],
  allowOrigins: ["http://localhost:3000"],
  boundAddress: "127.0.0.1",
});

function verdict(headers: Record<string, string>, method = "GET", by = guard): FaultCode | "passes" {
  try {
    by.check(method, new Headers({ host: "localhost:8086", ...headers }));
    return "passes";
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
}

describe("Host", () => {
  it.each([
    "localhost",
    "LOCALHOST:8086",
    "127.0.0.1:8086",
    "[::1]:1",
    "edge.example:80",
    "influxdb.example:9000",
  ])("takes %s", (host) => expect(verdict({ host })).toBe("passes"));

  it.each([
    ["", "request.malformed"],
    ["localhost, evil.example", "request.malformed"],
    ["user@localhost", "request.malformed"],
    ["localhost/x", "request.malformed"],
    ["localhost:port", "request.malformed"],
    ["rebound.example:8086", "request.origin"],
    ["localhost.evil.example", "request.origin"],
    ["localhost.", "request.origin"],
    ["127.0.0.2", "request.origin"],
    ["0.0.0.0:8086", "request.origin"],
    ["influxdb.example:9001", "request.origin"],
  ])("H4 refuses %j", (host, code) => expect(verdict({ host })).toBe(code));

  it("takes any address, but no unknown name, where every address is listened on", () => {
    const open = createBrowserGuard({ allowHosts: [], allowOrigins: [], boundAddress: "0.0.0.0" });
    expect(verdict({ host: "192.0.2.7:8086" }, "GET", open)).toBe("passes");
    expect(verdict({ host: "rebound.example" }, "GET", open)).toBe("request.origin");
  });

  it("is not looked at on a Unix socket", () => {
    const socket = createBrowserGuard({ allowHosts: [], allowOrigins: [], boundAddress: undefined });
    expect(verdict({ host: "anything" }, "POST", socket)).toBe("passes");
  });
});

describe("pages", () => {
  it.each<[string, string, Record<string, string>]>([
    ["a foreign Origin", "POST", { origin: "https://evil.example" }],
    ["an opaque Origin", "POST", { origin: "null" }],
    ["an Origin that begins like an allowed one", "GET", { origin: "http://localhost:3000.evil.example" }],
    ["two Origins", "GET", { origin: "http://localhost:3000, https://evil.example" }],
    ["another local port", "POST", { origin: "http://localhost:4000" }],
    ["a cross-site fetch", "GET", { "sec-fetch-site": "cross-site" }],
    ["a same-site fetch", "GET", { "sec-fetch-site": "same-site" }],
    [
      "a foreign preflight",
      "OPTIONS",
      { origin: "https://evil.example", "access-control-request-method": "POST" },
    ],
    ["a foreign form", "POST", { referer: "https://evil.example/x", "content-type": "text/plain" }],
    [
      "a foreign form, urlencoded",
      "POST",
      {
        referer: "https://evil.example/",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      },
    ],
  ])("H5 refuses %s", (_, method, headers) => expect(verdict(headers, method)).toBe("request.origin"));

  it.each<[string, string, Record<string, string>]>([
    ["no mark of a browser", "POST", { "content-type": "application/x-www-form-urlencoded" }],
    ["an allowed Origin", "POST", { origin: "http://localhost:3000", "sec-fetch-site": "same-site" }],
    ["a preflight of an allowed Origin", "OPTIONS", { origin: "http://LOCALHOST:3000" }],
    ["its own Origin", "POST", { origin: "http://localhost:8086", "sec-fetch-site": "same-origin" }],
    ["a typed address", "GET", { "sec-fetch-site": "none" }],
    ["its own form", "POST", { referer: "http://localhost:8086/x", "content-type": "text/plain" }],
  ])("takes %s", (_, method, headers) => expect(verdict(headers, method)).toBe("passes"));
});
