/** Which provider this process uses: decided once, at start-up. */
import { Fault } from "../base/fault.ts";
import { hasNative, nativeProvider } from "./native-provider.ts";
import { type CipherSuite, type CryptoProvider, KEY_BYTES, TAG_BYTES } from "./provider.ts";

export type ProviderChoice = "auto" | "node" | "noble";

/**
 * noble is loaded only where it is needed: it would take a fifth of the start of an inlet.
 * @param choice "auto" takes node:crypto where it works here, else noble.
 * @param suites those that this process may have to speak.
 * @throws Fault `crypto.unsupported` when "node" is asked for and node:crypto does not work here.
 */
export async function chooseProvider(
  choice: ProviderChoice,
  suites: readonly CipherSuite[],
): Promise<CryptoProvider> {
  if (choice === "noble") return (await import("./noble-provider.ts")).nobleProvider;
  const provider = suites.every(hasNative)
    ? nativeProvider
    : (await import("./node-provider.ts")).nodeProvider;
  const obstacle = suites.map((suite) => obstacleTo(provider, suite)).find((found) => found !== undefined);
  if (obstacle === undefined) return provider;
  if (choice === "auto") return (await import("./noble-provider.ts")).nobleProvider;
  throw new Fault(
    "crypto.unsupported",
    'node:crypto of this runtime cannot do what the channels need; set the provider to "auto" or "noble"',
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
