/** `/health`, `/ready`, `/status` and `/metrics`: for people, probes and Prometheus. Read-only, no secrets. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { ListenAddress } from "../config/address.ts";
import { unusable } from "../transport/listen-fault.ts";
import { hostIsLocal } from "./host-check.ts";

export interface StatusSource {
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  status(): Record<string, unknown>;
  metrics(): Promise<{ contentType: string; body: string }>;
}

export interface StatusServer {
  readonly address: string;
  stop(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 64;

export async function serveStatus(listen: ListenAddress, source: StatusSource): Promise<StatusServer> {
  const server = createServer(
    { maxHeaderSize: 16 * 1024, requestTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      answer(request, response, source).catch(() => response.destroy());
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.keepAliveTimeout = REQUEST_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    const place = listen.kind === "tcp" ? { host: listen.host, port: listen.port } : { path: listen.path };
    server.once("error", (cause) =>
      reject(unusable(listen.kind === "tcp" ? listen : { host: listen.path, port: 0 }, cause)),
    );
    server.listen(place, resolve);
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound ? bound.port : 0;
  return {
    address:
      listen.kind === "tcp"
        ? `http://${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${port}`
        : listen.text,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  source: StatusSource,
): Promise<void> {
  const send = (status: number, contentType: string, body: string): void => {
    response.writeHead(status, {
      "content-type": contentType,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  };
  const json = (status: number, value: unknown): void =>
    send(status, "application/json", `${JSON.stringify(value, null, 2)}\n`);

  if (request.method !== "GET" && request.method !== "HEAD")
    return json(405, { message: "only GET and HEAD" });
  // A page whose name was rebound to this address must not read the status (the port has no password).
  if (!hostIsLocal(request)) return json(403, { message: "this Host is not an address of this machine" });
  switch (request.url?.split("?", 1)[0]) {
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
      return send(200, contentType, body);
    }
    default:
      return json(404, { message: "there are /health, /ready, /status and /metrics" });
  }
}
