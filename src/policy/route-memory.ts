import { type DecidedRoute, resolveRoute } from "./route.ts";

/** A longer target is worked out anew each time: what is remembered stays small whoever asks. */
const MAX_REMEMBERED_CHARS = 512;
const MAX_REMEMBERED = 256;

/** Clients send to the same few targets for ever: each is brought into canonical form once. */
export class RouteMemory {
  readonly #routes = new Map<string, DecidedRoute>();

  /** Throws as `resolveRoute` does. */
  resolve(method: string, rawTarget: string): DecidedRoute {
    const key = `${method} ${rawTarget}`;
    const known = this.#routes.get(key);
    if (known) return known;
    const route = resolveRoute(method, rawTarget);
    if (key.length <= MAX_REMEMBERED_CHARS) {
      if (this.#routes.size >= MAX_REMEMBERED) this.#routes.clear();
      this.#routes.set(key, route);
    }
    return route;
  }
}
