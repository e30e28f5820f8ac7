/**
 * Sends a request through the tunnel, a second time where that is safe, and turns the outlet's word
 * into the client's answer. A status comes from InfluxDB or is culvert's own trouble; nothing else.
 */
import { Fault } from "../base/fault.ts";
import { encodeHead, type HttpReplyHead, type ReplyHead } from "../channel/exchange.ts";
import type { DecidedRoute } from "../policy/route.ts";
import { returnedHeaders } from "./headers.ts";
import type { ClientConnection, InletDeps, InletLease } from "./inlet-deps.ts";
import { Passage } from "./passage.ts";
import type { RequestBody } from "./request-body.ts";
import type { SlotKind, StreamSlots } from "./stream-slots.ts";
import type { Watch } from "./watch.ts";

const STREAM_RETRY_MS = 20;
/** A wait shorter than this never meets a runtime's idle time-out. */
const IDLE_SAFE_MS = 200_000;

export interface ForwardJob {
  readonly request: Request;
  readonly connection: ClientConnection;
  readonly route: DecidedRoute;
  readonly headers: readonly [string, string][];
  readonly lease: InletLease | undefined;
  /** How long it has waited for that lease, of the time in which an answer is due. */
  readonly waitedMs: number;
  readonly body: RequestBody;
}

export class Forwarder {
  readonly #deps: InletDeps;
  readonly #slots: StreamSlots;
  readonly #watch: Watch;

  constructor(deps: InletDeps, slots: StreamSlots, watch: Watch) {
    this.#deps = deps;
    this.#slots = slots;
    this.#watch = watch;
  }

  /** @throws Fault for everything that is not an answer of InfluxDB. */
  async forward(job: ForwardJob): Promise<Response> {
    const answerMs = this.answerMs(job.route);
    const untilMs = this.#deps.clock.monotonicMs() + answerMs - job.waitedMs;
    const mayStall = job.body.kind === "bulk" || answerMs > IDLE_SAFE_MS;
    if (mayStall) job.connection.hold?.(job.request);
    try {
      return await this.#attempt(job, job.lease, untilMs, true);
    } catch (thrown) {
      if (job.body.kind === "bulk") job.body.cancel();
      throw thrown;
    } finally {
      job.body.release();
      if (mayStall) job.connection.release?.(job.request);
    }
  }

  async #attempt(
    job: ForwardJob,
    lease: InletLease | undefined,
    untilMs: number,
    isFirst: boolean,
  ): Promise<Response> {
    const mayRepeat = isFirst && job.body.kind === "whole";
    const passage = await this.#open(job, lease, untilMs);
    let reply: ReplyHead;
    try {
      reply = await passage.head;
      passage.checkAlive();
    } catch (thrown) {
      const fault = Fault.from(thrown);
      if (!mayRepeat || !isWorthRepeating(fault, job.route)) throw fault;
      this.#deps.meter.replayed();
      return this.#attempt(job, lease, untilMs, false);
    }
    const why = whyReplaced(reply);
    if (lease && why) {
      const renewal = this.#deps.lease.replace(lease.leaseId, why);
      if (mayRepeat) {
        passage.abandon("cancelled");
        const renewed = await this.within(renewal, untilMs);
        this.#deps.meter.replayed();
        return this.#attempt(job, renewed, untilMs, false);
      }
      renewal.catch(() => {
        // This request fails anyway; whoever holds leases reports why there is none.
      });
      if (job.body.kind === "bulk") {
        passage.abandon("cancelled");
        throw new Fault("lease.rejected", "the lease was refused and the body cannot be sent again");
      }
    }
    return respond(job, passage, reply);
  }

  async #open(job: ForwardJob, lease: InletLease | undefined, untilMs: number): Promise<Passage> {
    const { uplink, limits } = this.#deps;
    const kind: SlotKind = job.body.kind;
    const head = this.#encode(job, lease);
    if (!this.#slots.tryTake(kind)) await this.#slots.take(kind);
    const takenMs = this.#watch.clock.monotonicMs();
    for (;;) {
      const nowMs = this.#watch.clock.monotonicMs();
      const passage = new Passage({
        request: job.request,
        connection: job.connection,
        watch: this.#watch,
        answerMs: kind === "whole" ? Math.max(untilMs - nowMs, 0) : limits.answerMs,
        onOver: () => this.#slots.release(kind),
      });
      try {
        if (job.body.kind === "whole") passage.open(uplink, head, job.body.bytes);
        else passage.openBulk(uplink, head, job.body);
        return passage;
      } catch (thrown) {
        const fault = Fault.from(thrown);
        if (fault.code !== "stream.limit" || nowMs - takenMs > limits.waitMs) {
          this.#slots.release(kind);
          throw fault;
        }
        // The tunnel has fewer streams than there are slots: keep the slot, so that few ask at a time.
        await new Promise((resolve) => setTimeout(resolve, STREAM_RETRY_MS));
      }
    }
  }

  #encode(job: ForwardJob, lease: InletLease | undefined): Uint8Array {
    const { body } = job;
    const bodyBytes = body.kind === "whole" ? body.bytes.length : body.declaredBytes;
    const headers = lease?.token
      ? [...job.headers, ["authorization", `Token ${lease.token.reveal()}`] as const]
      : job.headers;
    return encodeHead({
      kind: "http",
      service: this.#deps.service,
      method: job.route.method,
      target: job.route.target,
      headers,
      ...(bodyBytes === undefined ? {} : { bodyBytes }),
    });
  }

  /** From the end of the request to the head of its answer. */
  answerMs({ routeClass }: DecidedRoute): number {
    const { limits } = this.#deps;
    return routeClass === "read" ? limits.queryAnswerMs : limits.answerMs;
  }

  /** @throws Fault `lease.unavailable` when the lease that is awaited has not come by then. */
  within<T>(promise: Promise<T>, untilMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const watched = {
        tick: (nowMs: number): void => {
          if (nowMs <= untilMs) return;
          this.#watch.remove(watched);
          reject(new Fault("lease.unavailable", "no new lease in time"));
        },
      };
      this.#watch.add(watched);
      promise.then(resolve, reject).finally(() => this.#watch.remove(watched));
    });
  }
}

