import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { expect, it } from "vitest";
import type { RequestHead } from "../../src/channel/exchange.ts";
import type { Statements } from "../../src/channel/local-party.ts";
import { enrollmentFile } from "../../src/cli/enrollment-file.ts";
import { AUTHORITY_KEY_FILE, loadIdentity } from "../../src/cli/identity-store.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { generateIdentity, type Identity } from "../../src/identity/identity.ts";
import { parseTicket } from "../../src/identity/ticket.ts";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { base64url, claimsOf, forgedJws, withClaims } from "../harness/forged-jws.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, enroll, newStateDir, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { recordTcp } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 60_000;
const WRITE = "/api/v2/write?org=edge&bucket=metrics";
const DAY_S = 24 * 3600;
const NAMELESS = new Set(["handshake.failed", "channel.protocol"]);

describeReal(["influxd"], "a peer that shows what no authority gave it", () => {
  it("T5 T8 is refused whatever it shows, and the outlet says whom and why", {
    timeout: PATIENCE_MS,
  }, async () => {
    const system = await prepare();
    const { authority, authorityKey, member, device, ticket, line } = system;
    const { identity, credential } = member;
    const claims = claimsOf(credential);
    const nowS = Math.floor(Date.now() / 1000);
    const [header, payload, signature] = credential.split(".") as [string, string, string];
    const elsewhere = generateIdentity(nodeProvider);
    const stranger = generateIdentity(nodeProvider);
    const pass = parseTicket(ticket, nodeProvider).pass;
    const forged = (change: object) => withClaims(credential, authorityKey, { ...claims, ...change });
    const headed = (alg: unknown, sig: (signed: string) => string) => {
      const signed = `${base64url(JSON.stringify({ ...headerOf(header), alg }))}.${payload}`;
      return `${signed}.${sig(signed)}`;
    };
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const huge = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`a${i}`, "x".repeat(100)]));

    const shown: [what: string, who: Identity, statements: Statements, code: string][] = [
      ["nothing", stranger, {}, "handshake.unauthorized"],
      ["an empty text", stranger, { credential: "" }, "credential.malformed"],
      ["no JWS", identity, { credential: "a.b.c" }, "credential.malformed"],
      [
        "an altered payload",
        identity,
        {
          credential: `${header}.${base64url(JSON.stringify({ ...claims, attributes: { admin: "true" } }))}.${signature}`,
        },
        "credential.untrusted",
      ],
      [
        "an altered signature",
        identity,
        { credential: `${header}.${payload}.${flipped(signature)}` },
        "credential.untrusted",
      ],
      ["alg none", identity, { credential: headed("none", () => "") }, "credential.malformed"],
      ["alg none, signed", identity, { credential: headed("none", () => signature) }, "credential.malformed"],
      [
        "alg HS256 under the authority's public key",
        identity,
        {
          credential: headed("HS256", (signed) =>
            createHmac("sha256", authorityKey.publicKey).update(signed).digest("base64url"),
          ),
        },
        "credential.malformed",
      ],
      [
        "alg ES256",
        identity,
        {
          credential: headed("ES256", (signed) =>
            sign("sha256", Buffer.from(signed), { key: ec, dsaEncoding: "ieee-p1363" }).toString("base64url"),
          ),
        },
        "credential.malformed",
      ],
      [
        "another authority's",
        identity,
        { credential: withClaims(credential, elsewhere, { ...claims, iss: elsewhere.identifier }) },
        "credential.untrusted",
      ],
      [
        "another authority's in our name",
        identity,
        { credential: withClaims(credential, elsewhere, claims) },
        "credential.untrusted",
      ],
      ["another member's", stranger, { credential }, "credential.untrusted"],
      [
        "one that has expired",
        identity,
        { credential: forged({ iat: nowS - 2 * DAY_S, exp: nowS - DAY_S }) },
        "credential.expired",
      ],
      [
        "one of tomorrow",
        identity,
        { credential: forged({ iat: nowS + DAY_S, exp: nowS + 2 * DAY_S }) },
        "credential.untrusted",
      ],
      [
        "the authority's own for somebody who is no member",
        stranger,
        { credential: forged({ sub: stranger.identifier }) },
        "member.unknown",
      ],
      [
        "claims that stand twice",
        identity,
        {
          credential: forgedJws(
            authorityKey,
            Buffer.from(header, "base64url"),
            `${JSON.stringify(claims).slice(0, -1)},"sub":"${stranger.identifier}"}`,
          ),
        },
        "credential.malformed",
      ],
      [
        "attributes with __proto__",
        identity,
        {
          credential: forgedJws(
            authorityKey,
            Buffer.from(header, "base64url"),
            JSON.stringify(claims).replace('"attributes":{', '"attributes":{"__proto__":"true",'),
          ),
        },
        "credential.malformed",
      ],
      ["attributes of 20 kB", identity, { credential: forged({ attributes: huge }) }, "channel.protocol"],
      ["a text of 5 kB", identity, { credential: "x".repeat(5_000) }, "handshake.failed"],
      ["a ticket's pass as its credential", stranger, { credential: pass }, "credential.malformed"],
      ["a pass beside nothing", stranger, { pass }, "handshake.unauthorized"],
      [
        "a credential as its pass, on an errand",
        stranger,
        { pass: credential, errand: true },
        "ticket.malformed",
      ],
    ];
    const before = line.sent().length;
    for (const [what, who, statements, code] of shown) {
      // At most one refusal a second is logged.
      const logged = await eventually(
        `"${what}" in the log, as ${code}`,
        async () => {
          const seen = await HostileInlet.withIdentity(authority.channelPort, who, statements).catch(codeOf);
          expect(
            ["handshake.unauthorized", "handshake.failed", "channel.closed", "channel.truncated"],
            what,
          ).toContain(seen);
          const last = authority.node.events("channel.refused").at(-1)!;
          // What is cut off while it still comes in has told no name.
          const names = NAMELESS.has(code) ? "127.0.0.1" : who.identifier;
          expect([last.fault_code, JSON.stringify(last)]).toEqual([code, expect.stringContaining(names)]);
          return last;
        },
        { everyMs: 250, deadlineMs: 5_000 },
      );
      expect(logged.level).toBe("warn");
    }
    // Nothing of it came as far as InfluxDB, and the outlet is well.
    expect(line.sent().slice(before)).not.toContain(WRITE);
    expect((await fetch(`${authority.node.statusUrl}/ready`)).status).toBe(200);
    expect((await writeLines(device.url, "honest x=1 1")).status).toBe(204);
    const members = new Set((await leasedTokens(system.influx)).map(({ member: holder }) => holder));
    expect([...members]).toEqual([device.node.identifier]);
    await system.stop();
  });

  it("T5 a channel that may do one thing does no other", { timeout: PATIENCE_MS }, async () => {
    const system = await prepare();
    const { authority, authorityKey, member, device, ticket, line } = system;
    const { pass } = parseTicket(ticket, nodeProvider);
    const stranger = generateIdentity(nodeProvider);
    const { channelPort } = authority;
    const before = line.sent().length;
    const codeOf = async (peer: HostileInlet, head: RequestHead) => {
      const { head: reply, reset } = await peer.ask(head);
      return reply?.kind === "fault" ? reply.code : (reply?.kind ?? reset);
    };
    const write: RequestHead = {
      kind: "http",
      service: "influxdb",
      method: "POST",
      target: WRITE,
      headers: [["authorization", "Token x"]],
    };
    const lease: RequestHead = { kind: "lease", service: "influxdb" };
    const roster: RequestHead = { kind: "roster", since: 0, services: [], addresses: [], sightings: [] };
    const enroll: RequestHead = { kind: "enroll", pass, proof: Buffer.alloc(64).toString("base64url") };

    const withPass = await HostileInlet.withIdentity(channelPort, stranger, { pass, errand: true });
    const onErrand = await HostileInlet.withIdentity(channelPort, member.identity, {
      credential: member.credential,
      errand: true,
    });
    for (const peer of [withPass, onErrand]) {
      for (const head of [write, lease]) expect(await codeOf(peer, head)).toBe("handshake.unauthorized");
      // The pass is no secret: what counts is the ticket's key.
      expect(await codeOf(peer, enroll)).toBe("ticket.foreign");
    }
    expect(await codeOf(withPass, { kind: "renew" })).toBe("member.unknown");
    expect(await codeOf(withPass, roster)).toBe("member.unknown");
    expect(await codeOf(onErrand, roster)).toBe("policy.denied");

    // A member, in all its honour, is not told who else is one, and tells nothing of them.
    const plain = await HostileInlet.withIdentity(channelPort, member.identity, member);
    const { identifier } = device.node;
    const sighting = { identifier, remote: "x", software: "x", clockSkewMs: 0, agoMs: 0 };
    const lying: RequestHead = {
      ...roster,
      services: ["influxdb"],
      addresses: ["tcp://192.0.2.1:1"],
      sightings: [{ ...sighting, clone: "both-live" }],
    };
    expect(await codeOf(plain, lying)).toBe("policy.denied");
    expect((await admin(authority.node, "member", "show", identifier)).clone).toBeUndefined();
    const refused = authority.node.events("authority.refused");
    expect(refused.map(({ member: who }) => who)).toContain(member.identity.identifier);
    expect(refused.map(({ member: who }) => who)).toContain(stranger.identifier);

    // An attribute that nobody may be given, in a credential that the authority's own key has signed.
    const claims = claimsOf(member.credential);
    const raised = await HostileInlet.withIdentity(channelPort, member.identity, {
      credential: withClaims(member.credential, authorityKey, {
        ...claims,
        attributes: { "influxdb-outlet": "true", "culvert-authority": "true", "influxdb-inlet": "true" },
      }),
    });
    expect(await codeOf(raised, roster)).toBe("policy.denied");

    expect(line.sent().slice(before)).not.toContain(WRITE);
    expect((await writeLines(device.url, "honest x=1 1")).status).toBe(204);
    for (const peer of [withPass, onErrand, plain, raised]) peer.close();
    await system.stop();
  });
});

