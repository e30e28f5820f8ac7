/** From an address to a wire on which a session can begin, whatever lies between. */
import { Fault } from "../base/fault.ts";
import type { LocalParty } from "../channel/local-party.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import type { Wire, WireHandler, WireProvider } from "./wire.ts";
import type { WssDialOptions } from "./wss-dial.ts";

/** Where to, and as whom where somebody on the way asks. */
export interface Destination {
  readonly address: NodeAddress;
  readonly party: LocalParty;
}

export interface Connector {
  /**
   * @param take is given the wire once a session can begin on it, and gives back its handler.
   * @returns cancels an attempt that is still under way.
   */
  connect(
    to: Destination,
    take: (wire: Wire) => WireHandler,
    onFailure: (cause: unknown) => void,
  ): () => void;
}

/** How a server of wss is to be reached; asked for each connection. @throws Fault */
export type WssWay = (address: NodeAddress) => Promise<WssDialOptions>;

/** The authorities that the runtime trusts, and no proxy. */
const plainWay: WssWay = async () => ({ ca: undefined, host: undefined, proxy: undefined });

/** Straight to the place of the address: over TCP, or in a WebSocket over TLS. */
export function directConnector(wires: WireProvider, wssWay: WssWay = plainWay): Connector {
  return {
    connect({ address }, take, onFailure) {
      if (address.transport === "tcp") return wires.dial(address, take, onFailure);
      let cancelled = false;
      let cancel = (): void => {};
      const dial = async (): Promise<void> => {
        const way = await wssWay(address);
        // Loading TLS is a good part of an inlet's start, and most have no use for it.
        const { dialWss } = await import("./wss-dial.ts");
        if (!cancelled) cancel = dialWss(address, way, take, onFailure);
      };
      dial().catch((cause) => {
        if (!cancelled) onFailure(cause);
      });
      return () => {
        cancelled = true;
        cancel();
      };
    },
  };
}

/** What somebody on the way has said is told as it is; all else is that nobody was reached. */
export function unreachableFault({ text }: NodeAddress, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  const why = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new Fault("transport.unreachable", `cannot reach ${text}: ${why}`, { cause });
}
