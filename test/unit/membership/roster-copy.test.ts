import { expect, it } from "vitest";
import type { RosterLine } from "../../../src/channel/exchange.ts";
import { NO_ATTRIBUTES } from "../../../src/identity/attributes.ts";
import type { MemberState } from "../../../src/identity/roster.ts";
import { RosterCopy } from "../../../src/membership/roster-copy.ts";
import { newIdentity } from "./authority-bed.ts";

function line(state: MemberState): RosterLine {
  return { identifier: newIdentity().identifier, state, attributes: NO_ATTRIBUTES };
}

it("beyond its cap says that it is incomplete, and still takes in who is refused", () => {
  const copy = new RosterCopy(3);
  const members = [line("active"), line("active"), line("active"), line("active"), line("revoked")];
  copy.apply({ kind: "roster", revision: 5, more: false, members });
  expect(copy.size).toBe(4);
  expect(copy.complete).toBe(false);
  expect(copy.overflowed).toBe(true);
  expect(copy.find(newIdentity().identifier)).toBeUndefined();
  expect(copy.barredText()).toContain(members[4]!.identifier);
});

it("takes changes of members that it has when it is full", () => {
  const copy = new RosterCopy(1);
  const member = line("active");
  copy.apply({ kind: "roster", revision: 1, more: false, members: [member] });
  copy.apply({ kind: "roster", revision: 2, more: false, members: [{ ...member, state: "locked" }] });
  expect(copy.complete).toBe(true);
  expect(copy.barredText()).toContain(member.identifier);
});

it("stays complete while it walks through the list once more", () => {
  const copy = new RosterCopy();
  const [first, second] = [line("active"), line("active")];
  copy.apply({ kind: "roster", revision: 2, more: false, members: [first!, second!] });
  copy.walkAgain();
  expect(copy.complete).toBe(true);
  expect(copy.revision).toBe(0);
  copy.apply({ kind: "roster", revision: 7, more: true, members: [second!] });
  expect(copy.size).toBe(2);
  copy.apply({ kind: "roster", revision: 8, more: false, members: [] });
  expect(copy.size).toBe(1);
});
