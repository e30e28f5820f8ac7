import { describe, expect, it } from "vitest";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { decodeEnrollment, type Enrollment, encodeEnrollment } from "../../../src/membership/enrollment.ts";
import { codeOf, newIdentity, Signer } from "./authority-bed.ts";

const signer = new Signer();
const { identifier } = newIdentity();
const enrollment: Enrollment = {
  authorityKey: signer.key.publicKey,
  authorityAddresses: ["tcp://authority.example.com:4433"],
  outletAddresses: ["tcp://outlet.example.com:4433", "tcp://[2001:db8::1]:4433"],
  service: "influxdb",
  credential: signer.credentialFor(identifier),
  ticketId: "t1",
};
const text = encodeEnrollment(enrollment);

function decoded(changed: string, of = identifier): Enrollment {
  return decodeEnrollment({ text: changed, provider: nodeProvider, identifier: of });
}

function edited(change: Record<string, unknown>): string {
  return JSON.stringify({ ...(JSON.parse(text) as object), ...change });
}

describe("the record", () => {
  it("reads back", () => {
    expect(decoded(text)).toEqual(enrollment);
  });

  it("is refused when it is cut short, at any byte", () => {
    for (let length = 0; length < text.length - 2; length++)
      expect(codeOf(() => decoded(text.slice(0, length)))).toBe("state.unusable");
  });

  it.each([
    ["of a newer version", { version: 2 }],
    ["with another authority's key", { authorityKey: Buffer.alloc(32, 7).toString("base64url") }],
    ["with a key too short", { authorityKey: "AAAA" }],
    ["with another's credential", { credential: signer.credentialFor(newIdentity().identifier) }],
    ["with a foreign credential", { credential: new Signer().credentialFor(identifier) }],
    ["with an altered credential", { credential: flipped(enrollment.credential) }],
    ["with addresses that are none", { outletAddresses: [7] }],
    ["with more than belongs in it", { attributes: {} }],
    ["without a member that belongs in it", { ticketId: undefined }],
  ])("%s is refused", (_, change) => {
    expect(codeOf(() => decoded(edited(change)))).toBe("state.unusable");
  });

  it("of another node is refused: a state directory that was mixed up", () => {
    expect(codeOf(() => decoded(text, newIdentity().identifier))).toBe("state.unusable");
  });
});

/** Another character in the middle of the claims. */
function flipped(credential: string): string {
  const at = credential.indexOf(".") + 20;
  return credential.slice(0, at) + (credential[at] === "x" ? "y" : "x") + credential.slice(at + 1);
}
