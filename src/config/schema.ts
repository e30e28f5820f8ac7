/**
 * Every table and key there is, once. The parser, `culvert config sample` and the reference page are
 * all made from these entries, so a key cannot be in one and not in the others.
 */
import { influxdbInlet, influxdbOutlet } from "./influxdb-tables.ts";
import { agent, authority, channel, enroll, relay } from "./node-tables.ts";
import type { TableEntry } from "./schema-entry.ts";
import { awsSecretsManager, commandStore } from "./secret-store-tables.ts";
import { tcpInlet, tcpOutlet } from "./tcp-tables.ts";

/** The tables by where they end up in `Config`. */
export const schema = {
  agent,
  secretstores: { awsSecretsManager, command: commandStore },
  enroll,
  channel,
  inlets: { influxdb: influxdbInlet, tcp: tcpInlet },
  authority,
  outlets: { influxdb: influxdbOutlet, tcp: tcpOutlet },
  relay,
} as const;

/** The same in the order that the sample and the reference page show. */
export const tables: readonly TableEntry[] = [
  schema.agent,
  schema.enroll,
  schema.channel,
  schema.inlets.influxdb,
  schema.inlets.tcp,
  schema.authority,
  schema.outlets.influxdb,
  schema.outlets.tcp,
  schema.relay,
  schema.secretstores.awsSecretsManager,
  schema.secretstores.command,
];
