import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Secret } from "../../../src/base/secret.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { clear, culvert, serve, stateDirectory } from "./admin-bed.ts";
import { FakeAuthority } from "./fake-authority.ts";

let stateDir: string;
let authority: FakeAuthority;
let leases: readonly unknown[];
let live: readonly unknown[];
let status: Record<string, unknown>;

beforeEach(async () => {
  stateDir = stateDirectory();
  authority = new FakeAuthority();
  leases = [];
  live = [];
  status = {};
  await serve(stateDir, {
    status: () => status,
    authority: { authority, leasesOf: () => leases, liveOf: () => live },
  });
});
afterEach(clear);

const run = (...args: string[]) => culvert([...args, "--state-dir", stateDir]);

async function runJson(...args: string[]): Promise<unknown> {
  const said = await run(...args, "--json");
  expect([said.code, said.err]).toEqual([0, ""]);
  return JSON.parse(said.out);
}

describe("ticket create", () => {
  it("prints the ticket alone, and the rest for a person", async () => {
    const said = await run("ticket", "create", "--attribute", "influxdb-inlet=true");
    expect([said.code, said.out]).toEqual([0, "culvert-ticket-1.cGF5bG9hZA.checksum"]);
    expect(said.err).toMatch(/t-000001.*in (9|10) m/);
    expect(authority.orders).toEqual([
      { attributes: { "influxdb-inlet": "true" }, expiresInMs: 600_000, uses: 1, service: "influxdb" },
    ]);
  });

  it("asks for what the options say", async () => {
    const said = await runJson(
      ...["ticket", "create", "--attribute", "site=a=b", "--attribute", "note="],
      ...["--expires", "1h30m", "--uses", "12", "--service", "other"],
    );
    expect(said).toMatchObject({
      ticketId: "t-000001",
      ticket: expect.stringMatching(/^culvert-ticket-1\./),
      expiresAtMs: expect.any(Number),
    });
    expect(authority.orders).toEqual([
      { attributes: { site: "a=b", note: "" }, expiresInMs: 5_400_000, uses: 12, service: "other" },
    ]);
  });

  it.each([
    ["--attribute", "site"],
    ["--attribute", "=x"],
    ["--attribute", "constructor=x"],
    ["--attribute", `site=${"x".repeat(257)}`],
    ["--attribute", "a=1", "--attribute", "a=2"],
    ["--expires", "10"],
    ["--expires", "0s"],
    ["--uses", "0"],
    ["--uses", "1.5"],
    ["site=berlin"],
  ])("takes %s %s for a usage error", async (...args) => {
    const said = await run("ticket", "create", ...args);
    expect([said.code, said.out]).toEqual([2, ""]);
    expect(authority.orders).toEqual([]);
  });
});

describe("ticket list and revoke", () => {
  it("shows tickets, the newest first, in columns", async () => {
    await run("ticket", "create", "--attribute", "site=berlin");
    await run("ticket", "create", "--attribute", "site=the cellar", "--uses", "3");
    const lines = (await run("ticket", "list")).out.split("\n");
    expect(lines[0]).toMatch(/^TICKET +STATE +USED +ENDS +SERVICE +REFUSED +ATTRIBUTES$/);
    expect(lines[1]).toMatch(/^t-000002 +open +0 of 3 +in (?:9|10) m +influxdb +0 +site="the cellar"$/);
    expect(lines[2]).toMatch(/^t-000001 .* site=berlin$/);
    expect(await runJson("ticket", "list")).toEqual(JSON.parse(JSON.stringify(authority.tickets())));
  });

  it("revokes the one that is meant", async () => {
    await run("ticket", "create");
    expect(await run("ticket", "revoke", "t-000001")).toMatchObject({
      code: 0,
      out: "ticket t-000001 is revoked",
    });
    expect(await runJson("ticket", "revoke", "t-000001")).toMatchObject({ state: "revoked" });
    expect(authority.revokedTickets).toEqual(["t-000001", "t-000001"]);
  });

  it("revokes none where it is not clear which", async () => {
    for (let i = 0; i < 11; i++) await run("ticket", "create");
    for (const given of ["t-0000", "t-00000", "t-0000000", "t-1"]) {
      expect((await run("ticket", "revoke", given)).code).toBe(2);
    }
    expect(authority.revokedTickets).toEqual([]);
  });
});

