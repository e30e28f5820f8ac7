import { describe, expect, it } from "vitest";
import { LeaseHolder } from "../../../src/lease/lease-holder.ts";
import { seededRandom } from "./lease-bench.ts";

function grant(leaseId: string, expiresInMs = 300_000, renewInMs = 150_000) {
  return { leaseId, token: `token-${leaseId}`, expiresInMs, renewInMs, routes: ["write"] as const };
}

function holding(leaseId = "a"): LeaseHolder {
  const holder = new LeaseHolder(seededRandom(3));
  holder.asking();
  holder.granted(grant(leaseId), 1_000);
  return holder;
}

describe("a lease holder", () => {
  it("asks at once when it has nothing", () => {
    const holder = new LeaseHolder(Math.random);
    expect(holder.current(0)).toBeUndefined();
    expect(holder.needsRequest(0)).toBe(true);
  });

  it("asks once at a time", () => {
    const holder = new LeaseHolder(Math.random);
    expect(holder.asking()).toBeUndefined();
    expect(holder.needsRequest(1e9)).toBe(false);
  });

  it("uses what it was granted until that expires", () => {
    const holder = holding();
    expect(holder.current(300_999)).toMatchObject({ leaseId: "a", routes: ["write"] });
    expect(holder.current(300_999)?.token?.reveal()).toBe("token-a");
    expect(holder.current(301_000)).toBeUndefined();
  });

  it("holds a lease whose token stays at the outlet", () => {
    const holder = new LeaseHolder(Math.random);
    holder.granted({ leaseId: "a", expiresInMs: 1_000, renewInMs: 500, routes: "all" }, 0);
    expect(holder.current(0)).toMatchObject({ leaseId: "a", token: undefined, routes: "all" });
  });

  it("renews when the outlet said so, with the old one in use meanwhile", () => {
    const holder = holding();
    expect(holder.nextRequestMs()).toBe(151_000);
    expect(holder.needsRequest(150_999)).toBe(false);
    expect(holder.needsRequest(151_000)).toBe(true);
    holder.asking();
    expect(holder.current(151_000)?.leaseId).toBe("a");
    holder.granted(grant("b"), 151_500);
    expect(holder.current(151_500)?.leaseId).toBe("b");
  });

  it("keeps the old one through failed renewals and backs off with full jitter, 30 s at most", () => {
    const holder = holding();
    let nowMs = 151_000;
    const gaps: number[] = [];
    for (let i = 0; i < 200; i++) {
      holder.asking();
      holder.failed(nowMs);
      gaps.push(holder.nextRequestMs()! - nowMs);
      nowMs = holder.nextRequestMs()!;
    }
    expect(gaps[0]).toBeLessThanOrEqual(500);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
    expect(Math.max(...gaps)).toBeGreaterThan(20_000);
    expect(Math.min(...gaps.slice(10))).toBeLessThan(5_000);
    expect(holder.current(300_000)?.leaseId).toBe("a");
  });

  it("waits at least as long as the outlet asks for", () => {
    const holder = new LeaseHolder(Math.random);
    holder.asking();
    holder.failed(0, 7_000);
    expect(holder.needsRequest(6_999)).toBe(false);
    expect(holder.needsRequest(7_500)).toBe(true);
  });

  it("tells the outlet which lease InfluxDB refused, and never uses it again", () => {
    const holder = holding();
    holder.rejected("a");
    expect(holder.current(2_000)).toBeUndefined();
    expect(holder.needsRequest(2_000)).toBe(true);
    expect(holder.asking()).toBe("a");
    holder.granted(grant("a"), 2_000);
    expect(holder.current(2_000)).toBeUndefined();
    expect(holder.needsRequest(2_600)).toBe(true);
    holder.asking();
    holder.granted(grant("b"), 3_000);
    expect(holder.current(3_000)?.leaseId).toBe("b");
    expect(holder.asking()).toBeUndefined();
  });

  it("does not give up its lease for the refusal of one that it has replaced", () => {
    const holder = holding("b");
    holder.rejected("a");
    expect(holder.current(2_000)?.leaseId).toBe("b");
  });

  it("L8 asks at most once a second, whatever the outlet answers", () => {
    const holder = new LeaseHolder(Math.random);
    let nowMs = 0;
    let requests = 0;
    for (; nowMs < 60_000; nowMs = Math.max(nowMs, holder.nextRequestMs()!)) {
      holder.asking();
      holder.granted(grant(`l${requests}`, 300_000, 0), nowMs);
      requests += 1;
    }
    expect(requests).toBe(60);
  });

  it("asks without waiting over a new channel", () => {
    const holder = new LeaseHolder(Math.random);
    holder.asking();
    holder.failed(0, 20_000);
    holder.reconnected();
    expect(holder.needsRequest(1)).toBe(true);
  });

  it("does not ask over a new channel for what it has", () => {
    const holder = holding();
    holder.reconnected();
    expect(holder.needsRequest(2_000)).toBe(false);
  });

  it("L14 does not print its token", () => {
    expect(JSON.stringify(holding().current(2_000))).not.toContain("token-a");
  });
});
