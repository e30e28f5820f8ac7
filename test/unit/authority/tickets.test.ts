import { rename, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MAX_OPEN_TICKETS, TICKET_REMEMBERED_MS } from "../../../src/authority/ticket-office.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { type Attributes, AUTHORITY_ATTRIBUTE } from "../../../src/identity/attributes.ts";
import { parseTicket } from "../../../src/identity/ticket.ts";
import { ADDRESSES, attemptOf, Bed, faultOf, newDevice } from "./authority-bed.ts";

let bed: Bed;
beforeEach(async () => {
  bed = await Bed.make();
});
afterEach(() => bed.authority.close());
describe("a ticket", () => {
  it("says where the authority is, which service, and until when", () => {
    const { ticketId, text, expiresAtMs } = bed.ticket({ service: "metrics", expiresInMs: 90_000 });
    const ticket = parseTicket(text, nodeProvider);
    expect(ticket).toMatchObject({ ticketId, addresses: ADDRESSES, service: "metrics" });
    expect(ticket.authority).toBe(bed.key.identifier);
    expect(expiresAtMs).toBe(bed.clock.wall + 90_000);
  });

  it("is listed with what was asked for, and without its secret", () => {
    const { ticketId, text, expiresAtMs } = bed.ticket({ uses: 3 });
    const [listed] = bed.authority.tickets();
    expect(listed).toEqual({
      ticketId,
      state: "open",
      attributes: { "influxdb-inlet": "true" },
      service: "influxdb",
      createdAtMs: bed.clock.wall,
      expiresAtMs,
      uses: 3,
      used: 0,
      usedBy: [],
      refused: 0,
    });
    expect(JSON.stringify([listed, bed.events])).not.toContain(text.split(".")[1]!.slice(0, 40));
  });

  it("gives its attributes to who enrolls by it", () => {
    const device = newDevice();
    const grant = bed.enroll(device, bed.ticket().text);
    expect(bed.read(grant.credential)).toMatchObject({
      subject: device.identifier,
      attributes: { "influxdb-inlet": "true" },
    });
    expect(bed.authority.find(device.identifier)).toMatchObject({
      state: "active",
      attributes: { "influxdb-inlet": "true" },
    });
  });

  it("shows who has used it", () => {
    const device = newDevice();
    bed.enroll(device, bed.ticket().text);
    expect(bed.authority.tickets()).toMatchObject([{ state: "used", used: 1, usedBy: [device.identifier] }]);
  });

  it.each([
    ["no whole use", { uses: 0 }, "usage.invalid"],
    ["half a use", { uses: 1.5 }, "usage.invalid"],
    ["too many uses", { uses: 10_001 }, "usage.invalid"],
    ["no time", { expiresInMs: 999 }, "usage.invalid"],
    ["a time that is none", { expiresInMs: Number.NaN }, "usage.invalid"],
    ["too much time", { expiresInMs: 32 * 24 * 3600 * 1000 }, "usage.invalid"],
    ["a service that is no name", { service: "no name" }, "ticket.malformed"],
    [
      "an attribute that is no text",
      { attributes: { site: 7 } as unknown as Attributes },
      "attribute.invalid",
    ],
    ["the authority's own attribute", { attributes: { [AUTHORITY_ATTRIBUTE]: "true" } }, "attribute.invalid"],
    [
      "the authority's own attribute, false",
      { attributes: { [AUTHORITY_ATTRIBUTE]: "false" } },
      "attribute.invalid",
    ],
  ])("is not made with %s", (_, wish, code) => {
    expect(faultOf(() => bed.ticket(wish))).toBe(code);
    expect(bed.authority.tickets()).toEqual([]);
  });

  it("is not made by an authority that nobody could reach", async () => {
    const hidden = await Bed.make({ addresses: () => [] });
    expect(faultOf(() => hidden.ticket())).toBe("config.invalid");
    hidden.authority.close();
  });

  it(`is one of ${MAX_OPEN_TICKETS} open ones at most`, async () => {
    const { ticketId } = bed.ticket();
    bed.authority.close();
    manyTickets(bed.path, MAX_OPEN_TICKETS - 2);
    await bed.open();
    expect(faultOf(() => bed.ticket())).toBeUndefined();
    expect(faultOf(() => bed.ticket())).toBe("authority.limit");
    bed.authority.revokeTicket(ticketId);
    expect(faultOf(() => bed.ticket())).toBeUndefined();
  });

  it("is forgotten 30 days after its end, with who has used it", async () => {
    bed.enroll(newDevice(), bed.ticket({ expiresInMs: 60_000 }).text);
    bed.clock.advance(60_000 + TICKET_REMEMBERED_MS - 1);
    expect((await bed.reopen()).tickets()).toHaveLength(1);
    bed.clock.advance(1);
    expect((await bed.reopen()).tickets()).toHaveLength(0);
    expect(bed.authority.members()).toHaveLength(1);
  });
});

