/** How a node knows that it talks to its authority, and to nobody else. */
import { Fault } from "../base/fault.ts";
import type { Introduction } from "../channel/handshake.ts";
import type { CryptoProvider, IdentityPublicKey } from "../crypto/provider.ts";
import { AUTHORITY_ATTRIBUTE } from "../identity/attributes.ts";
import { readCredential } from "../identity/credential.ts";
import type { Trust } from "./trust.ts";

export interface AuthorityCheck {
  readonly provider: CryptoProvider;
  readonly authorityKey: IdentityPublicKey;
  readonly trust: Trust;
}

/** Why the peer is not this authority; undefined when it is. Never throws. */
export function authorityRefusal(
  { provider, authorityKey, trust }: AuthorityCheck,
  { identifier, credential: text }: Introduction,
): Fault | undefined {
  try {
    if (text === undefined) return impostor(identifier, "it shows no credential");
    const credential = readCredential({ provider, text, authorityKey });
    if (credential.subject !== identifier) return impostor(identifier, "its credential is another node's");
    if (credential.attributes[AUTHORITY_ATTRIBUTE] !== "true")
      return impostor(identifier, "it is a member like others");
    trust.noteTrueTime(credential.issuedAtMs);
    trust.refuseLongExpired(credential);
    return undefined;
  } catch (thrown) {
    const fault = Fault.from(thrown);
    return impostor(identifier, fault.message, fault);
  }
}

function impostor(identifier: string, why: string, cause?: Fault): Fault {
  const text = `${identifier} is not the authority that the ticket or the record names: ${why}; was the authority replaced, or does another node have its address?`;
  return new Fault("handshake.unauthorized", text, cause ? { cause } : {});
}
