import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ipVersion } from "../../../src/base/ip-version.ts";

const odd = [
  "",
  ".",
  "1.2.3",
  "1.2.3.4.",
  "01.2.3.4",
  "1.2.3.256",
  "1.2.3.4.5",
  "::",
  "::1",
  ":",
  ":::",
  "1::2::3",
];
const longer = [
  "::ffff:127.0.0.1",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8:9",
  "::g",
  "1:2",
  "[::1]",
  "::1]",
  "::1/x",
];

describe("ipVersion", () => {
  it.each([...odd, ...longer, "localhost", "0x7f.1", "127.0.0.1", "FE80::1"])("is isIP for %j", (text) => {
    expect(ipVersion(text)).toBe(isIP(text));
  });

  const part = fc.constantFrom(
    "0",
    "1",
    "127",
    "255",
    "256",
    "01",
    "ffff",
    "::",
    ":",
    ".",
    "g",
    "[",
    "]",
    "/",
    " ",
  );
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.array(part, { maxLength: 9 }).map((parts) => parts.join("")),
  );

  it("never takes what isIP refuses", () => {
    fc.assert(
      fc.property(text, (address) => [0, isIP(address)].includes(ipVersion(address))),
      { numRuns: 3_000 },
    );
  });

  it("takes all that isIP takes but IPv6 with an IPv4 tail", () => {
    const plain = text.filter((address) => !(address.includes(":") && address.includes(".")));
    fc.assert(
      fc.property(plain, (address) => ipVersion(address) === isIP(address)),
      { numRuns: 3_000 },
    );
  });
});
