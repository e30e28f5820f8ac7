/** The relay's side of join-caller.ts: learns who asks for which name, then seals one answer. */
import { Fault } from "../base/fault.ts";
import { ChannelHandshake, type Peer } from "./handshake.ts";
import { MAX_HANDSHAKE_MESSAGE_BYTES } from "./hello.ts";
import type { ChannelLimits } from "./limits.ts";
import type { LocalParty } from "./local-party.ts";
import { framed, MessageReader } from "./message-reader.ts";
import { MessageSeal } from "./message-seal.ts";
import { readPrelude } from "./prelude.ts";
import { decodeJoinHead, encodeRelayHead, type JoinHead, type RelayReplyHead } from "./relay-heads.ts";
import { JOIN_ROUTE } from "./relay-opening.ts";

export interface JoinAnswererOptions {
  readonly party: LocalParty;
  readonly limits: ChannelLimits;
  /** All that has come so far, with the whole prelude at its front. */
  readonly opening: Uint8Array;
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
}

/** Who asks, proven, and for what. Whether it may is for the relay to judge. */
export interface JoinRequest {
  readonly peer: Peer;
  readonly head: JoinHead;
}

export interface AnswererStep {
  /** To be written now. */
  readonly send?: Uint8Array;
  /** Once; nothing more may come until it is answered. */
  readonly request?: JoinRequest;
}

export class JoinAnswerer {
  readonly #reader = new MessageReader(MAX_HANDSHAKE_MESSAGE_BYTES);
  readonly #handshake: ChannelHandshake;
  readonly #limits: ChannelLimits;
  readonly #rest: Uint8Array;
  #peer: Peer | undefined;
  #receiver: MessageSeal | undefined;
  #sender: MessageSeal | undefined;
  #asked = false;

  constructor({ party, limits, opening, nowMs, wallMs }: JoinAnswererOptions) {
    const prelude = readPrelude(opening);
    if (prelude?.route !== JOIN_ROUTE) throw new Fault("internal.bug", "this is not the opening of a join");
    this.#limits = limits;
    this.#rest = opening.slice(prelude.bytes.length);
    this.#handshake = new ChannelHandshake({
      ...{ initiator: false, prelude, party, limits, nowMs, wallMs },
      authorize: () => undefined,
    });
  }

  /** What has come behind the prelude. @throws Fault as `handleBytes`. */
  start(): AnswererStep {
    return this.handleBytes(this.#rest);
  }

  /** @throws Fault `handshake.failed`, `channel.tampered`, `channel.protocol`. */
  handleBytes(chunk: Uint8Array): AnswererStep {
    let step: AnswererStep = {};
    this.#reader.push(chunk, (message) => {
      if (this.#asked) throw unasked();
      step = { ...step, ...this.#handle(message) };
      return true;
    });
    if (this.#asked && !this.#reader.atBoundary) throw unasked();
    return step;
  }

  /** @returns the bytes to write. @throws Fault `internal.bug` before the joiner has asked. */
  answer(head: RelayReplyHead): Uint8Array {
    if (!this.#sender) throw new Fault("internal.bug", "there is no question to answer");
    return this.#sender.seal(encodeRelayHead(head)).slice();
  }

  #handle(message: Uint8Array): AnswererStep {
    if (this.#receiver && this.#peer) {
      this.#asked = true;
      return { request: { peer: this.#peer, head: decodeJoinHead(this.#receiver.open(message)) } };
    }
    const { reply, outcome } = this.#handshake.handleMessage(message);
    if (reply) return { send: framed(reply) };
    if (!outcome) throw new Fault("handshake.failed", "a handshake message out of order");
    this.#peer = outcome.peer;
    this.#receiver = new MessageSeal(outcome.receiver, this.#limits);
    this.#sender = new MessageSeal(outcome.sender, this.#limits);
    return {};
  }
}

function unasked(): Fault {
  return new Fault("channel.protocol", "a joiner speaks before it was answered");
}
