/**
 * The handshake of a channel: Noise XX with the hellos as payloads. At its end both ends know the
 * other's identity; whether that identity is welcome is asked before the keys are used.
 *
 * ```
 *   prelude
 *   -> e
 *   <- e, ee, s, es      hello of the responder
 *   -> s, se             hello of the initiator
 * ```
 */
import { Fault } from "../base/fault.ts";
import { toHex } from "../base/hex.ts";
import type { CipherState } from "../crypto/cipher-state.ts";
import { HandshakeState } from "../crypto/handshake-state.ts";
import type { DhKeyPair, DhPublicKey } from "../crypto/provider.ts";
import { verifyAttestation } from "../identity/attestation.ts";
import type { Identifier } from "../identity/identifier.ts";
import { decodeHello, encodeHello, type Hello } from "./hello.ts";
import type { ChannelLimits } from "./limits.ts";
import type { LocalParty } from "./local-party.ts";
import type { Prelude } from "./prelude.ts";

/** What the other end has proven (its identifier) and what it says, when it is asked in. */
export interface Introduction {
  readonly identifier: Identifier;
  readonly software: string;
  readonly maxStreams: number;
  readonly windowBytes: number;
  /** The peer's clock less ours, in milliseconds, give or take the way's delay. */
  readonly clockSkewMs: number;
  /** Unchecked: whoever admits the peer verifies it. */
  readonly credential?: string;
  /** Unchecked, as the credential. */
  readonly pass?: string;
  /** It comes to ask the authority for a credential, and for nothing else. */
  readonly errand?: boolean;
  /** Random, the same for all channels of one run of the peer's process; hexadecimal. */
  readonly instance: string;
}

/** The other end of a completed handshake. */
export interface Peer extends Introduction {
  /** Noise rev. 34 §11.2: the same at both ends, and of no other channel. 32 bytes. */
  readonly channelBinding: Uint8Array;
}

export interface HandshakeOutcome {
  readonly peer: Peer;
  readonly sender: CipherState;
  readonly receiver: CipherState;
}

export interface HandshakeOptions {
  readonly initiator: boolean;
  readonly prelude: Prelude;
  readonly party: LocalParty;
  readonly limits: ChannelLimits;
  /** Why this peer is not welcome; undefined when it is. Never throws. */
  readonly authorize: (peer: Introduction) => Fault | undefined;
  readonly nowMs: number;
  readonly wallMs: number;
}

const NOTHING = new Uint8Array(0);
/** Below this a device keeps its own date; beyond it, the outlet's is put on the attestation. */
const TOLERATED_SKEW_MS = 60_000;

export class ChannelHandshake {
  readonly #options: HandshakeOptions;
  readonly #noise: HandshakeState;
  readonly #keyPair: DhKeyPair;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#keyPair = options.party.channelKey(options.nowMs);
    this.#noise = new HandshakeState({
      provider: options.party.provider,
      suite: options.prelude.suite,
      initiator: options.initiator,
      prologue: options.prelude.bytes,
      staticKeyPair: this.#keyPair,
    });
  }

  /** The initiator's first message. */
  start(): Uint8Array {
    return this.#noise.writeMessage(NOTHING);
  }

  /**
   * @param message the peer's next handshake message.
   * @returns what to send, and the outcome once there is one (the reply goes out before it is used).
   * @throws Fault `handshake.failed`, or at the initiator `handshake.unauthorized`.
   */
  handleMessage(message: Uint8Array): { reply?: Uint8Array; outcome?: HandshakeOutcome } {
    const payload = this.#read(message);
    if (!this.#options.initiator && !this.#noise.remoteStatic) {
      if (payload.length > 0)
        throw new Fault("handshake.failed", "the first handshake message has a payload");
      return { reply: this.#noise.writeMessage(this.#hello(this.#options.wallMs)) };
    }
    const hello = decodeHello(payload);
    const peer = this.#identify(hello, this.#noise.remoteStatic!);
    if (!this.#options.initiator) return { outcome: this.#outcome(peer) };
    const refusal = this.#options.authorize(peer);
    if (refusal) throw refusal;
    const skewed = Math.abs(peer.clockSkewMs) > TOLERATED_SKEW_MS;
    const reply = this.#noise.writeMessage(this.#hello(skewed ? hello.wallMs : this.#options.wallMs));
    return { reply, outcome: this.#outcome(peer) };
  }

  #read(message: Uint8Array): Uint8Array {
    try {
      return this.#noise.readMessage(message);
    } catch (cause) {
      throw new Fault(
        "handshake.failed",
        "a handshake message does not fit: altered, or from another protocol",
        {
          cause,
        },
      );
    }
  }

  #hello(issuedAtMs: number): Uint8Array {
    const { party, limits, wallMs } = this.#options;
    const { credential, pass, errand } = party.statements();
    return encodeHello({
      attestation: party.attestationOf(this.#keyPair, issuedAtMs),
      maxStreams: limits.maxStreams,
      windowBytes: limits.windowBytes,
      wallMs,
      software: party.software,
      instance: party.instance,
      ...(credential !== undefined && { credential }),
      ...(pass !== undefined && { pass }),
      ...(errand && { errand }),
    });
  }

  #identify(hello: Hello, channelKey: DhPublicKey): Introduction {
    const { identifier } = verifyAttestation({
      provider: this.#options.party.provider,
      bytes: hello.attestation,
      channelKey,
      // The outlet's clock decides; a device never refuses its outlet because its own clock is off.
      nowMs: this.#options.initiator ? undefined : this.#options.wallMs,
    });
    if (identifier === this.#options.party.identity.identifier) {
      throw new Fault(
        "handshake.failed",
        "the peer has our own identity: a mirror, or a copied state directory",
      );
    }
    return {
      identifier,
      software: hello.software,
      maxStreams: hello.maxStreams,
      windowBytes: hello.windowBytes,
      clockSkewMs: hello.wallMs - this.#options.wallMs,
      instance: toHex(hello.instance),
      ...(hello.credential !== undefined && { credential: hello.credential }),
      ...(hello.pass !== undefined && { pass: hello.pass }),
      ...(hello.errand && { errand: true }),
    };
  }

  #outcome(introduction: Introduction): HandshakeOutcome {
    const { sender, receiver, handshakeHash } = this.#noise.split();
    return { peer: { ...introduction, channelBinding: handshakeHash }, sender, receiver };
  }
}
