/** A connector that goes through relays where an address has a name, and leaves all others to the one below. */
import { JoinCaller } from "../channel/join-caller.ts";
import { defaultLimits } from "../channel/limits.ts";
import type { SessionOptions } from "../channel/session-options.ts";
import { placeOf } from "../identity/node-address.ts";
import { type Connector, type Destination, unreachableFault } from "./connector.ts";
import { NamedWire } from "./named-wire.ts";
import { relayPinRefusal } from "./relay-pin.ts";
import type { Wire, WireHandler } from "./wire.ts";

/** Until the relay has taken the connection: a black hole must leave time for the next relay, in milliseconds. */
const REACH_MS = 5_000;

/** @param suite what the relay is asked for; it takes either. */
export function throughRelays(below: Connector, suite: SessionOptions["suite"]): Connector {
  return {
    connect(to, take, onFailure) {
      const { name } = to.address;
      if (name === undefined) return below.connect(to, take, onFailure);
      return join({ below, suite, to, name, take, onFailure });
    },
  };
}

interface JoinOptions {
  readonly below: Connector;
  readonly suite: SessionOptions["suite"];
  readonly to: Destination;
  readonly name: string;
  readonly take: (wire: Wire) => WireHandler;
  readonly onFailure: (cause: unknown) => void;
}

function join({ below, suite, to, name, take, onFailure }: JoinOptions): () => void {
  let attempt: Attempt | undefined;
  let over = false;
  const fail = (cause: unknown): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    onFailure(unreachableFault(to.address, cause));
  };
  const giveUp = (): void => {
    cancelBelow();
    attempt?.abandon();
  };
  const late = (why: string): void => {
    giveUp();
    fail(new Error(why));
  };
  let timer = setTimeout(() => late(`no connection within ${REACH_MS / 1_000} s`), REACH_MS);
  const cancelBelow = below.connect(
    { address: placeOf(to.address), party: to.party },
    (wire) => {
      clearTimeout(timer);
      const { handshakeTimeoutMs } = defaultLimits;
      timer = setTimeout(() => late("the relay did not answer in time"), handshakeTimeoutMs);
      const caller = new JoinCaller({
        ...{ party: to.party, limits: defaultLimits, suite, name },
        authorize: (relay) => relayPinRefusal(to.address, relay),
        nowMs: performance.now(),
        wallMs: Date.now(),
      });
      attempt = new Attempt(wire, caller, {
        onFailure: fail,
        onJoined: () => {
          over = true;
          clearTimeout(timer);
          return take(new NamedWire(wire, `${wire.remote}#${name}`));
        },
      });
      if (over) attempt.abandon();
      return attempt;
    },
    fail,
  );
  return () => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    giveUp();
  };
}

interface AttemptEvents {
  onFailure(cause: unknown): void;
  onJoined(): WireHandler;
}

/** The wire's handler until the relay has answered; from then on it only stands before the session's. */
class Attempt implements WireHandler {
  readonly #wire: Wire;
  readonly #caller: JoinCaller;
  readonly #events: AttemptEvents;
  #inner: WireHandler | undefined;
  #over = false;

  constructor(wire: Wire, caller: JoinCaller, events: AttemptEvents) {
    this.#wire = wire;
    this.#caller = caller;
    this.#events = events;
    this.#send(caller.start());
  }

  abandon(): void {
    this.#over = true;
    this.#wire.destroy();
  }

  onData(chunk: Uint8Array): void {
    if (this.#inner) return this.#inner.onData(chunk);
    if (this.#over) return;
    try {
      const { send, joined } = this.#caller.handleBytes(chunk);
      if (send) this.#send(send);
      if (joined) this.#inner = this.#events.onJoined();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  onWritable(): void {
    this.#inner?.onWritable();
  }

  onEnd(): void {
    if (this.#inner?.onEnd) this.#inner.onEnd();
    else this.#wire.end();
  }

  onClose(): void {
    if (this.#inner) this.#inner.onClose();
    else this.#fail(new Error("the relay closed the connection"));
  }

  /** A few hundred bytes on a connection that has sent nothing yet: what does not take them is broken. */
  #send(bytes: Uint8Array): void {
    if (this.#wire.write(bytes) < bytes.length) this.#fail(new Error("the connection takes no bytes"));
  }

  #fail(cause: unknown): void {
    if (this.#over) return;
    this.abandon();
    this.#events.onFailure(cause);
  }
}
