/**
 * An outlet's place at one relay: keeps a control channel there under the outlet's name, and dials the relay anew
 * for each of those who ask for it. What comes in by that is a channel as any other.
 */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Peer } from "../channel/handshake.ts";
import { controlLimits } from "../channel/limits.ts";
import type { LocalParty } from "../channel/local-party.ts";
import { decodeRelayReply, encodeRelayHead, type Offer, OfferReader } from "../channel/relay-heads.ts";
import { CONTROL_ROUTE, encodePickUp } from "../channel/relay-opening.ts";
import type { SessionOptions } from "../channel/session-options.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import type { Connector } from "./connector.ts";
import { Dialer } from "./dialer.ts";
import { NamedWire } from "./named-wire.ts";
import { relayPinRefusal } from "./relay-pin.ts";
import type { Ticker } from "./ticker.ts";
import type { Wire, WireHandler } from "./wire.ts";

export interface RelayHostOptions {
  /** The relay itself, without a name. */
  readonly relay: NodeAddress;
  /** What we are asked for there. */
  readonly name: string;
  /** One that goes straight to the relay. */
  readonly connector: Connector;
  readonly ticker: Ticker;
  readonly party: LocalParty;
  readonly suite: SessionOptions["suite"];
  /** A control channel older than this is replaced, in milliseconds. */
  readonly maxAgeMs: number;
  /** Whether this node has a credential to show; until then the relay is not dialled. */
  readonly isMember: () => boolean;
  /** A wire on which somebody begins a channel to our name. */
  readonly accept: (wire: Wire) => WireHandler;
  /** The relay shuts down: who came through it had better move now, while both ends are still there. */
  readonly onDraining?: (backoffMs: number) => void;
  readonly log: Log;
}

export interface RelayHostStatus {
  readonly relay: string;
  readonly name: string;
  readonly state: "registered" | "refused" | "connecting" | "stopped";
  readonly identifier?: string;
  readonly pickedUp: number;
  readonly pickUpsFailed: number;
  readonly lastFault?: { readonly code: string; readonly message: string };
}

/** Offers that are being picked up at once; those beyond go to another outlet of the name. */
const MAX_PICK_UPS = 1_024;
const PICK_UP_MS = 5_000;
/** The relay has said no, or ended the registration: asked again after that, in milliseconds. */
const AGAIN_MS = 5_000;
const DENIED_AGAIN_MS = 30_000;

export class RelayHost {
  readonly #options: RelayHostOptions;
  readonly #dialer: Dialer;
  /** The last one that the relay has answered: it stays until the answer to a newer one. */
  #held: Registration | undefined;
  #latest: Registration | undefined;
  #lastFault: Fault | undefined;
  #againTimer: ReturnType<typeof setTimeout> | undefined;
  #pickingUp = 0;
  #pickedUp = 0;
  #pickUpsFailed = 0;
  #stopped = false;

