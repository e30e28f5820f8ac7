/**
 * Takes in a client's body. A body up to the replay limit is collected whole, so that it can be sent a
 * second time; a longer one is handed on as it comes. What is kept is bounded over all requests, and a
 * client that drips is let go before it holds a stream.
 */
import { Fault } from "../base/fault.ts";
import type { InletLimits } from "./inlet-limits.ts";
import type { Watch, Watched } from "./watch.ts";

export type BodyLimits = Pick<
  InletLimits,
  "replayBytes" | "keptBytes" | "maxBodyBytes" | "bodyPatienceMs" | "minBodyBytesPerSecond"
>;

/** Collected to its end: may be sent twice. */
export interface WholeBody {
  readonly kind: "whole";
  readonly bytes: Uint8Array;
  /** To be called when it will not be sent again. */
  release(): void;
}

/** Longer than what is kept. */
export interface BulkBody {
  readonly kind: "bulk";
  /** What `Content-Length` says; undefined for a chunked body. */
  readonly declaredBytes: number | undefined;
  /** The next bytes, undefined at the end. @throws Fault `request.slow`, `.aborted`, `.body-too-large`. */
  read(): Promise<Uint8Array | undefined>;
  cancel(): void;
  release(): void;
}

export type RequestBody = WholeBody | BulkBody;

const EMPTY: WholeBody = { kind: "whole", bytes: new Uint8Array(0), release: () => {} };
/** Up to this declared length the memory is spoken for at once and the runtime's own collector is used. */
const SMALL_BYTES = 64 * 1024;

export class RequestBodies {
  readonly #limits: BodyLimits;
  readonly #watch: Watch;
  #keptBytes = 0;

