import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { HandshakeState } from "../../../src/crypto/handshake-state.ts";
import { Misuse, type MisuseName } from "../../../src/crypto/misuse.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import type { CipherSuite, CryptoProvider } from "../../../src/crypto/provider.ts";

const EMPTY = new Uint8Array(0);
const PAYLOAD = Uint8Array.of(1, 2, 3);

interface EndOptions {
  suite?: CipherSuite;
  prologue?: Uint8Array;
  provider?: CryptoProvider;
}

function end(initiator: boolean, options: EndOptions = {}): HandshakeState {
  const { suite = "AESGCM", prologue = EMPTY, provider = nodeProvider } = options;
  return new HandshakeState({
    provider,
    suite,
    initiator,
    prologue,
    staticKeyPair: provider.generateDhKeyPair(),
  });
}

function finished(initiator = end(true), responder = end(false)): [HandshakeState, HandshakeState] {
  responder.readMessage(initiator.writeMessage(EMPTY));
  initiator.readMessage(responder.writeMessage(PAYLOAD));
  responder.readMessage(initiator.writeMessage(PAYLOAD));
  return [initiator, responder];
}

describe("HandshakeState", () => {
  it.each(["AESGCM", "ChaChaPoly"] as const)("C1 node and noble shake hands with %s", (suite) => {
    const [a, b] = finished(
      end(true, { suite, provider: nodeProvider }),
      end(false, { suite, provider: nobleProvider }),
    );
    const [ours, theirs] = [a.split(), b.split()];
    const out = new Uint8Array(19);
    ours.sender.sealInto(PAYLOAD, out, 0);
    expect(theirs.receiver.open(out)).toEqual(PAYLOAD);
    theirs.sender.sealInto(PAYLOAD, out, 0);
    expect(ours.receiver.open(out)).toEqual(PAYLOAD);
    expect(ours.handshakeHash).toEqual(theirs.handshakeHash);
  });

  it("tells each end the other's static key", () => {
    const keys = [nodeProvider.generateDhKeyPair(), nodeProvider.generateDhKeyPair()] as const;
    const make = (initiator: boolean) =>
      new HandshakeState({
        provider: nodeProvider,
        suite: "AESGCM",
        initiator,
        prologue: EMPTY,
        staticKeyPair: keys[initiator ? 0 : 1],
      });
    const [a, b] = finished(make(true), make(false));
    expect([a.split().remoteStatic, b.split().remoteStatic]).toEqual([keys[1].publicKey, keys[0].publicKey]);
  });

  it("shows the responder's key and payload to the initiator before it sends its own", () => {
    const [a, b] = [end(true), end(false)];
    b.readMessage(a.writeMessage(EMPTY));
    expect(a.remoteStatic).toBeUndefined();
    expect(a.readMessage(b.writeMessage(PAYLOAD))).toEqual(PAYLOAD);
    expect(a.remoteStatic).toHaveLength(32);
  });

  it("C8 fails with another prologue", () => {
    const [a, b] = [end(true, { prologue: Uint8Array.of(1) }), end(false, { prologue: Uint8Array.of(2) })];
    b.readMessage(a.writeMessage(EMPTY));
    expect(codeOf(() => a.readMessage(b.writeMessage(EMPTY)))).toBe("handshake.failed");
  });

  it("C8 fails with another suite", () => {
    const [a, b] = [end(true, { suite: "AESGCM" }), end(false, { suite: "ChaChaPoly" })];
    b.readMessage(a.writeMessage(EMPTY));
    expect(codeOf(() => a.readMessage(b.writeMessage(EMPTY)))).toBe("handshake.failed");
  });

  it.each([0, 1, 2])(
    "C3 every bit flipped in message %i: no payload, and the handshake is over",
    (target) => {
      const length = [35, 99, 67][target]!;
      for (let bit = 0; bit < length * 8; bit++) {
        const ends = [end(true), end(false)] as const;
        let failure: string | undefined;
        for (let turn = 0; turn < 3 && failure === undefined; turn++) {
          const [writer, reader] = turn % 2 === 0 ? ends : [ends[1], ends[0]];
          const message = writer.writeMessage(PAYLOAD);
          if (turn === target) message[bit >> 3]! ^= 1 << (bit & 7);
          failure = codeOf(() => reader.readMessage(message));
          if (failure !== undefined) expect(codeOf(() => reader.split())).toBe(failure);
        }
        // Bit 255 of an X25519 key is masked (RFC 7748 §5): it is in the hash all the same, so the next
        // message fails; message 1 is in the clear, and so found out by message 2.
        expect(failure).toBe("handshake.failed");
      }
    },
  );
});

