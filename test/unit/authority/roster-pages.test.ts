import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RosterLine } from "../../../src/channel/exchange.ts";
import { Bed, DAY_MS, newDevice } from "./authority-bed.ts";

let bed: Bed;
beforeEach(async () => {
  bed = await Bed.make();
});
afterEach(() => bed.authority.close());
const PAGE_BYTES = 1_000;

/** An outlet that asks until there is no more. */
class Outlet {
  readonly known = new Map<string, RosterLine>();
  revision = 0;
  pages = 0;

  poll(maxBytes = PAGE_BYTES, between = () => {}): number {
    let lines = 0;
    for (;;) {
      const page = bed.authority.changesSince(this.revision, maxBytes);
      this.pages += 1;
      expect(JSON.stringify(page.members).length).toBeLessThanOrEqual(maxBytes + 2);
      for (const line of page.members) this.known.set(line.identifier, line);
      lines += page.members.length;
      this.revision = page.revision;
      if (!page.more) return lines;
      expect(page.members.length).toBeGreaterThan(0);
      between();
    }
  }

  expectAll(): void {
    const listed = bed.authority
      .members()
      .map(({ identifier, state, attributes }) => [identifier, { identifier, state, attributes }] as const);
    expect(this.known).toEqual(new Map(listed));
  }
}

describe("an outlet that follows the member list", () => {
  it("has nothing of an empty one, and asks for more of the same", () => {
    const outlet = new Outlet();
    expect(outlet.poll()).toBe(0);
    expect(outlet.poll()).toBe(0);
    bed.member();
    expect(outlet.poll()).toBe(1);
  });

  it("gets all, page by page, and then only what changes", () => {
    const identifiers = Array.from({ length: 50 }, () => bed.member());
    const outlet = new Outlet();
    expect(outlet.poll()).toBe(50);
    expect(outlet.pages).toBeGreaterThan(5);
    outlet.expectAll();
    expect(outlet.poll()).toBe(0);
    bed.authority.revoke(identifiers[7]!);
    bed.authority.setAttributes(identifiers[3]!, { site: "berlin" });
    bed.authority.setAttributes(identifiers[3]!, { site: "rome" });
    expect(outlet.poll()).toBe(2);
    outlet.expectAll();
  });

  it("misses nothing that changes between two pages", () => {
    const identifiers = Array.from({ length: 30 }, () => bed.member());
    const outlet = new Outlet();
    outlet.poll(PAGE_BYTES, () => {
      const identifier = identifiers.pop();
      if (identifier) bed.authority.revoke(identifier);
    });
    outlet.expectAll();
  });

  it("hears nothing of what only operators see", () => {
    const identifier = bed.member();
    const outlet = new Outlet();
    outlet.poll();
    bed.authority.observe({ identifier, remote: "r", software: "s", clockSkewMs: 0, agoMs: 0 });
    bed.authority.renew(identifier);
    expect(outlet.poll()).toBe(0);
  });

  it("gets a line that is longer than a page all the same", () => {
    bed.member();
    expect(bed.authority.changesSince(0, 1).members).toHaveLength(1);
  });

  it.each([0, DAY_MS])(
    "gets all once more after a restart, also when the clock was set back %i ms",
    async (backMs) => {
      for (let i = 0; i < 20; i++) bed.member();
      const outlet = new Outlet();
      outlet.poll();
      bed.clock.advance(-backMs);
      await bed.reopen();
      expect(outlet.poll()).toBe(20);
      expect(outlet.poll()).toBe(0);
      outlet.expectAll();
    },
  );

  it("gets all when it knows a revision that is still to come", () => {
    bed.member();
    const outlet = new Outlet();
    outlet.revision = Number.MAX_SAFE_INTEGER;
    expect(outlet.poll()).toBe(1);
    expect(outlet.poll()).toBe(0);
  });

  it("is told of the authority's own node", () => {
    const { identifier } = newDevice();
    bed.authority.selfCredential(identifier);
    bed.member();
    const outlet = new Outlet();
    expect(outlet.poll()).toBe(2);
    expect(outlet.known.get(identifier)).toMatchObject({ state: "active" });
    expect(outlet.poll()).toBe(0);
  });
});