/** What was not processed for certain may always be sent again; what may have been, only if that is harmless. */
function isWorthRepeating(fault: Fault, route: DecidedRoute): boolean {
  if (fault.code === "stream.refused" || fault.code === "channel.draining") return true;
  const isLost = fault.code.startsWith("channel.") || fault.code === "stream.reset";
  return isLost && route.idempotent;
}

/** InfluxDB's word on the lease, or the outlet's own: it may have begun anew and forgotten it. */
function whyReplaced(reply: ReplyHead): "refused" | "unknown" | undefined {
  if (reply.kind === "http") return reply.leaseRejected ? "refused" : undefined;
  return reply.kind === "fault" && reply.code === "lease.rejected" ? "unknown" : undefined;
}

/** Not InfluxDB's word on a write but some box's before it, and one that would make Telegraf lose the batch. */
const NEVER_FOR_A_WRITE = new Set([300, 301, 302, 303, 304, 305, 306, 307, 308, 408, 421, 425]);

function respond(job: ForwardJob, passage: Passage, reply: ReplyHead): Response {
  try {
    if (reply.kind === "fault") {
      const { retryAfterMs } = reply;
      throw new Fault(reply.code, "the outlet says so", retryAfterMs === undefined ? {} : { retryAfterMs });
    }
    if (reply.kind !== "http") throw new Fault("channel.protocol", "a lease where an answer is due");
    if (job.route.routeClass === "write" && NEVER_FOR_A_WRITE.has(reply.status)) {
      throw new Fault("upstream.malformed", `InfluxDB does not answer a write with ${reply.status}`);
    }
    return build(job, passage, reply);
  } catch (thrown) {
    passage.abandon("cancelled");
    throw Fault.from(thrown, "upstream.malformed");
  }
}

function build(job: ForwardJob, passage: Passage, reply: HttpReplyHead): Response {
  const { status } = reply;
  const isHead = job.route.method === "HEAD";
  if (isHead || status === 204 || status === 205 || status === 304) {
    const headers = returnedHeaders(reply.headers, { keepLength: isHead });
    const response = new Response(null, { status, headers });
    passage.discard();
    return response;
  }
  const whole = passage.wholeBody();
  const headers = returnedHeaders(reply.headers, { keepLength: whole === undefined });
  return new Response(whole ?? passage.body(), { status, headers });
}
