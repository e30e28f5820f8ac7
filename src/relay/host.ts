/** A node that takes joiners: one run of an outlet's or authority's process, over all its control channels. */
import type { Identifier } from "../identity/identifier.ts";
import type { Splice } from "./splice.ts";

export class Host {
  readonly authority: Identifier;
  readonly identifier: Identifier;
  /** The authority's own node. */
  readonly isAuthority: boolean;
  readonly splices = new Set<Splice>();
  /** Joiners that were offered to it and not picked up yet. */
  offers = 0;
  /** Control channels: make before break, so two at times. */
  channels = 0;

  constructor(options: Pick<Host, "authority" | "identifier" | "isAuthority">) {
    this.authority = options.authority;
    this.identifier = options.identifier;
    this.isAuthority = options.isAuthority;
  }

  /** What it carries, and is about to. */
  get load(): number {
    return this.splices.size + this.offers;
  }

  /**
   * It is gone: who is joined to it must learn so now, and go to another.
   * @param how "ended": last words to them are still on their way.
   */
  leave(how: "cut" | "ended"): void {
    for (const splice of [...this.splices]) how === "cut" ? splice.cut() : splice.linger();
  }
}