describe("T1 a ticket that many want", () => {
  it("makes exactly as many members as it has uses, of 50 that come at once", async () => {
    const { text } = bed.ticket({ uses: 7 });
    const devices = Array.from({ length: 50 }, newDevice);
    const outcomes = await Promise.all(
      devices.map(async (device) => {
        await new Promise((resolve) => setImmediate(resolve));
        return faultOf(() => bed.enroll(device, text)) ?? "member";
      }),
    );
    expect(outcomes.filter((outcome) => outcome === "member")).toHaveLength(7);
    expect(outcomes.filter((outcome) => outcome === "ticket.used")).toHaveLength(43);
    expect((await bed.reopen()).members()).toHaveLength(7);
    expect(bed.authority.tickets()).toMatchObject([{ used: 7, refused: 43, state: "used" }]);
  });

  it("tells of every refusal in the log, with who came from where", () => {
    const { ticketId, text } = bed.ticket();
    bed.enroll(newDevice(), text);
    const late = newDevice();
    expect(faultOf(() => bed.enroll(late, text))).toBe("ticket.used");
    expect(bed.of("ticket.refused")).toMatchObject([
      { ticket: ticketId, member: late.identifier, remote: "192.0.2.7:50000", fault_code: "ticket.used" },
    ]);
  });
});

describe("T2 a device that comes again with its ticket", () => {
  it("is answered again, and takes no second use", () => {
    const device = newDevice();
    const { text } = bed.ticket({ uses: 2 });
    bed.enroll(device, text);
    expect(bed.read(bed.enroll(device, text).credential).subject).toBe(device.identifier);
    expect(bed.authority.tickets()).toMatchObject([{ used: 1, refused: 0 }]);
    expect(bed.authority.counts).toMatchObject({ enrolled: 1, repeated: 1, refused: 0 });
  });

  it("is answered after a restart of the authority, where another is not", async () => {
    const device = newDevice();
    const { text } = bed.ticket();
    bed.enroll(device, text);
    await bed.reopen();
    expect(faultOf(() => bed.enroll(newDevice(), text))).toBe("ticket.used");
    expect(faultOf(() => bed.enroll(device, text))).toBeUndefined();
  });

  it("is answered after the ticket's end", () => {
    const device = newDevice();
    const { text } = bed.ticket({ expiresInMs: 60_000 });
    bed.enroll(device, text);
    bed.clock.advance(3_600_000);
    expect(faultOf(() => bed.enroll(device, text))).toBeUndefined();
  });

  it("keeps the attributes that it was given since", () => {
    const device = newDevice();
    const { text } = bed.ticket();
    bed.enroll(device, text);
    bed.authority.setAttributes(device.identifier, { site: "berlin" });
    expect(bed.read(bed.enroll(device, text).credential).attributes).toMatchObject({ site: "berlin" });
  });

  it.each(["revoked", "locked"] as const)("is refused when it is %s", async (state) => {
    const strict = await Bed.make({ clones: "lock" });
    const device = newDevice();
    const { text } = strict.ticket();
    strict.enroll(device, text);
    if (state === "revoked") strict.authority.revoke(device.identifier);
    else
      strict.authority.observe({
        ...{ identifier: device.identifier, remote: "r", software: "s", clockSkewMs: 0, agoMs: 0 },
        clone: "both-live",
      });
    expect(faultOf(() => strict.enroll(device, text))).toBe(`member.${state}`);
    strict.authority.close();
  });
});

