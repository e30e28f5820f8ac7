/**
 * Keeps the inlet's lease: asks the outlet when the holder says so, one request at a time, each with a
 * deadline. Requests of clients only ever read what is held.
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { decodeReplyHead, encodeHead, type FaultReplyHead } from "../channel/exchange.ts";
import type { HeldLeaseHead, LeaseReplyHead } from "../channel/lease-heads.ts";
import type { Stream, StreamHandler, StreamOpener } from "../channel/stream.ts";
import type { HeldLease, LeaseHolder, LeaseQuestion, OutletRun } from "../lease/lease-holder.ts";
import type { LeaseClaim } from "../lease/resume-seal.ts";
import type { LeaseSource } from "./inlet-deps.ts";

export interface LeaseClientOptions {
  readonly service: string;
  readonly uplink: StreamOpener;
  readonly holder: LeaseHolder;
  readonly clock: Clock;
  readonly log: Log;
}

export interface LeaseClientStatus {
  readonly held: boolean;
  /** `idle`: the last one has lapsed, for no request wanted it; the next request gets one on demand. */
  readonly state: "held" | "idle" | "none";
  readonly leaseId?: string;
  readonly expiresInMs?: number;
  /** Absent while no request has used the lease: it is not renewed then. */
  readonly renewInMs?: number;
  /** Of the last lease. */
  readonly tokenAt?: "inlet" | "outlet";
  readonly lastFault?: string;
  readonly grants: number;
  readonly failures: number;
}

/** The outlet answers within 3 s or says that it cannot; then comes the way there and back. */
const ANSWER_MS = 4_000;
/** Nothing to do: look again after this, or when something happens. */
const IDLE_MS = 60_000;
/** A client is not asked back sooner. */
const MIN_RETRY_AFTER_MS = 1_000;

export class LeaseClient implements LeaseSource {
  readonly #options: LeaseClientOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: Promise<void> | undefined;
  #replacing: Promise<HeldLease> | undefined;
  #lastFault: Fault | undefined;
  #refusal: Fault | undefined;
  #tokenAt: "inlet" | "outlet" | undefined;
  #grants = 0;
  #failures = 0;
  #stopped = false;

  constructor(options: LeaseClientOptions) {
    this.#options = options;
  }

  use(): HeldLease | undefined {
    const { holder } = this.#options;
    const dueMs = holder.nextRequestMs();
    const lease = holder.use(this.#nowMs());
    // The first use of a lease has it renewed, and who is refused one is not let wait for an unhurried try.
    if (holder.nextRequestMs() !== dueMs) this.#turn();
    return lease;
  }

  async replace(leaseId: string, why: "refused" | "unknown"): Promise<HeldLease> {
    const { holder } = this.#options;
    if (why === "refused") holder.rejected(leaseId);
    else holder.unknown(leaseId, this.#nowMs());
    return this.use() ?? this.#replace();
  }

  replacement(): Promise<HeldLease> | undefined {
    return this.#options.holder.mayAsk(this.#nowMs()) ? this.#replace() : this.#replacing;
  }

  /** As the outlet gave it, but for the time that has passed since. */
  refusal(): Fault | undefined {
    const refusal = this.#refusal;
    if (refusal?.retryAfterMs === undefined) return refusal;
    const nowMs = this.#nowMs();
    // While the outlet is being asked its answer is near.
    const atMs = this.#options.holder.nextRequestMs() ?? nowMs;
    const retryAfterMs = Math.max(MIN_RETRY_AFTER_MS, atMs - nowMs);
    return new Fault(refusal.code, refusal.message, { cause: refusal, retryAfterMs });
  }

  /** A channel has come up: whatever stood in the way before may be gone. */
  connected(outlet: OutletRun): void {
    this.#options.holder.reconnected(outlet, this.#nowMs());
    this.#turn();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  status(): LeaseClientStatus {
    const { holder } = this.#options;
    const nowMs = this.#nowMs();
    const lease = holder.current(nowMs);
    return {
      held: lease !== undefined,
      state: lease ? "held" : holder.lapsed(nowMs) ? "idle" : "none",
      ...(lease && {
        leaseId: lease.leaseId,
        expiresInMs: Math.round(lease.expiresAtMs - nowMs),
        ...(holder.inUse && { renewInMs: Math.round(lease.renewAtMs - nowMs) }),
      }),
      ...(this.#tokenAt && { tokenAt: this.#tokenAt }),
      ...(this.#lastFault && { lastFault: this.#lastFault.code }),
      grants: this.#grants,
      failures: this.#failures,
    };
  }

  #turn(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const nowMs = this.#nowMs();
    if (this.#options.holder.needsRequest(nowMs)) {
      void this.#ask();
      return;
    }
    const atMs = this.#options.holder.nextRequestMs() ?? nowMs + IDLE_MS;
    this.#timer = setTimeout(() => this.#turn(), Math.min(IDLE_MS, Math.max(10, atMs - nowMs)));
  }

  #replace(): Promise<HeldLease> {
    this.#replacing ??= this.#another().finally(() => {
      this.#replacing = undefined;
    });
    return this.#replacing;
  }

