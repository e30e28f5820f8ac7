/** All secrets of one node: a source for each, read anew now and then and whenever somebody asks for it. */
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import { referenceText, type SecretReference } from "../config/secret-reference.ts";
import { secretName } from "../config/secret-store.ts";
import { SecretSource } from "./secret-source.ts";
import { DEADLINE_MS, type SecretStore } from "./secret-store.ts";

export interface SecretShelfOptions {
  /** By the name that references have for them. */
  readonly stores: ReadonlyMap<string, SecretStore>;
  /** How often all are read anew, in milliseconds; undefined for never. */
  readonly rereadMs: number | undefined;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly random: Random;
  readonly log: Log;
}

export class SecretShelf {
  readonly #options: SecretShelfOptions;
  readonly #sources = new Map<string, SecretSource>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: SecretShelfOptions) {
    this.#options = options;
    this.#sleep();
  }

  /**
   * One source for each reference, whoever asks. A secret of this machine that is not there is a mistake and
   * thrown; from a store that may be down for now, the source is given at once and its `current` tells.
   * @throws Fault `secret.unavailable`.
   */
  async open(reference: SecretReference): Promise<SecretSource> {
    if (reference.kind === "literal") return this.#make(reference);
    const text = referenceText(reference);
    const source = this.#sources.get(text) ?? this.#make(reference);
    this.#sources.set(text, source);
    if (this.#storeOf(reference).isRemote) void source.reread();
    else await source.current();
    return source;
  }

  /**
   * For a secret that is used once, such as a ticket: it is read now and never again.
   * @throws Fault `secret.unavailable`, whatever the store.
   */
  async once(reference: SecretReference): Promise<Secret> {
    return await this.#make(reference, { isRemote: false }).current();
  }

  /** Asks every store again, all at once; ends with the last answer. Trouble is in log and status. */
  async rereadAll(): Promise<void> {
    await Promise.all([...this.#sources.values()].map((source) => source.reread()));
  }

  /** For `/status`: places and faults, no content. */
  status(): { readonly secret: string; readonly held: boolean; readonly trouble: string | undefined }[] {
    return [...this.#sources.values()].map(({ name, isHeld, trouble }) => ({
      secret: name,
      held: isHeld,
      trouble: trouble?.message,
    }));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #make(reference: SecretReference, over: { readonly isRemote?: boolean } = {}): SecretSource {
    const { clock, log } = this.#options;
    if (reference.kind === "literal") {
      const read = async () => reference.secret;
      const name = "the config's own text";
      return new SecretSource({ name, read, deadlineMs: DEADLINE_MS, isRemote: false, clock, log });
    }
    const store = this.#storeOf(reference);
    const read = (signal: AbortSignal) => store.read(reference.key, signal);
    const { deadlineMs, isRemote } = store;
    return new SecretSource({
      name: referenceText(reference),
      read,
      deadlineMs,
      isRemote,
      clock,
      log,
      ...over,
    });
  }

  /** @throws Fault `secret.unavailable` for one that only another build of culvert has. */
  #storeOf(reference: { readonly store: string; readonly key: string }): SecretStore {
    const store = this.#options.stores.get(reference.store);
    if (store) return store;
    const why = `this build of culvert has no access to the store "${reference.store}"`;
    throw new Fault("secret.unavailable", `${secretName(reference)}: ${why}`);
  }

  /** With jitter, so that outlets that started together do not ask together. */
  #sleep(): void {
    const { rereadMs, random } = this.#options;
    if (rereadMs === undefined || this.#stopped) return;
    this.#timer = setTimeout(
      () => {
        void this.rereadAll().then(() => this.#sleep());
      },
      rereadMs * (0.9 + random() * 0.2),
    );
    // It alone keeps no process alive.
    this.#timer.unref?.();
  }
}
