/**
 * Frames that cost us work and a peer next to nothing (rapid resets, refused opens, pings) drain a budget
 * that refills slowly; a flood of them ends the channel.
 */
import { Fault } from "../base/fault.ts";
import { NUISANCE_BURST, NUISANCE_PER_SECOND } from "./limits.ts";

export class NuisanceBudget {
  #left = NUISANCE_BURST;
  #atMs = 0;

  /** @throws Fault `channel.limit` when the budget is spent. */
  spend(nowMs: number): void {
    const refill = ((nowMs - this.#atMs) / 1000) * NUISANCE_PER_SECOND;
    this.#left = Math.min(NUISANCE_BURST, this.#left + refill) - 1;
    this.#atMs = nowMs;
    if (this.#left < 0) throw new Fault("channel.limit", "too many resets, refused streams or pings");
  }
}
