import { describe, expect, it } from "vitest";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { VitalSigns } from "../../../src/channel/vital-signs.ts";

const { pingTimeoutMs } = defaultLimits;

function signs(): VitalSigns {
  return new VitalSigns({ initiator: false, limits: defaultLimits, keepaliveMs: 120_000, nowMs: 0 });
}

describe("a ping that was not due", () => {
  it("has its answer awaited like any other", () => {
    const vital = signs();
    vital.heard(1_000);
    vital.asked(2_000);
    expect(vital.due(2_000 + pingTimeoutMs - 1, false)).toBeUndefined();
    expect(vital.due(2_000 + pingTimeoutMs, false)).toBe("dead");
  });

  it("is settled by any sign of life", () => {
    const vital = signs();
    vital.asked(2_000);
    vital.heard(3_000);
    expect(vital.due(2_000 + pingTimeoutMs, false)).toBeUndefined();
  });

  it("gives a ping that is out already no more time", () => {
    const vital = signs();
    expect(vital.due(150_000, false)).toBe("ping");
    vital.asked(155_000);
    expect(vital.due(150_000 + pingTimeoutMs, false)).toBe("dead");
  });
});