describe("member list", () => {
  it("shows members in columns", async () => {
    const identifier = authority.addMember();
    const [head, line, ...more] = (await run("member", "list")).out.split("\n");
    expect(head).toMatch(/^IDENTIFIER +STATE +LAST SEEN +FROM +SOFTWARE +ATTENTION +ATTRIBUTES$/);
    expect(line).toMatch(/ active +3 m ago +192\.0\.2\.7:4711 +culvert\/0\.1\.0 +- +influxdb-inlet=true$/);
    expect(line).toContain(identifier);
    expect(more).toEqual([]);
    expect((await runJson("member", "list")) as unknown[]).toMatchObject([{ identifier }]);
  });

  it.each([
    [59_000, /culvert\/0\.1\.0 +- /],
    [3_700_000, / clock 1 h ahead /],
    [-90_000, / clock 1 m behind /],
  ])("shows a clock that is %i ms wrong", async (clockSkewMs, shown) => {
    authority.addMember({ clockSkewMs });
    expect((await run("member", "list")).out).toMatch(shown);
  });

  it("shows copied devices loudly", async () => {
    authority.addMember({ clone: { evidence: "both-live", firstAtMs: 0, lastAtMs: 0, count: 4 } });
    const said = await run("member", "list");
    expect(said.out).toContain("CLONED (both-live, 4 times)");
    expect(said.err).toContain("1 CLONED");
  });

  it("says so where there are none, or one was never seen", async () => {
    expect((await run("member", "list")).out).toBe("no members");
    const identifier = authority.addMember();
    const { lastSeenAtMs: _, remote: __, ...unseen } = authority.member(identifier);
    authority.byIdentifier.set(identifier, unseen);
    expect((await run("member", "list")).out).toMatch(/active +- +- +culvert/);
  });

  it("O8 shows nothing that moves a terminal", async () => {
    const evil = "\u001b[2J\r\n\u202eroot";
    authority.addMember({ remote: evil, software: evil, attributes: { site: evil } });
    live = [{ remote: evil }];
    status = { identifier: evil, reasons: [evil], roles: { inlet: { services: [{ service: evil }] } } };
    const identifier = authority.members()[0]!.identifier;
    for (const args of [["member", "list"], ["member", "show", identifier], ["status"]]) {
      for (const more of [[], ["--json"]]) {
        const said = await run(...args, ...more);
        expect(said.code).toBe(0);
        expect(said.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
        expect(said.out).toContain("u001b[2J");
      }
    }
    expect(await runJson("member", "list")).toMatchObject([{ remote: evil }]);
  });
});

describe("one member", () => {
  it("is shown with all that is known of it", async () => {
    const identifier = authority.addMember({
      state: "locked",
      clockSkewMs: -7_200_000,
      clone: {
        evidence: "alternating",
        firstAtMs: Date.now() - 61_000,
        lastAtMs: Date.now() - 2_500,
        count: 4,
      },
    });
    leases = [{ leaseId: "lease-1", expiresInMs: 120_000, token: new Secret("told to nobody") }];
    live = [{ remote: "192.0.2.7:4711", upForMs: 60_000, streams: 2 }];
    const { out, code } = await run("member", "show", identifier);
    expect(code).toBe(0);
    for (const line of [
      new RegExp(`^identifier +${identifier}$`, "m"),
      /^state +locked$/m,
      /^ATTENTION +CLONED \(alternating, 4 times\), clock 2 h behind$/m,
      /^clone .*first 1 m ago, last [23] s ago/m,
      /^attributes +influxdb-inlet=true$/m,
      /^enrolled +2 h ago, by ticket t-000001 for influxdb$/m,
      /^last seen +3 m ago, 192\.0\.2\.7:4711, culvert\/0\.1\.0$/m,
      /^credential +ends in 1 d$/m,
      /^channel +remote 192\.0\.2\.7:4711, up for 1 m, streams 2$/m,
      /^lease +lease id lease-1, expires in 2 m, token \[secret\]$/m,
    ]) {
      expect(out).toMatch(line);
    }
    expect(await runJson("member", "show", identifier)).toMatchObject({ identifier, live, leases: [{}] });
  });

  it("is found by its first six characters, and not by less or by others'", async () => {
    const identifier = authority.addMember();
    expect((await run("member", "show", identifier.slice(0, 6))).out).toContain(identifier);
    expect((await run("member", "show", identifier.slice(0, 5))).code).toBe(2);
    expect((await run("member", "show", `${identifier.slice(0, 6)}1`)).code).toBe(1);
  });

  it("is not guessed among several", async () => {
    const identifier = authority.addMember();
    const twin = `${identifier.slice(0, 20)}${"2".repeat(17)}` as Identifier;
    authority.addMember({ identifier: twin });
    const said = await run("member", "revoke", identifier.slice(0, 8));
    expect(said.code).toBe(2);
    expect(said.err).toContain(twin);
    expect(authority.members().map(({ state }) => state)).toEqual(["active", "active"]);
  });

  it("is not asked for by a name that would be another path", async () => {
    authority.addMember();
    for (const given of ["../tickets", "..%2ftickets", "?x=123456"]) {
      expect((await run("member", "revoke", given)).code).toBe(1);
    }
    expect(authority.members()[0]?.state).toBe("active");
  });

  it("is revoked", async () => {
    const identifier = authority.addMember();
    expect((await run("member", "revoke", identifier)).out).toMatch(/^state +revoked$/m);
    expect(authority.member(identifier).state).toBe("revoked");
    expect(await runJson("member", "revoke", identifier)).toMatchObject({ identifier, state: "revoked" });
  });

  it("is unlocked", async () => {
    const clone = { evidence: "stale", firstAtMs: 0, lastAtMs: 0, count: 1 } as const;
    const identifier = authority.addMember({ state: "locked", clone });
    expect((await run("member", "unlock", identifier)).out).not.toContain("CLONED");
    expect(authority.member(identifier)).toMatchObject({ state: "active" });
  });

  it("is given attributes, an empty one too, and loses those to be removed", async () => {
    const identifier = authority.addMember({ attributes: { site: "berlin", role: "a", old: "1" } });
    const said = await run("member", "set", identifier, "site=the cellar", "--remove", "old", "note=");
    expect(said.out).toMatch(/^attributes +site="the cellar" role=a note=""$/m);
    expect(authority.member(identifier).attributes).toEqual({ site: "the cellar", role: "a", note: "" });
  });

  it.each([[[]], [["site"]], [["a=1", "a=2"]], [["a=1", "--remove", "a"]]])(
    "is not changed by %s",
    async (args) => {
      const identifier = authority.addMember();
      expect((await run("member", "set", identifier, ...args)).code).toBe(2);
    },
  );

  it("is told why it cannot be changed", async () => {
    const said = await run("member", "set", authority.addMember(), "culvert-authority=true");
    expect([said.code, said.err]).toEqual([1, "culvert: reserved"]);
  });
});

describe("authority backup", () => {
  it("means a file of the caller's folder", async () => {
    const said = await run("authority", "backup", "backup.db");
    expect([said.code, said.out]).toEqual([0, join(process.cwd(), "backup.db")]);
    expect(await runJson("authority", "backup", "/elsewhere/b")).toEqual({ file: "/elsewhere/b" });
    expect(authority.backups).toEqual([join(process.cwd(), "backup.db"), "/elsewhere/b"]);
  });
});

describe("status", () => {
  const whole = {
    identifier: "iabc",
    version: "0.1.0",
    runtime: "bun 1.4.5",
    uptimeSeconds: 7_300,
    ready: false,
    reasons: ["no channel to the outlet"],
    enrollment: { state: "member", credentialExpiresInMs: 3_700_000, clockSkewMs: -61_000 },
    roles: {
      inlet: {
        channel: {
          state: "connecting",
          lastFault: { code: "transport.unreachable", message: "nobody there" },
          traffic: {
            perDay: {
              overMs: 7_300_000,
              idle: { sentBytes: 61_234, receivedBytes: 60_999 },
              payload: { sentBytes: 1_234_567, receivedBytes: 812 },
              onTheWire: {
                idle: { sentBytes: 100_000, receivedBytes: 45_000 },
                payload: { sentBytes: 1_500_000, receivedBytes: 100_000 },
              },
            },
          },
        },
        services: [
          {
            service: "a",
            listen: "http://127.0.0.1:1",
            lease: { held: true, renewInMs: 60_000, expiresInMs: 120_000 },
          },
          { service: "b", listen: "http://127.0.0.1:2", lease: { held: false, lastFault: "lease.denied" } },
          { service: "c", listen: "http://127.0.0.1:3", lease: { held: false, state: "idle" } },
        ],
        portals: {
          channels: [{}],
          services: [
            {
              service: "ui",
              listen: "127.0.0.1:3",
              active: 2,
              connections: 9,
              refused: { "policy.denied": 3 },
            },
          ],
        },
      },
      outlet: {
        channels: { live: 7 },
        relays: [
          { relay: "tcp://one:4434", name: "a", state: "registered" },
          { relay: "tcp://two:4434", name: "a", state: "refused", lastFault: { message: "no" } },
        ],
        services: [{ name: "a", influxdb: "http://db", leases: { ready: true, count: 3 } }],
        portals: [{ name: "ui", active: 2, connections: 9, refused: {} }],
      },
      relay: {
        splices: 5,
        refused: { "relay.denied": 2, "handshake.timeout": 1 },
        names: [{ name: "a", identifier: "ixyz", splices: 5 }],
      },
    },
    authority: { publicKey: "key", members: 12, locked: 1, revoked: 0, clones: [{}], ticketsOpen: 2 },
  };

  it("says in short what the node does", async () => {
    status = whole;
    const { out, code } = await run("status");
    expect(code).toBe(0);
    for (const line of [
      /^identifier +iabc$/m,
      /^version +0\.1\.0 on bun 1\.4\.5, up for 2 h$/m,
      /^ready +NO$/m,
      /^ +no channel to the outlet$/m,
      /^enrollment +member, credential expires in 1 h, clock skew -1 m$/m,
      /^inlet +channel connecting: nobody there$/m,
      /^ +a at http:\/\/127\.0\.0\.1:1: lease held, renew in 1 m, expires in 2 m$/m,
      /^ +b at http:\/\/127\.0\.0\.1:2: no lease \(lease\.denied\)$/m,
      /^ +portal ui at 127\.0\.0\.1:3: 2 connections, 9 so far, 3 refused, 1 channels$/m,
      /^ +c at http:\/\/127\.0\.0\.1:3: lease idle: the next request gets one$/m,
      /^ +a day: idle 61 kB sent, 61 kB received; payload 1\.2 MB sent, 812 B received; about 145 kB idle and 1\.6 MB for clients on the wire \(by the last 2 h\)$/m,
      /^outlet +7 channels$/m,
      /^ +portal ui: 2 connections, 9 so far$/m,
      /^ +a for http:\/\/db: ready, 3 leases$/m,
      /^ +relay tcp:\/\/one:4434: registered as a$/m,
      /^ +relay tcp:\/\/two:4434: NOT REGISTERED as a: no$/m,
      /^relay +5 channels through it, 3 refusals$/m,
      /^ +a: ixyz, 5 channels$/m,
      /^authority +public key key$/m,
      /^ +12 members, 1 locked, 2 tickets open, 1 CLONED: see "member list"$/m,
    ]) {
      expect(out).toMatch(line);
    }
  });

  it("says with --json exactly what /status says", async () => {
    status = whole;
    expect(await runJson("status")).toEqual(whole);
  });

  it("makes do with what a node of another version says", async () => {
    status = { roles: [], reasons: "none", enrollment: 7, authority: null };
    expect((await run("status")).code).toBe(0);
  });

  it("fails where no node runs", async () => {
    const said = await culvert(["status", "--state-dir", stateDirectory()]);
    expect([said.code, said.out]).toEqual([1, ""]);
    expect(said.err).toContain("no culvert runs");
  });
});