  constructor(limits: BodyLimits, watch: Watch) {
    this.#limits = limits;
    this.#watch = watch;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /**
   * @throws Fault `request.malformed` for lengths that contradict each other, `request.body-too-large`,
   * `request.slow`, `request.aborted`.
   */
  receive(request: Request): RequestBody | Promise<RequestBody> {
    const declaredBytes = declaredLength(request);
    if (declaredBytes === 0 || (declaredBytes === undefined && request.body === null)) return EMPTY;
    if (declaredBytes !== undefined) {
      if (declaredBytes > this.#limits.maxBodyBytes) throw tooLarge();
      const keeps = declaredBytes <= this.#limits.replayBytes;
      if (keeps && declaredBytes <= SMALL_BYTES && this.#keep(declaredBytes)) {
        return this.#receiveSmall(request, declaredBytes);
      }
    }
    return this.#receiveByChunk(request, declaredBytes);
  }

  async #receiveSmall(request: Request, declaredBytes: number): Promise<WholeBody> {
    const patience = new Patience(this.#limits, this.#watch);
    try {
      const bytes = new Uint8Array(await patience.wait(request.arrayBuffer(), declaredBytes));
      if (bytes.length !== declaredBytes) throw aborted();
      return { kind: "whole", bytes, release: once(() => this.#giveUp(declaredBytes)) };
    } catch (thrown) {
      this.#giveUp(declaredBytes);
      throw thrown instanceof Fault ? thrown : aborted(thrown);
    }
  }

  async #receiveByChunk(request: Request, declaredBytes: number | undefined): Promise<RequestBody> {
    const chunks = new Chunks(request, declaredBytes, this.#limits, this.#watch);
    const kept: Uint8Array[] = [];
    let keptBytes = 0;
    const release = once(() => this.#giveUp(keptBytes));
    const isLong = declaredBytes !== undefined && declaredBytes > this.#limits.replayBytes;
    try {
      while (!isLong) {
        const chunk = await chunks.read();
        if (!chunk) return { kind: "whole", bytes: joined(kept, keptBytes), release };
        kept.push(chunk);
        if (keptBytes + chunk.length > this.#limits.replayBytes || !this.#keep(chunk.length)) break;
        keptBytes += chunk.length;
      }
    } catch (thrown) {
      release();
      throw thrown;
    }
    return {
      kind: "bulk",
      declaredBytes,
      read: async () => kept.shift() ?? (await chunks.read()),
      cancel: () => chunks.cancel(),
      release,
    };
  }

  #keep(bytes: number): boolean {
    if (this.#keptBytes + bytes > this.#limits.keptBytes) return false;
    this.#keptBytes += bytes;
    return true;
  }

  #giveUp(bytes: number): void {
    this.#keptBytes -= bytes;
  }
}

/** Reads a body chunk by chunk, and knows a whole one from one that was cut off. */
class Chunks {
  readonly #reader: Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;
  readonly #declaredBytes: number | undefined;
  readonly #maxBytes: number;
  readonly #patience: Patience;
  #bytes = 0;

  constructor(request: Request, declaredBytes: number | undefined, limits: BodyLimits, watch: Watch) {
    if (request.body === null) throw aborted();
    this.#reader = request.body.getReader();
    this.#declaredBytes = declaredBytes;
    this.#maxBytes = limits.maxBodyBytes;
    this.#patience = new Patience(limits, watch);
  }

  async read(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#patience.wait(this.#reader.read(), this.#bytes);
      if (done) {
        if (this.#declaredBytes !== undefined && this.#bytes !== this.#declaredBytes) throw aborted();
        return undefined;
      }
      this.#bytes += value.length;
      if (this.#bytes > this.#maxBytes) throw tooLarge();
      return value;
    } catch (thrown) {
      this.cancel();
      throw thrown instanceof Fault ? thrown : aborted(thrown);
    }
  }

  cancel(): void {
    this.#reader.cancel().catch(() => {
      // Already closed or failed: nothing is left to give back.
    });
  }
}

/** Adds up how long the client, and nobody else, has kept us waiting for one body. */
class Patience implements Watched {
  readonly #limits: BodyLimits;
  readonly #watch: Watch;
  #waitedMs = 0;
  #sinceMs = 0;
  #bytes = 0;
  #giveUp: ((fault: Fault) => void) | undefined;

  constructor(limits: BodyLimits, watch: Watch) {
    this.#limits = limits;
    this.#watch = watch;
  }

  /** @param bytes that have come, or are meant to come: what the client is given time for. */
  wait<T>(promise: Promise<T>, bytes: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#bytes = bytes;
      this.#sinceMs = this.#watch.clock.monotonicMs();
      this.#giveUp = reject;
      this.#watch.add(this);
      promise.then(
        (value) => {
          this.#done();
          resolve(value);
        },
        (thrown) => {
          this.#done();
          reject(thrown);
        },
      );
    });
  }

  tick(nowMs: number): void {
    const { bodyPatienceMs, minBodyBytesPerSecond } = this.#limits;
    const allowedMs = bodyPatienceMs + (this.#bytes / minBodyBytesPerSecond) * 1000;
    if (this.#waitedMs + nowMs - this.#sinceMs <= allowedMs) return;
    this.#watch.remove(this);
    this.#giveUp?.(new Fault("request.slow", "the request's body came too slowly"));
  }

  #done(): void {
    this.#waitedMs += this.#watch.clock.monotonicMs() - this.#sinceMs;
    this.#watch.remove(this);
  }
}

/**
 * RFC 9112 §6.3, strictly: one length or chunked, not both, and no body where the runtime would drop it.
 * @returns undefined for a body that ends when it ends.
 */
function declaredLength(request: Request): number | undefined {
  const length = request.headers.get("content-length");
  const coding = request.headers.get("transfer-encoding");
  const bodiless = request.method === "GET" || request.method === "HEAD";
  if (coding !== null) {
    if (length !== null || coding.toLowerCase() !== "chunked" || bodiless) throw contradictory();
    return undefined;
  }
  if (length === null) return bodiless ? 0 : undefined;
  if (!/^\d{1,15}$/.test(length)) throw contradictory();
  const bytes = Number(length);
  if (bodiless && bytes > 0) throw contradictory();
  return bytes;
}

function contradictory(): Fault {
  return new Fault("request.malformed", "the request does not say in one way how long its body is");
}

function tooLarge(): Fault {
  return new Fault("request.body-too-large", "the request's body is over the limit");
}

function aborted(cause?: unknown): Fault {
  return new Fault("request.aborted", "the request ended before its body did", { cause });
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
