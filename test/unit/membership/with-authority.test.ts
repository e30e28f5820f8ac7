/** Members and a real authority, with everything between them but a network. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AuthorityDesk } from "../../../src/authority/authority-desk.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault } from "../../../src/base/fault.ts";
import { type AuthorityRequestHead, decodeRequestHead } from "../../../src/channel/exchange.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import type { Identity } from "../../../src/identity/identity.ts";
import { parseTicket } from "../../../src/identity/ticket.ts";
import { Admission } from "../../../src/membership/admission.ts";
import { AuthorityClient, type Grant } from "../../../src/membership/authority-client.ts";
import { RosterFollower } from "../../../src/membership/roster-follower.ts";
import { Trust } from "../../../src/membership/trust.ts";
import { Acceptor } from "../../../src/transport/acceptor.ts";
import { directConnector } from "../../../src/transport/connector.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import { Bed as AuthorityBed } from "../authority/authority-bed.ts";
import { aParty, DAY_MS, newIdentity, PORT } from "./authority-bed.ts";

const stops: (() => void)[] = [];
const ADDRESS = `tcp://127.0.0.1:${PORT}`;
let bed: AuthorityBed;
let wires: MemoryWires;

beforeEach(async () => {
  bed = await AuthorityBed.make({ addresses: () => [ADDRESS] });
  wires = new MemoryWires();
  await open();
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
  });
});

afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await turns();
  vi.useRealTimers();
  bed.authority.close();
});

/** The authority's node. */
async function open(): Promise<void> {
  const identity = newIdentity();
  const trust = trusting();
  const desk = new AuthorityDesk(bed.authority, bed.log);
  const admission = new Admission({
    trust,
    roster: () => bed.authority,
    pinned: new Set(),
    admitsErrands: true,
    wallMs: bed.clock.wallMs,
  });
  const acceptor = new Acceptor({
    addresses: [{ transport: "tcp", host: "127.0.0.1", port: PORT, path: "" }],
    wires,
    ticker: new Ticker(),
    session: {
      party: aParty(identity, () => ({ credential: bed.authority.selfCredential(identity.identifier) })),
      limits: defaultLimits,
      suite: "AESGCM",
      keepaliveMs: 120_000,
      authorize: (peer) => admission.authorize(peer),
    },
    onStream: (stream, head, peer) =>
      desk.accept(stream, decodeRequestHead(head) as AuthorityRequestHead, peer, "192.0.2.7:1"),
    log: new MemoryLog(),
  });
  await acceptor.start();
  stops.push(() => acceptor.close("normal"));
}

function trusting(): Trust {
  const trust = new Trust({ provider: nodeProvider, clock: systemClock });
  trust.anchor = bed.key.publicKey;
  return trust;
}

