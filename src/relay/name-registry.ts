/** Who is reached by which name. Names of two authorities never meet: a name is one under its authority. */

import type { Offer } from "../channel/relay-heads.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Host } from "./host.ts";

/** A host's place under a name, for as long as its stream lasts. */
export interface Registration {
  readonly host: Host;
  readonly name: string;
  /** @returns false when it takes none at this time. */
  offer(offer: Offer): boolean;
}

/** Hosts under one name: each is asked for its load at every join. */
const MAX_HOSTS = 64;

export class NameRegistry {
  readonly #names = new Map<string, Map<Host, Registration>>();

  /** In the place of an older one of the same host. @returns false where too many have the name. */
  add(registration: Registration): boolean {
    const { host, name } = registration;
    const key = keyOf(host.authority, name);
    const hosts = this.#names.get(key) ?? new Map<Host, Registration>();
    if (hosts.size >= MAX_HOSTS && !hosts.has(host)) return false;
    this.#names.set(key, hosts.set(host, registration));
    return true;
  }

  /** Nothing where a newer one has taken its place. */
  remove(registration: Registration): void {
    const { host, name } = registration;
    const key = keyOf(host.authority, name);
    const hosts = this.#names.get(key);
    if (hosts?.get(host) !== registration) return;
    hosts.delete(host);
    if (hosts.size === 0) this.#names.delete(key);
  }

  /** Those who have the name, with the least to carry first, and those with as much in the order that they came. */
  hostsOf(authority: Identifier, name: string): Registration[] {
    const registrations = [...(this.#names.get(keyOf(authority, name))?.values() ?? [])];
    return registrations.sort((a, b) => a.host.load - b.host.load);
  }

  all(): Registration[] {
    return [...this.#names.values()].flatMap((hosts) => [...hosts.values()]);
  }
}

/** An identifier has no space in it. */
function keyOf(authority: Identifier, name: string): string {
  return `${authority} ${name}`;
}
