/** Which provider this process uses: decided once, at start-up. */
import { Fault } from "../base/fault.ts";
import { nobleProvider } from "./noble-provider.ts";
import { nodeProvider } from "./node-provider.ts";
import { type CipherSuite, type CryptoProvider, KEY_BYTES, TAG_BYTES } from "./provider.ts";

export type ProviderChoice = "auto" | "node" | "noble";

/**
 * @param choice "auto" takes node:crypto where it works here, else noble.
 * @throws Fault `crypto.unsupported` when "node" is asked for and node:crypto does not work here.
 */
export function chooseProvider(choice: ProviderChoice, suite: CipherSuite): CryptoProvider {
  if (choice === "noble") return nobleProvider;
  const obstacle = obstacleTo(nodeProvider, suite);
  if (obstacle === undefined) return nodeProvider;
  if (choice === "auto") return nobleProvider;
  throw new Fault(
    "crypto.unsupported",
    `node:crypto of this runtime cannot do what ${suite} channels need; set the provider to "auto" or "noble"`,
    { cause: obstacle },
  );
}

/** Runs each primitive once: a runtime may export a function that only throws. */
export function obstacleTo(provider: CryptoProvider, suite: CipherSuite): Error | undefined {
  const empty = new Uint8Array(0);
  try {
    const { publicKey, privateKey } = provider.generateDhKeyPair();
    provider.dh(privateKey, publicKey);
    const sealed = new Uint8Array(TAG_BYTES);
    const aead = provider.aead(suite, new Uint8Array(KEY_BYTES));
    aead.sealInto(0, empty, empty, sealed, 0);
    aead.open(0, empty, sealed);
    return undefined;
  } catch (thrown) {
    return Fault.from(thrown, "crypto.unsupported");
  }
}
