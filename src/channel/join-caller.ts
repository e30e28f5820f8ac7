/**
 * Asks a relay for the node of a name: a Noise XX handshake as that of a channel, then one sealed message each
 * way. After a good answer the connection belongs to the two nodes, and the relay only passes on.
 *
 * ```
 *   prelude, route "*join"
 *   -> e
 *   <- e, ee, s, es      hello of the relay
 *   -> s, se             hello of the joiner
 *   -> join              sealed
 *   <- joined | fault    sealed
 * ```
 */
import { Fault } from "../base/fault.ts";
import type { CipherSuite } from "../crypto/provider.ts";
import { ChannelHandshake, type Introduction } from "./handshake.ts";
import { MAX_HANDSHAKE_MESSAGE_BYTES } from "./hello.ts";
import type { ChannelLimits } from "./limits.ts";
import type { LocalParty } from "./local-party.ts";
import { framed, MessageReader } from "./message-reader.ts";
import { MessageSeal } from "./message-seal.ts";
import { encodePrelude } from "./prelude.ts";
import { decodeRelayReply, encodeRelayHead } from "./relay-heads.ts";
import { JOIN_ROUTE } from "./relay-opening.ts";

export interface JoinCallerOptions {
  readonly party: LocalParty;
  readonly limits: ChannelLimits;
  readonly suite: CipherSuite;
  /** The name that is asked for. */
  readonly name: string;
  /** Why this may not be our relay; undefined when it may. Never throws. */
  readonly authorize: (relay: Introduction) => Fault | undefined;
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
}

export interface JoinStep {
  /** To be written now. */
  readonly send?: Uint8Array;
  readonly joined?: true;
}

export class JoinCaller {
  readonly #options: JoinCallerOptions;
  readonly #reader = new MessageReader(MAX_HANDSHAKE_MESSAGE_BYTES);
  readonly #handshake: ChannelHandshake;
  readonly #prelude: Uint8Array;
  #receiver: MessageSeal | undefined;
  #joined = false;

  constructor(options: JoinCallerOptions) {
    this.#options = options;
    const { party, limits, suite, authorize, nowMs, wallMs } = options;
    const prelude = encodePrelude(suite, JOIN_ROUTE);
    this.#prelude = prelude.bytes;
    this.#handshake = new ChannelHandshake({
      ...{ initiator: true, prelude, party, limits, authorize, nowMs, wallMs },
    });
  }

  /** The first bytes. */
  start(): Uint8Array {
    return joined(this.#prelude, framed(this.#handshake.start()));
  }

  /**
   * @throws Fault with the relay's own code for a refusal; `handshake.failed`, `handshake.unauthorized`,
   *   `channel.tampered` and `channel.protocol` as a channel.
   */
  handleBytes(chunk: Uint8Array): JoinStep {
    let step: JoinStep = {};
    this.#reader.push(chunk, (message) => {
      // Whoever is behind the relay does not speak first.
      if (this.#joined || step.send) throw unasked();
      step = this.#receiver ? this.#answered(this.#receiver, message) : this.#ask(message);
      return true;
    });
    if (this.#joined && !this.#reader.atBoundary) throw unasked();
    return step;
  }

  #ask(message: Uint8Array): JoinStep {
    const { reply, outcome } = this.#handshake.handleMessage(message);
    if (!reply || !outcome) throw new Fault("handshake.failed", "a handshake message out of order");
    const { party, limits, name } = this.#options;
    this.#receiver = new MessageSeal(outcome.receiver, limits);
    const proof = party.statements().prove?.(outcome.peer.channelBinding);
    const head = encodeRelayHead({ kind: "join", name, ...(proof === undefined ? {} : { proof }) });
    return { send: joined(framed(reply), new MessageSeal(outcome.sender, limits).seal(head)) };
  }

  #answered(receiver: MessageSeal, message: Uint8Array): JoinStep {
    const head = decodeRelayReply(receiver.open(message));
    if (head.kind === "fault") {
      const { code, retryAfterMs } = head;
      const text = `the relay does not bring us to "${this.#options.name}" (${code})`;
      throw new Fault(code, text, retryAfterMs === undefined ? {} : { retryAfterMs });
    }
    if (head.kind !== "joined") throw new Fault("channel.protocol", "the relay answered something else");
    this.#joined = true;
    return { joined: true };
  }
}

function unasked(): Fault {
  return new Fault("channel.protocol", "bytes from a relay that should have waited");
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
