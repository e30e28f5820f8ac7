/**
 * The one place at the outlet where a member's request is let through or not: is this member welcome at
 * this service, do the routes follow its lease, is the token that it brings the one it was given.
 * Deny by default: what is not allowed here by name does not reach InfluxDB.
 */
import { Fault } from "../base/fault.ts";
import type { HttpRequestHead } from "../channel/exchange.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Action } from "../lease/permission.ts";
import { endToEndHeaders, type HeaderList } from "../policy/end-to-end-headers.ts";
import { isOpen, type NamedRoute, notCovered, type RouteClass } from "../policy/route.ts";
import type { RouteMemory } from "../policy/route-memory.ts";

/** What a service lets its members do, as the config says. */
export interface ServiceRules {
  readonly authorized: ReadonlySet<Identifier>;
  readonly routes: readonly Action[] | "all";
  readonly openRoutes: readonly NamedRoute[];
}

/** The leases of a service as the gate asks about them. */
export interface LeaseLookup {
  /** The lease that this token belongs to, if it is one that the member was given and may still use. */
  ownsToken(member: Identifier, token: string): string | undefined;
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

/** @throws Fault `request.route` for a member that is not welcome at the service. */
export function admitMember(member: Identifier, rules: ServiceRules): void {
  if (rules.authorized.has(member)) return;
  throw new Fault("request.route", `${member} is not authorized for this service`);
}

/** @throws Fault `request.*`: whatever the inlet has checked is checked again here. */
export function passRequest(head: HttpRequestHead, rules: ServiceRules, routes: RouteMemory): PassedRequest {
  const { method, target, routeClass, idempotent } = routes.resolve(head.method, head.target);
  if (!isOpen(routeClass, rules)) throw notCovered();
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

/**
 * The token that a member brings with a request, where leases are placed at the inlet.
 * @throws Fault `lease.rejected` for none, or one that it was not given or may no longer use.
 */
export function checkToken(
  member: Identifier,
  head: HttpRequestHead,
  leases: LeaseLookup,
): { leaseId: string; token: string } {
  const given = head.headers.find(([name]) => name === "authorization")?.[1];
  const token = given?.startsWith(TOKEN_PREFIX) ? given.slice(TOKEN_PREFIX.length) : undefined;
  const leaseId = token === undefined ? undefined : leases.ownsToken(member, token);
  if (token === undefined || leaseId === undefined) {
    throw new Fault("lease.rejected", "the request's token is not a live lease of this member");
  }
  return { leaseId, token };
}

export function withToken(headers: HeaderList, token: string): HeaderList {
  return [...headers, ["authorization", TOKEN_PREFIX + token]];
}
