/**
 * This node's side of every handshake: its identity, and the channel key that the identity attests.
 * The channel key lives in memory alone and is replaced daily; peers know the identity, so nobody has
 * to be told.
 */
import type { CryptoProvider, DhKeyPair } from "../crypto/provider.ts";
import { attestChannelKey } from "../identity/attestation.ts";
import type { Identity } from "../identity/identity.ts";
import { INSTANCE_BYTES } from "./hello.ts";

export const CHANNEL_KEY_LIFETIME_MS = 24 * 60 * 60 * 1000;
/** A cached attestation is used again while the date has moved by no more than this. */
const REUSE_MS = 5 * 60 * 1000;

/** Signed by the authority: the credential of a member, or the pass of a ticket. */
export interface Statements {
  readonly credential?: string;
  readonly pass?: string;
  /** The channel is to ask the authority for a credential, and for nothing else. */
  readonly errand?: boolean;
  /**
   * Goes with a pass: proves on the way, to a relay, that we have the ticket's key.
   * @param channelBinding of the handshake with the relay.
   */
  readonly prove?: (channelBinding: Uint8Array) => string;
}

export interface LocalPartyOptions {
  readonly provider: CryptoProvider;
  readonly identity: Identity;
  readonly software: string;
  /** Asked at each handshake; nothing by default. */
  readonly statements?: () => Statements;
  /** Given where one process has several parties of one identity. */
  readonly instance?: Uint8Array;
}

export class LocalParty {
  readonly provider: CryptoProvider;
  readonly identity: Identity;
  /** `culvert/<version>`, told to authenticated peers. */
  readonly software: string;
  /** Made anew at every start, so that two machines with one copied identity differ in it. */
  readonly instance: Uint8Array;
  readonly #statements: () => Statements;
  #keyPair: DhKeyPair | undefined;
  #keyMadeAtMs = 0;
  #attestation: { keyPair: DhKeyPair; issuedAtMs: number; bytes: Uint8Array } | undefined;

  constructor(options: LocalPartyOptions) {
    this.provider = options.provider;
    this.identity = options.identity;
    this.software = options.software;
    this.instance = options.instance ?? options.provider.randomBytes(INSTANCE_BYTES);
    this.#statements = options.statements ?? (() => ({}));
  }

  /** What goes along in the next handshake. */
  statements(): Statements {
    return this.#statements();
  }

  /** @param nowMs monotonic. */
  channelKey(nowMs: number): DhKeyPair {
    if (!this.#keyPair || nowMs - this.#keyMadeAtMs >= CHANNEL_KEY_LIFETIME_MS) {
      this.#keyPair = this.provider.generateDhKeyPair();
      this.#keyMadeAtMs = nowMs;
    }
    return this.#keyPair;
  }

  /** @param issuedAtMs the date it shall bear: the outlet's, where the outlet has told us its own. */
  attestationOf(keyPair: DhKeyPair, issuedAtMs: number): Uint8Array {
    const cached = this.#attestation;
    if (cached?.keyPair === keyPair && Math.abs(issuedAtMs - cached.issuedAtMs) < REUSE_MS)
      return cached.bytes;
    const bytes = attestChannelKey({
      provider: this.provider,
      identity: this.identity,
      channelKey: keyPair.publicKey,
      issuedAtMs,
      // The key may be half a day old already; the attestation covers what is left and the overlap.
      lifetimeMs: 2 * CHANNEL_KEY_LIFETIME_MS,
    });
    this.#attestation = { keyPair, issuedAtMs, bytes };
    return bytes;
  }
}
