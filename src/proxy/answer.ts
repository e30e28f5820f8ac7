/**
 * What culvert itself says to a client. Status is a data-loss decision: Telegraf drops a batch at most
 * 4xx and loses it in silence at 301, 302 and 303, but keeps it at 401, 403, 429 and 5xx. So whatever
 * is not the client's own mistake is 503, 502 or 429 with a `Retry-After` in whole seconds.
 */
import type { Fault, FaultCode } from "../base/fault.ts";

interface Answer {
  readonly status: 400 | 403 | 405 | 413 | 429 | 431 | 502 | 503;
  /** InfluxDB's own word for it, which its client libraries know. */
  readonly code: string;
  readonly message: string;
  /** Seconds; absent where trying again does not help. */
  readonly retryAfter?: number;
}

const unavailable = (message: string, retryAfter = 2): Answer => ({
  status: 503,
  code: "unavailable",
  message,
  retryAfter,
});
const limited = (message: string): Answer => ({
  status: 429,
  code: "too many requests",
  message,
  retryAfter: 2,
});
const refused = (status: 400 | 403 | 405 | 413 | 431, code: string, message: string): Answer => ({
  status,
  code,
  message,
});

const TUNNEL = "no channel to the outlet at this time";
const LOST = "the channel to the outlet was lost before InfluxDB answered";
const OUTLET = "the outlet cannot be reached or does not accept this inlet";
const LEASE = "there is no lease for InfluxDB at this time";
const MEMBER = "this device is not enrolled, or its authority has shut it out";
const INLET = "the inlet is not in a state to serve this";

/** Exhaustive: a new fault code without a status does not compile. */
export const answers: Readonly<Record<FaultCode, Answer>> = {
  "config.invalid": unavailable(INLET, 30),
  "secret.unavailable": unavailable(INLET, 10),
  "state.unusable": unavailable(INLET, 30),
  "usage.invalid": unavailable(INLET, 30),
  "crypto.unsupported": unavailable(INLET, 30),
  "crypto.key-refused": unavailable(OUTLET, 10),
  "crypto.nonce-exhausted": unavailable(LOST),
  "identity.malformed": unavailable(OUTLET, 10),
  "identity.untrusted": unavailable(OUTLET, 10),
  "attribute.invalid": unavailable(INLET, 30),
  "policy.invalid": unavailable(INLET, 30),
  "policy.denied": refused(403, "forbidden", "the outlet's policy does not allow this to this member"),
  "ticket.malformed": unavailable(MEMBER, 30),
  "ticket.foreign": unavailable(MEMBER, 30),
  "ticket.expired": unavailable(MEMBER, 30),
  "ticket.used": unavailable(MEMBER, 30),
  "ticket.revoked": unavailable(MEMBER, 30),
  "credential.malformed": unavailable(OUTLET, 10),
  "credential.untrusted": unavailable(OUTLET, 10),
  "credential.expired": unavailable(OUTLET, 10),
  "member.unknown": unavailable(MEMBER, 10),
  "member.revoked": unavailable(MEMBER, 30),
  "member.locked": unavailable(MEMBER, 30),
  "enrollment.missing": unavailable(MEMBER, 10),
  "authority.unavailable": unavailable(MEMBER, 10),
  "authority.limit": unavailable(MEMBER, 10),
  "admin.unreachable": unavailable(INLET, 30),
  "handshake.failed": unavailable(OUTLET),
  "handshake.version": unavailable(OUTLET, 30),
  "handshake.unauthorized": unavailable(OUTLET, 10),
  "handshake.timeout": unavailable(OUTLET),
  "channel.tampered": unavailable(LOST),
  "channel.truncated": unavailable(LOST),
  "channel.protocol": unavailable(LOST),
  "channel.limit": unavailable(LOST),
  "channel.timeout": unavailable(LOST),
  "channel.closed": unavailable(LOST),
  "channel.draining": unavailable(LOST),
  "stream.reset": unavailable(LOST),
  "stream.refused": unavailable("the outlet does not take this request at this time"),
  "stream.limit": limited("all streams to the outlet are taken"),
  "transport.address-unusable": unavailable(INLET, 30),
  "transport.unreachable": unavailable(TUNNEL),
  "relay.unavailable": unavailable(TUNNEL),
  "relay.denied": unavailable("the relay does not let this device through", 10),
  "relay.limit": unavailable("this device has all the connections through the relay that it may have", 10),
  "tunnel.down": unavailable(TUNNEL),
  "lease.unavailable": unavailable(LEASE),
  "lease.limit": limited("this member has all the leases that it may have"),
  "lease.denied": unavailable("the outlet gives this member no lease", 10),
  "lease.rejected": unavailable("InfluxDB no longer takes the lease; a new one is on its way", 1),
  "request.malformed": refused(400, "invalid", "the request is malformed"),
  "request.method": refused(405, "method not allowed", "this method is not passed on"),
  "request.origin": refused(403, "forbidden", "web pages may not use this address"),
  "request.route": refused(403, "forbidden", "the lease does not cover this route"),
  "request.head-too-large": refused(431, "invalid", "the request's header fields are too large"),
  "request.body-too-large": refused(413, "request too large", "the request's body is too large"),
  "request.slow": unavailable("the request's body came too slowly", 1),
  "request.aborted": unavailable("the client went away", 1),
  "request.overload": limited("too many requests are waiting"),
  "upstream.unreachable": unavailable("the outlet cannot reach InfluxDB"),
  "upstream.timeout": unavailable("InfluxDB did not answer in time"),
  "upstream.malformed": { ...unavailable("InfluxDB's answer is not one"), status: 502 },
  "upstream.paced": unavailable("many devices write again after an outage; the turn of this one is later"),
  "upstream.denied": unavailable("InfluxDB does not take the outlet's own token", 10),
  "internal.bug": unavailable("an internal error"),
};

const MAX_RETRY_AFTER_SECONDS = 60;

/** Never holds a stack or a cause; a message of the moment only where the client is to blame. */
export function answerFault(fault: Fault, options: { close?: boolean } = {}): Response {
  const { status, code, message, retryAfter } = answers[fault.code];
  const headers: [string, string][] = [
    ["content-type", "application/json; charset=utf-8"],
    ["x-platform-error-code", code],
  ];
  if (retryAfter !== undefined) headers.push(["retry-after", String(retryAfterSeconds(fault, retryAfter))]);
  if (status === 405) headers.push(["allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]);
  if (options.close) headers.push(["connection", "close"]);
  const told = fault.blame === "client" ? fault.message : message;
  return new Response(JSON.stringify({ code, message: `culvert: ${told}`, fault: fault.code }), {
    status,
    headers,
  });
}

function retryAfterSeconds(fault: Fault, usual: number): number {
  if (fault.retryAfterMs === undefined) return usual;
  return Math.min(Math.max(Math.ceil(fault.retryAfterMs / 1000), 1), MAX_RETRY_AFTER_SECONDS);
}
