import { expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import type { IdentityPublicKey } from "../../../src/crypto/provider.ts";
import { identifierOf, isIdentifier, parseIdentifier } from "../../../src/identity/identifier.ts";

const PUBLIC_KEY = new Uint8Array(32).fill(5) as IdentityPublicKey;
const KNOWN = "ixf2cpfotw4smxbswhjxkufslndz4ixylra66";

it("stays the same for ever: configs hold it", () => {
  expect(identifierOf(PUBLIC_KEY, nodeProvider)).toBe(KNOWN);
  expect(identifierOf(PUBLIC_KEY, nobleProvider)).toBe(KNOWN);
});

it("reads what it prints", () => {
  expect(parseIdentifier(KNOWN)).toBe(KNOWN);
  expect(isIdentifier(KNOWN)).toBe(true);
});

it("tells a mistyped one at every place, and two letters swapped", () => {
  for (let at = 1; at < KNOWN.length; at++) {
    const other = KNOWN[at] === "a" ? "b" : "a";
    expect(isIdentifier(KNOWN.slice(0, at) + other + KNOWN.slice(at + 1))).toBe(false);
    const next = KNOWN[at + 1];
    if (next === undefined || next === KNOWN[at]) continue;
    expect(isIdentifier(KNOWN.slice(0, at) + next + KNOWN[at] + KNOWN.slice(at + 2))).toBe(false);
  }
});

it.each([
  "",
  "i",
  KNOWN.slice(0, -1),
  `${KNOWN}a`,
  ` ${KNOWN}`,
  `${KNOWN}\n`,
  KNOWN.toUpperCase(),
  KNOWN.replace("i", "j"),
  `${KNOWN.slice(0, -1)}1`,
  "i".repeat(1_000_000),
])("refuses %j", (text) => {
  expect(isIdentifier(text)).toBe(false);
  expect(() => parseIdentifier(text)).toThrow(expect.objectContaining({ code: "identity.malformed" }));
  expect(() => parseIdentifier(text)).toThrow(Fault);
});
