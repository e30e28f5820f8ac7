/** Writing, querying and deleting points: `/api/v2/write`, v1 `/write`, `/api/v2/query`, `/api/v2/delete`. */
import type { Context, Hono } from "hono";
import { type Authorization, allows, type Permission } from "./authorization.ts";
import { bodyText, jsonBody } from "./body.ts";
import type { Bucket, Database, Env } from "./database.ts";
import { columnOf, FluxError, parseFlux, parseTime } from "./flux.ts";
import { answerFlux } from "./flux-answer.ts";
import { LineProtocolError, nanosecondsPer, type Precision, parseLines } from "./line-protocol.ts";
import type { Series } from "./point-store.ts";
import { Refusal } from "./refusal.ts";

export function dataApi(app: Hono<Env>, database: Database, maxBodyBytes: number): void {
  app.post("/api/v2/write", async (context) => {
    const authorization = context.get("authorization");
    const precision = context.req.query("precision") || "ns";
    if (!isPrecision(precision))
      throw new Refusal("invalid", "invalid precision; valid precision units are ns, us, ms, and s");
    const bucket = namedBucket(context, database);
    requireWrite(database, authorization, bucket, "insufficient permissions for write");
    await write(context, bucket, precision);
    return context.body(null, 204);
  });
  app.all("/api/v2/write", () => {
    throw new Refusal("method not allowed", "allow: OPTIONS, POST");
  });
  app.post("/write", async (context) => {
    const authorization = authenticateV1(context, database);
    const name = context.req.query("db");
    if (!name) throw new Refusal("invalid", "missing db");
    const bucket = [...database.buckets.values()].find((one) => one.name === name);
    // Mappings of databases to buckets that the token may not see are as good as none.
    const canSee = (action: Permission["action"]): boolean =>
      bucket !== undefined && allows(authorization, bucketPermission(database, action, bucket));
    if (bucket === undefined || !(canSee("write") || canSee("read")))
      throw new Refusal("not found", "no dbrp mapping found");
    requireWrite(database, authorization, bucket, "insufficient permissions for write");
    const precision = context.req.query("precision") || "ns";
    await write(context, bucket, isPrecision(precision) ? precision : "ns");
    return context.body(null, 204);
  });
  app.post("/api/v2/query", async (context) => await query(context, database));
  app.post("/api/v2/delete", async (context) => {
    const { start, stop, predicate = "" } = await jsonBody(context.req.raw);
    const range = [start, stop].map((time) => fluxed(() => parseTime(String(time), database.nowNs)));
    const matches = parsePredicate(String(predicate));
    const bucket = namedBucket(context, database);
    // Measured: the right to write is the right to delete.
    requireWrite(database, context.get("authorization"), bucket, "insufficient permissions to delete");
    bucket.points.delete(range[0] ?? 0n, range[1] ?? 0n, matches);
    return context.body(null, 204);
  });

  async function write(context: Context<Env>, bucket: Bucket, precision: Precision): Promise<void> {
    const text = await bodyText(context.req.raw, maxBodyBytes);
    try {
      const conflict = bucket.points.write(parseLines(text, precision), database.nowNs);
      if (conflict !== undefined)
        throw new Refusal(
          "unprocessable entity",
          `failure writing points to database: partial write: ${conflict}`,
        );
    } catch (error) {
      if (error instanceof LineProtocolError) throw new Refusal("invalid", error.message);
      throw error;
    }
  }
}

async function query(context: Context<Env>, database: Database): Promise<Response> {
  const { org, orgID } = context.req.query();
  const wanted = orgID || org;
  if (!wanted)
    throw new Refusal("invalid", "failed to decode request body: Please provide either orgID or org");
  try {
    database.requireOrganization(wanted);
  } catch (error) {
    throw new Refusal("invalid", `failed to decode request body: ${(error as Error).message}`);
  }
  const isFlux = context.req.header("content-type")?.startsWith("application/vnd.flux") ?? false;
  const body = isFlux ? { query: await context.req.text() } : await jsonBody(context.req.raw);
  const parsed = fluxed(() => parseFlux(String(body.query), database.nowNs));
  const bucket = [...database.buckets.values()].find(({ name }) => name === parsed.bucket);
  // A bucket that may not be read is not there at all.
  if (
    bucket === undefined ||
    !allows(context.get("authorization"), bucketPermission(database, "read", bucket))
  )
    throw new Refusal(
      "not found",
      `failed to initialize execute state: could not find bucket "${parsed.bucket}"`,
    );
  const samples = bucket.points.select(parsed.startNs, parsed.stopNs, parsed.matches);
  const dialect = (body as { dialect?: { annotations?: unknown } }).dialect;
  const annotations = Array.isArray(dialect?.annotations) ? dialect.annotations.map(String) : [];
  return new Response(
    fluxed(() => answerFlux(parsed, samples, annotations)),
    { headers: { "content-type": "text/csv; charset=utf-8" } },
  );
}

function fluxed<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FluxError) throw new Refusal("invalid", error.message);
    throw error;
  }
}

function namedBucket(context: Context<Env>, database: Database): Bucket {
  const { org, orgID, bucket = "" } = context.req.query();
  const wanted = orgID || org;
  if (!wanted) throw new Refusal("invalid", "Please provide either orgID or org");
  database.requireOrganization(wanted);
  const found = database.findBucket(bucket);
  if (found === undefined) throw new Refusal("not found", `bucket "${bucket}" not found`);
  return found;
}

function bucketPermission(database: Database, action: "read" | "write", { id }: Bucket): Permission {
  return { action, resource: { type: "buckets", id, orgID: database.organization.id } };
}

function requireWrite(
  database: Database,
  authorization: Authorization,
  bucket: Bucket,
  message: string,
): void {
  if (authorization.status === "inactive") throw new Refusal("forbidden", `${message}: token is inactive`);
  if (!allows(authorization, bucketPermission(database, "write", bucket)))
    throw new Refusal("forbidden", message);
}

/** v1 takes a token as `p` (which beats the header), as `Token …`, or as the password of Basic; no Bearer. */
function authenticateV1(context: Context<Env>, database: Database): Authorization {
  const { u, p } = context.req.query();
  const header = context.req.header("authorization") ?? "";
  const basic = /^Basic (\S+)$/i.exec(header)?.[1];
  const token =
    u !== undefined && p !== undefined ? p : (/^Token (\S+)\s*$/i.exec(header)?.[1] ?? password(basic));
  if (token === undefined) throw new Refusal("unauthorized", "unauthorized access");
  const found = database.authorizationByToken(token);
  if (found?.status !== "active") throw new Refusal("unauthorized", "Unauthorized");
  return found;
}

function password(basic: string | undefined): string | undefined {
  try {
    return basic === undefined ? undefined : atob(basic).replace(/^[^:]*:/, "");
  } catch {
    return undefined;
  }
}

function isPrecision(text: string): text is Precision {
  return Object.hasOwn(nanosecondsPer, text);
}

/** `_measurement="m" AND tag='v'`; the empty one matches all. */
function parsePredicate(text: string): (series: Series) => boolean {
  if (text.trim() === "") return () => true;
  const terms = text.split(/\s+and\s+/i).map((term) => {
    const match = /^\s*"?(\w+)"?\s*=\s*(?:"([^"]*)"|'([^']*)')\s*$/.exec(term);
    if (match?.[1] === undefined) throw new Refusal("invalid", "invalid request; error parsing predicate");
    return { name: match[1], value: match[2] ?? match[3] };
  });
  return (series) => terms.every(({ name, value }) => columnOf(series, name) === value);
}
