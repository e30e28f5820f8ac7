import { copyFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type AuthorityStore, openAuthorityStore } from "../../../src/authority/authority-store.ts";
import { TICKET_REMEMBERED_MS } from "../../../src/authority/ticket-office.ts";
import { Bed, faultOf, newDevice, sightingOf } from "./authority-bed.ts";

let bed: Bed;
let copies = 0;
beforeEach(async () => {
  bed = await Bed.make();
  vi.useFakeTimers();
  bed.authority.start();
});
afterEach(() => {
  bed.authority.close();
  vi.useRealTimers();
});
describe("what is written now and then", () => {
  it("is on the disk half a minute later", async () => {
    const { ticketId, text } = bed.ticket();
    bed.enroll(newDevice(), text);
    faultOf(() => bed.enroll(newDevice(), text));
    const identifier = bed.member();
    bed.authority.observe(sightingOf(identifier));
    expect(await onDisk(identifier)).not.toHaveProperty("lastSeenAtMs");
    vi.advanceTimersByTime(30_000);
    expect(await onDisk(identifier)).toMatchObject({ software: "culvert/1.2.3" });
    expect(await refusedOnDisk(ticketId)).toBe(1);
  });

  it("goes on half a minute after half a minute", async () => {
    const identifier = bed.member();
    vi.advanceTimersByTime(90_000);
    bed.authority.observe({ ...sightingOf(identifier), software: "culvert/2" });
    vi.advanceTimersByTime(30_000);
    expect(await onDisk(identifier)).toMatchObject({ software: "culvert/2" });
  });

  it("forgets old tickets too", () => {
    bed.ticket();
    bed.clock.advance(600_000 + TICKET_REMEMBERED_MS);
    vi.advanceTimersByTime(30_000);
    expect(bed.authority.tickets()).toEqual([]);
  });

  it("is over when the authority is closed", () => {
    const before = vi.getTimerCount();
    bed.authority.close();
    expect(vi.getTimerCount()).toBe(before - 1);
    vi.useRealTimers();
    return bed.open().then(() => vi.useFakeTimers());
  });
});

/** What would be there had the process been killed now. */
async function withDisk<T>(read: (store: AuthorityStore) => T): Promise<T> {
  copies += 1;
  const path = `${bed.path}.${copies}`;
  for (const end of ["", "-wal"]) await copyFile(`${bed.path}${end}`, `${path}${end}`);
  const store = await openAuthorityStore(path);
  try {
    return read(store);
  } finally {
    store.close();
  }
}

function onDisk(identifier: string) {
  return withDisk((store) => store.members().find((member) => member.identifier === identifier));
}

function refusedOnDisk(ticketId: string) {
  return withDisk((store) => store.tickets().find((ticket) => ticket.ticketId === ticketId)?.refused);
}
