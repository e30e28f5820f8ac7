/** Real seconds pass here: the runtime's idle time-out of 10 s is what must not strike. All uploads run at once. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Pair, startPair, writeLines } from "../harness/culvert.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { type SlowUploadAnswer, uploadSlowly } from "../harness/slow-upload.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const RUNTIME_IDLE_MS = 10_000;
const BULK_LINE = "x".repeat(60 * 1024);
const DEADLINE_MS = 40_000;

describeReal(["influxd"], "an upload that takes longer than the runtime's patience", () => {
  let influx: RealInfluxDb;
  const pairs: Pair[] = [];
  let slow: Promise<SlowUploadAnswer>;
  let dripping: Promise<SlowUploadAnswer>;
  let meanwhile: Promise<number[]>;
  let stalled: Promise<SlowUploadAnswer>;
  let abandoned: Promise<SlowUploadAnswer>;

  beforeAll(async () => {
    influx = await startRealInfluxDb();
    for (let i = 0; i < 3; i++) {
      pairs.push(await startPair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() }));
    }
    const [steady, stalling, dying] = pairs as [Pair, Pair, Pair];
    slow = uploadSlowly({
      url: steady.url,
      chunks: Array.from({ length: 13 }, (_, i) => `slow s="${"x".repeat(16 * 1024)}" ${i + 1}\n`),
      pauseMs: 1_000,
    });
    dripping = uploadSlowly({
      url: steady.url,
      chunks: Array.from(`drip s="${"x".repeat(200)}" 1`),
      pauseMs: 500,
    });
    meanwhile = (async () => {
      const statuses: number[] = [];
      let over = false;
      void Promise.all([slow, dripping]).then(() => {
        over = true;
      });
      for (let i = 1; !over; i++) {
        statuses.push((await writeLines(steady.url, `meanwhile x=1 ${i}`)).status);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return statuses;
    })();
    const bulk = (name: string, pair: Pair, resumeAfterMs: number | undefined) =>
      uploadSlowly({
        url: pair.url,
        chunks: Array.from({ length: 256 }, (_, i) => `${name} s="${BULK_LINE}" ${i + 1}\n`),
        onSent: (count) => {
          if (count !== 64) return;
          void pair.outlet.process.pause();
          if (resumeAfterMs !== undefined) setTimeout(() => pair.outlet.process.resume(), resumeAfterMs);
        },
      });
    stalled = bulk("stalled", stalling, RUNTIME_IDLE_MS + 1_500);
    abandoned = bulk("abandoned", dying, undefined);
  });
  afterAll(async () => {
    await Promise.all(pairs.map((pair) => pair.stop()));
    await influx.stop();
  });

  it("is taken from a slow client that keeps sending", { timeout: DEADLINE_MS }, async () => {
    const answer = await slow;
    expect(answer.status, answer.text).toBe(204);
    expect(answer.tookMs).toBeGreaterThan(RUNTIME_IDLE_MS + 2_000);
    expect(await influx.countPoints({ measurement: "slow" })).toBe(13);
  });

  it("H12 is ended with 503 for a client that drips, others being served", {
    timeout: DEADLINE_MS,
  }, async () => {
    const answer = await dripping;
    expect(answer.status, answer.text).toBe(503);
    expect(answer.text).toMatch(/retry-after: [1-9]\d*\r\n/i);
    expect(answer.tookMs).toBeLessThan(15_000);
    const others = await meanwhile;
    expect(others.length).toBeGreaterThan(50);
    expect(new Set(others)).toEqual(new Set([204]));
  });

  it("H13 goes on where it was when the uplink stalls and comes back", { timeout: DEADLINE_MS }, async () => {
    const answer = await stalled;
    expect(answer.status, answer.text).toBe(204);
    expect(answer.tookMs).toBeGreaterThan(RUNTIME_IDLE_MS + 1_000);
    expect(await influx.countPoints({ measurement: "stalled" })).toBe(256);
  });

  it("H13 is answered 503, not reset, when the uplink does not come back", {
    timeout: DEADLINE_MS,
  }, async () => {
    const answer = await abandoned;
    expect(answer.status, answer.text).toBe(503);
    expect(answer.text).toMatch(/retry-after: [1-9]\d*\r\n/i);
    // O4: what was frozen takes up its work when it is let go on.
    const [, , dying] = pairs as [Pair, Pair, Pair];
    expect((await writeLines(dying.url, "frozen x=1 1")).status).toBe(503);
    dying.outlet.process.resume();
    await dying.inlet.untilReady({ deadlineMs: 15_000 });
    expect((await writeLines(dying.url, "thawed x=1 1")).status).toBe(204);
  });
});
