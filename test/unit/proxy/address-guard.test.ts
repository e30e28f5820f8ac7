import { describe, expect, it } from "vitest";
import { AddressGuard } from "../../../src/proxy/address-guard.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";

describe("AddressGuard", () => {
  it("lets everybody in without a list", () => {
    const guard = new AddressGuard({ log: new MemoryLog() });
    expect([guard.isOn, guard.refuses("192.0.2.7"), guard.refuses(undefined), guard.refused]).toEqual([
      false,
      false,
      false,
      0,
    ]);
  });

  it("refuses whom the list does not allow, and who has no address any more", () => {
    const guard = new AddressGuard({ allows: (address) => address === "192.0.2.7", log: new MemoryLog() });
    expect(["192.0.2.7", "192.0.2.8", undefined].map((address) => guard.refuses(address))).toEqual([
      false,
      true,
      true,
    ]);
    expect([guard.isOn, guard.refused]).toEqual([true, 2]);
  });

  it("says a flood in one line", () => {
    const log = new MemoryLog();
    const guard = new AddressGuard({ allows: () => false, log });
    for (let i = 0; i < 1_000; i++) guard.refuses("192.0.2.8");
    expect(log.of("inlet.refused").length).toBeLessThan(5);
    expect(log.of("inlet.refused")[0]).toMatchObject({ remote: "192.0.2.8", refused_in_all: 1 });
    expect(guard.refused).toBe(1_000);
  });
});
