/** The server's side of a WebSocket's opening, on a wire that has just come in. */
import { HeadPhase } from "./head-phase.ts";
import { badRequest, judgeUpgrade } from "./websocket-upgrade.ts";
import { WebSocketWire } from "./websocket-wire.ts";
import type { Wire, WireHandler } from "./wire.ts";

export interface AcceptOptions {
  /** The only one that there is something at. */
  readonly path: string;
  readonly take: (wire: Wire) => WireHandler;
  /** It became a WebSocket, or never will; told once. */
  readonly onSettled: () => void;
}

/** A head that drips in is cut off after that, in milliseconds; so is whoever does not go after an answer. */
const DEADLINE_MS = 10_000;

export function acceptWebSocket(below: Wire, options: AcceptOptions): WireHandler {
  const timer = setTimeout(() => below.destroy(), DEADLINE_MS);
  let settled = false;
  const settle = (): void => {
    if (settled) return;
    settled = true;
    options.onSettled();
  };
  const say = (answer: string): boolean => {
    const bytes = Buffer.from(answer, "latin1");
    // Nothing was sent before it, so there is room; where there is none, nobody is listening.
    const isSaid = below.write(bytes) === bytes.length;
    if (!isSaid) below.destroy();
    return isSaid;
  };
  return new HeadPhase({
    onHead(head) {
      const { kind, answer } = judgeUpgrade(head, options.path);
      if (!say(answer)) return undefined;
      if (kind === "answer") {
        below.end();
        return undefined;
      }
      clearTimeout(timer);
      settle();
      return new WebSocketWire(below, "server", options.take);
    },
    onBroken() {
      if (say(badRequest())) below.end();
    },
    onCut() {
      clearTimeout(timer);
      settle();
      below.destroy();
    },
  });
}
