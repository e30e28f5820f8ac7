/** Our JWS against `jose`, an implementation that shares no code with ours, over both providers. */
import {
  type CompactJWSHeaderParameters,
  CompactSign,
  compactVerify,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  jwtVerify,
  UnsecuredJWT,
} from "jose";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../src/identity/attributes.ts";
import { fromBase64url, toBase64url } from "../../src/identity/base64url.ts";
import { issueCredential, readCredential } from "../../src/identity/credential.ts";
import { Identity } from "../../src/identity/identity.ts";
import { issueTicket, parseTicket, readPass } from "../../src/identity/ticket.ts";
import { base64url, claimsOf } from "../harness/forged-jws.ts";
import vector from "../vectors/jws.json" with { type: "json" };

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const HOUR_MS = 3_600_000;
const CREDENTIAL_HEADER = { alg: "EdDSA", typ: "culvert-credential+jwt" };

describe.each([nodeProvider, nobleProvider])("JWS over provider $name", (provider) => {
  const authority = new Identity(new Uint8Array(32).fill(1), provider);
  const member = new Identity(new Uint8Array(32).fill(2), provider);
  const publicJwk: JWK = { kty: "OKP", crv: "Ed25519", x: toBase64url(authority.publicKey) };
  const privateJwk: JWK = { ...publicJwk, d: toBase64url(authority.revealPrivateKey()) };
  const credential = issueCredential({
    provider,
    authority,
    subject: member.identifier,
    attributes: parseAttributes({ site: "Köln", "influxdb-inlet": "true" }),
    serial: "c1",
    issuedAtMs: NOW_MS,
    lifetimeMs: HOUR_MS,
  });

  function codeOf(text: string): string {
    try {
      readCredential({ provider, text, authorityKey: authority.publicKey });
    } catch (thrown) {
      if (thrown instanceof Fault) return thrown.code;
      throw thrown;
    }
    return "trusted";
  }

  /** Our claims, signed by jose. */
  function signedByJose(header: CompactJWSHeaderParameters, key: Parameters<CompactSign["sign"]>[0]) {
    return new CompactSign(payloadOf(credential)).setProtectedHeader(header).sign(key);
  }

  it("gives a credential that jose verifies, dates and all", async () => {
    const key = await importJWK(publicJwk, "EdDSA");
    const { payload, protectedHeader } = await jwtVerify(credential, key, {
      typ: "culvert-credential+jwt",
      algorithms: ["EdDSA"],
      issuer: authority.identifier,
      subject: member.identifier,
      requiredClaims: ["jti", "attributes"],
      currentDate: new Date(NOW_MS + 1),
    });
    expect(protectedHeader).toEqual(CREDENTIAL_HEADER);
    expect(payload.attributes).toEqual({ site: "Köln", "influxdb-inlet": "true" });
  });

  it("gives a pass that jose verifies, with the ticket's key in it", async () => {
    const options = { provider, authority, ticketId: "t1", issuedAtMs: NOW_MS, lifetimeMs: HOUR_MS };
    const text = issueTicket({ ...options, addresses: ["tcp://a:1"], service: "influxdb" }).reveal();
    const { key, pass } = parseTicket(text, provider);
    const { payload } = await jwtVerify(pass, await importJWK(publicJwk, "EdDSA"), {
      typ: "culvert-ticket+jwt",
      currentDate: new Date(NOW_MS + 1),
    });
    const confirmed = (payload.cnf as { jwk: JWK }).jwk;
    const taken = await exportJWK(await importJWK(confirmed, "EdDSA"));
    expect(taken.x).toBe(toBase64url(key.publicKey));
    const read = readPass({ provider, text: pass, authorityKey: authority.publicKey });
    expect(read.ticketKey).toEqual(key.publicKey);
  });

  it("takes a credential that jose has signed", async () => {
    const text = await signedByJose(CREDENTIAL_HEADER, await importJWK(privateJwk, "EdDSA"));
    expect(text).toBe(credential);
    expect(codeOf(text)).toBe("trusted");
  });

  it("T5 refuses HMAC under the public key, in each form of it", async () => {
    const spki = Buffer.from(
      `302a300506032b6570032100${Buffer.from(authority.publicKey).toString("hex")}`,
      "hex",
    );
    const forms = [
      authority.publicKey,
      spki,
      Buffer.from(publicJwk.x!),
      Buffer.from(JSON.stringify(publicJwk)),
    ];
    for (const alg of ["HS256", "HS512"]) {
      for (const form of forms) {
        // HMAC pads its key with zeros itself (RFC 2104 §2); jose insists on a length.
        const secret = Uint8Array.from({ length: 64 }, (_, i) => form[i] ?? 0);
        const text = await signedByJose({ ...CREDENTIAL_HEADER, alg }, form.length < 64 ? secret : form);
        expect(codeOf(text)).toBe("credential.malformed");
        expect(codeOf(withOurHeader(text))).toMatch(/^credential\.(malformed|untrusted)$/);
      }
    }
  });

  it.each(["ES256", "RS256", "PS256", "Ed25519"])(
    "T5 refuses %s of another key, under either header",
    async (alg) => {
      const { privateKey } = await generateKeyPair(alg);
      const text = await signedByJose({ ...CREDENTIAL_HEADER, alg }, privateKey);
      expect(codeOf(text)).toBe("credential.malformed");
      expect(codeOf(withOurHeader(text))).toMatch(/^credential\.(malformed|untrusted)$/);
    },
  );

  it("T5 refuses a token that brings its own key along", async () => {
    const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
    const jwk = await exportJWK(publicKey);
    const text = await signedByJose({ ...CREDENTIAL_HEADER, jwk }, privateKey);
    await expect(compactVerify(text, publicKey)).resolves.toBeTruthy();
    expect(codeOf(text)).toBe("credential.malformed");
  });

  it("T5 refuses the right key with another type, or with a word more in the header", async () => {
    const key = await importJWK(privateJwk, "EdDSA");
    for (const header of [
      { alg: "EdDSA" },
      { alg: "EdDSA", typ: "JWT" },
      { alg: "EdDSA", typ: "culvert-ticket+jwt" },
      { ...CREDENTIAL_HEADER, kid: "1" },
      { ...CREDENTIAL_HEADER, b64: true, crit: ["b64"] },
      { ...CREDENTIAL_HEADER, alg: "Ed25519" },
    ]) {
      const text = await signedByJose(header, await importJWK(privateJwk, header.alg).catch(() => key));
      expect(codeOf(text)).toBe("credential.malformed");
    }
  });

  it("T5 refuses a token without a signature", () => {
    const unsecured = new UnsecuredJWT(claimsOf(credential)).encode();
    expect(codeOf(unsecured)).toBe("credential.malformed");
    expect(codeOf(withOurHeader(unsecured))).toBe("credential.malformed");
  });

  it("gives the bytes and the signature of RFC 8037, appendix A.4, and verifies those of A.5", () => {
    const [header, payload, signature] = vector.jws.split(".") as [string, string, string];
    const signer = new Identity(fromBase64url(vector.d)!, provider);
    expect(toBase64url(signer.publicKey)).toBe(vector.x);
    expect([base64url(vector.header), base64url(vector.payload)]).toEqual([header, payload]);
    const message = new TextEncoder().encode(`${header}.${payload}`);
    expect(toBase64url(signer.sign(message, provider))).toBe(signature);
    expect(provider.verify(signer.publicKey, message, fromBase64url(signature)!)).toBe(true);
  });

  it("T5 refuses the JWS of RFC 8037 as a credential: it has no type", () => {
    const { publicKey } = new Identity(fromBase64url(vector.d)!, provider);
    expect(() => readCredential({ provider, text: vector.jws, authorityKey: publicKey })).toThrow(
      expect.objectContaining({ code: "credential.malformed" }),
    );
  });
});

function payloadOf(jws: string): Uint8Array {
  return fromBase64url(jws.split(".")[1]!)!;
}

/** What an attacker would try: the honest header over somebody else's signature. */
function withOurHeader(jws: string): string {
  return [base64url(JSON.stringify(CREDENTIAL_HEADER)), ...jws.split(".").slice(1)].join(".");
}
