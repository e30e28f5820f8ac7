/** Paces the writes of members by `ReturnSlots`, and tells it what became of them. */
import type { Clock } from "../base/clock.ts";
import { Fault, type FaultCode } from "../base/fault.ts";
import type { ExchangeEnd } from "./http-exchange.ts";
import { ReturnSlots, type ReturnSlotsOptions, type ReturnStatus } from "./return-slots.ts";

/** Who is kept waiting for so long and then calls it off has heard nothing of InfluxDB, in milliseconds. */
const SILENCE_MS = 2_000;
/** A gateway's word for an InfluxDB that is not there, or InfluxDB's own that it cannot. */
const UNAVAILABLE: ReadonlySet<number | FaultCode> = new Set([
  502,
  503,
  504,
  "upstream.unreachable",
  "upstream.timeout",
]);

export class WritePace {
  readonly #slots: ReturnSlots;
  readonly #clock: Clock;

  constructor(options: ReturnSlotsOptions & { readonly clock: Clock }) {
    this.#slots = new ReturnSlots(options);
    this.#clock = options.clock;
  }

  /**
   * A write of this member is at hand.
   * @returns what is to be called once it is over.
   * @throws Fault `upstream.paced`, with `retryAfterMs`: its turn is later.
   */
  begin(member: string): (end: Pick<ExchangeEnd, "outcome" | "isWhole">) => void {
    const startMs = this.#clock.monotonicMs();
    const waitMs = this.#slots.begin(member, startMs);
    if (waitMs > 0)
      throw new Fault("upstream.paced", "its turn to write is later", { retryAfterMs: Math.ceil(waitMs) });
    return ({ outcome, isWhole }) => {
      const nowMs = this.#clock.monotonicMs();
      // A member that keeps its body back must not make InfluxDB look silent.
      const word = isWhole || typeof outcome === "number" ? wordOf(outcome, nowMs - startMs) : undefined;
      this.#slots.ended(member, word, nowMs);
    };
  }

  status(): ReturnStatus {
    return this.#slots.status(this.#clock.monotonicMs());
  }
}

function wordOf(outcome: number | FaultCode, tookMs: number): "answered" | "silent" | undefined {
  if (UNAVAILABLE.has(outcome)) return "silent";
  if (typeof outcome === "number") return "answered";
  return outcome === "request.aborted" && tookMs >= SILENCE_MS ? "silent" : undefined;
}
