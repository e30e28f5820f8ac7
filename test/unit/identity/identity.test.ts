import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { isIdentifier } from "../../../src/identity/identifier.ts";
import {
  decodeIdentityFile,
  encodeIdentityFile,
  generateIdentity,
  Identity,
} from "../../../src/identity/identity.ts";

const SEED = Uint8Array.from({ length: 32 }, (_, i) => 0x40 + i);
const identity = new Identity(SEED, nodeProvider);

describe("an identity", () => {
  it("is new each time", () => {
    const [a, b] = [generateIdentity(nodeProvider), generateIdentity(nobleProvider)];
    expect(a.identifier).not.toBe(b.identifier);
    expect(isIdentifier(a.identifier)).toBe(true);
  });

  it("signs so that its public key verifies, in either provider", () => {
    const message = Uint8Array.of(1, 2);
    const signature = identity.sign(message, nobleProvider);
    expect(nodeProvider.verify(identity.publicKey, message, signature)).toBe(true);
  });

  it("L14 never shows its private key when printed", () => {
    const shown = [
      String(identity),
      JSON.stringify({ identity }),
      inspect(identity),
      inspect({ a: [identity] }),
    ];
    shown.push(
      inspect(identity, { showHidden: true, customInspect: false }),
      JSON.stringify({ ...identity }),
    );
    for (const text of shown) {
      expect(text).not.toContain("404142");
      expect(text).not.toMatch(/64,\s*65,\s*66/);
    }
    expect(inspect(identity)).toBe(`Identity(${identity.identifier})`);
  });

  it("keeps its own copy of the key", () => {
    const seed = Uint8Array.from(SEED);
    const kept = new Identity(seed, nodeProvider);
    seed.fill(0);
    kept.revealPrivateKey().fill(0);
    expect(kept.revealPrivateKey()).toEqual(SEED);
  });
});

describe("T10 the identity file", () => {
  const text = encodeIdentityFile(identity);
  const content = JSON.parse(text) as Record<string, unknown>;

  it("reads as it was written, in either provider", () => {
    for (const provider of [nodeProvider, nobleProvider]) {
      expect(decodeIdentityFile(text, provider).revealPrivateKey()).toEqual(SEED);
    }
  });

  it("is refused truncated at any length", () => {
    // Without the last line break it is still whole.
    for (let length = 0; length < text.length - 1; length++)
      expect(codeOf(text.slice(0, length))).toBe("state.unusable");
  });

  it("is refused with any character of the key or the identifier edited", () => {
    for (const field of ["identifier", "privateKey"]) {
      const value = String(content[field]);
      for (let at = 0; at < value.length; at++) {
        const edited = value.slice(0, at) + (value[at] === "3" ? "4" : "3") + value.slice(at + 1);
        expect(codeOf(JSON.stringify({ ...content, [field]: edited }))).toBe("state.unusable");
      }
    }
  });

  it.each([
    ["another version", { ...content, version: 2 }],
    ["no version", { ...content, version: undefined }],
    ["one more field", { ...content, more: 1 }],
    ["a key in capitals", { ...content, privateKey: String(content.privateKey).toUpperCase() }],
    ["a number as key", { ...content, privateKey: 1 }],
    ["a list", [content]],
    ["nothing", null],
    ["a text", "x"],
  ])("is refused with %s", (_, edited) => {
    expect(codeOf(JSON.stringify(edited))).toBe("state.unusable");
  });

  it("L14 never quotes the key in what it says", () => {
    try {
      decodeIdentityFile(text.replace('"version"', "version"), nodeProvider);
      expect.unreachable();
    } catch (thrown) {
      expect(inspect(thrown, { depth: 9 })).not.toContain("404142");
    }
  });
});

function codeOf(text: string): string | undefined {
  try {
    decodeIdentityFile(text, nodeProvider);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return undefined;
}
