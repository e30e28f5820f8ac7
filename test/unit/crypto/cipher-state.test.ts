import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { CipherState } from "../../../src/crypto/cipher-state.ts";
import { Misuse } from "../../../src/crypto/misuse.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";

const EMPTY = new Uint8Array(0);
const KEY = new Uint8Array(32).fill(7);

const kinds = [nodeProvider, nobleProvider].flatMap((provider) =>
  (["AESGCM", "ChaChaPoly"] as const).map((suite) => ({ name: provider.name, provider, suite })),
);

describe.each(kinds)("CipherState ($name, $suite)", ({ provider, suite }) => {
  function keyed(): CipherState {
    const state = new CipherState(provider, suite);
    state.initializeKey(KEY);
    return state;
  }

  function sealed(state: CipherState, plaintext: Uint8Array): Uint8Array {
    const out = new Uint8Array(plaintext.length + 16);
    expect(state.sealInto(plaintext, out, 0)).toBe(out.length);
    return out;
  }

  it.each([0, 1, 15, 16, 17, 65519])("C9 seals and opens %i bytes", (length) => {
    const plaintext = new Uint8Array(length).fill(1);
    const message = sealed(keyed(), plaintext);
    expect(message.length).toBe(length + 16);
    expect(keyed().open(message)).toEqual(plaintext);
  });

  it.each([65520, 65535, 65536])("C9 refuses to seal %i bytes, and the counter stands", (length) => {
    const state = keyed();
    const out = new Uint8Array(length + 16);
    expect(misuseOf(() => state.sealInto(new Uint8Array(length), out, 0))).toBe("message-too-long");
    expect(state.nonce).toBe(0);
  });

  it.each([0, 1, 15, 16, 65535, 65536])("C9 refuses to open %i bytes of nothing", (length) => {
    expect(codeOf(() => keyed().open(new Uint8Array(length)))).toBe("channel.tampered");
  });

  it("writes nothing where there is no room, and the counter stands", () => {
    const state = keyed();
    const out = new Uint8Array(20);
    expect(misuseOf(() => state.sealInto(new Uint8Array(4), out, 1))).toBe("no-room");
    expect(out).toEqual(new Uint8Array(20));
    expect(state.sealInto(new Uint8Array(4), out, 0)).toBe(20);
  });

  it("C5 refuses a message out of order, and everything after it", () => {
    const sender = keyed();
    const [first, second] = [sealed(sender, EMPTY), sealed(sender, EMPTY)];
    const receiver = keyed();
    expect(codeOf(() => receiver.open(second))).toBe("channel.tampered");
    expect(codeOf(() => receiver.open(first))).toBe("channel.tampered");
  });

  it("C4 refuses a message a second time", () => {
    const message = sealed(keyed(), EMPTY);
    const receiver = keyed();
    receiver.open(message);
    expect(codeOf(() => receiver.open(message))).toBe("channel.tampered");
  });

  it("C7 rekeys at N-1, N and N+1 in step, and only in step", () => {
    for (const at of [9, 10, 11]) {
      const [sender, receiver] = [keyed(), keyed()];
      for (let i = 0; i < 20; i++) {
        if (i === at) sender.rekey();
        if (i === at) receiver.rekey();
        expect(receiver.open(sealed(sender, Uint8Array.of(i)))).toEqual(Uint8Array.of(i));
      }
      const late = keyed();
      late.setNonce(at);
      const early = keyed();
      early.setNonce(at);
      early.rekey();
      expect(codeOf(() => late.open(sealed(early, EMPTY)))).toBe("channel.tampered");
    }
  });

  it("C7 keeps the counter over a rekey", () => {
    const state = keyed();
    state.setNonce(41);
    state.rekey();
    expect(state.nonce).toBe(41);
  });

  it("C7 refuses to seal or open past the nonce limit", () => {
    const [sender, receiver] = [keyed(), keyed()];
    sender.setNonce(Number.MAX_SAFE_INTEGER);
    receiver.setNonce(Number.MAX_SAFE_INTEGER);
    expect(receiver.open(sealed(sender, Uint8Array.of(1)))).toEqual(Uint8Array.of(1));
    expect(codeOf(() => sealed(sender, EMPTY))).toBe("crypto.nonce-exhausted");
    expect(codeOf(() => sender.encryptWithAd(EMPTY, EMPTY))).toBe("crypto.nonce-exhausted");
    expect(codeOf(() => receiver.open(new Uint8Array(16)))).toBe("crypto.nonce-exhausted");
  });

  it("without a key passes a handshake's bytes as they are, and seals nothing for transport", () => {
    const state = new CipherState(provider, suite);
    const bytes = Uint8Array.of(1, 2);
    expect(state.encryptWithAd(EMPTY, bytes)).toEqual(bytes);
    expect(state.decryptWithAd(EMPTY, bytes)).toEqual(bytes);
    expect(misuseOf(() => state.sealInto(bytes, new Uint8Array(18), 0))).toBe("no-key");
    expect(misuseOf(() => state.open(new Uint8Array(18)))).toBe("no-key");
    expect(misuseOf(() => state.rekey())).toBe("no-key");
  });
});

it("C7 rekeys 10,000 times both ways and stays in step", () => {
  const ends = [nodeProvider, nobleProvider].map((provider) => {
    const states = [new CipherState(provider, "AESGCM"), new CipherState(provider, "AESGCM")] as const;
    states[0].initializeKey(KEY);
    states[1].initializeKey(new Uint8Array(32).fill(8));
    return states;
  });
  const [ours, theirs] = ends as [(typeof ends)[number], (typeof ends)[number]];
  for (let i = 0; i < 10_000; i++) for (const state of [...ours, ...theirs]) state.rekey();
  expect(theirs[0].decryptWithAd(EMPTY, ours[0].encryptWithAd(EMPTY, KEY))).toEqual(KEY);
  expect(ours[1].decryptWithAd(EMPTY, theirs[1].encryptWithAd(EMPTY, KEY))).toEqual(KEY);
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

function misuseOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Misuse) return thrown.misuse;
    throw thrown;
  }
  return undefined;
}
