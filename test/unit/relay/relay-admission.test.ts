import { describe, expect, it } from "vitest";
import type { Peer } from "../../../src/channel/handshake.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { type Attributes, parseAttributes } from "../../../src/identity/attributes.ts";
import { issueCredential } from "../../../src/identity/credential.ts";
import { generateIdentity, type Identity } from "../../../src/identity/identity.ts";
import { issueTicket, parseTicket, proveTicket } from "../../../src/identity/ticket.ts";
import { isAuthority, mayTakeName, RelayAdmission } from "../../../src/relay/relay-admission.ts";

const provider = nodeProvider;
const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const [first, second, stranger, device, other] = Array.from({ length: 5 }, () =>
  generateIdentity(provider),
) as [Identity, Identity, Identity, Identity, Identity];
const admission = new RelayAdmission({
  provider,
  authorities: [first.publicKey, second.publicKey],
  wallMs: () => NOW_MS,
});

function credential(
  authority: Identity,
  subject: Identity,
  options: { issuedAtMs?: number; attributes?: Attributes } = {},
) {
  return issueCredential({
    ...{ provider, authority, serial: "1", lifetimeMs: DAY_MS },
    subject: subject.identifier,
    issuedAtMs: options.issuedAtMs ?? NOW_MS - 1_000,
    attributes: options.attributes ?? parseAttributes({}),
  });
}

function peer(more: Partial<Peer> = {}): Peer {
  return {
    ...{
      identifier: device.identifier,
      software: "culvert/0",
      maxStreams: 1,
      windowBytes: 1_024,
      clockSkewMs: 0,
    },
    ...{ instance: "00", channelBinding: new Uint8Array(32).fill(1) },
    ...more,
  };
}

const fault = (code: string) => expect.objectContaining({ code });
const join = (more: Partial<Peer>, proof?: string) => admission.joiner(peer(more), proof);

describe("who is let through a relay", () => {
  it.each([first, second])("a member of an authority that it knows, as that one's", (authority) => {
    const { identifier } = device;
    const shown = { credential: credential(authority, device) };
    expect(join(shown)).toEqual({ authority: authority.identifier, identifier, errand: false });
    expect(admission.host(peer(shown))).toMatchObject({ authority: authority.identifier, identifier });
  });

  it.each([
    ["nothing", {}],
    ["T5 a credential of another authority", { credential: credential(stranger, device) }],
    ["T5 a credential of another member", { credential: credential(first, other) }],
    ["T5 an altered one", { credential: `${credential(first, device).slice(0, -8)}AAAAAAAA` }],
    ["text", { credential: "x" }],
    ["a pass without being on an errand", { pass: "x" }],
  ])("not who shows %s, whether to join or to take a name", (_, shown) => {
    expect(() => join(shown)).toThrow(fault("relay.denied"));
    expect(() => join({ ...shown, errand: true })).toThrow(fault("relay.denied"));
    expect(() => admission.host(peer(shown))).toThrow(fault("relay.denied"));
  });

  it("not with a credential that is over, or from the future, by the relay's clock", () => {
    const over = { credential: credential(first, device, { issuedAtMs: NOW_MS - DAY_MS - 1_000 }) };
    const future = { credential: credential(first, device, { issuedAtMs: NOW_MS + 3_600_000 }) };
    expect(() => join(over)).toThrow(fault("credential.expired"));
    expect(() => join(future)).toThrow(fault("credential.untrusted"));
    expect(() => admission.host(peer(over))).toThrow(fault("credential.expired"));
  });

  it("with one that is over on an errand alone, so that a device which was away gets a new one", () => {
    const over = {
      credential: credential(first, device, { issuedAtMs: NOW_MS - 400 * DAY_MS }),
      errand: true,
    };
    expect(join(over)).toMatchObject({ authority: first.identifier, errand: true });
  });
});

describe("who comes with a ticket", () => {
  function ticketOf(authority: Identity, issuedAtMs = NOW_MS - 1_000) {
    const text = issueTicket({
      ...{ provider, authority, ticketId: "t", issuedAtMs, lifetimeMs: 600_000 },
      addresses: ["tcp://relay.example.com:4434#authority"],
      service: "influxdb",
    });
    return parseTicket(text.reveal(), provider);
  }
  const binding = peer().channelBinding;
  const proofOf = (ticket: ReturnType<typeof ticketOf>, channelBinding = binding, by = device) =>
    proveTicket({ provider, ticket, channelBinding, identifier: by.identifier });

  it("is brought to the authority, having proven the ticket's key on this handshake", () => {
    const ticket = ticketOf(second);
    expect(join({ pass: ticket.pass, errand: true }, proofOf(ticket))).toEqual({
      ...{ authority: second.identifier, identifier: device.identifier, errand: true },
    });
  });

  it("T1 is not let in with another's pass: without a proof, with that of another handshake, or of another device", () => {
    const ticket = ticketOf(first);
    const shown = { pass: ticket.pass, errand: true };
    const elsewhere = new Uint8Array(32).fill(2);
    for (const proof of [
      undefined,
      "",
      proofOf(ticket, elsewhere),
      proofOf(ticket, binding, other),
      proofOf(ticketOf(first)),
    ])
      expect(() => join(shown, proof)).toThrow(fault("relay.denied"));
  });

  it("T3 is not let in with a ticket of an authority that the relay does not know, or one that is over", () => {
    const foreign = ticketOf(stranger);
    expect(() => join({ pass: foreign.pass, errand: true }, proofOf(foreign))).toThrow(fault("relay.denied"));
    const old = ticketOf(first, NOW_MS - 600_000);
    expect(() => join({ pass: old.pass, errand: true }, proofOf(old))).toThrow(fault("ticket.expired"));
  });
});

describe("who may take a name", () => {
  const named = (attributes: Record<string, string>) =>
    admission.host(
      peer({ credential: credential(first, device, { attributes: parseAttributes(attributes) }) }),
    );

  it.each([
    [{ "influxdb-outlet": "true", "relay-names": "influxdb" }, true],
    [{ "influxdb-outlet": "true", "relay-names": "a, influxdb ,b" }, true],
    [{ "influxdb-outlet": "true", "relay-names": "influxdb-2,influx,Influxdb,*" }, false],
    [{ "influxdb-outlet": "true" }, false],
    [{ "influxdb-outlet": "yes", "relay-names": "influxdb" }, false],
    [{ "influxdb-inlet": "true", "relay-names": "influxdb" }, false],
    [{ "culvert-authority": "true" }, true],
    [{ "culvert-authority": "yes" }, false],
  ])("%j: %j", (attributes, may) => {
    const guest = named(attributes as Record<string, string>);
    expect(mayTakeName(guest, "influxdb")).toBe(may);
    expect(isAuthority(guest)).toBe("culvert-authority" in attributes && may);
  });
});