describe("T3 a ticket is refused with one clear code", () => {
  it("expired, by the authority's clock", () => {
    const { text } = bed.ticket({ expiresInMs: 60_000 });
    bed.clock.advance(59_999);
    expect(faultOf(() => bed.enroll(newDevice(), bed.ticket().text))).toBeUndefined();
    bed.clock.advance(1);
    expect(faultOf(() => bed.enroll(newDevice(), text))).toBe("ticket.expired");
    expect(bed.authority.tickets()[0]).toMatchObject({ state: "expired", refused: 1 });
  });

  it("expired so long ago that it is forgotten", async () => {
    const { text } = bed.ticket({ expiresInMs: 60_000 });
    bed.clock.advance(TICKET_REMEMBERED_MS + 60_000);
    await bed.reopen();
    expect(faultOf(() => bed.enroll(newDevice(), text))).toBe("ticket.expired");
  });

  it("revoked, for who is bound to it too", () => {
    const device = newDevice();
    const { ticketId, text } = bed.ticket({ uses: 2 });
    bed.enroll(device, text);
    expect(bed.authority.revokeTicket(ticketId)).toMatchObject({ state: "revoked" });
    expect(faultOf(() => bed.enroll(newDevice(), text))).toBe("ticket.revoked");
    expect(faultOf(() => bed.enroll(device, text))).toBe("ticket.revoked");
    expect(bed.authority.find(device.identifier)?.state).toBe("active");
  });

  it("of another authority", async () => {
    const other = await Bed.make();
    expect(faultOf(() => bed.enroll(newDevice(), other.ticket().text))).toBe("ticket.foreign");
    other.authority.close();
  });

  it("with a proof for another identity", () => {
    const attempt = attemptOf(newDevice(), bed.ticket().text);
    expect(faultOf(() => bed.authority.enroll({ ...attempt, identifier: newDevice().identifier }))).toBe(
      "ticket.foreign",
    );
    expect(bed.authority.tickets()).toMatchObject([{ used: 0 }]);
  });

  it("with a proof from another channel", () => {
    const attempt = attemptOf(newDevice(), bed.ticket().text);
    const channelBinding = nodeProvider.randomBytes(32);
    expect(faultOf(() => bed.authority.enroll({ ...attempt, channelBinding }))).toBe("ticket.foreign");
  });

  it.each(["", "x", "a.b.c", "{}"])("that is none: %j", (pass) => {
    const attempt = attemptOf(newDevice(), bed.ticket().text);
    expect(faultOf(() => bed.authority.enroll({ ...attempt, pass }))).toMatch(
      /^ticket\.(malformed|foreign)$/,
    );
  });

  it("that the database does not know, as after a restore", async () => {
    const copy = `${bed.path}.copy`;
    bed.authority.backup(copy);
    const { text } = bed.ticket();
    bed.authority.close();
    await replaceBy(bed.path, copy);
    await bed.open();
    expect(faultOf(() => bed.enroll(newDevice(), text))).toBe("ticket.foreign");
  });

  it("and an operator's slip in its id too", () => {
    expect(faultOf(() => bed.authority.revokeTicket("0123456789abcdef"))).toBe("usage.invalid");
  });
});

describe("T4 guessing tickets", () => {
  it("is limited for everybody together, with when to come again", () => {
    const attempt = attemptOf(newDevice(), bed.ticket().text);
    const guess = () => bed.authority.enroll({ ...attempt, proof: "x" });
    for (let i = 0; i < 500; i++) expect(faultOf(guess)).toBe("ticket.foreign");
    expect(guess).toThrow(expect.objectContaining({ code: "authority.limit", retryAfterMs: 10 }));
    bed.clock.advance(1_000);
    let let100Through = 0;
    while (faultOf(guess) === "ticket.foreign") let100Through += 1;
    expect(let100Through).toBe(100);
  });

  it("counts as refused", () => {
    const attempt = attemptOf(newDevice(), bed.ticket().text);
    faultOf(() => bed.authority.enroll({ ...attempt, proof: "x" }));
    expect(bed.authority.counts).toMatchObject({ enrolled: 0, refused: 1 });
  });
});

describe("a member with a new ticket", () => {
  it("takes that one's attributes and service, and one of its uses", () => {
    const device = newDevice();
    bed.enroll(device, bed.ticket().text);
    bed.clock.advance(1_000);
    const second = bed.ticket({ attributes: { site: "rome" }, service: "other" });
    expect(bed.read(bed.enroll(device, second.text).credential).attributes).toEqual({ site: "rome" });
    expect(bed.authority.members()).toMatchObject([{ ticketId: second.ticketId, service: "other" }]);
    const [, newer] = bed.authority.tickets();
    expect(newer).toMatchObject({ ticketId: second.ticketId, used: 1, usedBy: [device.identifier] });
  });

  it("stays revoked", () => {
    const device = newDevice();
    bed.enroll(device, bed.ticket().text);
    bed.authority.revoke(device.identifier);
    bed.clock.advance(1_000);
    expect(faultOf(() => bed.enroll(device, bed.ticket().text))).toBe("member.revoked");
    expect(bed.authority.tickets()[1]).toMatchObject({ used: 0, refused: 1 });
  });
});

async function replaceBy(path: string, copy: string): Promise<void> {
  await rm(`${path}-wal`, { force: true });
  await rename(copy, path);
}

/** Copies of the one that is there. */
function manyTickets(path: string, count: number): void {
  const database = new DatabaseSync(path);
  database.exec(`
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ${count})
    INSERT INTO ticket SELECT 'copy' || n, attributes, service, created_at_ms, expires_at_ms, uses, NULL, 0
    FROM ticket, number`);
  database.close();
}
