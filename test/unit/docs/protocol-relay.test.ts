import { describe, expect, it } from "vitest";
import type { FaultReplyHead } from "../../../src/channel/exchange.ts";
import { controlLimits, defaultLimits } from "../../../src/channel/limits.ts";
import { encodePrelude, PROTOCOL_VERSION } from "../../../src/channel/prelude.ts";
import {
  decodeJoinHead,
  decodeRegisterHead,
  decodeRelayReply,
  encodeOffer,
  encodeRelayHead,
  OFFER_BYTES,
} from "../../../src/channel/relay-heads.ts";
import { CONTROL_ROUTE, encodePickUp, JOIN_ROUTE } from "../../../src/channel/relay-opening.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { RELAY_NAMES_ATTRIBUTE } from "../../../src/identity/attributes.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { isRelayName, parseNodeAddress } from "../../../src/identity/node-address.ts";
import { ERRAND_LIFE_MS, ERRAND_LIMITS } from "../../../src/relay/member-quota.ts";
import { LINGER_MS } from "../../../src/relay/splice.ts";
import { MAX_OFFERS, OFFER_MS } from "../../../src/relay/switchboard.ts";
import { section, table } from "./protocol-page.ts";

const prose = (heading: string) => section(heading).replaceAll("\n", " ");
const { identifier } = generateIdentity(nobleProvider);

/** [where it begins, where it ends] of each field of a byte table. */
function fields(rows: readonly string[][]): [from: number, to: number][] {
  const found = rows.map(
    ([offset, bytes]) => [Number(offset), Number(offset) + Number(bytes)] as [number, number],
  );
  expect(found.map(([from]) => from)).toEqual([0, ...found.slice(0, -1).map(([, to]) => to)]);
  return found;
}

describe("PROTOCOL.md on relays", () => {
  it("has the pick-up of the code", () => {
    const cookie = new Uint8Array(32).fill(7);
    const bytes = encodePickUp(cookie);
    const rows = table("Pick-up");
    const [magic, version, type, last] = fields(rows);
    expect(last![1]).toBe(bytes.length);
    expect(new TextDecoder().decode(bytes.subarray(...magic!))).toBe("culvert");
    expect([...bytes.subarray(...version!)]).toEqual([PROTOCOL_VERSION]);
    expect(rows[2]![2]).toContain(`\`0x${bytes[type![0]]!.toString(16)}\``);
    expect(bytes.subarray(...last!)).toEqual(cookie);
    for (const suite of ["AESGCM", "ChaChaPoly"] as const)
      expect(encodePrelude(suite, "").bytes[8]).not.toBe(bytes[8]);
  });

  it("has the offer of the code", () => {
    const cookie = new Uint8Array(32).fill(7);
    const bytes = encodeOffer({ cookie, identifier, remote: "192.0.2.1:5" });
    const [first, second, third] = fields(table("Control", 1));
    expect(third![1]).toBe(OFFER_BYTES);
    expect(bytes.subarray(...first!)).toEqual(cookie);
    expect(new TextDecoder().decode(bytes.subarray(...second!))).toBe(identifier);
    expect(new TextDecoder().decode(bytes.subarray(...third!))).toBe("192.0.2.1:5".padEnd(48, "\0"));
  });

  it("has the routes of the code, which are no names", () => {
    for (const route of [CONTROL_ROUTE, JOIN_ROUTE]) {
      expect(section("Relay")).toContain(`\`${route}\``);
      expect(isRelayName(route)).toBe(false);
    }
  });

  it("has the heads of the code, with each of their members", () => {
    const rows = [...table("Control"), ...table("Join")];
    const kinds = (from: string) => rows.filter(([, by]) => by!.startsWith(from)).map(([kind]) => kind);
    expect(kinds("host")).toEqual(["register"]);
    expect(kinds("joiner")).toEqual(["join"]);
    expect(kinds("relay").sort()).toEqual(["fault", "fault", "joined", "registered"]);
    const fault: FaultReplyHead = { kind: "fault", code: "relay.denied", retryAfterMs: 1 };
    const register = { kind: "register", name: "n" } as const;
    const join = { kind: "join", name: "n", proof: "p" } as const;
    expect(decodeRegisterHead(encodeRelayHead(register))).toEqual(register);
    expect(decodeJoinHead(encodeRelayHead(join))).toEqual(join);
    for (const reply of [fault, { kind: "joined" }, { kind: "registered" }] as const)
      expect(decodeRelayReply(encodeRelayHead(reply))).toEqual(reply);
    for (const { kind, ...members } of [register, join, fault]) {
      const [, , described] = rows.find(([name]) => name === kind)!;
      for (const member of Object.keys(members)) expect(described).toMatch(new RegExp(`\\b${member}\\b`));
    }
  });

  it("has the addresses of the code", () => {
    for (const [form] of table("Addresses").filter(([each]) => !each!.startsWith("…"))) {
      const example = form!
        .replace("[:port][/path]", ":443/culvert")
        .replace("host", "relay.example.com")
        .replace("port", "4434")
        .replace("identifier", identifier);
      expect(parseNodeAddress(example), example).toBeDefined();
    }
  });

  it("says the same numbers in its prose", () => {
    expect(prose("Relay")).toContain(`has ${defaultLimits.handshakeTimeoutMs} ms`);
    expect(prose("Control")).toContain(
      `pings after ${controlLimits.busyPingMs} ms of silence, and gives up ${controlLimits.pingTimeoutMs} ms later`,
    );
    expect(prose("Control")).toContain(`they have ${LINGER_MS} ms for last words`);
    expect(prose("Pick-up")).toContain(`after ${OFFER_MS} ms`);
    expect(prose("Pick-up")).toContain(`to ${MAX_OFFERS} at most`);
    const { maxConnections, bytesPerSecond } = ERRAND_LIMITS;
    expect(prose("Join")).toContain(
      `for ${ERRAND_LIFE_MS} ms at most, ${maxConnections} of them at once, at ${bytesPerSecond} bytes per second`,
    );
    expect(prose("Names")).toContain(`\`${RELAY_NAMES_ATTRIBUTE}\``);
  });
});
