/** One question to one address, on a channel of its own that ends with the answer. */
import { Fault } from "../base/fault.ts";
import type { ReplyHead, RequestHead } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { SessionOptions } from "../channel/session-options.ts";
import { Link } from "../transport/link.ts";
import type { Ticker } from "../transport/ticker.ts";
import type { TcpAddress, Wire, WireProvider } from "../transport/wire.ts";
import { askOver } from "./question.ts";

export interface ErrandOptions {
  readonly address: TcpAddress;
  readonly wires: WireProvider;
  readonly ticker: Ticker;
  readonly session: Pick<SessionOptions, "party" | "limits" | "suite" | "keepaliveMs" | "authorize">;
  /** Made once the channel is there: a proof may be bound to it. */
  readonly head: (peer: Peer) => RequestHead;
  /** For all of it, in milliseconds. */
  readonly patienceMs: number;
}

export interface ErrandAnswer {
  readonly head: ReplyHead;
  readonly peer: Peer;
}

/**
 * @throws Fault `handshake.unauthorized` when the peer that we have accepted does not accept us;
 *   `authority.unavailable` for all else that keeps us from an answer, with its cause.
 */
export function runErrand(options: ErrandOptions): Promise<ErrandAnswer> {
  const { address, wires, patienceMs } = options;
  return new Promise((resolve, reject) => {
    let link: Link | undefined;
    let cancel: (() => void) | undefined;
    let accepted = false;
    let over = false;
    const settle = (act: () => void): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      cancel?.();
      link?.close("normal");
      act();
    };
    const fail = (thrown: unknown): void =>
      settle(() => {
        const cause = Fault.from(thrown, "transport.unreachable");
        if (accepted && cause.code === "handshake.unauthorized") return reject(cause);
        reject(new Fault("authority.unavailable", `${placeOf(address)}: ${cause.message}`, { cause }));
      });
    const timer = setTimeout(() => {
      fail(new Fault("channel.timeout", `no answer within ${Math.round(patienceMs / 1_000)} s`));
    }, patienceMs);
    const ask = async (peer: Peer): Promise<void> => {
      try {
        const head = await askOver(link!.session, options.head(peer), patienceMs);
        settle(() => resolve({ head, peer }));
      } catch (thrown) {
        fail(thrown);
      }
    };
    const take = (wire: Wire): Link => {
      link = new Link(wire, {
        ...options.session,
        authorize(peer) {
          const refusal = options.session.authorize(peer);
          accepted = refusal === undefined;
          return refusal;
        },
        initiator: true,
        route: "",
        events: {
          onEstablished: (peer) => void ask(peer),
          onStream(stream) {
            stream.reset("refused");
            return { onData() {}, onEnd() {}, onReset() {} };
          },
          onGoAway() {},
          onClosed: (fault) => fail(fault ?? new Fault("channel.closed", "the channel was closed")),
          onSendable() {},
        },
      });
      options.ticker.add(link);
      if (over) link.close("normal");
      return link;
    };
    cancel = wires.dial(address, take, fail);
  });
}

function placeOf({ host, port }: TcpAddress): string {
  return host.includes(":") ? `tcp://[${host}]:${port}` : `tcp://${host}:${port}`;
}
