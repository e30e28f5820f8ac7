/**
 * An extra lease that is kept alive while somebody needs its token: a token in an environment cannot be
 * swapped, so its end is put off again and again. Whoever stops asking loses it within a lifetime.
 */
import { Fault } from "../base/fault.ts";
import { Secret } from "../base/secret.ts";
import { number, record, text } from "./admin-answer.ts";
import type { Ask } from "./admin-client.ts";
import { spanText } from "./span-text.ts";

export interface KeptLeaseOptions {
  readonly ask: Ask;
  readonly service: string | undefined;
  /** Some of the member's; all of them where absent. */
  readonly permissions: readonly string[] | undefined;
  /** For a person. */
  readonly warn: (text: string) => void;
}

/** Of its life, how much may pass until it is put off. */
const BEAT_SHARE = 1 / 3;
const RETRY_SHARE = 1 / 20;
const MAX_RETRY_MS = 5_000;
const MIN_PAUSE_MS = 100;
/** One who has asked too fast has a turn within ten seconds. */
const TURN_MS = 20_000;
const TURN_RETRY_MS = 1_000;

export class KeptLease {
  readonly token: Secret;
  readonly #options: KeptLeaseOptions;
  readonly #leaseId: string;
  readonly #lifeMs: number;
  #expiresAtMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #beating: Promise<void> | undefined;
  #state: "kept" | "lost" | "ended" = "kept";
  #isTroubled = false;

  private constructor(
    options: KeptLeaseOptions,
    made: { leaseId: string; token: string; expiresAtMs: number },
  ) {
    this.#options = options;
    this.#leaseId = made.leaseId;
    this.token = new Secret(made.token);
    this.#expiresAtMs = made.expiresAtMs;
    this.#lifeMs = Math.max(0, made.expiresAtMs - Date.now());
    this.#plan(this.#lifeMs * BEAT_SHARE);
  }

  /**
   * Waits its turn where leases were asked for too fast.
   * @throws Fault of the node that was asked.
   */
  static async wait(options: KeptLeaseOptions, isOver: () => boolean): Promise<KeptLease> {
    for (const giveUpMs = performance.now() + TURN_MS; ; ) {
      try {
        return await KeptLease.get(options);
      } catch (thrown) {
        const mayCome = Fault.from(thrown).code === "lease.limit" && performance.now() < giveUpMs;
        if (!mayCome || isOver()) throw thrown;
      }
      await new Promise((resolve) => setTimeout(resolve, TURN_RETRY_MS));
    }
  }

  /** @throws Fault of the node that was asked. */
  static async get(options: KeptLeaseOptions): Promise<KeptLease> {
    const { ask, service, permissions } = options;
    const wish = { ...(service !== undefined && { service }), ...(permissions && { permissions }) };
    const made = record(await ask("POST", "/leases", wish));
    const leaseId = text(made.leaseId);
    const token = text(made.token);
    const expiresAtMs = number(made.expiresAtMs);
    if (leaseId === undefined || token === undefined || expiresAtMs === undefined)
      throw new Fault("internal.bug", "the node's answer holds no lease");
    return new KeptLease(options, { leaseId, token, expiresAtMs });
  }

  /** Its token ends now. Never rejects. */
  async end(): Promise<void> {
    const wasLost = this.#state === "lost";
    this.#state = "ended";
    clearTimeout(this.#timer);
    // An answer under way would otherwise come after the end.
    await this.#beating;
    if (wasLost) return;
    try {
      await this.#options.ask("DELETE", `/leases/${encodeURIComponent(this.#leaseId)}`);
    } catch (thrown) {
      const { code, message } = Fault.from(thrown);
      if (code === "lease.denied") return;
      this.#options.warn(`the token could not be revoked, and ends by itself ${this.#ends()}: ${message}`);
    }
  }

  #plan(pauseMs: number): void {
    if (this.#state !== "kept") return;
    this.#timer = setTimeout(
      () => {
        this.#beating = this.#beat();
      },
      Math.max(MIN_PAUSE_MS, pauseMs),
    );
  }

  /** Never rejects. */
  async #beat(): Promise<void> {
    const { ask, warn } = this.#options;
    try {
      const lease = record(await ask("POST", `/leases/${encodeURIComponent(this.#leaseId)}/extend`));
      this.#expiresAtMs = number(lease.expiresAtMs) ?? this.#expiresAtMs;
      if (this.#isTroubled) warn("the token is kept alive again");
      this.#isTroubled = false;
      this.#plan(this.#lifeMs * BEAT_SHARE);
    } catch (thrown) {
      const { code, message } = Fault.from(thrown);
      if (this.#state !== "kept") return;
      if (code === "lease.denied") {
        this.#state = "lost";
        warn(`the command's token has been revoked: ${message}`);
        return;
      }
      if (!this.#isTroubled) warn(`the token cannot be kept alive now, and ends ${this.#ends()}: ${message}`);
      this.#isTroubled = true;
      this.#plan(Math.min(MAX_RETRY_MS, this.#lifeMs * RETRY_SHARE));
    }
  }

  #ends(): string {
    const leftMs = this.#expiresAtMs - Date.now();
    return leftMs > 0 ? `in ${spanText(leftMs)}` : "now";
  }
}
