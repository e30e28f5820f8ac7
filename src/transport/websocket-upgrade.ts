/** The opening handshake of a WebSocket (RFC 6455 §4): what to ask, and what to make of what was asked or answered. */
import { createHash, randomBytes } from "node:crypto";
import { fieldValues, type HttpHead, listHas, onlyField } from "./http-head.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";
/** 16 bytes in base64 (§4.1). */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

export function newKey(): string {
  return randomBytes(16).toString("base64");
}

/** @param key as of `newKey`. */
export function upgradeRequest(options: { path: string; host: string; key: string }): string {
  return head(`GET ${options.path} HTTP/1.1`, [
    `Host: ${options.host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${options.key}`,
    `Sec-WebSocket-Version: ${VERSION}`,
    "User-Agent: culvert",
  ]);
}

/** @returns why the answer opens no WebSocket; undefined where it does. */
export function upgradeRefusal(answer: HttpHead, key: string): string | undefined {
  const [version, status] = answer.start;
  if (!/^HTTP\/1\.[01]$/.test(version) || !/^\d{3}$/.test(status)) return "what answers there speaks no HTTP";
  if (status !== "101") return `what answers there opens no WebSocket: HTTP status ${status}${hint(status)}`;
  if (!listHas(answer, "upgrade", "websocket") || !listHas(answer, "connection", "upgrade"))
    return "what answers there switches to something else than a WebSocket";
  if (onlyField(answer, "sec-websocket-accept") !== acceptOf(key))
    return "what answers there has not understood the request for a WebSocket; is something caching on the way?";
  const extras = ["sec-websocket-extensions", "sec-websocket-protocol"];
  if (extras.some((name) => fieldValues(answer, name).length > 0))
    return "what answers there wants a WebSocket with extensions, which were not asked for";
  return undefined;
}

const HINTS: Readonly<Record<string, string>> = {
  "200":
    "; is the path of the address the one that the node listens on, and does the load balancer pass upgrades on?",
  "404": "; is the path of the address the one that the node listens on?",
  "426": "; the load balancer in front must pass the Upgrade header on",
  "502": "; the load balancer cannot reach the node",
  "503": "; the load balancer has no node that is well",
  "504": "; the load balancer cannot reach the node",
};

function hint(status: string): string {
  if (status.startsWith("3")) return "; redirects are not followed";
  return HINTS[status] ?? "";
}

export type UpgradeVerdict =
  /** Says yes; frames follow. */
  | { readonly kind: "upgrade"; readonly answer: string }
  /** The connection ends after it. */
  | { readonly kind: "answer"; readonly answer: string };

/** What a listener says to a request: it has one path, and on it a WebSocket, and a sign of life for load balancers. */
export function judgeUpgrade(request: HttpHead, path: string): UpgradeVerdict {
  const [method, target, version] = request.start;
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") return refused("400 Bad Request");
  const hosts = fieldValues(request, "host");
  if (hosts.length > 1 || (version === "HTTP/1.1" && !hosts[0])) return refused("400 Bad Request");
  // Nothing here has a body, and none is looked for (request smuggling).
  if (["content-length", "transfer-encoding"].some((name) => fieldValues(request, name).length > 0))
    return refused("400 Bad Request");
  if (method !== "GET" && method !== "HEAD") return refused("405 Method Not Allowed", ["Allow: GET, HEAD"]);
  if (target !== path) return refused("404 Not Found");
  if (fieldValues(request, "upgrade").length === 0)
    return { kind: "answer", answer: answered("200 OK", [], method === "HEAD" ? "" : "culvert\n") };
  // Browsers alone send one: no page has any business here.
  if (fieldValues(request, "origin").length > 0) return refused("403 Forbidden");
  if (method !== "GET" || version !== "HTTP/1.1" || !listHas(request, "connection", "upgrade"))
    return refused("400 Bad Request");
  if (!listHas(request, "upgrade", "websocket") || onlyField(request, "sec-websocket-version") !== VERSION)
    return refused("426 Upgrade Required", ["Upgrade: websocket", `Sec-WebSocket-Version: ${VERSION}`]);
  const key = onlyField(request, "sec-websocket-key");
  if (key === undefined || !KEY.test(key)) return refused("400 Bad Request");
  const answer = head("HTTP/1.1 101 Switching Protocols", [
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
  ]);
  return { kind: "upgrade", answer };
}

/** For what is no HTTP at all. */
export function badRequest(): string {
  return refused("400 Bad Request").answer;
}

function refused(status: string, fields: readonly string[] = []): UpgradeVerdict {
  return { kind: "answer", answer: answered(status, fields, "") };
}

function answered(status: string, fields: readonly string[], body: string): string {
  const usual = ["Content-Type: text/plain", `Content-Length: ${body.length}`, "Cache-Control: no-store"];
  return head(`HTTP/1.1 ${status}`, [...fields, ...usual, "Connection: close"]) + body;
}

function head(start: string, fields: readonly string[]): string {
  return `${[start, ...fields].join("\r\n")}\r\n\r\n`;
}

function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + GUID)
    .digest("base64");
}
