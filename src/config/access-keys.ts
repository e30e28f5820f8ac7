/** Keys that say who may, the same for InfluxDB and for portals. */
import { OUTLET_ATTRIBUTE } from "../identity/attributes.ts";
import type { KeyEntry } from "./schema-entry.ts";

export const authorizedOutlets = {
  type: "identifier",
  list: true,
  default: [],
  example: ["<identifier of the outlet's node>"],
  doc: "Identifiers of nodes that may be the outlet, whatever allow_outlet says: for use without an authority. `culvert identity show` prints a node's own.",
} as const satisfies KeyEntry;

export const allowOutlet = {
  type: "policy",
  asks: "subject",
  default: OUTLET_ATTRIBUTE,
  doc: "Which members may be the outlet: a policy over their attributes.",
} as const satisfies KeyEntry;

export const allowClientsFrom = {
  type: "network",
  list: true,
  default: [],
  example: ["127.0.0.0/8", "192.0.2.0/24", "2001:db8::7"],
  doc: "Networks and addresses of clients that may use an exposed address. Others are cut off without an answer; loopback is not allowed by itself. Empty allows every address.",
} as const satisfies KeyEntry;

export const authorizedMembers = {
  type: "identifier",
  list: true,
  default: [],
  example: ["<identifier of an inlet's node>"],
  doc: "Identifiers of nodes that may use the service, whatever allow says: for use without an authority. `culvert identity show` prints a node's own.",
} as const satisfies KeyEntry;
