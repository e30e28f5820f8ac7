/** The tables of portals: TCP services that are reached through the culvert. */
import { allowClientsFrom, allowOutlet, authorizedMembers, authorizedOutlets } from "./access-keys.ts";
import type { TableEntry } from "./schema-entry.ts";

export const tcpInlet = {
  path: "inlets.tcp",
  many: true,
  extra: true,
  role: "inlet",
  doc: "A portal: an address beside the client whose TCP connections go to a service of the outlet.",
  keys: {
    listen: {
      type: "tcp-listen",
      required: true,
      example: "127.0.0.1:8087",
      doc: 'Where clients connect to: "host:port". Beyond loopback only with expose = true.',
    },
    service: {
      type: "name",
      required: true,
      example: "influxdb-ui",
      doc: "Name of the outlet's service.",
    },
    authorized: authorizedOutlets,
    allow_outlet: allowOutlet,
    expose: {
      type: "boolean",
      default: false,
      doc: "Must be true to listen beyond loopback. Whoever reaches the address may then use the service as this node.",
    },
    allow_from: allowClientsFrom,
    max_connections: {
      type: "integer",
      range: [1, 2000],
      default: 250,
      doc: "Most connections at once. One more is cut off.",
    },
    idle_timeout: {
      type: "duration",
      off: true,
      range: ["1s", "30d"],
      default: "1h",
      doc: 'A connection on which no byte moves for so long is cut. "" is never.',
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const tcpOutlet = {
  path: "outlets.tcp",
  many: true,
  extra: true,
  role: "outlet",
  doc: "A portal's other end: a TCP service that members may connect to.",
  keys: {
    service: {
      type: "name",
      required: true,
      example: "influxdb-ui",
      doc: "Name that inlets ask for. Each outlet needs its own.",
    },
    address: {
      type: "tcp-address",
      required: true,
      example: "127.0.0.1:8086",
      doc: "Where the service is. Members reach this address and no other.",
    },
    authorized: authorizedMembers,
    allow: {
      type: "policy",
      asks: "subject",
      default: "false",
      example: "influxdb-admin",
      suggested: true,
      doc: "Which members may use the service: a policy over their attributes. Without it, nobody but the authorized.",
    },
    tls: {
      type: "boolean",
      default: false,
      doc: "True speaks TLS with the service, and verifies its certificate. Clients speak to the inlet in the clear then.",
    },
    tls_ca: {
      type: "path",
      example: "/etc/culvert/influxdb-ca.pem",
      doc: "PEM file of the authorities to trust for the service's certificate, instead of the system's. It is read again when it changes.",
    },
    tls_server_name: {
      type: "host-name",
      example: "influxdb.example.com",
      doc: "Name that the service's certificate must have, where it is not the host of address.",
    },
    tls_min_version: {
      type: "enum",
      values: ["1.2", "1.3"],
      default: "1.2",
      doc: "Oldest TLS version that is spoken with the service.",
    },
    insecure_skip_verify: {
      type: "boolean",
      default: false,
      doc: "True takes any certificate for the service's: whoever is between can read and change what goes through. For trying out only.",
    },
    connect_timeout: {
      type: "duration",
      range: ["100ms", "1m"],
      default: "10s",
      doc: "How long the service may take to accept a connection, its TLS handshake included.",
    },
    max_connections: {
      type: "integer",
      range: [1, 20000],
      default: 1000,
      doc: "Most connections to the service at once, of all members together.",
    },
    max_member_connections: {
      type: "integer",
      range: [1, 2000],
      default: 250,
      doc: "Most connections to the service at once, of one member.",
    },
    idle_timeout: {
      type: "duration",
      off: true,
      range: ["1s", "30d"],
      default: "1h",
      doc: 'A connection on which no byte moves for so long is cut. "" is never.',
    },
  },
  tables: {},
} as const satisfies TableEntry;
