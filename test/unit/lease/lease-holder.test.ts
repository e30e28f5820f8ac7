import { describe, expect, it } from "vitest";
import { LeaseHolder } from "../../../src/lease/lease-holder.ts";
import { seededRandom } from "./lease-bench.ts";

function grant(leaseId: string, expiresInMs = 300_000, renewInMs = 150_000) {
  const secrets = { token: `token-${leaseId}`, resume: `resume-${leaseId}` };
  return { leaseId, ...secrets, expiresInMs, renewInMs, routes: ["write"] as const };
}

const FIRST = { identifier: "outlet", instance: "1" };
const SECOND = { identifier: "outlet", instance: "2" };
const OTHER = { identifier: "another", instance: "3" };

/** Granted, and no request has come since. */
function unused(leaseId = "a"): LeaseHolder {
  const holder = new LeaseHolder(seededRandom(3));
  holder.reconnected(FIRST, 500);
  holder.asking(0);
  holder.granted(grant(leaseId), 1_000);
  return holder;
}

function holding(leaseId = "a"): LeaseHolder {
  const holder = unused(leaseId);
  holder.use(1_000);
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
    expect(holder.asking(0)).toEqual({});
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
    holder.asking(0);
    expect(holder.current(151_000)?.leaseId).toBe("a");
    holder.granted(grant("b"), 151_500);
    expect(holder.current(151_500)?.leaseId).toBe("b");
  });

  it("keeps the old one through failed renewals and backs off with full jitter, 30 s at most", () => {
    const holder = holding();
    let nowMs = 151_000;
    const gaps: number[] = [];
    for (let i = 0; i < 200; i++) {
      holder.asking(0);
      holder.failed(nowMs);
      holder.use(nowMs);
      gaps.push(holder.nextRequestMs()! - nowMs);
      nowMs = holder.nextRequestMs()!;
    }
    expect(gaps[0]).toBeLessThanOrEqual(500);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
    expect(Math.max(...gaps)).toBeGreaterThan(20_000);
    expect(Math.min(...gaps.slice(10))).toBeLessThan(5_000);
    expect(holder.current(300_000)?.leaseId).toBe("a");
  });

  it("tries less often while nobody waits for it, and in its usual time once somebody does", () => {
    const holder = new LeaseHolder(seededRandom(3));
    const gaps: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 200; i++) {
      holder.asking(nowMs);
      holder.failed(nowMs);
      gaps.push(holder.nextRequestMs()! - nowMs);
      holder.use(nowMs + 1);
      expect(holder.nextRequestMs()! - nowMs).toBeLessThanOrEqual(30_000);
      nowMs += gaps[i]!;
    }
    expect(gaps[0]).toBeLessThanOrEqual(500);
    expect(Math.max(...gaps)).toBeGreaterThan(40_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_000);
  });

  it("comes when the outlet said, and hardly later, whatever its own back-off is", () => {
    for (let seed = 0; seed < 50; seed++) {
      const holder = new LeaseHolder(seededRandom(seed));
      for (let i = 0; i < 4; i++) {
        holder.asking(0);
        holder.failed(0, 40_000);
      }
      expect(holder.nextRequestMs()).toBeGreaterThanOrEqual(40_000);
      expect(holder.nextRequestMs()).toBeLessThanOrEqual(40_500);
    }
  });

  it("waits at least as long as the outlet asks for", () => {
    const holder = new LeaseHolder(Math.random);
    holder.asking(0);
    holder.failed(0, 7_000);
    expect(holder.needsRequest(6_999)).toBe(false);
    expect(holder.needsRequest(7_500)).toBe(true);
  });

  it("tells the outlet which lease InfluxDB refused, and never uses it again", () => {
    const holder = holding();
    holder.rejected("a");
    expect(holder.current(2_000)).toBeUndefined();
    expect(holder.needsRequest(2_000)).toBe(true);
    expect(holder.asking(2_000)).toEqual({ rejected: "a" });
    holder.granted(grant("a"), 2_000);
    expect(holder.current(2_000)).toBeUndefined();
    expect(holder.needsRequest(2_600)).toBe(true);
    holder.asking(0);
    holder.granted(grant("b"), 3_000);
    expect(holder.current(3_000)?.leaseId).toBe("b");
    expect(holder.asking(0)).toEqual({});
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
      holder.asking(0);
      holder.granted(grant(`l${requests}`, 300_000, 0), nowMs);
      holder.use(nowMs);
      requests += 1;
    }
    expect(requests).toBe(60);
  });

  it("asks without waiting over a new channel", () => {
    const holder = new LeaseHolder(Math.random);
    holder.asking(0);
    holder.failed(0, 20_000);
    holder.reconnected(FIRST, 0);
    expect(holder.needsRequest(1)).toBe(true);
  });

  it("does not ask over a new channel to the same run for what it has", () => {
    const holder = holding();
    holder.reconnected(FIRST, 1_500);
    expect(holder.current(2_000)?.leaseId).toBe("a");
    expect(holder.needsRequest(2_000)).toBe(false);
  });

  it("L14 does not print its token", () => {
    const holder = holding();
    const shown = JSON.stringify([holder.current(2_000), holder.unknown("a", 2_000), holder.asking(2_000)]);
    expect(shown).toContain("leaseId");
    expect(shown).not.toMatch(/token-a|resume-a/);
  });
});

