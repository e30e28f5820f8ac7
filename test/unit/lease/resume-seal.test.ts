import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Secret } from "../../../src/base/secret.ts";
import { ResumeSeal } from "../../../src/lease/resume-seal.ts";
import { hmac, key } from "./lease-bench.ts";

const LEASE = { leaseId: "l", member: "m", token: new Secret("t") };

function sealOf(realm = "outlet-a/influxdb", secret = key): ResumeSeal {
  return new ResumeSeal({ realm, key: secret, crypto: hmac });
}

function claim(change: { leaseId?: string; token?: string; resume?: string } = {}) {
  return {
    leaseId: change.leaseId ?? LEASE.leaseId,
    token: new Secret(change.token ?? "t"),
    resume: new Secret(change.resume ?? sealOf().seal(LEASE).reveal()),
  };
}

describe("the seal with which a lease is resumed", () => {
  it("is an HMAC over each field behind its length", () => {
    const framed = ["culvert lease resume v1", "outlet-a/influxdb", "l", "m", "t"].flatMap((field) => [
      Buffer.from([0, 0, 0, field.length]),
      Buffer.from(field),
    ]);
    const mac = createHmac("sha256", key).update(Buffer.concat(framed)).digest("base64url");
    expect(sealOf().seal(LEASE).reveal()).toBe(mac);
  });

  it("fits the member and the token that it was made for", () => {
    expect(sealOf().fits("m", claim())).toBe(true);
  });

  it.each([
    ["another token", claim({ token: "u" })],
    ["another lease", claim({ leaseId: "k" })],
    ["nothing", claim({ resume: "" })],
    ["more", claim({ resume: `${sealOf().seal(LEASE).reveal()}A` })],
    ["less", claim({ resume: sealOf().seal(LEASE).reveal().slice(0, -1) })],
    ["the same bytes cut elsewhere", { ...claim({ leaseId: "", token: "lt" }) }],
  ])("L5 does not fit %s", (_, forged) => {
    expect(sealOf().fits("m", forged)).toBe(false);
  });

  it("L5 does not fit another member", () => {
    expect(sealOf().fits("n", claim())).toBe(false);
  });

  it("L12 does not fit another outlet, another service, or another key", () => {
    expect(sealOf("outlet-b/influxdb").fits("m", claim())).toBe(false);
    expect(sealOf("outlet-a/second").fits("m", claim())).toBe(false);
    expect(sealOf(undefined, new Uint8Array(32).fill(9)).fits("m", claim())).toBe(false);
  });

  it("L14 is not printed", () => {
    expect(`${sealOf().seal(LEASE)} ${JSON.stringify(sealOf().seal(LEASE))}`).toBe('[secret] "[secret]"');
  });
});