async function prepare() {
  const influx = await startRealInfluxDb();
  const line = await recordTcp(influx.port);
  const authority = await startAuthority({
    influxUrl: `http://127.0.0.1:${line.port}`,
    adminToken: influx.operatorToken.reveal(),
    binary: "culvert-outlet",
  });
  const device = await startDevice({ ticket: await ticketFrom(authority.node) });
  const stolen = await newStateDir();
  expect((await enroll(stolen, await ticketFrom(authority.node))).exit.code).toBe(0);
  const identity = (await loadIdentity(stolen, nodeProvider))!;
  const { identifier } = identity;
  const record = await enrollmentFile(stolen, { provider: nodeProvider, identifier }).load();
  return {
    influx,
    line,
    authority,
    device,
    authorityKey: (await loadIdentity(authority.node.stateDir, nodeProvider, AUTHORITY_KEY_FILE))!,
    /** A member whose state directory has come into the wrong hands. */
    member: { identity, credential: record!.credential },
    ticket: await ticketFrom(authority.node),
    stop: async () => {
      await device.node.stop();
      await authority.node.stop();
      await line.stop();
      await influx.stop();
    },
  };
}

function codeOf(thrown: { code?: string }): string | undefined {
  return thrown.code;
}

function headerOf(header: string): object {
  return JSON.parse(Buffer.from(header, "base64url").toString()) as object;
}

function flipped(signature: string): string {
  return `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
}
