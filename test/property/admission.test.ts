import fc from "fast-check";
import { expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { Admission } from "../../src/membership/admission.ts";
import { decodeEnrollment } from "../../src/membership/enrollment.ts";
import { aPeer, NOW_MS, newIdentity, Signer, TestRoster } from "../unit/membership/authority-bed.ts";

const signer = new Signer();
const device = newIdentity();
const { identifier } = device;
const credential = signer.credentialFor(identifier);
const { pass } = signer.ticket();
const gate = new Admission({
  trust: signer.trust(),
  roster: () => new TestRoster(false),
  pinned: new Set(),
  admitsErrands: true,
  wallMs: () => NOW_MS,
});

/** Printable ASCII, as the hello lets through. */
const ascii = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
});

/** One character changed, left out, put in, or two parts of it swapped for another's. */
function mutated(text: string): fc.Arbitrary<string> {
  const at = fc.nat(text.length - 1);
  const letter = fc.constantFrom(..."ABCXYZabcxyz0189-_.= ");
  const other = signer.credentialFor(newIdentity().identifier).split(".");
  const parts = text.split(".");
  return fc
    .oneof(
      fc.tuple(at, letter).map(([i, c]) => text.slice(0, i) + c + text.slice(i + 1)),
      at.map((i) => text.slice(0, i) + text.slice(i + 1)),
      fc.tuple(at, letter).map(([i, c]) => text.slice(0, i) + c + text.slice(i)),
      at.map((i) => text.slice(0, i)),
      fc.nat(2).map((i) => parts.map((part, j) => (i === j ? other[j] : part)).join(".")),
    )
    .filter((changed) => changed !== text && changed !== other.join("."));
}

it("lets nobody in with a random or altered credential or pass", () => {
  const statement = fc.oneof(
    ascii.map((text) => ({ credential: text })),
    ascii.map((text) => ({ pass: text })),
    mutated(credential).map((text) => ({ credential: text })),
    mutated(pass).map((text) => ({ pass: text })),
    mutated(pass).map((text) => ({ pass: text, credential: pass })),
    fc.constant({ credential: pass }),
    fc.constant({ pass: credential }),
  );
  fc.assert(
    fc.property(statement, fc.boolean(), (statements, errand) => {
      const peer = aPeer(device, errand ? { ...statements, errand } : statements);
      expect(gate.authorize(peer)).toBeInstanceOf(Fault);
      expect(() => gate.subjectOf(peer)).toThrow(Fault);
    }),
    { numRuns: 1_000 },
  );
});

it("reads no text as an enrollment record but one whose credential is this node's", () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        version: fc.oneof(fc.constant(1), fc.anything()),
        authorityKey: fc.oneof(
          fc.constant(Buffer.from(signer.key.publicKey).toString("base64url")),
          fc.string(),
        ),
        authorityAddresses: fc.oneof(fc.constant([]), fc.anything()),
        outletAddresses: fc.oneof(fc.constant([]), fc.anything()),
        service: fc.oneof(fc.string(), fc.anything()),
        credential: fc.oneof(mutated(credential), fc.anything()),
        ticketId: fc.string(),
      })
      .map((content) => JSON.stringify(content, (_, value) => (typeof value === "bigint" ? 0 : value))),
  );
  fc.assert(
    fc.property(anything, (text) => {
      fc.pre(text !== undefined);
      expect(() => decodeEnrollment({ text, provider: nodeProvider, identifier })).toThrow(
        expect.objectContaining({ code: "state.unusable" }),
      );
    }),
    { numRuns: 500 },
  );
});
