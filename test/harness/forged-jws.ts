/** Compact JWS that no honest authority writes, though signed with its key. */
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { Identity } from "../../src/identity/identity.ts";

/** @param header, payload text or bytes, as they are, well-formed or not. */
export function forgedJws(
  identity: Identity,
  header: string | Uint8Array,
  payload: string | Uint8Array,
): string {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return `${signed}.${base64url(identity.sign(new TextEncoder().encode(signed), nodeProvider))}`;
}

/** The claims of a JWS, and the same JWS with others, signed again. */
export function claimsOf(jws: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jws.split(".")[1]!, "base64url").toString());
}

export function withClaims(jws: string, identity: Identity, claims: unknown): string {
  return forgedJws(identity, Buffer.from(jws.split(".")[0]!, "base64url"), JSON.stringify(claims));
}

export function base64url(content: string | Uint8Array): string {
  return Buffer.from(content as string).toString("base64url");
}
