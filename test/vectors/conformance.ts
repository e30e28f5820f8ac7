/**
 * One run of every vector file through one provider, as plain functions: the contract suite calls them
 * under the test runner, and conformance-run.ts on any other runtime.
 */
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { Fault } from "../../src/base/fault.ts";
import type { CipherState } from "../../src/crypto/cipher-state.ts";
import { type HandshakePattern, XX } from "../../src/crypto/handshake-pattern.ts";
import { HandshakeState } from "../../src/crypto/handshake-state.ts";
import type {
  CipherSuite,
  CryptoProvider,
  DhPublicKey,
  IdentityPrivateKey,
  IdentityPublicKey,
} from "../../src/crypto/provider.ts";
import flynn from "./flynn-noise.json" with { type: "json" };
import noise from "./noise.json" with { type: "json" };
import primitives from "./primitives.json" with { type: "json" };

/** Runs all vectors of a family. @returns how many. @throws Error that names the first one that fails. */
export type Family = (provider: CryptoProvider) => number;

export const families: Readonly<Record<string, Family>> = {
  sha256: (provider) =>
    each(primitives.sha256, (vector) => {
      equal(provider.sha256(hexToBytes(vector.message)), vector.digest);
      const [head, ...tail] = hexToBytes(vector.message);
      equal(provider.sha256(Uint8Array.of(head!), Uint8Array.from(tail)), vector.digest);
    }),

  hmacSha256: (provider) =>
    each(primitives.hmacSha256, ({ key, message, mac }) => {
      const whole = provider.hmacSha256(hexToBytes(key), hexToBytes(message));
      equal(whole.subarray(0, mac.length / 2), mac); // case 5 of RFC 4231 shows a truncated one
    }),

  aead: (provider) =>
    each(primitives.aead, (vector) => {
      const aead = provider.aead(vector.suite as CipherSuite, hexToBytes(vector.key));
      const plaintext = hexToBytes(vector.msg);
      const out = new Uint8Array(plaintext.length + 16 + 3);
      aead.sealInto(vector.nonce, hexToBytes(vector.aad), plaintext, out, 3);
      equal(out.subarray(3), vector.sealed);
      equal(aead.open(vector.nonce, hexToBytes(vector.aad), hexToBytes(vector.sealed)), vector.msg);
    }),

  x25519: (provider) =>
    each(primitives.x25519, (vector) => {
      const { privateKey } = provider.dhKeyPairFrom(hexToBytes(vector.privateKey));
      const agree = () => provider.dh(privateKey, hexToBytes(vector.publicKey) as DhPublicKey);
      if (vector.shared === null) refused(agree);
      else equal(agree(), vector.shared);
    }),

  ed25519: (provider) =>
    each(primitives.ed25519, (vector) => {
      const publicKey = hexToBytes(vector.publicKey) as IdentityPublicKey;
      const message = hexToBytes(vector.message);
      same(provider.verify(publicKey, message, hexToBytes(vector.signature)), vector.valid);
      if (!vector.seed) return;
      const seed = hexToBytes(vector.seed) as IdentityPrivateKey;
      equal(provider.identityPublicKey(seed), vector.publicKey);
      equal(provider.sign(seed, message), vector.signature);
    }),

  "published Noise vectors": (provider) => each(noise.vectors, (vector) => checkPublished(provider, vector)),

  "Noise transcripts of an independent implementation": (provider) =>
    each(flynn.sessions, (session) => checkTranscript(provider, session)),
};

const IX: HandshakePattern = {
  name: "IX",
  messages: [
    ["e", "s"],
    ["e", "ee", "se", "s", "es"],
  ],
};

interface Published {
  protocol_name: string;
  init_prologue: string;
  init_static: string;
  init_ephemeral: string;
  resp_static: string;
  resp_ephemeral: string;
  handshake_hash?: string;
  messages: { payload: string; ciphertext: string }[];
}

