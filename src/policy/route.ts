/**
 * policy: what a member may reach, decided from text alone. It knows neither sockets nor leases' lives.
 *
 * Routes follow the lease. A request target is first brought into one canonical form, or refused if it
 * has none; only that form is decided upon and only that form is sent on, so no second spelling of a
 * path can mean something else further up.
 */
import { Fault } from "../base/fault.ts";
import type { Action } from "../lease/permission.ts";

export const MAX_TARGET_CHARS = 8 * 1024;

/** Routes that no lease and no `routes = "all"` opens: each has to be named by the operator. */
export type NamedRoute = "delete" | "authorizations" | "debug";
export type RouteClass = "always" | Action | NamedRoute | "other";

export interface CanonicalTarget {
  readonly path: string;
  /** Without its `?`; empty when there is none. */
  readonly query: string;
  /** Origin form (RFC 9112 §3.2.1): path, and `?query` where there is one. */
  readonly target: string;
  /** Decoded values of the parameters that decide about rights; each at most once. */
  readonly parameters: ReadonlyMap<string, string>;
}

export interface OpenRoutes {
  readonly routes: readonly Action[] | "all";
  /** Named routes that are open. */
  readonly openRoutes?: readonly string[];
}

export interface DecidedRoute extends CanonicalTarget {
  readonly method: string;
  readonly routeClass: RouteClass;
  /** Sending it twice is the same as sending it once. */
  readonly idempotent: boolean;
}

/**
 * What a request is, before anyone's rights are looked at (`isOpen` looks at them).
 * @throws Fault `request.method` for a method that is never passed on, `request.route` for a target
 * that has no canonical form.
 */
export function resolveRoute(method: string, rawTarget: string): DecidedRoute {
  const canonical = canonicalTarget(rawTarget);
  const routeClass = classify(method, canonical.path);
  // InfluxDB takes the same points twice as once; a query may write somewhere, `to()` or `INTO`.
  const safe = method === "GET" || method === "HEAD" || method === "OPTIONS";
  const idempotent = routeClass === "write" || (safe && canonical.path !== "/query");
  return { ...canonical, method, routeClass, idempotent };
}

/** Whether these routes cover a class. */
export function isOpen(routeClass: RouteClass, given: OpenRoutes): boolean {
  switch (routeClass) {
    case "always":
      return true;
    case "read":
    case "write":
      return given.routes === "all" || given.routes.includes(routeClass);
    case "other":
      return given.routes === "all";
    default:
      return given.openRoutes?.includes(routeClass) ?? false;
  }
}

