/** A soak that can only ever say "flat" would be none: what it calls wrong. */
import { describe, expect, it } from "vitest";
import type { Holding } from "../../../scripts/soak.d/holdings.ts";
import { renderSoak, type SoakFindings, soakVerdict } from "../../../scripts/soak.d/soak-report.ts";

const flat = { privateBytes: 50e6, descriptors: 20, sockets: 8, threads: 5 };

/** @param at what is held at a share of the time, 0..1, where that is not what a flat process holds. */
function held(at: (share: number) => Partial<Holding> = () => ({})): Holding[] {
  return Array.from({ length: 60 }, (_, i) => ({ ...flat, atMs: i * 1_000, ...at(i / 60) }));
}

function findings(changes: Partial<SoakFindings> = {}): SoakFindings {
  return {
    minutes: 1,
    holdings: new Map([["relay", held()]]),
    cpuShare: 0.1,
    troubles: 2,
    channels: 4,
    leases: { made: 4, deleted: 4 },
    outcomes: new Map([
      ["204", 100],
      ["503", 2],
    ]),
    slowestMs: 1_000,
    ledger: { acknowledged: 100, lost: 0, altered: 0, repeated: 0, excessive: 0 },
    portals: { exchanged: 10, altered: 0, cut: 1 },
    ...changes,
  };
}

const relayHolds = (at: (share: number) => Partial<Holding>) =>
  findings({ holdings: new Map([["relay", held(at)]]) });

describe("the verdict of a soak", () => {
  it("is good when everything is flat and nothing is missing", () => {
    expect(soakVerdict(findings())).toEqual([]);
    expect(renderSoak(findings())).toContain("soak: flat, nothing lost");
  });

  it("forgives warming up, and a heap that comes and goes", () => {
    expect(soakVerdict(relayHolds((share) => ({ privateBytes: share < 0.3 ? 20e6 : 50e6 })))).toEqual([]);
    const sawtooth = (share: number) => ({ privateBytes: 50e6 + ((share * 60) % 7) * 2e6 });
    expect(soakVerdict(relayHolds(sawtooth))).toEqual([]);
  });

  it("O1 sees memory that grows by a fifth an interval, and descriptors that leak one by one", () => {
    const memory = (share: number) => ({ privateBytes: 50e6 * (1 + share) });
    expect(soakVerdict(relayHolds(memory))).toEqual([
      expect.stringContaining("relay is not flat: privateBytes"),
    ]);
    const leaked = (share: number) => ({ descriptors: 20 + Math.floor(share * 20) });
    expect(soakVerdict(relayHolds(leaked))).toEqual([expect.stringContaining("descriptors 29, then 36")]);
    expect(renderSoak(relayHolds(leaked))).toContain("NOT FLAT");
  });

  it("sees what was lost, altered, sent too often, late, or answered with what a client drops", () => {
    const ledger = { acknowledged: 0, lost: 1, altered: 2, repeated: 9, excessive: 3 };
    const outcomes = new Map([["404", 1]]);
    expect(soakVerdict(findings({ ledger, outcomes, slowestMs: 5_100 }))).toHaveLength(6);
    const portals = { exchanged: 0, altered: 1, cut: 0 };
    expect(soakVerdict(findings({ portals }))).toHaveLength(2);
  });
});
