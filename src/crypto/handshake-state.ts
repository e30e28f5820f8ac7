/**
 * HandshakeState (Noise rev. 34 §5.3): turns two key pairs and a few messages into a pair of keyed
 * directions. It is used up by `split()`; a message that does not read ends it for good.
 */
import { Fault } from "../base/fault.ts";
import { type CipherState, MAX_MESSAGE_BYTES } from "./cipher-state.ts";
import { type HandshakePattern, type Token, XX } from "./handshake-pattern.ts";
import { Misuse } from "./misuse.ts";
import {
  type CipherSuite,
  type CryptoProvider,
  type DhKeyPair,
  type DhPublicKey,
  KEY_BYTES,
  TAG_BYTES,
} from "./provider.ts";
import { SymmetricState } from "./symmetric-state.ts";

export interface HandshakeOptions {
  readonly provider: CryptoProvider;
  readonly suite: CipherSuite;
  readonly initiator: boolean;
  /** What both ends must agree on before the first message: a difference fails the handshake. */
  readonly prologue: Uint8Array;
  readonly staticKeyPair: DhKeyPair;
  /** Tests alone fix it: an ephemeral key used twice gives up forward secrecy. */
  readonly ephemeralKeyPair?: DhKeyPair;
  readonly pattern?: HandshakePattern;
}

/** What a finished handshake leaves. */
export interface HandshakeResult {
  readonly sender: CipherState;
  readonly receiver: CipherState;
  /** 32 bytes, the same at both ends and in no other session (§11.2). */
  readonly handshakeHash: Uint8Array;
  /** The peer's static key, proven to be its own. */
  readonly remoteStatic: DhPublicKey;
}

export class HandshakeState {
  readonly #provider: CryptoProvider;
  readonly #initiator: boolean;
  readonly #symmetric: SymmetricState;
  readonly #messages: HandshakePattern["messages"];
  readonly #static: DhKeyPair;
  #ephemeral: DhKeyPair | undefined;
  #remoteStatic: DhPublicKey | undefined;
  #remoteEphemeral: DhPublicKey | undefined;
  /** Index of the next message; the initiator writes the even ones. */
  #turn = 0;
  #split = false;
  #failure: Fault | undefined;

  constructor(options: HandshakeOptions) {
    const pattern = options.pattern ?? XX;
    this.#provider = options.provider;
    this.#initiator = options.initiator;
    this.#static = options.staticKeyPair;
    this.#ephemeral = options.ephemeralKeyPair;
    this.#messages = pattern.messages;
    const name = `Noise_${pattern.name}_25519_${options.suite}_SHA256`;
    this.#symmetric = new SymmetricState(options.provider, options.suite, name);
    this.#symmetric.mixHash(options.prologue);
  }

  /** All messages are through: `split()` is next. */
  get finished(): boolean {
    return this.#turn === this.#messages.length;
  }

