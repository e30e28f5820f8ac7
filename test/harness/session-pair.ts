/**
 * Two sessions tied together in memory, on one virtual clock. The wire between them is a script: each
 * message passes through `tamper`, which may drop, alter, double, hold or cut it.
 */
import type { Fault } from "../../src/base/fault.ts";
import type { CloseReason } from "../../src/channel/frame.ts";
import type { Peer } from "../../src/channel/handshake.ts";
import type { KeepaliveStretch } from "../../src/channel/keepalive-stretch.ts";
import { type ChannelLimits, defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import { Session } from "../../src/channel/session.ts";
import type { SessionEvents, SessionOptions } from "../../src/channel/session-options.ts";
import type { Stream, StreamHandler } from "../../src/channel/stream.ts";
import type { TrafficMeter } from "../../src/channel/traffic-meter.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { CipherSuite } from "../../src/crypto/provider.ts";
import { generateIdentity, type Identity } from "../../src/identity/identity.ts";

export type Direction = "toResponder" | "toInitiator";

/** What becomes of one piece of what a session wrote: the pieces to hand over in its place. */
export type Tamper = (bytes: Uint8Array, direction: Direction, index: number) => Uint8Array[];

export interface PairOptions {
  readonly limits?: Partial<ChannelLimits>;
  readonly initiatorLimits?: Partial<ChannelLimits>;
  readonly suite?: CipherSuite;
  readonly route?: string;
  readonly responderRoute?: string;
  readonly keepaliveMs?: number;
  readonly responderKeepaliveMs?: number;
  readonly stretch?: { readonly initiator?: KeepaliveStretch; readonly responder?: KeepaliveStretch };
  /** Of the initiator. */
  readonly meter?: TrafficMeter;
  readonly identities?: { readonly initiator?: Identity; readonly responder?: Identity };
  readonly wallMs?: { readonly initiator?: number; readonly responder?: number };
  readonly initiatorAuthorizes?: SessionOptions["authorize"];
  readonly responderAuthorizes?: SessionOptions["authorize"];
  readonly onStream?: SessionEvents["onStream"];
  readonly tamper?: Tamper;
}

/** One end, and all that its owner was told. */
export class End {
  readonly identity: Identity;
  readonly session: Session;
  readonly established: Peer[] = [];
  readonly goAways: { reason: CloseReason; backoffMs: number }[] = [];
  readonly closings: (Fault | undefined)[] = [];
  readonly accepted: { stream: Stream; head: Uint8Array; events: Recorder }[] = [];

  constructor(
    identity: Identity,
    options: Omit<SessionOptions, "party" | "events">,
    onStream?: SessionEvents["onStream"],
  ) {
    this.identity = identity;
    const party = new LocalParty({ provider: nodeProvider, identity, software: "culvert/0.0.0-test" });
    this.session = new Session({
      ...options,
      party,
      events: {
        onEstablished: (peer) => this.established.push(peer),
        onGoAway: (reason, backoffMs) => this.goAways.push({ reason, backoffMs }),
        onClosed: (fault) => this.closings.push(fault),
        onSendable: () => {},
        onStream:
          onStream ??
          ((stream, head) => {
            const events = new Recorder();
            this.accepted.push({ stream, head: head.slice(), events });
            return events;
          }),
      },
    });
  }

  /** The code of the fault that closed it, "orderly" for none, undefined while it is open. */
  get end(): string | undefined {
    return this.closings.length === 0 ? undefined : (this.closings[0]?.code ?? "orderly");
  }
}

/** A stream handler that keeps what it is told. Returns no credit by itself. */
export class Recorder implements StreamHandler {
  readonly heads: Uint8Array[] = [];
  readonly chunks: Uint8Array[] = [];
  readonly resets: Fault[] = [];
  ends = 0;
  writable = 0;

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  onHead(head: Uint8Array): void {
    this.heads.push(head.slice());
  }

  onData(chunk: Uint8Array): void {
    this.chunks.push(chunk);
  }

  onEnd(): void {
    this.ends++;
  }

  onReset(fault: Fault): void {
    this.resets.push(fault);
  }

  onWritable(): void {
    this.writable++;
  }
}

export class SessionPair {
  readonly initiator: End;
  readonly responder: End;
  tamper: Tamper;
  nowMs = 0;
  /** Messages so far, the prelude included. */
  readonly sent = { toResponder: 0, toInitiator: 0 };
  readonly #blocked = new Set<Direction>();

  constructor(options: PairOptions = {}) {
    this.tamper = options.tamper ?? ((bytes) => [bytes]);
    const shared = {
      suite: options.suite ?? "AESGCM",
      keepaliveMs: options.keepaliveMs ?? 120_000,
      nowMs: 0,
    } as const;
    const limits = { ...defaultLimits, ...options.limits };
    this.initiator = new End(options.identities?.initiator ?? generateIdentity(nodeProvider), {
      ...shared,
      initiator: true,
      limits: { ...limits, ...options.initiatorLimits },
      route: options.route ?? "",
      wallMs: () => options.wallMs?.initiator ?? Date.now(),
      ...(options.stretch?.initiator && { stretch: options.stretch.initiator }),
      ...(options.meter && { meter: options.meter }),
      authorize: options.initiatorAuthorizes ?? (() => undefined),
    });
    this.responder = new End(
      options.identities?.responder ?? generateIdentity(nodeProvider),
      {
        ...shared,
        keepaliveMs: options.responderKeepaliveMs ?? shared.keepaliveMs,
        ...(options.stretch?.responder && { stretch: options.stretch.responder }),
        initiator: false,
        limits,
        route: options.responderRoute ?? options.route ?? "",
        wallMs: () => options.wallMs?.responder ?? Date.now(),
        authorize: options.responderAuthorizes ?? (() => undefined),
      },
      options.onStream,
    );
  }

  /** Moves bytes both ways until neither end has more to say. */
  settle(): this {
    while (this.step("toResponder") || this.step("toInitiator"));
    return this;
  }

  /** One piece in one direction. @returns its length in bytes, 0 when there was none. */
  step(direction: Direction): number {
    if (this.#blocked.has(direction)) return 0;
    const [from, to] =
      direction === "toResponder"
        ? [this.initiator.session, this.responder.session]
        : [this.responder.session, this.initiator.session];
    const bytes = from.pollSend();
    if (!bytes) return 0;
    const { length } = bytes;
    const pieces = this.tamper(bytes.slice(), direction, this.sent[direction]++);
    for (const piece of pieces) to.handleBytes(piece, this.nowMs);
    return length;
  }

  /** The sender of this direction is not asked for bytes any more, as behind a full socket. */
  block(direction: Direction): void {
    this.#blocked.add(direction);
  }

  unblock(direction: Direction): void {
    this.#blocked.delete(direction);
  }

  /** Lets time pass, a tick each second, with bytes moving in between. */
  pass(ms: number): this {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + 1_000);
      this.initiator.session.handleTick(this.nowMs);
      this.responder.session.handleTick(this.nowMs);
      this.settle();
    }
    return this;
  }
}

/** A pair past its handshake. */
export function establishedPair(options: PairOptions = {}): SessionPair {
  const pair = new SessionPair(options).settle();
  if (!pair.initiator.session.established || !pair.responder.session.established)
    throw new Error(`no handshake: ${pair.initiator.end} / ${pair.responder.end}`);
  return pair;
}

export const byteByByte: Tamper = (bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte));

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
