/** What a session is given, and what it tells its owner. */
import type { Fault } from "../base/fault.ts";
import type { CipherSuite } from "../crypto/provider.ts";
import type { CloseReason } from "./frame.ts";
import type { Introduction, Peer } from "./handshake.ts";
import type { KeepaliveStretch } from "./keepalive-stretch.ts";
import type { ChannelLimits } from "./limits.ts";
import type { LocalParty } from "./local-party.ts";
import type { Stream, StreamHandler } from "./stream.ts";
import type { TrafficMeter } from "./traffic-meter.ts";

/** What the owner of a session is told. Callbacks run inside the session's methods; they must not throw. */
export interface SessionEvents {
  /** Both ends have accepted each other; streams may be opened. */
  onEstablished(peer: Peer): void;
  /** The peer opened a stream: give it a handler. */
  onStream(stream: Stream, head: Uint8Array, peer: Peer): StreamHandler;
  /** The peer wants no new streams: move to another channel, after `backoffMs` when there is none. */
  onGoAway(reason: CloseReason, backoffMs: number): void;
  /** The channel is over; bytes still to be polled are its last words. No fault: an orderly end. */
  onClosed(fault: Fault | undefined): void;
  /** There is something to poll. */
  onSendable(): void;
}

export interface SessionOptions {
  readonly initiator: boolean;
  readonly party: LocalParty;
  readonly limits: ChannelLimits;
  /** The initiator's choice of cipher; a responder takes the other's. */
  readonly suite: CipherSuite;
  readonly route: string;
  /** Idle silence until a ping, in milliseconds. */
  readonly keepaliveMs: number;
  /** How far the pings of an idle channel may be apart in the end; absent: no further. */
  readonly stretch?: KeepaliveStretch;
  /** Why this peer is not welcome; undefined when it is. The peer is told no more than `unauthorized`. */
  readonly authorize: (peer: Introduction) => Fault | undefined;
  /** Counts what the session costs; of an initiator. */
  readonly meter?: TrafficMeter;
  readonly events: SessionEvents;
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: () => number;
}

/** What is the same for all sessions of a dialler, an acceptor or an errand. */
export type SessionBasis = Pick<
  SessionOptions,
  "party" | "limits" | "suite" | "keepaliveMs" | "stretch" | "authorize" | "meter"
>;