export function notCovered(): Fault {
  return new Fault("request.route", "the lease does not cover this route");
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const ALWAYS = new Set(["/ping", "/health", "/ready"]);
const WRITES = new Set(["/api/v2/write", "/write"]);
const QUERIES = new Set(["/api/v2/query", "/api/v2/query/analyze", "/api/v2/query/ast"]);
/** What the influx CLI, the client libraries and Grafana look up around a query; GET alone. */
const LOOKUP = /^\/api\/v2\/(?:me|query\/suggestions(?:\/[^/]+)?|(?:buckets|orgs|dbrps)(?:\/[^/]+)?)$/;
const NAMED: readonly (readonly [RegExp, NamedRoute])[] = [
  [/^\/api\/v2\/delete(?:\/|$)/i, "delete"],
  [/^\/(?:api\/v2|private\/legacy)\/authorizations(?:\/|$)/i, "authorizations"],
  [/^\/(?:debug|metrics)(?:\/|$)/i, "debug"],
];

/**
 * @param path canonical.
 * @throws Fault `request.method` for CONNECT, TRACE and unknown methods.
 */
export function classify(method: string, path: string): RouteClass {
  checkMethod(method);
  // A preflight asks on behalf of any method: it may reach whatever some method may.
  const preflight = method === "OPTIONS";
  const reads = preflight || method === "GET" || method === "HEAD";
  const posts = preflight || method === "POST";
  if (posts && WRITES.has(path)) return "write";
  if (reads && ALWAYS.has(path)) return "always";
  if (posts && (QUERIES.has(path) || path === "/api/v2/query/suggestions")) return "read";
  if ((reads || posts) && path === "/query") return "read";
  if (reads && LOOKUP.test(path)) return "read";
  for (const [pattern, name] of NAMED) if (pattern.test(path)) return name;
  return "other";
}

/** @throws Fault `request.method` for CONNECT, TRACE and whatever else is no method of InfluxDB's. */
export function checkMethod(method: string): void {
  if (!METHODS.has(method)) throw new Fault("request.method", "this method is not passed on");
}

/** Decides about rights, or is a credential: a second one could be read instead of the first. */
const SINGLE = new Set(["bucket", "bucketID", "org", "orgID", "db", "rp", "u", "p"]);
/** v1 user and password, which InfluxDB prefers to the lease in the header. */
const CREDENTIALS = new Set(["u", "p"]);

/** @throws Fault `request.route` when there is no one canonical form. */
export function canonicalTarget(rawTarget: string): CanonicalTarget {
  if (rawTarget.length > MAX_TARGET_CHARS) throw refused("it is too long");
  if (rawTarget.charCodeAt(0) !== 0x2f) throw refused("it does not begin with a slash");
  if (/[^\x21-\x7e]|[\\#]/.test(rawTarget)) throw refused("it holds a character that no target may hold");
  const mark = rawTarget.indexOf("?");
  const path = canonicalPath(mark < 0 ? rawTarget : rawTarget.slice(0, mark));
  const parameters = new Map<string, string>();
  const query = mark < 0 ? "" : canonicalQuery(rawTarget.slice(mark + 1), parameters);
  return { path, query, target: query === "" ? path : `${path}?${query}`, parameters };
}

function canonicalPath(raw: string): string {
  if (/["<>^`{|}]/.test(raw)) throw refused("its path holds a character that no path may hold");
  const path = raw.includes("%") ? canonicalEscapes(raw, isRefusedInPath) : raw;
  const segments = path.split("/");
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i];
    if (segment === "." || segment === "..") throw refused("its path has a dot segment");
    if (segment === "" && i < segments.length - 1) throw refused("its path has an empty segment");
  }
  return path;
}

function canonicalQuery(raw: string, parameters: Map<string, string>): string {
  const kept: string[] = [];
  for (const rawPair of raw.split("&")) {
    if (rawPair === "") continue;
    const escaped = rawPair.replace(/["<>^`{|};]/g, percentEncoded);
    const pair = escaped.includes("%") ? canonicalEscapes(escaped, (byte) => byte === 0) : escaped;
    const equals = pair.indexOf("=");
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    if (SINGLE.has(name)) {
      if (parameters.has(name)) throw refused("it names a bucket, organization or user twice");
      parameters.set(name, equals < 0 ? "" : decoded(pair.slice(equals + 1)));
      if (CREDENTIALS.has(name)) continue;
    }
    kept.push(pair);
  }
  for (const credential of CREDENTIALS) parameters.delete(credential);
  return kept.join("&");
}

/** RFC 3986 §6.2.2: escapes of unreserved characters undone, the others with upper-case digits. */
function canonicalEscapes(text: string, isRefused: (byte: number) => boolean): string {
  return text.replace(/%(.{0,2})/g, (_, digits: string) => {
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw refused("it holds a broken percent-escape");
    const byte = Number.parseInt(digits, 16);
    if (isRefused(byte)) throw refused("it hides a separator or control character in a percent-escape");
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${digits.toUpperCase()}`;
  });
}

function isRefusedInPath(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f || byte === 0x2f || byte === 0x5c;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (cause) {
    throw new Fault("request.route", "the target was refused: a parameter is not UTF-8", { cause });
  }
}

function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function refused(why: string): Fault {
  return new Fault("request.route", `the target was refused: ${why}`);
}
