import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault, type FaultCode } from "../../../src/base/fault.ts";
import { createLog } from "../../../src/base/log.ts";
import { decodeRequestHead, encodeHead, type ReplyHead } from "../../../src/channel/exchange.ts";
import type { LeaseRequestHead } from "../../../src/channel/lease-heads.ts";
import type { StreamHandler, StreamOpener } from "../../../src/channel/stream.ts";
import { LeaseHolder } from "../../../src/lease/lease-holder.ts";
import { LeaseClient } from "../../../src/proxy/lease-client.ts";
import { until } from "./inlet-fixture.ts";

const FIRST = { identifier: "outlet", instance: "1" };
const SECOND = { identifier: "outlet", instance: "2" };
const HELD = { leaseId: "a", token: "token-a", resume: "resume-a" };

/** A lease client whose outlet answers as the test says. */
class Bed {
  readonly asked: LeaseRequestHead[] = [];
  readonly lines: string[] = [];
  /** In the order of the requests; the last one stays. */
  answers: (ReplyHead | "nothing" | "silence")[] = [granted("a")];
  readonly client: LeaseClient;

  constructor(random = () => 0.5) {
    const openStream: StreamOpener["openStream"] = (head, handler) => this.#open(head, handler);
    this.client = new LeaseClient({
      service: "influxdb",
      uplink: { openStream },
      holder: new LeaseHolder(random),
      clock: systemClock,
      log: createLog({
        level: "debug",
        format: "json",
        wallMs: Date.now,
        write: (line) => this.lines.push(line),
      }),
    });
    beds.push(this);
  }

  /** With a lease of the first run. */
  async holding(): Promise<this> {
    this.client.connected(FIRST);
    await until(() => this.client.status().held);
    return this;
  }

  #open(bytes: Uint8Array, handler: StreamHandler) {
    const head = decodeRequestHead(bytes);
    if (head.kind !== "lease") throw new Error("a lease client asks for leases");
    this.asked.push(head);
    const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
    queueMicrotask(() => {
      if (answer === "silence") return;
      if (answer === "nothing") return handler.onReset(new Fault("channel.closed", "gone"));
      handler.onHead?.(encodeHead(answer));
      handler.onEnd();
    });
    return { id: 1, sendHead() {}, write: () => true, end() {}, reset() {}, consumed() {} };
  }
}

const beds: Bed[] = [];
afterEach(() => {
  for (const { client } of beds.splice(0)) client.stop();
});

function granted(leaseId: string, expiresInMs = 60_000): ReplyHead {
  const secrets = { token: `token-${leaseId}`, resume: `resume-${leaseId}` };
  return { kind: "lease", leaseId, ...secrets, expiresInMs, renewInMs: expiresInMs / 2, routes: ["write"] };
}

function refused(code: FaultCode, retryAfterMs: number): ReplyHead {
  return { kind: "fault", code, retryAfterMs };
}

