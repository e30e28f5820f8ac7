/** What the inlet is given: the tunnel, the lease, the rules, and who counts. */
import type { Clock } from "../base/clock.ts";
import type { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { StreamOpener } from "../channel/stream.ts";
import type { HeldLease } from "../lease/lease-holder.ts";
import type { RouteClass } from "../policy/route.ts";
import type { BrowserGuardOptions } from "./browser-guard.ts";
import type { InletLimits } from "./inlet-limits.ts";

/** The tunnel as the inlet sees it. */
export interface Uplink extends StreamOpener {
  /** Whether a channel is up; when none is, a request is answered before its body is read. */
  isUp(): boolean;
  /** Why none is up, where more is known than that. */
  trouble?(): Fault | undefined;
}

export type InletLease = Pick<HeldLease, "leaseId" | "token" | "routes">;

export interface LeaseSource {
  /** The lease that is good now, for a request that is sent with it: one that no request uses is not renewed. */
  use(): InletLease | undefined;
  /**
   * A lease that is good; callers that come together share one request.
   * @param why InfluxDB refused this one, and another is wanted; or the outlet does not know it, and may take
   * it back.
   * @throws Fault `lease.*` or `tunnel.down` when there is none to be had soon.
   */
  replace(leaseId: string, why: "refused" | "unknown"): Promise<InletLease>;
  /**
   * The lease that is being asked for, or is asked for now because somebody wants one: it is worth waiting for.
   * Undefined while the outlet's last word is that there is none.
   */
  replacement(): Promise<InletLease> | undefined;
  /** Why the outlet gave none when it was asked last, in its own word; undefined where it was not asked. */
  refusal(): Fault | undefined;
}

/** What is counted; all cheap, all synchronous. */
export interface InletMeter {
  started(): void;
  /** The head of an answer is ready; `routeClass` is undefined for what was refused before it was known. */
  answered(routeClass: RouteClass | undefined, status: number, tookMs: number): void;
  faulted(code: Fault["code"]): void;
  replayed(): void;
}

export interface InletDeps {
  readonly service: string;
  readonly uplink: Uplink;
  readonly lease: LeaseSource;
  /** Named routes that are open besides what the lease covers. */
  readonly openRoutes: readonly string[];
  readonly guard: BrowserGuardOptions;
  readonly limits: InletLimits;
  readonly log: Log;
  readonly meter: InletMeter;
  readonly clock: Clock;
}

/** What a listener can do for the connection that a request came on, where web standards have no word for it. */
export interface ClientConnection {
  /** Lifts the runtime's idle time-out: the tunnel may stall in the middle of this upload. */
  hold?(request: Request): void;
  /** Ends a `hold`. */
  release?(request: Request): void;
  /** Cuts the connection so that a short answer does not look whole. */
  cut?(): void;
}
