import { expect, it } from "vitest";
import type { FaultCode } from "../../../src/base/fault.ts";
import { WritePace } from "../../../src/outlet/write-pace.ts";

/** What the pace takes InfluxDB for after ten seconds of writes that all end so, each after `tookMs`. */
function after(outcome: number | FaultCode, tookMs = 0, isWhole = true): string {
  let nowMs = 0;
  const pace = new WritePace({
    windowMs: 30_000,
    maxWrites: 10,
    clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
  });
  while (nowMs < 10_000) {
    const ended = pace.begin("m");
    nowMs += Math.max(tookMs, 500);
    ended({ outcome, isWhole });
  }
  return pace.status().state;
}

for (const outcome of [502, 503, 504, "upstream.unreachable", "upstream.timeout"] as const) {
  it(`${outcome} for seconds and nothing else: InfluxDB is down`, () => {
    expect(after(outcome)).toBe("down");
  });
}

for (const outcome of [204, 400, 401, 429, 500, "request.body-too-large", "channel.truncated"] as const) {
  it(`${outcome} says nothing of the kind`, () => {
    expect(after(outcome)).toBe("calm");
  });
}

it("a write that its inlet calls off says so where InfluxDB had time to answer", () => {
  expect([after("request.aborted", 4_500), after("request.aborted", 600)]).toEqual(["down", "calm"]);
});

it("a member that keeps its body back does not make InfluxDB look silent to the others", () => {
  for (const outcome of ["request.aborted", "upstream.timeout", "upstream.unreachable"] as const)
    expect(after(outcome, 4_500, false)).toBe("calm");
});

it("one answer is enough", () => {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
  const pace = new WritePace({ windowMs: 30_000, maxWrites: 10, clock });
  pace.begin("m")({ outcome: "upstream.unreachable", isWhole: true });
  nowMs = 60_000;
  expect(pace.status().state).toBe("down");
  pace.begin("m")({ outcome: 204, isWhole: true });
  expect(pace.status().state).toBe("calm");
});

it("a turn that is later is told by a fault, in whole milliseconds", () => {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  const pace = new WritePace({ windowMs: 30_000, maxWrites: 10, clock });
  const waits: number[] = [];
  for (let member = 0; member < 300; member++) {
    try {
      pace.begin(`m${member}`)({ outcome: 204, isWhole: true });
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "upstream.paced" });
      waits.push((thrown as { retryAfterMs: number }).retryAfterMs);
    }
  }
  expect(waits).toHaveLength(200);
  for (const waitMs of waits) expect(Number.isInteger(waitMs)).toBe(true);
  expect(pace.status()).toMatchObject({ state: "returning", paced: 200 });
});
