/** node:http, for Node and Deno. Its own time-out answer is 408, at which Telegraf drops the batch: cut instead. */
import { chmodSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Fault } from "../base/fault.ts";
import { answerFault } from "./answer.ts";
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

const HEAD_TIMEOUT_MS = 12_000;
const CHECK_INTERVAL_MS = 2_000;
const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const TOO_LARGE = BAD_REQUEST.replace("400 Bad Request", "431 Request Header Fields Too Large");
const NO_CONNECT = BAD_REQUEST.replace("400 Bad Request", "405 Method Not Allowed");

export async function startNodeListener(options: ListenerOptions): Promise<InletListener> {
  const { at, app } = options;
  const path = "path" in at ? at.path : undefined;
  const server = makeServer(options);
  try {
    if (path !== undefined) await clearStaleSocket(path);
    await listening(server, options);
    if (path !== undefined) chmodSync(path, SOCKET_MODE);
  } catch (cause) {
    throw addressFault(at, cause);
  }
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    address: addressText("path" in at ? at : { host: at.host, port }),
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await drained(app, graceMs);
      server.closeAllConnections();
      await closed;
      if (path !== undefined) removeSocket(path);
    },
  };
}

function makeServer({ app, limits, addresses, log }: ListenerOptions): Server {
  const serveApp = getRequestListener(
    (request, { outgoing }) => {
      // Made here, while the client is there: made after it has left, it would never tell.
      void request.signal;
      // The adapter would write the error's text into an answer that fails half way.
      return app.fetch(request, { cut: () => void outgoing.destroy() });
    },
    {
      overrideGlobalObjects: false,
      errorHandler: (thrown) => {
        if ((thrown as Error).name === "RequestError") {
          return answerFault(new Fault("request.malformed", "the request's address is malformed"));
        }
        log.error("inlet.bug", { fault: thrown });
        return answerFault(new Fault("internal.bug", "thrown out of the app"));
      },
    },
  );
  const server = createServer({
    // The app counts again; this is what the parser takes at all, request line included.
    maxHeaderSize: limits.maxHeaderBytes + 12 * 1024,
    headersTimeout: HEAD_TIMEOUT_MS,
    // A stalled tunnel must not cut the client off: the app keeps the time of bodies.
    requestTimeout: 0,
    keepAliveTimeout: IDLE_TIMEOUT_SECONDS * 1000,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    insecureHTTPParser: false,
  });
  if (addresses?.isOn) {
    server.on("connection", (socket: Socket) => {
      if (addresses.refuses(socket.remoteAddress)) socket.destroy();
    });
  }
  server.on("request", (incoming, outgoing) => {
    if (incoming.rawHeaders.length > limits.maxHeaders * 2) incoming.socket.end(TOO_LARGE);
    else if (isAmbiguous(incoming)) incoming.socket.end(BAD_REQUEST);
    else void serveApp(incoming, outgoing);
  });
  server.on("connect", (_, socket) => socket.end(NO_CONNECT));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => refuse(error, socket as Socket));
  return server;
}

/** Node keeps the first of two `Host` or length fields without a word. */
function isAmbiguous(incoming: IncomingMessage): boolean {
  const seen = new Set<string>();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    const name = incoming.rawHeaders[i]!.toLowerCase();
    if (name !== "host" && name !== "content-length" && name !== "transfer-encoding" && name !== "origin")
      continue;
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}

function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ERR_HTTP_REQUEST_TIMEOUT" || error.code === "ECONNRESET") {
    socket.destroy();
  } else {
    socket.end(error.code === "HPE_HEADER_OVERFLOW" ? TOO_LARGE : BAD_REQUEST);
  }
}

function listening(server: Server, { at }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("path" in at ? { path: at.path } : { host: at.host, port: at.port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}
