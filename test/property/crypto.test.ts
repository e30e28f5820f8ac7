import fc from "fast-check";
import { expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { CipherState } from "../../src/crypto/cipher-state.ts";
import { HandshakeState } from "../../src/crypto/handshake-state.ts";
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { CryptoProvider, IdentityPrivateKey, IdentityPublicKey } from "../../src/crypto/provider.ts";

const EMPTY = new Uint8Array(0);
const suite = fc.constantFrom("AESGCM" as const, "ChaChaPoly" as const);
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });

function keyed(provider: CryptoProvider, of: "AESGCM" | "ChaChaPoly", bytes: Uint8Array): CipherState {
  const state = new CipherState(provider, of);
  state.initializeKey(bytes);
  return state;
}

it("C7 any run of messages and rekeys: one provider opens what the other seals", () => {
  const step = fc.oneof(fc.constant("rekey" as const), fc.uint8Array({ maxLength: 100 }));
  fc.assert(
    fc.property(suite, key, fc.array(step, { maxLength: 20 }), (of, bytes, steps) => {
      const [sender, receiver] = [keyed(nodeProvider, of, bytes), keyed(nobleProvider, of, bytes)];
      for (const one of steps) {
        if (one === "rekey") {
          sender.rekey();
          receiver.rekey();
        } else {
          const out = new Uint8Array(one.length + 16);
          sender.sealInto(one, out, 0);
          expect(receiver.open(out)).toEqual(one);
        }
      }
    }),
    { numRuns: 100 },
  );
});

it("C9 no bytes at all are a message", () => {
  fc.assert(
    fc.property(suite, key, fc.uint8Array({ maxLength: 200 }), (of, bytes, garbage) => {
      expect(() => keyed(nodeProvider, of, bytes).open(garbage)).toThrow(Fault);
    }),
  );
});

it("C3 no bytes at all are message 2 of a handshake", () => {
  const staticKeyPair = nodeProvider.generateDhKeyPair();
  fc.assert(
    fc.property(suite, fc.uint8Array({ maxLength: 300 }), (of, garbage) => {
      const initiator = new HandshakeState({
        provider: nodeProvider,
        suite: of,
        initiator: true,
        prologue: EMPTY,
        staticKeyPair,
      });
      initiator.writeMessage(EMPTY);
      expect(() => initiator.readMessage(garbage)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^(handshake\.failed|crypto\.key-refused)$/) }),
      );
      expect(() => initiator.split()).toThrow(Fault);
    }),
  );
});

it("C2 both providers verify the same signatures, whatever is changed in key, message or signature", () => {
  const change = fc.record({ at: fc.nat({ max: 32 + 20 + 64 - 1 }), mask: fc.integer({ min: 0, max: 255 }) });
  const message = fc.uint8Array({ minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(key, message, change, (seed, text, { at, mask }) => {
      const privateKey = seed as IdentityPrivateKey;
      const all = Uint8Array.of(
        ...nodeProvider.identityPublicKey(privateKey),
        ...text,
        ...nodeProvider.sign(privateKey, text),
      );
      all[at]! ^= mask;
      const verdicts = [nodeProvider, nobleProvider].map((provider) =>
        provider.verify(all.slice(0, 32) as IdentityPublicKey, all.slice(32, 52), all.slice(52)),
      );
      expect(verdicts).toEqual([mask === 0, mask === 0]);
    }),
    { numRuns: 100 },
  );
});
