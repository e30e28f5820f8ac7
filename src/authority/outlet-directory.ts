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
const ADDRESS = /^tcp:\/\/[\x21-\x7e]{1,249}$/;

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

  /** Those of outlets with this service; empty when none is known. */
  addressesOf(service: string): string[] {
    const found = [this.#own(), ...this.#outlets.values()].filter(({ services }) =>
      services.includes(service),
    );
    return [...new Set(found.flatMap(({ addresses }) => addresses))].slice(0, MAX_ADDRESSES);
  }
}
