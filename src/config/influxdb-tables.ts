/** The tables of InfluxDB's inlets and outlets. */
import { allowClientsFrom, allowOutlet, authorizedMembers, authorizedOutlets } from "./access-keys.ts";
import type { TableEntry } from "./schema-entry.ts";

export const influxdbInlet = {
  path: "inlets.influxdb",
  many: true,
  role: "inlet",
  doc: "An address beside the client that takes InfluxDB requests without a token.",
  keys: {
    listen: {
      type: "listen",
      default: "127.0.0.1:8086",
      doc: 'Where clients send to: "host:port" or "unix:///path". Beyond loopback only with expose = true.',
    },
    service: {
      type: "name",
      default: "influxdb",
      doc: "Name of the outlet's service.",
    },
    authorized: authorizedOutlets,
    allow_outlet: allowOutlet,
    allow_hosts: {
      type: "host",
      list: true,
      default: [],
      example: ["influxdb.local:8086"],
      doc: "More values of the Host header to accept. The listener's own address and loopback names always are.",
    },
    allow_origins: {
      type: "origin",
      list: true,
      default: [],
      example: ["http://localhost:3000"],
      doc: "Origins of web pages that may send requests. Any other page is refused.",
    },
    expose: {
      type: "boolean",
      default: false,
      doc: "Must be true to listen beyond loopback. Whoever reaches the address may then use the lease.",
    },
    allow_from: allowClientsFrom,
    timeout: {
      type: "duration",
      range: ["100ms", "1h"],
      default: "4500ms",
      doc: "A request without an answer by then is answered 503, which clients retry. Keep it below the client's own time-out (Telegraf: 5s); raise it for long queries.",
    },
    max_body: {
      type: "size",
      range: ["1KiB", "1GiB"],
      default: "25MiB",
      doc: "Largest request body. A larger one is answered 413, which makes Telegraf split the batch.",
    },
    replay_limit: {
      type: "size",
      range: ["0B", "64MiB"],
      default: "1MiB",
      doc: "Request bodies up to this size are kept for one resend when the lease or the channel is lost on the way. Larger ones are answered 503.",
    },
  },
  tables: {},
} as const satisfies TableEntry;