describe("a lease that no request uses", () => {
  it("is held to its end, not renewed, and then lapsed", () => {
    const holder = unused();
    expect(holder.nextRequestMs()).toBeUndefined();
    expect(holder.needsRequest(300_000)).toBe(false);
    expect(holder.lapsed(151_000)).toBe(false);
    expect(holder.current(300_000)?.leaseId).toBe("a");
    expect(holder.lapsed(301_000)).toBe(true);
    expect(holder.needsRequest(1e9)).toBe(false);
  });

  it("is renewed once one does, also when the time for it is past", () => {
    const early = unused();
    expect(early.use(2_000)?.leaseId).toBe("a");
    expect(early.nextRequestMs()).toBe(151_000);
    const late = unused();
    expect(late.use(200_000)?.leaseId).toBe("a");
    expect(late.needsRequest(200_000)).toBe(true);
  });

  it("lapses after a renewal that nobody has used either", () => {
    const holder = holding();
    holder.asking(151_000);
    holder.granted(grant("b"), 151_000);
    expect(holder.nextRequestMs()).toBeUndefined();
    expect(holder.lapsed(451_000)).toBe(true);
  });

  it("is not begun with when it is about to end: the request gets another", () => {
    const holder = unused();
    expect(holder.use(290_000)).toBeUndefined();
    expect(holder.lapsed(290_000)).toBe(true);
    expect(holder.mayAsk(290_000)).toBe(true);
    holder.asking(290_000);
    holder.granted(grant("b"), 290_100);
    expect(holder.use(290_100)?.leaseId).toBe("b");
  });

  it("is asked for again and again once somebody wanted it in vain", () => {
    const holder = unused();
    holder.asking(400_000);
    holder.failed(400_000);
    expect(holder.mayAsk(400_000)).toBe(false);
    expect(holder.lapsed(400_000)).toBe(false);
    expect(holder.nextRequestMs()).toBeLessThanOrEqual(400_500);
  });

  it("L9 is not asked for over new channels, be it of another run, once it has lapsed", () => {
    const holder = unused();
    for (let i = 0; i < 1_000; i++) holder.reconnected(i % 2 === 0 ? FIRST : SECOND, 400_000 + i);
    expect(holder.nextRequestMs()).toBeUndefined();
    expect(holder.lapsed(402_000)).toBe(true);
  });

  it("is asked back from another run of the outlet while it lives", () => {
    const holder = unused();
    holder.reconnected(SECOND, 5_000);
    expect(holder.nextRequestMs()).toBeLessThanOrEqual(6_000);
  });

  it("is asked for at first all the same, so that whoever starts knows whether there is one", () => {
    expect(new LeaseHolder(Math.random).needsRequest(0)).toBe(true);
  });
});

