import { describe, expect, it } from "vitest";
import { chooseProvider, obstacleTo } from "../../../src/crypto/choose-provider.ts";
import { hasNative, nativeProvider } from "../../../src/crypto/native-provider.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import type { CryptoProvider } from "../../../src/crypto/provider.ts";

describe.each(["AESGCM", "ChaChaPoly"] as const)("chooseProvider for %s", (suite) => {
  it("takes node:crypto where it works, and what it lacks from noble", async () => {
    const expected = hasNative(suite) ? nativeProvider : nodeProvider;
    expect(await chooseProvider("auto", [suite])).toBe(expected);
    expect(await chooseProvider("node", [suite])).toBe(expected);
  });

  it("takes noble when told to", async () => {
    expect(await chooseProvider("noble", [suite])).toBe(nobleProvider);
  });

  it("sees a primitive that only throws", () => {
    const broken: CryptoProvider = {
      ...nobleProvider,
      dh: () => {
        throw new Error("not implemented");
      },
    };
    expect(obstacleTo(broken, suite)).toMatchObject({ code: "crypto.unsupported" });
    expect(obstacleTo(nobleProvider, suite)).toBeUndefined();
  });
});
