/** Where the outlets are, as they say themselves each time that they ask for the member list. */
import type { Identifier } from "../identity/identifier.ts";

export interface OutletSeen {
  readonly identifier: Identifier;
  readonly services: readonly string[];
  /** `tcp://host:port` */
  readonly addresses: readonly string[];
}

const MAX_OUTLETS = 1_000;
const MAX_SERVICES = 64;
/** Of one outlet, and in one answer. */
const MAX_ADDRESSES = 16;
const ADDRESS = /^(?:tcp|wss):\/\/[\x21-\x7e]{1,249}$/;

export class OutletDirectory {
  readonly #own: () => Pick<OutletSeen, "services" | "addresses">;
  readonly #outlets = new Map<Identifier, OutletSeen>();

  /** @param own of the authority's own node; no services where it is an authority alone. */
  constructor(own: () => Pick<OutletSeen, "services" | "addresses">) {
    this.#own = own;
  }

  /** What it said before is forgotten. */
  put({ identifier, services, addresses }: OutletSeen): void {
    this.#outlets.delete(identifier);
    const usable = addresses.filter((address) => ADDRESS.test(address)).slice(0, MAX_ADDRESSES);
    if (usable.length === 0) return;
    this.#outlets.set(identifier, {
      identifier,
      services: services.slice(0, MAX_SERVICES),
      addresses: usable,
    });
    const [oldest] = this.#outlets.keys();
    if (this.#outlets.size > MAX_OUTLETS && oldest) this.#outlets.delete(oldest);
  }

  delete(identifier: Identifier): void {
    this.#outlets.delete(identifier);
  }

  /**
   * Those of outlets with this service; empty when none is known. Who comes first is another for each member, so that
   * a fleet spreads over the outlets, and the same at every renewal: an outlet that comes or goes moves no member but
   * those that prefer it (rendezvous hashing).
   */
  addressesOf(service: string, member: Identifier): string[] {
    const found = [["", this.#own()] as const, ...this.#outlets]
      .filter(([, { services }]) => services.includes(service))
      .map(([outlet, { addresses }]) => ({ weight: weightOf(`${member} ${outlet}`), addresses }))
      .sort((a, b) => a.weight - b.weight);
    return [...new Set(found.flatMap(({ addresses }) => addresses))].slice(0, MAX_ADDRESSES);
  }
}

/** FNV-1a of 32 bits, then mixed, for texts that differ at their ends alone must not stay neighbours. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
