import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ED25519_TORSION_SUBGROUP, ed25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE, numberToBytesLE } from "@noble/curves/utils.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { describe, expect, it } from "vitest";
import { Fault, type FaultCode } from "../../src/base/fault.ts";
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type {
  CipherSuite,
  DhPublicKey,
  IdentityPrivateKey,
  IdentityPublicKey,
} from "../../src/crypto/provider.ts";
import { families } from "../vectors/conformance.ts";

const EMPTY = new Uint8Array(0);
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);
const suites: CipherSuite[] = ["AESGCM", "ChaChaPoly"];
/** How many vectors there are: a file that lost some must not pass in silence. */
const COUNTS = {
  sha256: 2,
  hmacSha256: 6,
  aead: 3,
  x25519: 164,
  ed25519: 192,
  "published Noise vectors": 8,
  "Noise transcripts of an independent implementation": 2,
};

describe.each([nodeProvider, nobleProvider])("provider $name", (provider) => {
  it.each(Object.entries(COUNTS))("C1 C2 gives the bytes of the vectors: %s", (name, count) => {
    expect(families[name]!(provider)).toBe(count);
  });

  describe.each(suites)("%s", (suite) => {
    const seal = (nonce: number, plaintext: Uint8Array, associatedData = EMPTY) => {
      const out = new Uint8Array(plaintext.length + 16);
      provider.aead(suite, KEY).sealInto(nonce, associatedData, plaintext, out, 0);
      return out;
    };

    it.each([4, 8, 12, 15])("C2 refuses a tag of %i bytes", (tagBytes) => {
      const sealed = seal(0, Uint8Array.of(1, 2, 3));
      expect(codeOf(() => provider.aead(suite, KEY).open(0, EMPTY, sealed.subarray(0, 3 + tagBytes)))).toBe(
        "channel.tampered",
      );
      expect(
        codeOf(() => provider.aead(suite, KEY).open(0, EMPTY, seal(0, EMPTY).subarray(0, tagBytes))),
      ).toBe("channel.tampered");
    });

    it("C2 refuses every flipped bit, another nonce and other associated data", () => {
      const sealed = seal(5, Uint8Array.of(1, 2, 3), Uint8Array.of(9));
      const aead = provider.aead(suite, KEY);
      for (let bit = 0; bit < sealed.length * 8; bit++) {
        const flipped = Uint8Array.from(sealed);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(codeOf(() => aead.open(5, Uint8Array.of(9), flipped))).toBe("channel.tampered");
      }
      expect(codeOf(() => aead.open(6, Uint8Array.of(9), sealed))).toBe("channel.tampered");
      expect(codeOf(() => aead.open(5, EMPTY, sealed))).toBe("channel.tampered");
      expect(aead.open(5, Uint8Array.of(9), sealed)).toEqual(Uint8Array.of(1, 2, 3));
    });

    it.each([2 ** 53, -1, 0.5, Number.NaN])("C7 refuses nonce %d", (nonce) => {
      expect(codeOf(() => seal(nonce, EMPTY))).toBe("crypto.nonce-exhausted");
      expect(codeOf(() => provider.aead(suite, KEY).open(nonce, EMPTY, new Uint8Array(16)))).toBe(
        "crypto.nonce-exhausted",
      );
    });

    it.each([0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1])(
      "C1 seals the same bytes as the other provider at nonce %d",
      (nonce) => {
        const other = provider === nodeProvider ? nobleProvider : nodeProvider;
        const theirs = new Uint8Array(20);
        other.aead(suite, KEY).sealInto(nonce, Uint8Array.of(7), Uint8Array.of(1, 2, 3, 4), theirs, 0);
        expect(seal(nonce, Uint8Array.of(1, 2, 3, 4), Uint8Array.of(7))).toEqual(theirs);
      },
    );

    it("seals a plaintext that lies in the output itself, and leaves the rest of it alone", () => {
      const out = new Uint8Array(40).fill(0xee);
      const expected = seal(3, new Uint8Array(10).fill(0xee));
      provider.aead(suite, KEY).sealInto(3, EMPTY, out.subarray(2, 12), out, 2);
      expect(out.subarray(2, 28)).toEqual(expected);
      expect([out[1], out[28]]).toEqual([0xee, 0xee]);
    });

    it("keeps its own copy of the key", () => {
      const key = Uint8Array.from(KEY);
      const aead = provider.aead(suite, key);
      key.fill(0);
      expect(aead.open(0, EMPTY, seal(0, Uint8Array.of(1)))).toEqual(Uint8Array.of(1));
    });

    it("refuses a key of another length", () => {
      expect(codeOf(() => provider.aead(suite, new Uint8Array(16)))).toBe("crypto.key-refused");
    });
  });

  it.each([0, 31, 33])("refuses an X25519 key of %i bytes", (length) => {
    const { privateKey } = provider.generateDhKeyPair();
    expect(codeOf(() => provider.dh(privateKey, new Uint8Array(length) as DhPublicKey))).toBe(
      "crypto.key-refused",
    );
  });

  it("makes a different key pair each time, and both ends agree on a secret", () => {
    const [a, b] = [provider.generateDhKeyPair(), provider.generateDhKeyPair()];
    expect(a.publicKey).not.toEqual(b.publicKey);
    expect(provider.dh(a.privateKey, b.publicKey)).toEqual(provider.dh(b.privateKey, a.publicKey));
  });

  it("takes one seed as a key of either curve without mixing them up", () => {
    const pair = provider.dhKeyPairFrom(KEY);
    const publicKey = provider.identityPublicKey(pair.privateKey as Uint8Array as IdentityPrivateKey);
    expect(publicKey).not.toEqual(pair.publicKey);
    expect(provider.dhKeyPairFrom(KEY).publicKey).toEqual(pair.publicKey);
  });

  describe("C2 Ed25519", () => {
    const seed = KEY as IdentityPrivateKey;
    const message = Uint8Array.of(1, 2, 3);
    const publicKey = provider.identityPublicKey(seed);
    const signature = provider.sign(seed, message);

    it("verifies its own signature, and not that of another message", () => {
      expect(provider.verify(publicKey, message, signature)).toBe(true);
      expect(provider.verify(publicKey, Uint8Array.of(1, 2, 4), signature)).toBe(false);
    });

    it("refuses S + L", () => {
      expect(provider.verify(publicKey, message, withOrderAdded(signature))).toBe(false);
    });

    it.each(smallOrderKeys())("refuses the small-order key %s", (hex) => {
      const key = fromHex(hex) as IdentityPublicKey;
      // R = the identity point and S = 0 fit every message under the identity point as key, and more
      // messages than one under the others.
      const universal = new Uint8Array(64);
      universal[0] = 1;
      for (let i = 0; i < 16; i++) expect(provider.verify(key, Uint8Array.of(i), universal)).toBe(false);
    });

    it("refuses a key with a torsion part where only the cofactored equation holds", () => {
      expect(provider.verify(...torsionForgery())).toBe(false);
    });

    it.each([0, 63, 65])("refuses a signature of %i bytes", (length) => {
      expect(provider.verify(publicKey, message, new Uint8Array(length))).toBe(false);
    });

    it("refuses a key that is no point", () => {
      const key = new Uint8Array(32).fill(0) as IdentityPublicKey;
      key[0] = 2;
      expect(provider.verify(key, message, signature)).toBe(false);
    });
  });
});

