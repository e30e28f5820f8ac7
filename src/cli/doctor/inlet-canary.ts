/** The canary's way through an inlet: as a client would send it, without a token. */
import { request as httpRequest } from "node:http";
import { Fault } from "../../base/fault.ts";
import type { ListenAddress } from "../../config/address.ts";
import type { CanaryAnswer, CanarySend, Hop } from "./canary.ts";

const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Never passed on by an inlet, so the answer is its own. */
const INLET: Hop = {
  check: "hop.inlet",
  what: "the inlet",
  request: { method: "GET", path: "/debug/pprof/" },
  fits: isCulverts,
};

/** The inlet leaves it to the outlet, which answers it itself unless the config opens it. */
const OUTLET: Hop = {
  check: "hop.outlet",
  what: "the outlet, through the channel,",
  request: { method: "GET", path: "/api/v2/authorizations" },
  fits: isCulverts,
};

/** For every client open, and for InfluxDB to answer. */
const INFLUXDB: Hop = {
  check: "hop.influxdb",
  what: "InfluxDB, through the channel and the outlet,",
  request: { method: "GET", path: "/ping" },
  fits: ({ status }) => status === 204 || status === 200,
};

export const inletHops: readonly Hop[] = [INLET, OUTLET, INFLUXDB];

export function inletSend(listen: ListenAddress): CanarySend {
  const place =
    listen.kind === "unix" ? { socketPath: listen.path } : { host: dialled(listen.host), port: listen.port };
  return ({ method, path, headers, body }) =>
    new Promise<CanaryAnswer>((resolve, reject) => {
      const failed = (cause: Error): void => {
        clearTimeout(timer);
        asking.destroy();
        reject(
          new Fault("transport.unreachable", `the inlet at ${listen.text}: ${cause.message}`, { cause }),
        );
      };
      const sent = body === undefined ? undefined : Buffer.from(body);
      const asking = httpRequest(
        {
          ...place,
          method,
          path,
          agent: false,
          headers: { ...headers, ...(sent && { "content-length": sent.length }) },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          answer.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > MAX_ANSWER_BYTES) failed(new Error("the answer is too long"));
            else chunks.push(chunk);
          });
          answer.on("error", failed);
          answer.on("end", () => {
            clearTimeout(timer);
            resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
          });
        },
      );
      const timer = setTimeout(() => failed(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
      asking.on("error", failed);
      asking.end(sent);
    });
}

/** culvert's own answers name a fault. */
function isCulverts({ status, body }: CanaryAnswer): boolean {
  return status === 403 && body.includes('"fault"');
}

function dialled(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
