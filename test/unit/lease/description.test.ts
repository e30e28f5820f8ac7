import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DescriptionCodec, type LeaseFacts, leftMs } from "../../../src/lease/description.ts";
import { codecOf, hmac } from "./lease-bench.ts";

const facts: LeaseFacts = {
  leaseId: "0123456789abcdef0123",
  member: "k3yid-member",
  profile: "write:metrics",
  madeAtMs: 1_800_000_000_123,
  expiresAtMs: 1_800_000_300_123,
};
const codec = codecOf("outlet-a/influxdb");

/** The same text with a right MAC for other content: what only the holder of the key can write. */
function resealed(edit: (body: string) => string): string {
  const body = edit(codec.encode(facts).split(" mac=")[0]!);
  const mac = hmac.hmacSha256(new Uint8Array(32).fill(7), new TextEncoder().encode(body));
  return `${body} mac=${Buffer.from(mac).toString("hex")}`;
}

describe("a lease description", () => {
  it("says to a person what the token is and when it ends", () => {
    expect(codec.encode(facts)).toMatch(
      /^culvert lease 1: member=k3yid-member profile=write:metrics expires=2027-01-15T08:05:00\.123Z /,
    );
  });

  it("comes back as the facts that it was made of, whatever the names", () => {
    const name = fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" });
    fc.assert(
      fc.property(name, name, name, fc.nat(4e12), fc.nat(4e12), (leaseId, member, profile, madeAtMs, ms) => {
        const written = { leaseId, member, profile, madeAtMs, expiresAtMs: madeAtMs + ms };
        expect(codec.decode(codec.encode(written))).toEqual(written);
      }),
    );
  });

  it("is printable ASCII", () => {
    expect(codec.encode({ ...facts, profile: "write:\u202eb\u00fccket\n\u0000" })).toMatch(/^[ -~]+$/);
  });

  it("L4 is forged when any character of it is changed", () => {
    const text = codec.encode(facts);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "a" ? "b" : "a";
      expect(codec.decode(text.slice(0, at) + other + text.slice(at + 1))).toBeTypeOf("string");
    }
  });

  it("L4 is forged when it was written with another key", () => {
    const text = codecOf("outlet-a/influxdb", new Uint8Array(32).fill(8)).encode(facts);
    expect(codec.decode(text)).toBe("forged");
  });

  it("L4 is foreign when it is of a future version, though its MAC is right", () => {
    expect(codec.decode(resealed((body) => body))).toEqual(facts);
    expect(codec.decode(resealed((body) => body.replace("lease 1:", "lease 2:")))).toBe("foreign");
  });

  it("L4 is foreign when it is 5 MB, empty, cut, holds NUL or more than we wrote", () => {
    const text = codec.encode(facts);
    const odd = ["", "x".repeat(5_000_000), text + " ".repeat(5_000_000), "\u0000", text.slice(0, -1)];
    for (const one of [...odd, `${text}\u0000`, ` ${text}`, `${text}\n`, text.replace(" ", "\u0000")]) {
      expect(codec.decode(one)).toBe("foreign");
    }
  });

  it("L4 never throws, whatever it is given", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => codec.decode(text) === "foreign"));
  });

  it("L12 is foreign to another outlet, with the same key too", () => {
    expect(codecOf("outlet-b/influxdb").decode(codec.encode(facts))).toBe("foreign");
    expect(codecOf("outlet-a/other").decode(codec.encode(facts))).toBe("foreign");
  });

  it("is refused to be written when it would not be found again", () => {
    expect(() => codec.encode({ ...facts, member: "x".repeat(3_000) })).toThrow(
      expect.objectContaining({ code: "internal.bug" }),
    );
    expect(() => codec.encode({ ...facts, member: "" })).toThrow(
      expect.objectContaining({ code: "internal.bug" }),
    );
    expect(() => codec.encode({ ...facts, expiresAtMs: Number.NaN })).toThrow(
      expect.objectContaining({ code: "internal.bug" }),
    );
  });

  it("is not written with a short key", () => {
    expect(() => new DescriptionCodec({ realm: "r", key: new Uint8Array(15), crypto: hmac })).toThrow(
      expect.objectContaining({ code: "internal.bug" }),
    );
  });
});

describe("what is left of a lease by its description", () => {
  const day = 86_400_000;

  it("is its expiry less the date", () => {
    expect(leftMs(facts, facts.madeAtMs + 100_000, day)).toBe(200_000);
  });

  it("is nothing once it has expired", () => {
    expect(leftMs(facts, facts.expiresAtMs + day, day)).toBe(0);
  });

  it("L7 is never more than the life it states, with a clock a day or decades behind", () => {
    expect(leftMs(facts, facts.madeAtMs - day, 30 * day)).toBe(300_000);
    expect(leftMs(facts, 0, 30 * day)).toBe(300_000);
  });

  it("L7 is never more than the life configured, though it was written by a clock in 2099", () => {
    const absurd = { ...facts, expiresAtMs: Date.UTC(2099, 0) };
    expect(leftMs(absurd, facts.madeAtMs, 300_000)).toBe(300_000);
  });
});