  async #another(): Promise<HeldLease> {
    await this.#ask();
    // Where the outlet gives none, this is what is left of the one before.
    const lease = this.use();
    if (lease) return lease;
    throw this.#lastFault ?? new Fault("lease.unavailable", "the outlet gave no lease");
  }

  /** Never rejects; callers that come together share one request. */
  #ask(): Promise<void> {
    this.#asking ??= this.#request().finally(() => {
      this.#asking = undefined;
      this.#turn();
    });
    return this.#asking;
  }

  async #request(): Promise<void> {
    const { holder, log, service } = this.#options;
    const question = holder.asking(this.#nowMs());
    try {
      const grant = await this.#exchange(question);
      holder.granted(grant, this.#nowMs());
      this.#tokenAt = grant.token === undefined ? "outlet" : "inlet";
      this.#grants++;
      this.#lastFault = undefined;
      this.#refusal = undefined;
      const { leaseId, expiresInMs } = grant;
      const resumed = leaseId === question.held?.leaseId;
      log.info("lease.granted", { service, lease: leaseId, expires_in_ms: expiresInMs, resumed });
    } catch (thrown) {
      const fault = Fault.from(thrown);
      this.#failures++;
      holder.failed(this.#nowMs(), fault.retryAfterMs);
      // While no channel is up there is nothing to say that the channel has not said.
      if (fault.code !== "tunnel.down" && fault.code !== this.#lastFault?.code) {
        log.warn("lease.refused", { service, fault });
      }
      this.#lastFault = fault;
    }
  }

  #exchange({ rejected, held }: LeaseQuestion): Promise<LeaseReplyHead> {
    const { service, uplink } = this.#options;
    const refused = (head: FaultReplyHead): Fault => {
      this.#refusal = refusalOf(head);
      return this.#refusal;
    };
    return new Promise((resolve, reject) => {
      let stream: Stream | undefined;
      const timer = setTimeout(() => {
        reject(new Fault("lease.unavailable", `the outlet did not answer within ${ANSWER_MS / 1000} s`));
        stream?.reset("timeout");
      }, ANSWER_MS);
      const handler: StreamHandler = {
        onHead(bytes) {
          try {
            const head = decodeReplyHead(bytes);
            if (head.kind === "lease") resolve(head);
            else if (head.kind === "fault") reject(refused(head));
            else reject(new Fault("channel.protocol", "the outlet answered something else than a lease"));
          } catch (thrown) {
            reject(thrown);
          }
        },
        onData: (chunk) => stream?.consumed(chunk.length),
        onEnd() {
          clearTimeout(timer);
          reject(new Fault("lease.unavailable", "the outlet's answer has no head"));
        },
        onReset(fault) {
          clearTimeout(timer);
          reject(fault);
        },
      };
      try {
        const head = encodeHead({
          kind: "lease",
          service,
          ...(rejected === undefined ? {} : { rejected }),
          ...(held && { held: shown(held) }),
        });
        stream = uplink.openStream(head, handler, { end: true, upkeep: true });
      } catch (thrown) {
        clearTimeout(timer);
        reject(thrown);
      }
    });
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

function shown({ leaseId, token, resume }: LeaseClaim): HeldLeaseHead {
  return { leaseId, token: token.reveal(), resume: resume.reveal() };
}

function refusalOf({ code, retryAfterMs }: FaultReplyHead): Fault {
  return new Fault(
    code,
    `the outlet gives no lease (${code})`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}
