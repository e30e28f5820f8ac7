import { describe, expect, it } from "vitest";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import type { CryptoProvider } from "../../../src/crypto/provider.ts";
import { Trust } from "../../../src/membership/trust.ts";
import { aPeer, codeOf, DAY_MS, NOW_MS, newIdentity, Signer, TestClock } from "./authority-bed.ts";

const signer = new Signer();
const device = newIdentity();

function withCredential(text: string) {
  return aPeer(device, { credential: text });
}

const signed = signer.credentialFor(device.identifier).split(".");

/** Counts signature checks. */
function counting() {
  const counts = { verifications: 0 };
  const provider: CryptoProvider = {
    ...nodeProvider,
    verify(...args) {
      counts.verifications++;
      return nodeProvider.verify(...args);
    },
  };
  return { provider, counts };
}

describe("a peer's credential", () => {
  it("is read when the authority signed it for this peer", () => {
    const credential = signer.trust().credentialOf(withCredential(signer.credentialFor(device.identifier)));
    expect(credential.subject).toBe(device.identifier);
    expect(credential.attributes).toEqual({ "influxdb-inlet": "true" });
  });

  it("T5 of another authority is refused", () => {
    const text = new Signer().credentialFor(device.identifier);
    expect(codeOf(() => signer.trust().credentialOf(withCredential(text)))).toBe("credential.untrusted");
  });

  it("T5 of another subject is refused", () => {
    const text = signer.credentialFor(newIdentity().identifier);
    expect(codeOf(() => signer.trust().credentialOf(withCredential(text)))).toBe("credential.untrusted");
  });

  it("is refused where this node has no authority", () => {
    const trust = new Trust({ provider: nodeProvider, clock: new TestClock() });
    const text = signer.credentialFor(device.identifier);
    expect(codeOf(() => trust.credentialOf(withCredential(text)))).toBe("handshake.unauthorized");
  });

  it("costs one signature check, however often the peer reconnects", () => {
    const { provider, counts } = counting();
    const trust = new Trust({ provider, clock: new TestClock() });
    trust.anchor = signer.key.publicKey;
    const text = signer.credentialFor(device.identifier);
    for (let i = 0; i < 5; i++) trust.credentialOf(withCredential(text));
    expect(counts.verifications).toBe(1);
  });

  it("is checked anew once the authority is another", () => {
    const trust = signer.trust();
    const text = signer.credentialFor(device.identifier);
    trust.credentialOf(withCredential(text));
    trust.anchor = new Signer().key.publicKey;
    expect(codeOf(() => trust.credentialOf(withCredential(text)))).toBe("credential.untrusted");
  });

  it("keeps no more than 20,000 texts in mind, those seen last", () => {
    const counts = { verifications: 0 };
    const accepting: CryptoProvider = {
      ...nodeProvider,
      verify() {
        counts.verifications++;
        return true;
      },
    };
    const trust = new Trust({ provider: accepting, clock: new TestClock() });
    trust.anchor = signer.key.publicKey;
    const [first, second, ...rest] = Array.from({ length: 20_001 }, (_, i) => forged(i));
    trust.credentialOf(withCredential(first!));
    trust.credentialOf(withCredential(second!));
    trust.credentialOf(withCredential(first!));
    for (const text of rest) trust.credentialOf(withCredential(text));
    expect(counts.verifications).toBe(20_001);
    trust.credentialOf(withCredential(first!));
    expect(counts.verifications).toBe(20_001);
    trust.credentialOf(withCredential(second!));
    expect(counts.verifications).toBe(20_002);
  });
});

describe("T6 the outlet's credential at a device", () => {
  const issuedAtMs = NOW_MS;
  const text = signer.credentialFor(device.identifier, { issuedAtMs, lifetimeMs: DAY_MS });

  it.each([
    ["1970", 0],
    ["2099", Date.UTC(2099, 0, 1)],
  ])("is good whatever the device's clock says: %s", (_, wallMs) => {
    const trust = signer.trust(new TestClock(wallMs));
    expect(trust.outletCredentialOf(withCredential(text)).subject).toBe(device.identifier);
  });

  it("is over once the authority has signed a date behind its end", () => {
    const trust = signer.trust(new TestClock(0));
    trust.noteTrueTime(issuedAtMs + DAY_MS);
    expect(codeOf(() => trust.outletCredentialOf(withCredential(text)))).toBe("credential.expired");
  });

  it("is over once it has lasted its time here", () => {
    const clock = new TestClock(0);
    const trust = signer.trust(clock);
    trust.outletCredentialOf(withCredential(text));
    clock.pass(DAY_MS - 1_000);
    expect(codeOf(() => trust.outletCredentialOf(withCredential(text)))).toBeUndefined();
    clock.pass(1_000);
    expect(codeOf(() => trust.outletCredentialOf(withCredential(text)))).toBe("credential.expired");
  });

  it("is not made older by an older date", () => {
    const clock = new TestClock(0);
    const trust = signer.trust(clock);
    trust.noteTrueTime(5_000);
    clock.pass(1_000);
    trust.noteTrueTime(2_000);
    expect(trust.trueTimeLowerBoundMs()).toBe(6_000);
  });
});

/** For a provider that takes any signature. */
function forged(serial: number): string {
  const claims = {
    ...(JSON.parse(Buffer.from(signed[1]!, "base64url").toString()) as object),
    jti: `f${serial}`,
  };
  return `${signed[0]}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${signed[2]}`;
}
