/** The fast provider, complete: node:crypto, and noble for the suites that this runtime's lacks. */
import { hasNative, nativeProvider } from "./native-provider.ts";
import { nobleAead } from "./noble-provider.ts";
import type { CryptoProvider } from "./provider.ts";

export const nodeProvider: CryptoProvider = {
  ...nativeProvider,
  aead: (suite, key) => (hasNative(suite) ? nativeProvider.aead(suite, key) : nobleAead(suite, key)),
};