describe("HandshakeState refuses", () => {
  it.each([0, 31])("C9 a first message of %i bytes, for good", (length) => {
    const b = end(false);
    expect(codeOf(() => b.readMessage(new Uint8Array(length)))).toBe("handshake.failed");
    expect(codeOf(() => b.readMessage(end(true).writeMessage(EMPTY)))).toBe("handshake.failed");
  });

  it("C9 every truncation of messages 2 and 3", () => {
    for (const length of Array.from({ length: 99 }, (_, i) => i)) {
      const [a, b] = [end(true), end(false)];
      b.readMessage(a.writeMessage(EMPTY));
      expect(codeOf(() => a.readMessage(b.writeMessage(PAYLOAD).subarray(0, length)))).toBe(
        "handshake.failed",
      );
      if (length >= 67) continue;
      const [c, d] = [end(true), end(false)];
      d.readMessage(c.writeMessage(EMPTY));
      c.readMessage(d.writeMessage(EMPTY));
      expect(codeOf(() => d.readMessage(c.writeMessage(PAYLOAD).subarray(0, length)))).toBe(
        "handshake.failed",
      );
    }
  });

  it("C9 a message of 65536 bytes, and takes one of 65535", () => {
    expect(codeOf(() => end(false).readMessage(new Uint8Array(65536).fill(9)))).toBe("handshake.failed");
    expect(end(false).readMessage(end(true).writeMessage(new Uint8Array(65535 - 32)))).toHaveLength(
      65535 - 32,
    );
    expect(misuseOf(() => end(true).writeMessage(new Uint8Array(65536 - 32)))).toBe("message-too-long");
  });

  it.each([nodeProvider, nobleProvider])("C2 C11 a low-order ephemeral key ($name)", (provider) => {
    for (const first of [0, 1]) {
      const b = end(false, { provider });
      const message = new Uint8Array(32);
      message[0] = first;
      b.readMessage(message);
      expect(codeOf(() => b.writeMessage(PAYLOAD))).toBe("crypto.key-refused");
      expect(codeOf(() => b.writeMessage(PAYLOAD))).toBe("crypto.key-refused");
    }
  });

  it("a call out of turn, and goes on", () => {
    const [a, b] = [end(true), end(false)];
    expect(misuseOf(() => a.readMessage(EMPTY))).toBe("not-our-turn");
    expect(misuseOf(() => b.writeMessage(EMPTY))).toBe("not-our-turn");
    expect(misuseOf(() => a.split())).toBe("handshake-unfinished");
    expect(finished(a, b).every((state) => state.finished)).toBe(true);
  });

  it("anything after the end", () => {
    const [a, b] = finished();
    expect(misuseOf(() => a.writeMessage(EMPTY))).toBe("handshake-finished");
    expect(misuseOf(() => b.readMessage(EMPTY))).toBe("handshake-finished");
    a.split();
    expect(misuseOf(() => a.split())).toBe("already-split");
  });
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return undefined;
}

function misuseOf(action: () => unknown): MisuseName | undefined {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Misuse) return thrown.misuse;
    throw thrown;
  }
  return undefined;
}
