/** Reads and writes descriptions of leases as the outlet with this state directory does. */
import type { Config } from "../../config/config.ts";
import { chooseProvider } from "../../crypto/choose-provider.ts";
import type { Identifier } from "../../identity/identifier.ts";
import { DescriptionCodec } from "../../lease/description.ts";
import { loadIdentity } from "../identity-store.ts";

export interface LeaseScribe {
  readonly codec: DescriptionCodec;
  readonly identifier: Identifier;
  readonly newLeaseId: () => string;
}

/** @returns undefined where the node has no identity yet. @throws Fault `state.unusable`. */
export async function leaseScribe(config: Config, service: string): Promise<LeaseScribe | undefined> {
  const crypto = await chooseProvider(config.channel.crypto, ["AESGCM", "ChaChaPoly"]);
  const identity = await loadIdentity(config.agent.stateDir, crypto);
  if (!identity) return undefined;
  const { identifier } = identity;
  const key = identity.deriveKey("lease description", crypto);
  return {
    identifier,
    codec: new DescriptionCodec({ realm: `${identifier}/${service}`, key, crypto }),
    newLeaseId: () => Buffer.from(crypto.randomBytes(10)).toString("hex"),
  };
}