describe("a lease of an outlet that was started again", () => {
  it("is out of use, and shown within a second", () => {
    const dues: number[] = [];
    for (let seed = 0; seed < 50; seed++) {
      const holder = new LeaseHolder(seededRandom(seed));
      holder.reconnected(FIRST, 0);
      holder.asking(0);
      holder.granted(grant("a"), 0);
      holder.reconnected(SECOND, 5_000);
      expect(holder.current(5_000)).toBeUndefined();
      dues.push(holder.nextRequestMs()!);
      const { held } = holder.asking(6_000);
      expect([held?.leaseId, held?.token.reveal(), held?.resume.reveal()]).toEqual([
        "a",
        "token-a",
        "resume-a",
      ]);
    }
    expect(Math.min(...dues)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...dues)).toBeLessThanOrEqual(6_000);
    expect(Math.max(...dues) - Math.min(...dues)).toBeGreaterThan(500);
  });

  it("may be asked for at once by somebody who waits, until that has failed", () => {
    const holder = holding();
    holder.reconnected(SECOND, 2_000);
    expect(holder.mayAsk(2_000)).toBe(true);
    holder.asking(2_000);
    holder.failed(2_000, 1_000);
    expect(holder.mayAsk(2_100)).toBe(false);
  });

  it("is shown again when the first request came to nothing", () => {
    const holder = holding();
    holder.reconnected(SECOND, 2_000);
    holder.asking(2_000);
    holder.failed(2_000);
    expect(holder.asking(3_000).held?.leaseId).toBe("a");
  });

  it("is in use again once it is granted, and not shown any more", () => {
    const holder = holding();
    holder.reconnected(SECOND, 2_000);
    holder.asking(2_000);
    holder.granted(grant("a", 200_000, 100_000), 3_000);
    expect(holder.current(3_000)).toMatchObject({ leaseId: "a", expiresAtMs: 203_000 });
    expect(holder.asking(3_000)).toEqual({});
  });

  it("is not shown once it has expired, nor where its token was never here", () => {
    const expired = holding();
    expired.reconnected(SECOND, 2_000);
    expect(expired.asking(301_000)).toEqual({});
    const tokenless = new LeaseHolder(Math.random);
    tokenless.reconnected(FIRST, 0);
    tokenless.asking(0);
    tokenless.granted({ leaseId: "a", expiresInMs: 9_000, renewInMs: 4_000, routes: "all" }, 0);
    tokenless.reconnected(SECOND, 0);
    expect(tokenless.asking(0)).toEqual({});
  });

  it("L12 is shown to no other outlet, and to its own when that is back", () => {
    const holder = holding();
    holder.reconnected(OTHER, 2_000);
    expect(holder.current(2_000)).toBeUndefined();
    expect(holder.asking(2_000)).toEqual({});
    holder.failed(2_000);
    holder.reconnected(SECOND, 3_000);
    expect(holder.asking(3_000).held?.leaseId).toBe("a");
  });

  it("is doubted where the answer came from the run before", () => {
    const holder = new LeaseHolder(seededRandom(3));
    holder.reconnected(FIRST, 0);
    holder.asking(0);
    holder.reconnected(SECOND, 100);
    holder.granted(grant("a"), 200);
    expect(holder.current(200)).toBeUndefined();
    expect(holder.asking(200).held?.leaseId).toBe("a");
  });

  it("that says it does not know it is shown it, without a word of InfluxDB's refusing it", () => {
    const holder = holding();
    holder.unknown("a", 2_000);
    expect(holder.current(2_000)).toBeUndefined();
    expect(holder.needsRequest(2_000)).toBe(true);
    const question = holder.asking(2_000);
    expect(question.held?.leaseId).toBe("a");
    expect(question.rejected).toBeUndefined();
    holder.granted(grant("b"), 3_000);
    holder.unknown("a", 2_000);
    expect(holder.current(3_000)?.leaseId).toBe("b");
  });

  it("L5 that InfluxDB refused meanwhile is not shown any more", () => {
    const holder = holding();
    holder.reconnected(SECOND, 2_000);
    holder.rejected("a");
    expect(holder.asking(2_000)).toEqual({ rejected: "a" });
  });
});
