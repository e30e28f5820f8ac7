/**
 * Bun's server. Its parser (1.4.5) refuses CL+TE, differing or odd lengths, odd codings, bare LF,
 * obs-fold, NUL, bad chunks and HTTP/1.0 chunks by itself, and lets heads that drip go after 12 s
 * whatever `idleTimeout` says; what it lets through is refused in the app.
 */
import { chmodSync } from "node:fs";
import { Fault } from "../base/fault.ts";
import { answerFault } from "./answer.ts";
import type { ClientConnection } from "./inlet-deps.ts";
import {
  addressFault,
  addressText,
  drained,
  IDLE_TIMEOUT_SECONDS,
  type InletListener,
  type ListenerOptions,
  SOCKET_MODE,
} from "./listener.ts";
import { clearStaleSocket, removeSocket } from "./socket-file.ts";

export async function startBunListener(options: ListenerOptions): Promise<InletListener> {
  const { at, app } = options;
  const path = "path" in at ? at.path : undefined;
  let server: Bun.Server<undefined>;
  try {
    if (path !== undefined) await clearStaleSocket(path);
    server = serve(options);
    if (path !== undefined) chmodSync(path, SOCKET_MODE);
  } catch (cause) {
    throw addressFault(at, cause);
  }
  return {
    address: addressText("path" in at ? at : { host: at.host, port: server.port ?? at.port }),
    async stop(graceMs) {
      // The promise would wait for idle connections too, which clients keep for ever.
      void server.stop(false);
      await drained(app, graceMs);
      await server.stop(true);
      if (path !== undefined) removeSocket(path);
    },
  };
}

function serve({ at, app, addresses, log }: ListenerOptions): Bun.Server<undefined> {
  let server: Bun.Server<undefined>;
  // Lifting the time-out costs as much as the rest of a small request, so only what may stall asks for it.
  const connection: ClientConnection = {
    hold: (request) => server.timeout(request, 0),
    release: (request) => server.timeout(request, IDLE_TIMEOUT_SECONDS),
  };
  const common = {
    development: false,
    // The app counts, answers 413 and reads past the rest; the runtime would hang up on a client in mid-send.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // It has no hook for a new connection: the address is looked at when the first head is there.
    fetch: addresses?.isOn
      ? (request: Request) =>
          addresses.refuses(server.requestIP(request)?.address) ? cut() : app.fetch(request, connection)
      : (request: Request) => app.fetch(request, connection),
    // Without it Bun answers with its own page.
    error(thrown: Error): Response {
      log.error("inlet.bug", { fault: thrown, stack: thrown.stack });
      return answerFault(new Fault("internal.bug", "thrown out of the app"));
    },
  };
  if ("path" in at) {
    // bun-types does not know it for Unix sockets, but the server obeys it there too.
    const idle: object = { idleTimeout: IDLE_TIMEOUT_SECONDS };
    server = Bun.serve({ ...common, ...idle, unix: at.path });
  } else {
    server = Bun.serve({
      ...common,
      hostname: at.host,
      port: at.port,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      // Left out it is on: a taken port would be shared in silence with whoever has it.
      reusePort: false,
    });
  }
  return server;
}

/** An answer that is none: the runtime resets the connection. An Error here would be printed by it. */
function cut(): Response {
  return new Response(new ReadableStream({ start: (body) => body.error(undefined) }));
}
