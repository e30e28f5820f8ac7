/** One question to one address, on a channel of its own that ends with the answer. */
import { Fault } from "../base/fault.ts";
import type { ReplyHead, RequestHead } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { SessionBasis } from "../channel/session-options.ts";
import { refuseStream } from "../channel/stream.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import type { Connector } from "../transport/connector.ts";
import { Link } from "../transport/link.ts";
import type { Ticker } from "../transport/ticker.ts";
import type { Wire } from "../transport/wire.ts";
import { askOver } from "./question.ts";

export interface ErrandOptions {
  readonly address: NodeAddress;
  readonly connector: Connector;
  readonly ticker: Ticker;
  readonly session: SessionBasis;
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
  const { address, connector, session, patienceMs } = options;
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
        reject(new Fault("authority.unavailable", `${address.text}: ${cause.message}`, { cause }));
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
        ...session,
        authorize(peer) {
          const refusal = session.authorize(peer);
          accepted = refusal === undefined;
          return refusal;
        },
        initiator: true,
        route: address.name ?? "",
        events: {
          onEstablished: (peer) => void ask(peer),
          onStream: refuseStream,
          onGoAway() {},
          onClosed: (fault) => fail(fault ?? new Fault("channel.closed", "the channel was closed")),
          onSendable() {},
        },
      });
      options.ticker.add(link);
      if (over) link.close("normal");
      return link;
    };
    cancel = connector.connect({ address, party: session.party }, take, fail);
  });
}
