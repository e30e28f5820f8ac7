/** What a portal has carried and turned away so far. */
import type { FaultCode } from "../base/fault.ts";

export interface PortalSnapshot {
  /** Connections now. */
  readonly active: number;
  /** All so far, those that were refused not among them. */
  readonly connections: number;
  readonly toServiceBytes: number;
  readonly fromServiceBytes: number;
  /** Connections that were refused, by the code of the fault. */
  readonly refused: Readonly<Record<string, number>>;
}

export class PortalCounts {
  active = 0;
  connections = 0;
  toServiceBytes = 0;
  fromServiceBytes = 0;
  readonly #refused = new Map<FaultCode, number>();

  refused(code: FaultCode): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }

  snapshot(): PortalSnapshot {
    const { active, connections, toServiceBytes, fromServiceBytes } = this;
    return {
      ...{ active, connections, toServiceBytes, fromServiceBytes },
      refused: Object.fromEntries(this.#refused),
    };
  }
}
