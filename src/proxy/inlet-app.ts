/**
 * proxy: the inlet. HTTP from a client that has no token goes in, one stream of the tunnel per request
 * goes out. It speaks web standards only, so Bun, Node and Deno all serve it; it knows neither how the
 * tunnel is made nor what InfluxDB's addresses, buckets or tokens are.
 */
import { Hono } from "hono";
import { Fault } from "../base/fault.ts";
import { checkMethod, type DecidedRoute, isOpen, notCovered } from "../policy/route.ts";
import { RouteMemory } from "../policy/route-memory.ts";
import { answerFault } from "./answer.ts";
import { createBrowserGuard } from "./browser-guard.ts";
import { Forwarder } from "./forward.ts";
import { forwardedHeaders } from "./headers.ts";
import type { ClientConnection, InletDeps, InletLease } from "./inlet-deps.ts";
import { RequestBodies } from "./request-body.ts";
import { StreamSlots } from "./stream-slots.ts";
import { Watch } from "./watch.ts";

export interface InletApp {
  /** A web-standard handler: `Request` in, `Response` out; it never rejects. */
  fetch(request: Request, connection?: ClientConnection): Response | Promise<Response>;
  /** Requests whose stream is not finished. */
  inFlight(): number;
  /** Ends the app's timer; requests in flight are answered 503. */
  close(): void;
}

export function createInletApp(deps: InletDeps): InletApp {
  const inlet = new Inlet(deps);
  // One route and no look at the path by Hono: it is decided in canonical form further down.
  const app = new Hono<{ Bindings: ClientConnection }>({ getPath: () => "/" });
  app.all("*", (context) => inlet.serve(context.req.raw, context.env));
  app.onError((error) => inlet.answerThrown(error));
  return {
    fetch: (request, connection = NO_CONNECTION) => app.fetch(request, connection),
    inFlight: () => inlet.slots.inUse,
    close: () => inlet.watch.close(),
  };
}

const NO_CONNECTION: ClientConnection = {};
class Inlet {
  readonly slots: StreamSlots;
  readonly watch: Watch;
  readonly #deps: InletDeps;
  readonly #guard: ReturnType<typeof createBrowserGuard>;
  readonly #bodies: RequestBodies;
  readonly #forwarder: Forwarder;
  readonly #routes = new RouteMemory();

  constructor(deps: InletDeps) {
    this.#deps = deps;
    this.#guard = createBrowserGuard(deps.guard);
    this.watch = new Watch(deps.clock);
    this.slots = new StreamSlots(deps.limits, this.watch);
    this.#bodies = new RequestBodies(deps.limits, this.watch);
    this.#forwarder = new Forwarder(deps, this.slots, this.watch);
  }

  async serve(request: Request, connection: ClientConnection): Promise<Response> {
    const startedMs = this.#deps.clock.monotonicMs();
    this.#deps.meter.started();
    let route: DecidedRoute | undefined;
    let response: Response;
    try {
      this.#guard.check(request.method, request.headers);
      const headers = forwardedHeaders(request.headers, this.#deps.limits);
      route = this.#route(request);
      const lease = await this.#lease(route, startedMs);
      const waitedMs = this.#deps.clock.monotonicMs() - startedMs;
      const body = await this.#bodies.receive(request);
      const job = { request, connection, route, headers, lease, waitedMs, body };
      response = await this.#forwarder.forward(job);
    } catch (thrown) {
      response = this.answerThrown(thrown);
    }
    this.#deps.meter.answered(route?.routeClass, response.status, this.#deps.clock.monotonicMs() - startedMs);
    return response;
  }

  answerThrown(thrown: unknown): Response {
    const fault = Fault.from(thrown);
    this.#deps.meter.faulted(fault.code);
    if (fault.code === "internal.bug") this.#deps.log.error("inlet.bug", { fault, stack: stackOf(thrown) });
    else this.#deps.log.debug("inlet.refused", { fault });
    // A body that is too long is read past instead: cut off in mid-send, a client may never see the 413.
    const close = fault.code === "request.slow";
    return answerFault(fault, { close });
  }

  #route(request: Request): DecidedRoute {
    checkMethod(request.method);
    return this.#routes.resolve(request.method, originForm(request.url));
  }

  /** What is always open needs no lease, and keeps none alive: `/ping` may be asked all day. */
  async #lease(route: DecidedRoute, startedMs: number): Promise<InletLease | undefined> {
    if (route.routeClass === "always") return this.#admit(route, undefined);
    return this.#admit(route, this.#deps.lease.use()) ?? (await this.#awaited(route, startedMs));
  }

  /** @throws Fault at once, before any body is read, when there is no way through at this time. */
  #admit(route: DecidedRoute, lease: InletLease | undefined): InletLease | undefined {
    const { uplink, openRoutes } = this.#deps;
    if (lease && !isOpen(route.routeClass, { routes: lease.routes, openRoutes })) throw notCovered();
    if (!uplink.isUp()) throw uplink.trouble?.() ?? new Fault("tunnel.down", "no channel is up");
    return lease;
  }

  /** No lease is held: it lapsed, was refused, or is not here yet. The request waits for the next one. */
  async #awaited(route: DecidedRoute, startedMs: number): Promise<InletLease | undefined> {
    const { lease } = this.#deps;
    const coming = lease.replacement();
    if (!coming) throw lease.refusal() ?? new Fault("lease.unavailable", "no lease is held");
    const untilMs = startedMs + this.#forwarder.answerMs(route);
    return this.#admit(route, await this.#forwarder.within(coming, untilMs));
  }
}

/** Path and query of a request's URL; without `URL`, which would read it a second time. */
function originForm(url: string): string {
  if (url.charCodeAt(0) === 0x2f) return url;
  const scheme = url.indexOf("://");
  const slash = scheme < 0 ? -1 : url.indexOf("/", scheme + 3);
  if (slash < 0) throw new Fault("request.malformed", "the request has no path");
  return url.slice(slash);
}

function stackOf(thrown: unknown): string | undefined {
  return thrown instanceof Error ? thrown.stack : undefined;
}
