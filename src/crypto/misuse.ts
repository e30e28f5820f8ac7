/** A call that the Noise state machine does not allow here: our own bug, named, never the peer's doing. */
import { Fault } from "../base/fault.ts";

export type MisuseName =
  | "not-our-turn"
  | "handshake-finished"
  | "handshake-unfinished"
  | "already-split"
  | "message-too-long"
  | "no-room"
  | "no-key"
  | "key-missing";

export class Misuse extends Fault {
  readonly misuse: MisuseName;

  constructor(misuse: MisuseName) {
    super("internal.bug", `misuse of a Noise state: ${misuse}`);
    this.name = "Misuse";
    this.misuse = misuse;
  }
}