describe("a lease client", () => {
  it("shows nothing when it asks for the first time", async () => {
    const bed = await new Bed().holding();
    expect(bed.asked).toEqual([{ kind: "lease", service: "influxdb" }]);
  });

  it("shows its lease to another run of the outlet, soon and by itself", async () => {
    const bed = await new Bed(() => 0.1).holding();
    bed.client.connected(SECOND);
    expect(bed.client.status().held).toBe(false);
    await until(() => bed.client.status().held);
    expect(bed.asked[1]).toEqual({ kind: "lease", service: "influxdb", held: HELD });
    expect(bed.lines.at(-1)).toContain('"resumed":true');
  });

  it("shows it at once when a request waits, once for all that do", async () => {
    const bed = await new Bed(() => 0.999).holding();
    bed.client.connected(SECOND);
    const waiting = Array.from({ length: 20 }, () => bed.client.replacement());
    for (const lease of await Promise.all(waiting)) expect(lease?.leaseId).toBe("a");
    expect(bed.asked).toHaveLength(2);
    expect(bed.client.replacement()).toBeUndefined();
  });

  it("does not ask again over another channel to the same run", async () => {
    const bed = await new Bed().holding();
    bed.client.connected(FIRST);
    expect(bed.client.status().leaseId).toBe("a");
    expect(bed.asked).toHaveLength(1);
  });

  it("shows a lease that the outlet does not know, and does not call it refused", async () => {
    const bed = await new Bed().holding();
    expect((await bed.client.replace("a", "unknown")).leaseId).toBe("a");
    expect(bed.asked[1]).toEqual({ kind: "lease", service: "influxdb", held: HELD });
  });

  it("does not show a lease that InfluxDB refused, but says so", async () => {
    const bed = await new Bed().holding();
    bed.answers = [granted("b")];
    expect((await bed.client.replace("a", "refused")).leaseId).toBe("b");
    expect(bed.asked[1]).toEqual({ kind: "lease", service: "influxdb", rejected: "a" });
  });

  it("takes another lease where its own is not resumed", async () => {
    const bed = await new Bed().holding();
    bed.answers = [granted("b")];
    bed.client.connected(SECOND);
    expect((await bed.client.replacement())?.leaseId).toBe("b");
    expect(bed.lines.at(-1)).toContain('"resumed":false');
    bed.client.connected(SECOND);
    expect(bed.client.status().leaseId).toBe("b");
  });

  it("lets nobody wait for an outlet that has just refused, and tells how long that lasts", async () => {
    const bed = await new Bed().holding();
    bed.answers = [refused("lease.unavailable", 40_000)];
    bed.client.connected(SECOND);
    await expect(bed.client.replacement()).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.client.replacement()).toBeUndefined();
    const { code, retryAfterMs } = bed.client.refusal()!;
    expect(code).toBe("lease.unavailable");
    expect(retryAfterMs).toBeGreaterThan(39_000);
    expect(retryAfterMs).toBeLessThanOrEqual(40_500);
    expect(bed.asked).toHaveLength(2);
  });

  it("sends nobody away for long while it asks again", async () => {
    const bed = await new Bed().holding();
    bed.answers = [refused("lease.unavailable", 40_000), "silence"];
    bed.client.connected(SECOND);
    await expect(bed.client.replacement()).rejects.toMatchObject({ code: "lease.unavailable" });
    bed.client.connected(SECOND);
    void bed.client.replacement()?.catch(() => {});
    expect(bed.asked).toHaveLength(3);
    expect(bed.client.refusal()).toMatchObject({ code: "lease.unavailable", retryAfterMs: 1_000 });
  });

  it("shows its lease again where the first answer was lost with its channel", async () => {
    const bed = await new Bed().holding();
    bed.answers = ["nothing", granted("a")];
    bed.client.connected(SECOND);
    await expect(bed.client.replacement()).rejects.toMatchObject({ code: "channel.closed" });
    bed.client.connected(SECOND);
    expect((await bed.client.replacement())?.leaseId).toBe("a");
    expect(bed.asked.slice(1).map(({ held }) => held)).toEqual([HELD, HELD]);
  });

  it("does not renew a lease that no request has used, and gets the next one for who wants it", async () => {
    const bed = new Bed();
    bed.answers = [granted("a", 200), granted("b", 60_000)];
    await bed.holding();
    await until(() => bed.client.status().state === "idle");
    expect(bed.client.use()).toBeUndefined();
    expect(bed.asked).toHaveLength(1);
    const waiting = Array.from({ length: 20 }, () => bed.client.replacement());
    for (const lease of await Promise.all(waiting)) expect(lease?.leaseId).toBe("b");
    expect(bed.asked).toHaveLength(2);
    // Whoever waited for it uses it.
    expect(bed.client.status()).toMatchObject({ state: "held", renewInMs: expect.any(Number) });
  });

  it("renews a lease that one request has used, in time and without another, and then no more", async () => {
    const bed = new Bed();
    bed.answers = [granted("a", 300), granted("b", 1_500), granted("c", 1_500)];
    await bed.holding();
    await until(() => bed.client.status().state === "idle");
    expect((await bed.client.replacement())?.leaseId).toBe("b");
    await until(() => bed.client.status().leaseId === "c");
    await until(() => bed.client.status().state === "idle");
    expect(bed.asked).toHaveLength(3);
  });

  it("renews a lease whose first use comes after its time for that", async () => {
    const bed = new Bed();
    bed.answers = [granted("a", 4_000), granted("b")];
    await bed.holding();
    await until(() => bed.client.status().expiresInMs! < 1_900);
    expect(bed.asked).toHaveLength(1);
    expect(bed.client.use()?.leaseId).toBe("a");
    await until(() => bed.client.status().leaseId === "b");
  });

  it("lets a request wait for the first lease", async () => {
    const bed = new Bed();
    bed.client.connected(FIRST);
    expect(bed.client.use()).toBeUndefined();
    expect((await bed.client.replacement())?.leaseId).toBe("a");
    expect(bed.asked).toHaveLength(1);
  });

  it("says where tokens are when the lease has lapsed, and asks nothing over a new channel", async () => {
    const bed = new Bed();
    bed.answers = [granted("a", 100)];
    await bed.holding();
    await until(() => bed.client.status().state === "idle");
    for (const run of [FIRST, SECOND]) bed.client.connected(run);
    expect(bed.client.status()).toMatchObject({ held: false, state: "idle", tokenAt: "inlet" });
    expect(bed.asked).toHaveLength(1);
  });

  it("L14 logs and shows neither token nor seal", async () => {
    const bed = await new Bed().holding();
    await bed.client.replace("a", "unknown");
    const shown = bed.lines.join() + JSON.stringify([bed.client.status(), bed.client.use()]);
    expect(shown).toContain("lease.granted");
    expect(shown).not.toMatch(/token-a|resume-a/);
  });
});
