/** Names and values in the order they came; names may repeat. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** RFC 9110 §7.6.1, and what the connection to InfluxDB or to the client makes anew. Lower case. */
export const hopByHopNames: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * What of a message's headers is for the other end and not for the next hop: hop-by-hop headers, and
 * those that `Connection` names, are left out.
 * @param headers names in lower case.
 */
export function endToEndHeaders(headers: HeaderList): HeaderList {
  let named: Set<string> | undefined;
  for (const [name, value] of headers) {
    if (name !== "connection") continue;
    named ??= new Set();
    for (const token of value.split(",")) named.add(token.trim().toLowerCase());
  }
  return headers.filter(([name]) => !hopByHopNames.has(name) && !named?.has(name));
}