  constructor(options: RelayHostOptions) {
    const { relay, connector, ticker, party, suite, maxAgeMs, isMember, log } = options;
    this.#options = options;
    this.#dialer = new Dialer({
      addresses: () => (isMember() ? [relay] : []),
      ...{ connector, ticker, maxAgeMs, log, route: CONTROL_ROUTE },
      session: {
        ...{ party, suite, limits: controlLimits, keepaliveMs: controlLimits.busyPingMs },
        authorize: (peer) => relayPinRefusal(relay, peer),
      },
      onUp: (peer) => this.#register(peer),
      onGoAway: (backoffMs) => {
        this.#held = undefined;
        options.onDraining?.(backoffMs);
      },
      onFailed: (fault) => {
        this.#lastFault = fault;
      },
    });
  }

  start(): void {
    this.#dialer.start();
  }

  /** Our credential is new. */
  renewed(): void {
    this.#dialer.redial();
  }

  get registered(): boolean {
    return this.#held?.state === "registered";
  }

  status(): RelayHostStatus {
    const { relay, name } = this.#options;
    const { lastFault: down } = this.#dialer.status();
    const fault = this.#held?.fault ?? this.#lastFault;
    const state = this.#stopped ? "stopped" : (this.#held?.state ?? "connecting");
    const identifier = this.#dialer.peer?.identifier;
    const shown = down ?? (fault && { code: fault.code, message: fault.message });
    return {
      relay: relay.text,
      name,
      state,
      ...(identifier !== undefined && { identifier }),
      pickedUp: this.#pickedUp,
      pickUpsFailed: this.#pickUpsFailed,
      ...(shown && state !== "registered" && { lastFault: shown }),
    };
  }

  /** No more offers; channels that came through the relay stay. */
  withdraw(): void {
    clearTimeout(this.#againTimer);
    this.#held?.end();
    this.#latest?.end();
    this.#stopped = true;
  }

  /** Ends the control channel; the relay cuts what came by it. */
  stop(): void {
    this.withdraw();
    this.#dialer.stop();
  }

  /** On a fresh channel, or again on the one that is there. */
  #register(peer: Peer): void {
    clearTimeout(this.#againTimer);
    if (this.#stopped) return;
    const { name, log, relay } = this.#options;
    const registration: Registration = new Registration({
      onRegistered: () => {
        this.#lastFault = undefined;
        this.#replace(registration);
        log.info("relay.registered", { relay: relay.text, name, identifier: peer.identifier });
      },
      // What was given by a credential that is no more is not held on to.
      onRefused: () => this.#replace(registration),
      onOffer: (offer) => this.#pickUp(offer),
      onOver: (fault) => this.#over(registration, fault, peer),
    });
    this.#latest = registration;
    try {
      registration.open(this.#dialer.openStream(encodeRelayHead({ kind: "register", name }), registration));
    } catch (thrown) {
      this.#over(registration, Fault.from(thrown), peer);
    }
  }

  #replace(by: Registration): void {
    if (this.#held !== by) this.#held?.end();
    this.#held = by;
  }

  #over(registration: Registration, fault: Fault, peer: Peer): void {
    // With the channel it ends too, and the next one registers anew.
    const hasChannel = this.#dialer.up && this.#dialer.peer === peer;
    if (registration === this.#held && !hasChannel) this.#held = undefined;
    if (registration !== this.#latest || this.#stopped) return;
    this.#lastFault = fault;
    if (!hasChannel) return;
    const { log, relay, name } = this.#options;
    const waitMs = fault.retryAfterMs ?? (fault.blame === "operator" ? DENIED_AGAIN_MS : AGAIN_MS);
    log.warn("relay.not-registered", { relay: relay.text, name, fault, wait_ms: waitMs });
    this.#againTimer = setTimeout(() => this.#register(peer), waitMs);
  }

  #pickUp({ cookie, identifier, remote }: Offer): void {
    const { connector, relay, party, accept, log } = this.#options;
    if (this.#stopped || this.#pickingUp >= MAX_PICK_UPS) return;
    this.#pickingUp++;
    let over = false;
    const settle = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      this.#pickingUp--;
      return true;
    };
    const fail = (cause: unknown): void => {
      if (!settle()) return;
      this.#pickUpsFailed++;
      const fault = Fault.from(cause, "transport.unreachable");
      log.info("relay.pick-up-failed", { relay: relay.text, joiner: identifier, fault });
    };
    const timer = setTimeout(() => {
      cancel();
      fail(new Error("the relay did not take the connection in time"));
    }, PICK_UP_MS);
    const cancel = connector.connect(
      { address: relay, party },
      (wire) => {
        const pickUp = encodePickUp(cookie);
        if (wire.write(pickUp) === pickUp.length && settle()) {
          this.#pickedUp++;
          return accept(new NamedWire(wire, `${remote} through ${wire.remote}`));
        }
        wire.destroy();
        fail(new Error("the connection takes no bytes"));
        return { onData() {}, onWritable() {}, onClose() {} };
      },
      fail,
    );
  }
}

interface RegistrationEvents {
  onRegistered(): void;
  /** The relay has said no; `onOver` follows. */
  onRefused(): void;
  onOffer(offer: Offer): void;
  /** Refused, or ended by the relay or with its channel. */
  onOver(fault: Fault): void;
}

/** One stream on which the relay answers, and then writes its offers. */
class Registration implements StreamHandler {
  readonly #events: RegistrationEvents;
  readonly #offers = new OfferReader();
  #stream: Stream | undefined;
  #ended = false;
  state: "registered" | "refused" | "connecting" = "connecting";
  fault: Fault | undefined;

  constructor(events: RegistrationEvents) {
    this.#events = events;
  }

  open(stream: Stream): void {
    this.#stream = stream;
    if (this.#ended) stream.reset("cancelled");
  }

  end(): void {
    this.#ended = true;
    this.#stream?.reset("cancelled");
  }

  onHead(head: Uint8Array): void {
    try {
      const reply = decodeRelayReply(head);
      if (reply.kind === "fault") {
        const { code, retryAfterMs } = reply;
        const text = `the relay does not give us the name (${code})`;
        this.#events.onRefused();
        return this.#over(new Fault(code, text, retryAfterMs === undefined ? {} : { retryAfterMs }));
      }
      if (reply.kind !== "registered")
        throw new Fault("channel.protocol", "the relay answered something else");
      this.state = "registered";
      this.#events.onRegistered();
    } catch (thrown) {
      this.#over(Fault.from(thrown));
    }
  }

  onData(chunk: Uint8Array): void {
    this.#stream?.consumed(chunk.length);
    try {
      this.#offers.push(chunk, (offer) => this.#events.onOffer(offer));
    } catch (thrown) {
      this.#over(Fault.from(thrown));
    }
  }

  onEnd(): void {
    this.#over(new Fault("relay.unavailable", "the relay has ended our registration"));
  }

  onReset(fault: Fault): void {
    this.#over(fault);
  }

  #over(fault: Fault): void {
    if (this.#ended) return;
    this.state = "refused";
    this.fault = fault;
    this.end();
    this.#events.onOver(fault);
  }
}
