/** The part of the admin socket that speaks of leases. A token goes out once, in answer to its making. */
import { Hono } from "hono";
import { Fault } from "../base/fault.ts";
import type { LeaseWish, NodeLeases } from "./node-leases.ts";

export function leaseRoutes(leases: NodeLeases): Hono {
  const app = new Hono();
  app.get("/leases", async (context) => context.json(await leases.list()));
  app.post("/leases", async (context) => {
    const body = await context.req.json<unknown>().catch(() => undefined);
    return context.json(await leases.create(wishIn(body)));
  });
  app.get("/leases/:id", async (context) => context.json(await leases.show(context.req.param("id"))));
  app.delete("/leases/:id", async (context) => context.json(await leases.revoke(context.req.param("id"))));
  app.post("/leases/:id/extend", async (context) =>
    context.json(await leases.extend(context.req.param("id"))),
  );
  return app;
}

const MAX_PERMISSIONS = 64;

/** The small builds have no schema library. @throws Fault `request.malformed` */
function wishIn(body: unknown): LeaseWish {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new Fault("request.malformed", "the body is no JSON object");
  const { service, permissions, expiresInMs, ...others } = body as Record<string, unknown>;
  const stray = Object.keys(others)[0];
  if (stray !== undefined) throw new Fault("request.malformed", `${stray}: nobody knows what that is`);
  if (service !== undefined && typeof service !== "string") throw not("service", "a text");
  if (permissions !== undefined && !isTexts(permissions)) throw not("permissions", "a list of texts");
  if (expiresInMs !== undefined && !isSpan(expiresInMs))
    throw not("expiresInMs", "a whole number of 1 or more");
  return { service, permissions, expiresInMs };
}

function isTexts(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MAX_PERMISSIONS &&
    value.every((item) => typeof item === "string")
  );
}

function isSpan(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

function not(name: string, what: string): Fault {
  return new Fault("request.malformed", `${name}: must be ${what}`);
}
