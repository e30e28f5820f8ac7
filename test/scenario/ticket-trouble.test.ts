import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import {
  type AuthorityNode,
  admin,
  enroll,
  makeDevice,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

let authority: AuthorityNode;
/** Nobody may come here. */
let doorstep: Server;
let visits = 0;
/** Good, but for the address, which is the doorstep's. */
let spare = "";

beforeAll(async () => {
  doorstep = createServer((socket) => {
    visits++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => doorstep.listen(0, "127.0.0.1", resolve));
  const { port } = doorstep.address() as { port: number };
  authority = await startAuthority();
  const elsewhere = await startAuthority({ advertise: [`tcp://127.0.0.1:${port}`] });
  spare = await ticketFrom(elsewhere.node);
  await elsewhere.node.stop();
});

afterAll(async () => {
  await authority.node.stop();
  doorstep.close();
});

describe("T3 a ticket that its authority refuses", () => {
  const cases: Record<string, { ticket: () => Promise<string>; says: RegExp }> = {
    "ticket.expired": { ticket: expiredTicket, says: /expired; get a new one \(`culvert ticket create`\)/ },
    "ticket.used": { ticket: usedTicket, says: /another device has used .*`culvert ticket list`/ },
    "ticket.revoked": {
      ticket: revokedTicket,
      says: /was revoked; get a new one \(`culvert ticket create`\)/,
    },
  };
  for (const [code, { ticket, says }] of Object.entries(cases)) {
    it(`is one line with ${code}, and makes nobody a member`, async () => {
      const bad = await ticket();
      const before = await admin(authority.node, "member", "list");
      const stateDir = await newStateDir();
      const refused = await enroll(stateDir, bad);
      expectOneLine(refused, says);
      expect(refused.stderr).toContain(`(${code})`);
      expect(await readdir(stateDir)).toEqual(["identity.json"]);
      expect(await admin(authority.node, "member", "list")).toEqual(before);
      const after = (await admin(authority.node, "ticket", "list")) as { state: string; refused: number }[];
      expect(after.find(({ state }) => state === code.slice("ticket.".length))).toMatchObject({ refused: 1 });
    });
  }

  it("is no obstacle to the next ticket", async () => {
    const stateDir = await newStateDir();
    expect((await enroll(stateDir, await revokedTicket())).exit.code).toBe(1);
    expect((await enroll(stateDir, await ticketFrom(authority.node))).exit.code).toBe(0);
  });
});

describe("T3 a ticket of another authority", () => {
  it("is one line at once, which names both", async () => {
    const channelPort = await freePort();
    const before = await startAuthority({ channelPort });
    const ticket = await ticketFrom(before.node);
    await before.node.stop();
    const after = await startAuthority({ channelPort });
    const stateDir = await newStateDir();
    const refused = await enroll(stateDir, ticket);
    expectOneLine(refused, /is not the authority that the ticket or the record names: /);
    expect(refused.stderr).toContain(`tcp://127.0.0.1:${channelPort}`);
    expect(refused.stderr).toContain(after.node.identifier);
    expect(await readdir(stateDir)).toEqual(["identity.json"]);
    expect(await admin(after.node, "member", "list")).toEqual([]);
    await after.node.stop();
  });
});

describe("T3 a ticket that was not copied whole", () => {
  const whole = /^culvert-inlet: this ticket is mistyped: its checksum does not fit; copy it again/;
  const short =
    /^culvert-inlet: this ticket is mistyped or cut short: its checksum does not fit; copy it again/;

  it("is known by any altered character, before anything is made or dialled", async () => {
    const dots = [spare.indexOf("."), spare.lastIndexOf(".")];
    const places = [0, 8, dots[0]! + 1, 100, 300, 500, dots[1]! - 1, dots[1]! + 1, spare.length - 1];
    for (const place of places) {
      const stateDir = await newStateDir();
      expectOneLine(await enroll(stateDir, withOther(spare, place)), whole);
      expect(existsSync(stateDir), `at ${place}`).toBe(false);
    }
    expect(visits).toBe(0);
  });

  it("is known where a part of it is missing or comes twice", async () => {
    const last = spare.lastIndexOf(".");
    const parts = [
      spare.slice(0, -1),
      spare.slice(0, 400),
      spare.slice(0, last),
      spare.slice(1),
      `${spare.slice(0, 300)}\n${spare.slice(300)}`,
      spare + spare,
      "",
      "culvert-ticket-1.",
    ];
    for (const part of parts) {
      const stateDir = await newStateDir();
      expectOneLine(await enroll(stateDir, part), /^culvert-inlet: this ticket is mistyped/);
      expect(existsSync(stateDir), part).toBe(false);
    }
    expectOneLine(await enroll(await newStateDir(), spare.slice(0, 400)), short);
    expect(visits).toBe(0);
  });

  it("would have been dialled otherwise", async () => {
    const device = await makeDevice({ ticket: spare });
    await device.node.start();
    await eventually("a visit", () => visits > 0);
    await device.node.stop();
  });
});

describe("T3 the same tickets in the config of an inlet", () => {
  const tickets: Record<string, () => Promise<string>> = {
    "ticket.expired": expiredTicket,
    "ticket.used": usedTicket,
    "ticket.revoked": revokedTicket,
    "ticket.malformed": async () => withOther(spare, 300),
  };
  for (const [code, ticket] of Object.entries(tickets)) {
    it(`${code}: it listens, keeps clients waiting, and says why`, { timeout: PATIENCE_MS }, async () => {
      const seen = visits;
      const device = await makeDevice({ ticket: await ticket() });
      await device.node.start();
      const enrollment = await eventually("a refusal", async () => {
        const status = await device.node.status();
        return status.enrollment.lastFault && status.enrollment;
      });
      expect(enrollment).toMatchObject({ state: "refused", lastFault: { code } });
      const ready = await fetch(`${device.node.statusUrl}/ready`);
      expect(ready.status).toBe(503);
      expect(((await ready.json()) as { reasons: string[] }).reasons).toEqual([enrollment.lastFault.message]);
      const answer = await writeLines(device.url, "m x=1 1");
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      expect(await answer.json()).toMatchObject({ code: "unavailable", fault: code });
      expect((await fetch(`${device.node.statusUrl}/health`)).status).toBe(200);
      expect((await readdir(device.node.stateDir)).sort()).toEqual(["admin.sock", "identity.json"]);
      expect(visits).toBe(seen);

      // The operator's next ticket, given beside it.
      expect((await enroll(device.node.stateDir, await ticketFrom(authority.node))).exit.code).toBe(0);
      await eventually("membership", async () => (await device.node.status()).enrollment.state === "member");
      await device.node.stop();
    });
  }
});

function expectOneLine({ exit, stdout, stderr }: Awaited<ReturnType<typeof enroll>>, says: RegExp): void {
  expect({ exit, stdout, lines: stderr.trim().split("\n").length }).toEqual({
    exit: { code: 1, signal: undefined },
    stdout: "",
    lines: 1,
  });
  expect(stderr).toMatch(/^culvert-inlet: /);
  expect(stderr).toMatch(says);
}

async function expiredTicket(): Promise<string> {
  const ticket = await ticketFrom(authority.node, { expires: "1s" });
  await eventually("its end", async () => {
    const tickets = (await admin(authority.node, "ticket", "list")) as { state: string }[];
    return tickets.every(({ state }) => state !== "open");
  });
  return ticket;
}

async function usedTicket(): Promise<string> {
  const ticket = await ticketFrom(authority.node);
  expect((await enroll(await newStateDir(), ticket)).exit.code).toBe(0);
  return ticket;
}

async function revokedTicket(): Promise<string> {
  const ticket = await ticketFrom(authority.node);
  const tickets = (await admin(authority.node, "ticket", "list")) as { state: string; ticketId: string }[];
  for (const { ticketId } of tickets.filter(({ state }) => state === "open"))
    await admin(authority.node, "ticket", "revoke", ticketId);
  return ticket;
}

/** As a slip of the finger: another character of the same kind. */
function withOther(text: string, at: number): string {
  const other = text[at] === "A" ? "B" : "A";
  return text.slice(0, at) + other + text.slice(at + 1);
}
