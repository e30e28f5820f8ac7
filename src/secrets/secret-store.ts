/** What a place that keeps secrets is to this room, and the ones that every machine has. */
import type { Secret } from "../base/secret.ts";
import { resolveSecret, type SecretStoreDependencies } from "../config/secret-store.ts";

export interface SecretStore {
  /** Its trouble may be an outage, which ends by itself; trouble of the others is a mistake of the config. */
  readonly isRemote: boolean;
  /** When an answer is not to be expected any more, in milliseconds. */
  readonly deadlineMs: number;
  /**
   * @param key in the form that the config has checked.
   * @throws Fault `secret.unavailable`, which names the place and never the content.
   */
  read(key: string, signal: AbortSignal): Promise<Secret>;
}

export const DEADLINE_MS = 10_000;

/** The environment, files, systemd's credentials. */
export function localStores(dependencies: SecretStoreDependencies): [name: string, store: SecretStore][] {
  return ["env", "file", "systemd"].map((store) => [
    store,
    {
      isRemote: false,
      deadlineMs: DEADLINE_MS,
      read: (key) => resolveSecret({ kind: "stored", store, key }, dependencies),
    },
  ]);
}
