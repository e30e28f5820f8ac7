/** `/health`, `/ready`, `/status` and `/metrics`: for people, probes and Prometheus. Read-only, no secrets. */
import { ipVersion } from "../base/ip-version.ts";
import type { Log } from "../base/log.ts";
import type { ListenAddress } from "../config/address.ts";
import { defaultInletLimits } from "../proxy/inlet-limits.ts";
import type { InletListener } from "../proxy/listener.ts";
import { startListener } from "../proxy/listener-runtime.ts";

export interface StatusSource {
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  status(): Record<string, unknown>;
  metrics(): Promise<{ contentType: string; body: string }>;
}

/** @throws Fault `transport.address-unusable`. */
export async function serveStatus(at: ListenAddress, source: StatusSource, log: Log): Promise<InletListener> {
  return await startListener({
    at,
    app: { fetch: (request) => answer(request, source), inFlight: () => 0, close: () => {} },
    limits: defaultInletLimits,
    log,
  });
}

async function answer(request: Request, source: StatusSource): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD")
    return json(405, { message: "only GET and HEAD" });
  // A page whose name was rebound to this address must not read the status (the port has no password).
  if (!hostIsLocal(request.headers.get("host") ?? "")) {
    return json(403, { message: "this Host is not an address of this machine" });
  }
  switch (/^(?:[a-z]+:\/\/[^/]*)?([^?#]*)/.exec(request.url)?.[1]) {
    case "/health":
      return json(200, { status: "pass" });
    case "/ready": {
      const { ready, reasons } = source.readiness();
      return json(ready ? 200 : 503, { ready, reasons });
    }
    case "/status":
      return json(200, source.status());
    case "/metrics": {
      const { contentType, body } = await source.metrics();
      return respond(200, contentType, body);
    }
    default:
      return json(404, { message: "there are /health, /ready, /status and /metrics" });
  }
}

/**
 * Whether a `Host` names this machine by an address or as `localhost`. A DNS name that a page's owner has
 * pointed here is neither, and probes by address keep working.
 */
function hostIsLocal(host: string): boolean {
  const name = /^\[([^\]]+)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, "");
  return name.toLowerCase() === "localhost" || ipVersion(name) !== 0;
}

function json(status: number, value: unknown): Response {
  return respond(status, "application/json", `${JSON.stringify(value, null, 2)}\n`);
}

function respond(status: number, contentType: string, body: string): Response {
  return new Response(body, {
    status,
    headers: {
      "content-type": contentType,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}