const influxdbPermission = {
  path: "outlets.influxdb.permissions",
  many: true,
  insteadOfKey: "permissions_json",
  role: "outlet",
  doc: "What a lease may do. One table for each right.",
  keys: {
    action: {
      type: "enum",
      values: ["read", "write"],
      required: true,
      example: "write",
      doc: "The right.",
    },
    bucket: {
      type: "template",
      required: true,
      example: "metrics",
      doc: 'Name of the bucket; "site-{{ site }}" takes the member\'s attribute site. One that InfluxDB does not know is an error, never a right to every bucket.',
    },
    allow: {
      type: "policy",
      asks: "subject",
      example: "subject.site == 'berlin'",
      doc: "Which members get the right: a policy over their attributes. Without it, all that may use the service.",
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const influxdbOutlet = {
  path: "outlets.influxdb",
  many: true,
  role: "outlet",
  doc: "The InfluxDB that requests are handed to, and the leases that are made in it.",
  keys: {
    service: {
      type: "name",
      default: "influxdb",
      doc: "Name that inlets ask for. Each outlet needs its own.",
    },
    url: {
      type: "url",
      required: true,
      example: "https://influxdb.example.com:8086",
      doc: "Address of InfluxDB: http or https, host and port alone.",
    },
    organization: {
      type: "text",
      required: true,
      example: "example",
      doc: "Name or id of the organization.",
    },
    token: {
      type: "secret",
      suggested: true,
      example: "@{env:INFLUXDB_TOKEN}",
      doc: 'Token that may create and delete authorizations, and holds every right that is leased. Needed unless lease_strategy = "fixed".',
    },
    allow_operator_token: {
      type: "boolean",
      default: false,
      doc: "True takes an operator token, which may do everything in every organization; it is said at every start. Without it, such a token is refused.",
    },
    permissions_json: {
      type: "permission-json",
      example: "@{file:/etc/culvert/permissions.json}",
      doc: 'Permissions in the form of InfluxDB\'s API, besides the tables or in their place: a list of {action, resource: {type, orgID, name or id}}. The type is "buckets", the orgID INFLUX_ORG_ID, and each names one bucket.',
    },
    authorized: authorizedMembers,
    allow: {
      type: "policy",
      default: "influxdb-inlet",
      doc: "Which members may use the service: a policy over their attributes and, if it asks for them, over each request's method, path and bucket.",
    },
    lease_expires_in: {
      type: "duration",
      range: ["1s", "365d"],
      default: "300s",
      doc: "Life of a lease. It is renewed at half of it, and revoked at its end.",
    },
    lease_placement: {
      type: "enum",
      values: ["inlet", "outlet"],
      default: "inlet",
      doc: '"inlet": the leased token goes to the inlet, which inserts it. "outlet": it never leaves the outlet.',
    },
    lease_strategy: {
      type: "enum",
      values: ["per-client", "shared", "fixed"],
      default: "per-client",
      doc: '"per-client": each inlet\'s node has a lease of its own. "shared": one lease for all that get the same permissions; when one of them is revoked, it is replaced for all. "fixed": no lease is made, the outlet inserts fixed_token.',
    },
    fixed_token: {
      type: "secret",
      example: "@{env:INFLUXDB_FIXED_TOKEN}",
      doc: 'With lease_strategy = "fixed", the token of every request; lease_placement must be "outlet". Members reach what the permissions say, but whether the token may do more cannot be checked.',
    },
    routes: {
      type: "enum",
      values: ["leased", "all"],
      default: "leased",
      doc: '"leased" opens what the permissions are for and no more; "all" opens the rest of the API, but for what open_routes names.',
    },
    open_routes: {
      type: "enum",
      list: true,
      values: ["delete", "authorizations"],
      default: [],
      example: ["delete"],
      doc: "Routes that are open only by name: /api/v2/delete, which even a write-only token may use, and /api/v2/authorizations.",
    },
    timeout: {
      type: "duration",
      range: ["100ms", "1h"],
      default: "30s",
      doc: "How long InfluxDB may take to connect, and to begin its answer.",
    },
    max_body: {
      type: "size",
      range: ["1KiB", "1GiB"],
      default: "25MiB",
      doc: "Largest request body. A larger one is answered 413.",
    },
    max_connections: {
      type: "integer",
      range: [1, 4096],
      default: 64,
      doc: "Most connections to InfluxDB at once.",
    },
    return_window: {
      type: "duration",
      off: true,
      range: ["1s", "10m"],
      default: "30s",
      doc: "After a start or an outage of InfluxDB, a crowd of more than a hundred members writes again spread over this time, each told when by Retry-After. Empty lets all write as they come.",
    },
    tls_ca: {
      type: "path",
      example: "/etc/culvert/influxdb-ca.pem",
      doc: "PEM file of the authorities to trust for InfluxDB's certificate, instead of the system's.",
    },
    tls_cert: {
      type: "path",
      example: "/etc/culvert/influxdb-client.pem",
      doc: "PEM file of the certificate to show to InfluxDB, and of those between it and its authority. Needs tls_key.",
    },
    tls_key: {
      type: "path",
      example: "/etc/culvert/influxdb-client.key",
      doc: "PEM file of the private key of tls_cert, without a passphrase, and closed to others as the file of a secret. tls_ca, tls_cert and tls_key are read again when they change.",
    },
    tls_min_version: {
      type: "enum",
      values: ["1.2", "1.3"],
      default: "1.2",
      doc: "Oldest TLS version that is spoken with InfluxDB.",
    },
    insecure_skip_verify: {
      type: "boolean",
      default: false,
      doc: "True takes any certificate for InfluxDB's: whoever is between can read the tokens. For trying out only.",
    },
  },
  tables: { permissions: influxdbPermission },
} as const satisfies TableEntry;