  /** Whether the next call is `writeMessage` rather than `readMessage`. */
  get ourTurn(): boolean {
    return !this.finished && (this.#turn % 2 === 0) === this.#initiator;
  }

  /**
   * The peer's static key as soon as a message has brought it: at the initiator after message 2 of XX,
   * so that it can refuse before it shows its own.
   */
  get remoteStatic(): DhPublicKey | undefined {
    return this.#remoteStatic;
  }

  /**
   * The next message, ours.
   * @param payload goes along, encrypted as far as the pattern has keys; not in message 1 of XX.
   * @returns at most 65535 bytes, owned by the caller.
   * @throws Misuse; Fault `crypto.key-refused` when the peer's key is of low order. Either ends the handshake,
   *   but for a call out of turn.
   */
  writeMessage(payload: Uint8Array): Uint8Array {
    const tokens = this.#begin(true);
    return this.#poisoning(() => {
      const parts = tokens.map((token) => this.#writeToken(token));
      parts.push(this.#symmetric.encryptAndHash(payload));
      const message = concatenated(parts);
      if (message.length > MAX_MESSAGE_BYTES) throw new Misuse("message-too-long");
      this.#turn++;
      return message;
    });
  }

  /**
   * The next message, the peer's.
   * @returns its payload, owned by the caller.
   * @throws Fault `handshake.failed` for a message that does not read, `crypto.key-refused` for a key of low
   *   order: no payload is released, and every later call throws the same.
   */
  readMessage(message: Uint8Array): Uint8Array {
    const tokens = this.#begin(false);
    return this.#poisoning(() => {
      if (message.length > MAX_MESSAGE_BYTES) throw unreadable("it is too long");
      const reader = new Reader(message);
      for (const token of tokens) this.#readToken(token, reader);
      const payload = this.#decrypt(reader.rest());
      this.#turn++;
      return payload;
    });
  }

  /** @throws Misuse `handshake-unfinished`, `already-split`. */
  split(): HandshakeResult {
    if (this.#failure) throw this.#failure;
    if (!this.finished) throw new Misuse("handshake-unfinished");
    if (this.#split) throw new Misuse("already-split");
    this.#split = true;
    const [fromInitiator, fromResponder] = this.#symmetric.split();
    return {
      sender: this.#initiator ? fromInitiator : fromResponder,
      receiver: this.#initiator ? fromResponder : fromInitiator,
      handshakeHash: this.#symmetric.handshakeHash,
      remoteStatic: present(this.#remoteStatic),
    };
  }

  #begin(writing: boolean): readonly Token[] {
    if (this.#failure) throw this.#failure;
    if (this.finished) throw new Misuse("handshake-finished");
    if (this.ourTurn !== writing) throw new Misuse("not-our-turn");
    return this.#messages[this.#turn]!;
  }

  #poisoning<T>(step: () => T): T {
    try {
      return step();
    } catch (thrown) {
      this.#failure = Fault.from(thrown);
      throw this.#failure;
    }
  }

  #writeToken(token: Token): Uint8Array {
    switch (token) {
      case "e":
        this.#ephemeral ??= this.#provider.generateDhKeyPair();
        this.#symmetric.mixHash(this.#ephemeral.publicKey);
        return this.#ephemeral.publicKey;
      case "s":
        return this.#symmetric.encryptAndHash(this.#static.publicKey);
      default:
        this.#mixDh(token);
        return EMPTY;
    }
  }

  #readToken(token: Token, reader: Reader): void {
    switch (token) {
      case "e":
        this.#remoteEphemeral = reader.take(KEY_BYTES) as DhPublicKey;
        this.#symmetric.mixHash(this.#remoteEphemeral);
        return;
      case "s": {
        const sealed = reader.take(this.#symmetric.hasKey ? KEY_BYTES + TAG_BYTES : KEY_BYTES);
        this.#remoteStatic = this.#decrypt(sealed) as DhPublicKey;
        return;
      }
      default:
        this.#mixDh(token);
    }
  }

  /** The first letter of a token is the initiator's key, the second the responder's (§5.3). */
  #mixDh(token: "ee" | "es" | "se" | "ss"): void {
    const [ours, theirs] = this.#initiator ? [token[0], token[1]] : [token[1], token[0]];
    const local = ours === "e" ? present(this.#ephemeral) : this.#static;
    const remote = present(theirs === "e" ? this.#remoteEphemeral : this.#remoteStatic);
    this.#symmetric.mixKey(this.#provider.dh(local.privateKey, remote));
  }

  #decrypt(ciphertext: Uint8Array): Uint8Array {
    try {
      return this.#symmetric.decryptAndHash(ciphertext);
    } catch (cause) {
      throw unreadable("it does not decrypt", cause);
    }
  }
}

const EMPTY = new Uint8Array(0);

/** Takes a message apart from the left; what it gives is copied. */
class Reader {
  readonly #message: Uint8Array;
  #at = 0;

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  take(count: number): Uint8Array {
    if (this.#message.length - this.#at < count) throw unreadable("it is too short");
    const taken = this.#message.slice(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }

  rest(): Uint8Array {
    return this.take(this.#message.length - this.#at);
  }
}

function unreadable(why: string, cause?: unknown): Fault {
  return new Fault("handshake.failed", `a handshake message cannot be read: ${why}`, { cause });
}

function present<T>(key: T | undefined): T {
  if (key === undefined) throw new Misuse("key-missing");
  return key;
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
