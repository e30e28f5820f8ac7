import { describe, expect, it } from "vitest";
import { encodePrelude } from "../../../src/channel/prelude.ts";
import {
  CONTROL_ROUTE,
  encodePickUp,
  JOIN_ROUTE,
  type Opening,
  readOpening,
} from "../../../src/channel/relay-opening.ts";

const version = expect.objectContaining({ code: "handshake.version" });
const cookie = Uint8Array.from({ length: 32 }, (_, i) => i);

const openings: readonly [string, Uint8Array, Opening][] = [
  ["a control channel", encodePrelude("AESGCM", CONTROL_ROUTE).bytes, { kind: "control" }],
  ["a join", encodePrelude("ChaChaPoly", JOIN_ROUTE).bytes, { kind: "join" }],
  ["a pick-up", encodePickUp(cookie), { kind: "pick-up", cookie }],
];

describe("the first bytes at a relay", () => {
  it.each(openings)("C9 are known for %s as soon as they are all there", (_, bytes, opening) => {
    for (let count = 0; count < bytes.length; count++)
      expect(readOpening(bytes.subarray(0, count))).toBeUndefined();
    expect(readOpening(bytes)).toEqual(opening);
  });

  it("may have more behind a prelude: it is the handshake's", () => {
    const { bytes } = encodePrelude("AESGCM", JOIN_ROUTE);
    expect(readOpening(Uint8Array.of(...bytes, 0, 48, 1, 2, 3))).toEqual({ kind: "join" });
  });

  it("may have none behind a cookie: who picks up is not the first to speak", () => {
    expect(() => readOpening(Uint8Array.of(...encodePickUp(cookie), 1))).toThrow(version);
  });

  it.each(["", "influxdb", "*", "*relays", "*Join"])("are refused with the route %j", (route) => {
    expect(() => readOpening(encodePrelude("AESGCM", route).bytes)).toThrow(version);
  });

  it("are refused at the first byte that cannot be right", () => {
    const bytes = encodePickUp(cookie);
    for (let at = 0; at < 8; at++) {
      const wrong = bytes.slice(0, at + 1);
      wrong[at]! ^= 0x20;
      expect(() => readOpening(wrong)).toThrow(version);
    }
    const suite = bytes.slice();
    suite[8] = 0x7f;
    expect(() => readOpening(suite)).toThrow(version);
  });
});
