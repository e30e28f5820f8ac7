/**
 * secrets: where the node's own secrets come from, and how they stay fresh without a restart. It knows stores,
 * not what a secret is for.
 *
 * A source is one secret of one store: the last good value, and when to ask the store again.
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";

export interface SecretSourceOptions {
  /** `@{store:key}`, for people. */
  readonly name: string;
  /**
   * Asks the store. The signal is its deadline.
   * @throws Fault `secret.unavailable`, which names the place and never the content.
   */
  readonly read: (signal: AbortSignal) => Promise<Secret>;
  readonly deadlineMs: number;
  /** Whether the log is told of trouble before there ever was a value. Otherwise that is up to who asked. */
  readonly isRemote: boolean;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Log;
}

/** However often a secret is refused or missing, its store is asked no more often than this, in milliseconds. */
export const MIN_PAUSE_MS = 1_000;

export class SecretSource {
  readonly #options: SecretSourceOptions;
  readonly #listeners = new Set<() => void>();
  #held: Secret | undefined;
  #trouble: Fault | undefined;
  #reading: Promise<void> | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: SecretSourceOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Why the last reading failed; a value from before it is still given out. */
  get trouble(): Fault | undefined {
    return this.#trouble;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /**
   * @param refused the value that was just turned down where it is used: it may have been rotated meanwhile.
   * @returns the same one again where the store has no other.
   * @throws Fault `secret.unavailable` as long as the store has never given one.
   */
  async current(refused?: Secret): Promise<Secret> {
    const underWay = this.#reading;
    if (!this.#wanted(refused)) return this.#held!;
    await underWay;
    // One that began before the refusal may have brought the refused value once more.
    const mayBeOld = underWay !== undefined && refused !== undefined;
    if (this.#wanted(refused) && (mayBeOld || this.#isDue())) await this.reread();
    if (!this.#held) throw this.#trouble!;
    return this.#held;
  }

  /** Asks the store now, or waits for who does already. Trouble is logged and kept, not thrown. */
  reread(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
      this.#readAtMs = this.#options.clock.monotonicMs();
    });
    return this.#reading;
  }

  /** Told when the store has given another value than before. @returns ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #wanted(refused: Secret | undefined): boolean {
    return !this.#held || (refused !== undefined && this.#held.equals(refused.reveal()));
  }

  #isDue(): boolean {
    return this.#options.clock.monotonicMs() - this.#readAtMs >= MIN_PAUSE_MS;
  }

  async #read(): Promise<void> {
    let secret: Secret;
    try {
      secret = await this.#readInTime();
    } catch (thrown) {
      return this.#fail(asFault(thrown, this.name));
    }
    const { log } = this.#options;
    const changed = this.#held !== undefined && !this.#held.equals(secret.reveal());
    if (this.#trouble) log.info("secret.available", { secret: this.name });
    if (changed) log.info("secret.changed", { secret: this.name });
    this.#held = secret;
    this.#trouble = undefined;
    if (changed) for (const listener of this.#listeners) listener();
  }

  #fail(fault: Fault): void {
    const isNew = this.#trouble?.message !== fault.message;
    this.#trouble = fault;
    if (!isNew || !(this.#held || this.#options.isRemote)) return;
    const hint = this.#held ? "the value that it gave before stays in use" : "it is asked again";
    this.#options.log.warn("secret.unavailable", { secret: this.name, fault, hint });
  }

  async #readInTime(): Promise<Secret> {
    const { name, read, deadlineMs } = this.#options;
    const over = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Fault("secret.unavailable", `secret ${name}: no answer within ${deadlineMs / 1_000} s`));
        over.abort();
      }, deadlineMs);
    });
    try {
      return await Promise.race([read(over.signal), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What is no Fault was not written with secrets in mind: its name is all that is passed on. */
function asFault(thrown: unknown, name: string): Fault {
  if (thrown instanceof Fault) return thrown;
  const kind = thrown instanceof Error ? thrown.name : typeof thrown;
  return new Fault("secret.unavailable", `secret ${name}: it could not be read (${kind})`);
}
