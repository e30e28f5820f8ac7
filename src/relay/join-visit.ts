/** A joiner at the relay: who it is, whether it may, and its answer; then its wire is a splice's. */
import { Fault } from "../base/fault.ts";
import { type AnswererStep, JoinAnswerer, type JoinRequest } from "../channel/join-answerer.ts";
import { defaultLimits } from "../channel/limits.ts";
import type { LocalParty } from "../channel/local-party.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";
import type { MemberQuota, Place } from "./member-quota.ts";
import type { RelayAdmission } from "./relay-admission.ts";
import type { Switchboard } from "./switchboard.ts";

export interface JoinVisitOptions {
  readonly party: LocalParty;
  readonly admission: RelayAdmission;
  readonly quota: MemberQuota;
  readonly switchboard: Switchboard;
  readonly wire: Wire;
  /** All that has come so far. */
  readonly opening: Uint8Array;
  /** It is no half-open connection any more: from now on the handler gets what the wire gives. */
  readonly onSpliced: (handler: WireHandler) => void;
  /** Told why, where it had got so far; its wire is about to close. */
  readonly onRefused: (fault: Fault, identifier?: string) => void;
  readonly nowMs: () => number;
  readonly wallMs: () => number;
}

export class JoinVisit implements WireHandler {
  readonly #options: JoinVisitOptions;
  /** Undefined once it has nothing to say any more: a splice may last for days. */
  #answerer: JoinAnswerer | undefined;
  #place: Place | undefined;
  #giveUp: (() => void) | undefined;

  constructor(options: JoinVisitOptions) {
    const { party, opening, nowMs, wallMs } = options;
    this.#options = options;
    this.#answerer = new JoinAnswerer({
      ...{ party, limits: defaultLimits, opening },
      nowMs: nowMs(),
      wallMs: wallMs(),
    });
  }

  /** Takes what has come with the opening. */
  start(): void {
    this.#step((answerer) => answerer.start());
  }

  onData(chunk: Uint8Array): void {
    this.#step((answerer) => answerer.handleBytes(chunk));
  }

  onWritable(): void {}

  onEnd(): void {
    this.#options.wire.end();
  }

  /** Also of a splice that came of it. */
  onClose(): void {
    this.#leave();
  }

  #step(take: (answerer: JoinAnswerer) => AnswererStep): void {
    const answerer = this.#answerer;
    if (!answerer) return;
    try {
      const { send, request } = take(answerer);
      if (send) this.#write(send);
      if (request) this.#seek(request, answerer);
    } catch (thrown) {
      // Who breaks the protocol is told nothing.
      this.#options.wire.destroy();
      this.#refused(Fault.from(thrown));
    }
  }

  #seek({ peer, head: { name, proof } }: JoinRequest, answerer: JoinAnswerer): void {
    const { admission, quota, switchboard, wire, onSpliced, nowMs } = this.#options;
    const sayNo = (fault: Fault): void => {
      const { code, retryAfterMs } = fault;
      const reply = { kind: "fault", code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } as const;
      this.#write(answerer.answer(reply));
      wire.end();
      this.#refused(fault, peer.identifier);
    };
    try {
      const guest = admission.joiner(peer, proof);
      const place = quota.enter(guest, nowMs());
      this.#place = place;
      this.#giveUp = switchboard.seek({
        ...{ guest, name, wire, place },
        greeting: () => answerer.answer({ kind: "joined" }),
        onSpliced: (handler) => {
          this.#giveUp = undefined;
          this.#answerer = undefined;
          onSpliced(handler);
        },
        onRefused: sayNo,
      });
    } catch (thrown) {
      sayNo(Fault.from(thrown));
    }
  }

  #leave(): void {
    this.#giveUp?.();
    this.#giveUp = undefined;
    this.#place?.leave();
    this.#place = undefined;
  }

  #refused(fault: Fault, identifier?: string): void {
    this.#answerer = undefined;
    this.#leave();
    this.#options.onRefused(fault, identifier);
  }

  /** Little, on a connection that has taken little: what does not take it is broken. */
  #write(bytes: Uint8Array): void {
    const { wire } = this.#options;
    if (wire.write(bytes) < bytes.length) wire.destroy();
  }
}