async function turns(): Promise<void> {
  for (let i = 0; i < 60; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  await turns();
  for (let left = ms; left > 0; left -= 500) {
    vi.advanceTimersByTime(Math.min(left, 500));
    await turns();
  }
}

function clientOf(identity: Identity): AuthorityClient {
  return new AuthorityClient({
    connector: directConnector(wires),
    ticker: new Ticker(),
    party: aParty(identity),
    limits: defaultLimits,
    suite: "AESGCM",
    trust: new Trust({ provider: nodeProvider, clock: systemClock }),
    clock: systemClock,
  });
}

/** What became of it: a grant, or a fault's code. */
async function outcome(promise: Promise<Grant>): Promise<Grant | string> {
  let result: Grant | string | undefined;
  promise.then(
    (grant) => {
      result = grant;
    },
    (thrown) => {
      result = Fault.from(thrown).code;
    },
  );
  await pass(500);
  return result ?? "still under way";
}

function enroll(identity: Identity, text: string): Promise<Grant | string> {
  return outcome(clientOf(identity).enroll(parseTicket(text, nodeProvider)));
}

function renew(identity: Identity, credential?: string): Promise<Grant | string> {
  return outcome(
    clientOf(identity).renew({ authorityKey: bed.key.publicKey, addresses: [ADDRESS], credential }),
  );
}

function textOf(granted: Grant | string): string {
  if (typeof granted === "string") throw new Error(`refused: ${granted}`);
  return granted.text;
}

describe("tickets", () => {
  it("T1 of 3 uses, raced by 50 devices at once, make 3 members", async () => {
    const { text } = bed.ticket({ uses: 3 });
    const results = await Promise.all(Array.from({ length: 50 }, () => enroll(newIdentity(), text)));
    expect(results.filter((result) => typeof result !== "string")).toHaveLength(3);
    expect(bed.authority.members()).toHaveLength(3);
  });

  it("T2 serve the same device again, and no other", async () => {
    const { text } = bed.ticket();
    const device = newIdentity();
    textOf(await enroll(device, text));
    expect(await enroll(newIdentity(), text)).toBe("ticket.used");
    textOf(await enroll(device, text));
  });

  it("T3 that have expired are told to be so", async () => {
    const { text } = bed.ticket();
    bed.clock.advance(601_000);
    expect(await enroll(newIdentity(), text)).toBe("ticket.expired");
  });

  it("T3 that were revoked are told to be so", async () => {
    const { text, ticketId } = bed.ticket();
    bed.authority.revokeTicket(ticketId);
    expect(await enroll(newIdentity(), text)).toBe("ticket.revoked");
  });
});

describe("credentials", () => {
  it("are renewed by identity alone: after 40 days away, and when they are lost", async () => {
    const device = newIdentity();
    const credential = textOf(await enroll(device, bed.ticket().text));
    bed.clock.advance(40 * DAY_MS);
    expect(textOf(await renew(device, credential))).not.toBe(credential);
    textOf(await renew(device));
  });

  it("T7 are not renewed for the revoked, who are told why", async () => {
    const device = newIdentity();
    const credential = textOf(await enroll(device, bed.ticket().text));
    bed.authority.revoke(device.identifier);
    expect(await renew(device, credential)).toBe("member.revoked");
    expect(await renew(device)).toBe("member.revoked");
  });

  it("are not given to a stranger", async () => {
    expect(await renew(newIdentity())).toBe("handshake.unauthorized");
  });
});

describe("an outlet elsewhere", () => {
  async function follower(): Promise<RosterFollower> {
    const outlet = newIdentity();
    const wish = { attributes: parseAttributes({ "influxdb-outlet": "true" }) };
    const credential = textOf(await enroll(outlet, bed.ticket(wish).text));
    const following = new RosterFollower({
      party: aParty(outlet, () => ({ credential })),
      limits: defaultLimits,
      suite: "AESGCM",
      keepaliveMs: 120_000,
      maxAgeMs: 3_600_000,
      connector: directConnector(wires),
      ticker: new Ticker(),
      trust: trusting(),
      authorityAddresses: () => [ADDRESS],
      services: ["influxdb"],
      addresses: () => ["tcp://outlet.example.com:4433"],
      clock: systemClock,
      log: new MemoryLog(),
    });
    stops.push(() => following.stop());
    await following.start();
    await pass(500);
    return following;
  }

  it("has the whole list, and devices hear of the outlet", async () => {
    const members = Array.from({ length: 300 }, () => bed.member());
    const following = await follower();
    expect(following.complete).toBe(true);
    expect(members.every((each) => following.find(each)?.state === "active")).toBe(true);
    const grant = await enroll(newIdentity(), bed.ticket().text);
    expect(grant).toMatchObject({
      outletAddresses: expect.arrayContaining(["tcp://outlet.example.com:4433"]),
    });
  });

  it("C13 T7 hears of a revocation and of new attributes within seconds", async () => {
    const [first, second] = [bed.member(), bed.member()];
    const following = await follower();
    bed.authority.revoke(first!);
    bed.authority.setAttributes(second!, { site: "kiel" });
    await pass(6_500);
    expect(following.find(first!)?.state).toBe("revoked");
    expect(following.find(second!)?.attributes).toMatchObject({ site: "kiel" });
  });

  it("tells who was here, and that there are two of one", async () => {
    const member = bed.member();
    const following = await follower();
    const seen = { identifier: member, remote: "192.0.2.9:1", software: "culvert/9", clockSkewMs: 9 };
    following.note({ ...seen, clone: "both-live" });
    await pass(6_500);
    expect(bed.authority.counts.cloned).toBe(1);
  });

  it("that is no outlet is not shown the list", async () => {
    const device = newIdentity();
    const credential = textOf(await enroll(device, bed.ticket().text));
    const following = new RosterFollower({
      party: aParty(device, () => ({ credential })),
      limits: defaultLimits,
      suite: "AESGCM",
      keepaliveMs: 120_000,
      maxAgeMs: 3_600_000,
      connector: directConnector(wires),
      ticker: new Ticker(),
      trust: trusting(),
      authorityAddresses: () => [ADDRESS],
      services: [],
      addresses: () => [],
      clock: systemClock,
      log: new MemoryLog(),
    });
    stops.push(() => following.stop());
    await following.start();
    await pass(500);
    expect(following.status()).toMatchObject({ complete: false, lastFault: { code: "policy.denied" } });
  });
});