function checkPublished(provider: CryptoProvider, vector: Published): void {
  const [, name, , suite] = vector.protocol_name.split("_");
  const [initiator, responder] = endsOf(provider, {
    suite: suite as CipherSuite,
    pattern: name === "IX" ? IX : XX,
    prologue: vector.init_prologue,
    initiatorKeys: [vector.init_static, vector.init_ephemeral],
    responderKeys: [vector.resp_static, vector.resp_ephemeral],
  });
  const handshakeMessages = name === "IX" ? 2 : 3;
  for (const [turn, { payload, ciphertext }] of vector.messages.slice(0, handshakeMessages).entries()) {
    const [writer, reader] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator];
    const message = writer.writeMessage(hexToBytes(payload));
    equal(message, ciphertext);
    equal(reader.readMessage(message), payload);
  }
  const [ours, theirs] = [initiator.split(), responder.split()];
  equal(ours.handshakeHash, bytesToHex(theirs.handshakeHash));
  if (vector.handshake_hash) equal(ours.handshakeHash, vector.handshake_hash);
  for (const [index, { payload, ciphertext }] of vector.messages.slice(handshakeMessages).entries()) {
    const fromInitiator = (index + handshakeMessages) % 2 === 0;
    const [sender, receiver] = fromInitiator
      ? [ours.sender, theirs.receiver]
      : [theirs.sender, ours.receiver];
    equal(sealed(sender, hexToBytes(payload)), ciphertext);
    equal(receiver.open(hexToBytes(ciphertext)), payload);
  }
}

type Transcript = (typeof flynn.sessions)[number];

function checkTranscript(provider: CryptoProvider, session: Transcript): void {
  const [initiator, responder] = endsOf(provider, {
    suite: session.suite as CipherSuite,
    pattern: XX,
    prologue: session.prologue,
    initiatorKeys: [session.initiatorStatic, session.initiatorEphemeral],
    responderKeys: [session.responderStatic, session.responderEphemeral],
  });
  for (const [turn, expected] of session.handshake.entries()) {
    const [writer, reader] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator];
    equal(writer.writeMessage(hexToBytes(session.payloads[turn]!)), expected);
    equal(reader.readMessage(hexToBytes(expected)), session.payloads[turn]!);
  }
  const [ours, theirs] = [initiator.split(), responder.split()];
  equal(ours.handshakeHash, session.handshakeHash);
  for (const message of session.transport) {
    const [sender, receiver] = message.fromInitiator
      ? [ours.sender, theirs.receiver]
      : [theirs.sender, ours.receiver];
    for (let i = 0; i < message.rekeysBefore; i++) {
      sender.rekey();
      receiver.rekey();
    }
    const plaintext = Uint8Array.from({ length: message.plaintextBytes }, (_, i) => i % 251);
    const bytes = sealed(sender, plaintext);
    equal(provider.sha256(bytes), message.sealedSha256);
    if ("sealed" in message) equal(bytes, message.sealed);
    equal(receiver.open(bytes), bytesToHex(plaintext));
  }
}

interface EndsOptions {
  suite: CipherSuite;
  pattern: HandshakePattern;
  prologue: string;
  initiatorKeys: [staticKey: string, ephemeralKey: string];
  responderKeys: [staticKey: string, ephemeralKey: string];
}

function endsOf(provider: CryptoProvider, options: EndsOptions): [HandshakeState, HandshakeState] {
  const end = (initiator: boolean, [staticKey, ephemeralKey]: [string, string]) =>
    new HandshakeState({
      provider,
      suite: options.suite,
      pattern: options.pattern,
      initiator,
      prologue: hexToBytes(options.prologue),
      staticKeyPair: provider.dhKeyPairFrom(hexToBytes(staticKey)),
      ephemeralKeyPair: provider.dhKeyPairFrom(hexToBytes(ephemeralKey)),
    });
  return [end(true, options.initiatorKeys), end(false, options.responderKeys)];
}

function sealed(sender: CipherState, plaintext: Uint8Array): Uint8Array {
  const out = new Uint8Array(plaintext.length + 16);
  same(sender.sealInto(plaintext, out, 0), out.length);
  return out;
}

function each<T extends object>(vectors: readonly T[], check: (vector: T) => void): number {
  for (const [index, vector] of vectors.entries()) {
    try {
      check(vector);
    } catch (cause) {
      const source = "source" in vector ? String(vector.source) : "";
      throw new Error(`vector ${index} ${source}: ${cause}`, { cause });
    }
  }
  return vectors.length;
}

function equal(actual: Uint8Array, expectedHex: string): void {
  same(bytesToHex(actual), expectedHex);
}

function same<T>(actual: T, expected: T): void {
  if (actual !== expected) throw new Error(`got ${actual}, expected ${expected}`);
}

function refused(agree: () => Uint8Array): void {
  try {
    agree();
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "crypto.key-refused") return;
    throw thrown;
  }
  throw new Error("a low-order key was taken");
}
