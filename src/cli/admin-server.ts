/**
 * What an operator's commands ask of a running node: HTTP over a Unix socket in its state directory. Who
 * may open that socket is its owner or root, so there is no password, and messages are told as they are.
 *
 * It holds no code of an authority: the builds that have one pass its routes in.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { chmod, link, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Fault, type FaultCode } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { InletApp } from "../proxy/inlet-app.ts";
import { defaultInletLimits } from "../proxy/inlet-limits.ts";
import type { InletListener } from "../proxy/listener.ts";
import { startListener } from "../proxy/listener-runtime.ts";
import type { AdminAuthority } from "./admin-authority.ts";
import { leaseRoutes } from "./admin-leases.ts";
import { adminSocketPath, knock } from "./admin-socket.ts";
import type { NodeLeases } from "./node-leases.ts";
import { StateDirectory } from "./state-directory.ts";

export interface AdminSource {
  /** What `/status` tells: plain data with no secret in it. */
  status(): Record<string, unknown>;
  /** What this node knows of leases. */
  readonly leases?: NodeLeases;
  /** Where this node has the authority. */
  readonly authority?: AdminAuthority;
}

export interface ServeAdminOptions {
  readonly stateDir: string;
  readonly source: AdminSource;
  /** `authorityRoutes` of admin-authority.ts, in the builds that have it. */
  readonly authorityRoutes?: (authority: AdminAuthority) => Hono;
  readonly log: Log;
}

const SOCKET_MODE = 0o600;
const MAX_BODY_BYTES = 64 * 1024;

/**
 * @throws Fault `state.unusable` where another culvert runs with this state directory, or the directory is
 * none, open to others, or takes no socket.
 */
export async function serveAdmin(options: ServeAdminOptions): Promise<InletListener> {
  const { stateDir, log } = options;
  const path = adminSocketPath(stateDir);
  // It keeps others off the socket even between its making and its mode.
  await StateDirectory.make(stateDir);
  await checkNobodyServes(path, stateDir);
  // No longer than the name that it will have, for the system's sake.
  const own = join(dirname(path), `s${process.pid}`);
  const listener = await startListener({
    at: { path: own },
    app: adminApp(options),
    limits: defaultInletLimits,
    log,
  }).catch((fault: Fault) => {
    throw cannotBeMade(path, fault.cause ?? fault);
  });
  try {
    await chmod(own, SOCKET_MODE);
    await publish(own, path, stateDir);
  } catch (thrown) {
    await listener.stop(0);
    throw thrown;
  }
  return {
    address: `unix://${path}`,
    async stop(graceMs) {
      await unlink(path).catch(() => {}); // somebody has tidied up
      await listener.stop(graceMs);
    },
  };
}

/** Under its name only when it answers, and never in the place of another that does. */
async function publish(own: string, path: string, stateDir: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await link(own, path);
      return await unlink(own);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST" || tries === 3) throw cannotBeMade(path, cause);
      await checkNobodyServes(path, stateDir);
    }
  }
}

/** A socket that a killed process left refuses, and is taken away. */
async function checkNobodyServes(path: string, stateDir: string): Promise<void> {
  const knocked = socketAt(path);
  const trouble = await knock(path);
  if (trouble === undefined) {
    throw new Fault(
      "state.unusable",
      `another culvert runs with this state directory: ${stateDir}; end that one, or give this one a state_dir of its own`,
    );
  }
  if (trouble !== "ENOENT" && trouble !== "ECONNREFUSED")
    throw new Fault("state.unusable", `${path} cannot be used: ${trouble}`);
  // Of several that start at once, another may have put its own there by now.
  try {
    if (knocked !== undefined && socketAt(path) === knocked) unlinkSync(path);
  } catch (cause) {
    // Or have taken the dead one away.
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    throw cannotBeMade(path, cause);
  }
}

function cannotBeMade(path: string, cause: unknown): Fault {
  return new Fault("state.unusable", `${path} cannot be made: ${Fault.from(cause).message}`, { cause });
}

/** What tells it from the next one of that name; undefined where there is none, or something else. */
function socketAt(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return found?.isSocket() ? `${found.ino} ${found.ctimeNs}` : undefined;
}

function adminApp({ source, authorityRoutes, log }: ServeAdminOptions): InletApp {
  const app = new Hono();
  const tooLarge = new Fault("request.body-too-large", `a body here has at most ${MAX_BODY_BYTES} bytes`);
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: () => answered(tooLarge) }));
  app.get("/status", (context) => context.json(source.status()));
  if (source.leases) app.route("/", leaseRoutes(source.leases));
  if (source.authority && authorityRoutes) app.route("/", authorityRoutes(source.authority));
  app.notFound(({ req }) => answered(source.authority ? unknown(req.path) : withoutAuthority(req.path)));
  app.onError((thrown) => {
    const fault = Fault.from(thrown);
    if (fault.code === "internal.bug") log.error("admin.bug", { fault, stack: thrown.stack });
    return answered(fault);
  });
  let inFlight = 0;
  return {
    async fetch(request) {
      inFlight++;
      try {
        return await app.fetch(request);
      } finally {
        inFlight--;
      }
    },
    inFlight: () => inFlight,
    close: () => {},
  };
}

function unknown(path: string): Fault {
  return new Fault("request.route", `this culvert knows no ${path}; is the command of another version?`);
}

function withoutAuthority(path: string): Fault {
  if (!/^\/(?:tickets|members|authority)(?:\/|$)/.test(path)) return unknown(path);
  return new Fault(
    "admin.unreachable",
    "this node has no authority: run the command on the node whose config has [authority]",
  );
}

/** What is the asker's to put right is 400, with these exceptions. */
const STATUS: { readonly [code in FaultCode]?: number } = {
  "request.route": 404,
  "member.unknown": 404,
  "lease.limit": 429,
  "lease.denied": 400,
  "admin.unreachable": 404,
  "request.body-too-large": 413,
  "identity.malformed": 400,
  "authority.limit": 429,
  "internal.bug": 500,
};

function answered({ code, blame, message }: Fault): Response {
  const status = STATUS[code] ?? (blame === "client" || blame === "operator" ? 400 : 503);
  return Response.json({ code, message }, { status });
}
