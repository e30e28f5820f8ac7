import { describe, expect, it } from "vitest";
import { ForeignLeases } from "../../../src/lease/foreign-leases.ts";
import { codecOf } from "./lease-bench.ts";

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

function description(realm: string, expiresAtMs = NOW_MS + 60_000): string {
  const facts = { leaseId: "l", member: "m", profile: "p", madeAtMs: expiresAtMs - 300_000, expiresAtMs };
  return codecOf(realm).encode(facts);
}

function statusOf(...descriptions: string[]) {
  const foreign = new ForeignLeases();
  for (const text of descriptions) foreign.note(text);
  return foreign.status(NOW_MS);
}

describe("tokens that look like leases of others", () => {
  it("are counted by realm, most first, with the oldest expiry", () => {
    const status = statusOf(
      description("outlet-b/influxdb"),
      description("outlet-c/influxdb", NOW_MS - 1_000),
      description("outlet-c/influxdb"),
    );
    expect(status).toEqual({
      count: 3,
      orphaned: 0,
      realms: [
        { realm: "outlet-c/influxdb", count: 2 },
        { realm: "outlet-b/influxdb", count: 1 },
      ],
      oldestExpiry: new Date(NOW_MS - 1_000).toISOString(),
    });
  });

  it("are no other tokens, whatever these say", () => {
    const status = statusOf("grafana", "", "my culvert lease 1: x", "culvert lease one: x");
    expect(status).toEqual({ count: 0, orphaned: 0, realms: [] });
  });

  it("L4 are counted though they were edited by hand or are of another version", () => {
    const edited = description("outlet-b/influxdb").replace("culvert lease 1:", "culvert lease 7:");
    const status = statusOf(edited, "culvert lease 1: do not delete", `${edited} expires=never`);
    expect(status.realms).toEqual([
      { realm: "outlet-b/influxdb", count: 2 },
      { realm: "unknown", count: 1 },
    ]);
  });

  it("are orphaned an hour past their expiry", () => {
    const expiredFor = (ms: number) => description("outlet-b/influxdb", NOW_MS - ms);
    expect(statusOf(expiredFor(HOUR_MS)).orphaned).toBe(0);
    expect(statusOf(expiredFor(HOUR_MS + 1), expiredFor(0)).orphaned).toBe(1);
  });

  it("L4 name twenty realms at most, each of bounded length and printable", () => {
    const odd = `culvert lease 1: realm=%ZZ\u001b[31m${"x".repeat(5_000)}`;
    const status = statusOf(
      odd,
      ...Array.from({ length: 50 }, (_, i) => description(`outlet-${i}/influxdb`)),
    );
    expect([status.count, status.realms.length]).toEqual([51, 20]);
    for (const { realm } of status.realms) expect(realm).toMatch(/^[!-~]{1,160}$/);
  });

  it("L4 bear a date that is none", () => {
    const text = description("outlet-b/influxdb").replace(/expires=\S+/, "expires=2027-99-99T99:99:99.999Z");
    expect(statusOf(text)).toEqual({
      count: 1,
      orphaned: 0,
      realms: [{ realm: "outlet-b/influxdb", count: 1 }],
    });
  });
});
