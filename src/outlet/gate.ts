/**
 * The one place at the outlet where a member's request is let through or not: is this member welcome at
 * this service, does the policy allow this request, do the routes follow its lease, is the token that it
 * brings the one it was given.
 * Deny by default: what is not allowed here by name does not reach InfluxDB.
 */
import { Fault } from "../base/fault.ts";
import type { HttpRequestHead } from "../channel/exchange.ts";
import type { Action } from "../lease/permission.ts";
import { type AdmissionRules, deniedBy } from "../policy/admit-member.ts";
import { endToEndHeaders, type HeaderList } from "../policy/end-to-end-headers.ts";
import { type DecidedRoute, isOpen, type NamedRoute, notCovered, type RouteClass } from "../policy/route.ts";
import type { RouteMemory } from "../policy/route-memory.ts";
import type { Subject } from "../policy/subject.ts";

/** Whom a service lets in, as the config says, and to what. */
export interface ServiceRules extends AdmissionRules {
  readonly openRoutes: readonly NamedRoute[];
}

/** Who asks, and what it may have. */
export interface Access {
  readonly subject: Subject;
  readonly rules: ServiceRules;
  /** The routes that its lease covers; throws where it may have none. Not asked for what needs no lease. */
  readonly routes: () => readonly Action[] | "all";
}

/** A request as it may go to InfluxDB, all but the lease's token. */
export interface PassedRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly idempotent: boolean;
  readonly routeClass: RouteClass;
}

const MAX_HEADERS = 100;
const TOKEN_PREFIX = "Token ";
/** A member's own credentials, and what would make InfluxDB believe something about its client. */
const NEVER_FORWARDED = new Set(["authorization", "cookie", "content-length", "forwarded"]);

/**
 * @throws Fault `policy.denied` for a request that the policy does not allow, `request.*`: whatever the
 * inlet has checked is checked again here; and what `access.routes` throws.
 */
export function passRequest(head: HttpRequestHead, access: Access, routes: RouteMemory): PassedRequest {
  const route = routes.resolve(head.method, head.target);
  const { method, target, routeClass, idempotent } = route;
  allowRequest(route, access);
  if (routeClass !== "always") {
    const { openRoutes } = access.rules;
    if (!isOpen(routeClass, { routes: access.routes(), openRoutes })) throw notCovered();
  }
  if (head.headers.length > MAX_HEADERS) {
    throw new Fault(
      "request.head-too-large",
      `${head.headers.length} headers are over the limit of ${MAX_HEADERS}`,
    );
  }
  for (const [name, value] of head.headers) {
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || /[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
      throw new Fault("request.malformed", "a header is malformed");
    }
  }
  const headers = endToEndHeaders(head.headers).filter(
    ([name]) => !NEVER_FORWARDED.has(name) && !name.startsWith("x-forwarded-"),
  );
  return { method, target, headers, idempotent, routeClass };
}

function allowRequest({ method, path, parameters }: DecidedRoute, { subject, rules }: Access): void {
  const { allow, authorized } = rules;
  if (!allow.asksRequest || authorized.has(subject.identifier)) return;
  // InfluxDB looks at one of them, by the version of its API.
  const bucket = parameters.get(path === "/write" || path === "/query" ? "db" : "bucket") ?? "";
  if (!allow.allows(subject, { method, path, bucket })) throw deniedBy(rules, subject);
}

/**
 * The token that a member brings with a request, where leases are placed at the inlet.
 * @param leaseOf the lease that a token belongs to, if it is one that the member was given and may still use.
 * @throws Fault `lease.rejected` for none, or one that it was not given or may no longer use.
 */
export function checkToken(
  head: HttpRequestHead,
  leaseOf: (token: string) => string | undefined,
): { leaseId: string; token: string } {
  const given = head.headers.find(([name]) => name === "authorization")?.[1];
  const token = given?.startsWith(TOKEN_PREFIX) ? given.slice(TOKEN_PREFIX.length) : undefined;
  const leaseId = token === undefined ? undefined : leaseOf(token);
  if (token === undefined || leaseId === undefined) {
    throw new Fault("lease.rejected", "the request's token is not a live lease of this member");
  }
  return { leaseId, token };
}

export function withToken(headers: HeaderList, token: string): HeaderList {
  return [...headers, ["authorization", TOKEN_PREFIX + token]];
}