it("C1 C2 gives the bytes of the vectors on Node too, both providers", () => {
  const directory = mkdtempSync(join(tmpdir(), "culvert-conformance-"));
  try {
    const bundle = join(directory, "conformance.mjs");
    const entry = join(import.meta.dirname, "../vectors/conformance-run.ts");
    const bun = join(import.meta.dirname, "../../node_modules/.bin/bun");
    execFileSync(bun, ["build", entry, "--target=node", `--outfile=${bundle}`], { stdio: "pipe" });
    const printed = execFileSync("node", [bundle], { encoding: "utf8", timeout: 15_000 });
    expect(JSON.parse(printed)).toEqual({ node: COUNTS, noble: COUNTS });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function codeOf(action: () => unknown): FaultCode | undefined {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return undefined;
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

const ORDER = ed25519.Point.Fn.ORDER;

/** The same signature with S + L for S: fits the equation, and RFC 8032 §5.1.7 refuses it. */
function withOrderAdded(signature: Uint8Array): Uint8Array {
  const forged = Uint8Array.from(signature);
  forged.set(numberToBytesLE(bytesToNumberLE(signature.subarray(32)) + ORDER, 32), 32);
  return forged;
}

/** Every point whose order divides 8, in each spelling that some library takes. */
function smallOrderKeys(): string[] {
  const canonical = ED25519_TORSION_SUBGROUP;
  const second = [
    `01${"00".repeat(30)}80`,
    `ec${"ff".repeat(31)}`,
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}7f`,
  ];
  return [...canonical, ...second];
}

/** Made by the owner of key A + T, T of order 8: [8][S]B = [8](R + [k]A) holds, [S]B = R + [k]A does not. */
function torsionForgery(): [IdentityPublicKey, Uint8Array, Uint8Array] {
  const torsion = ed25519.Point.fromHex(ED25519_TORSION_SUBGROUP[1]!);
  const [secret, nonce] = [12345n, 67890n];
  const publicKey = ed25519.Point.BASE.multiply(secret).add(torsion).toBytes();
  const r = ed25519.Point.BASE.multiply(nonce).toBytes();
  for (let i = 0; ; i++) {
    const message = Uint8Array.of(i);
    const k = bytesToNumberLE(sha512(Uint8Array.of(...r, ...publicKey, ...message))) % ORDER;
    if (k % 8n === 0n) continue;
    const signature = Uint8Array.of(...r, ...numberToBytesLE((nonce + k * secret) % ORDER, 32));
    expect(ed25519.verify(signature, message, publicKey, { zip215: false })).toBe(true);
    return [publicKey as IdentityPublicKey, message, signature];
  }
}
