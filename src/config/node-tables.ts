/** The tables of any node: what it is, how it becomes a member, how it is reached. */
import type { TableEntry } from "./schema-entry.ts";

export const agent = {
  path: "agent",
  many: false,
  doc: "The node itself.",
  keys: {
    state_dir: {
      type: "path",
      default: "/var/lib/culvert",
      doc: "Folder of the node's identity and state. Made with mode 0700, the files in it 0600.",
    },
    status_listen: {
      type: "listen",
      off: true,
      default: "127.0.0.1:23345",
      doc: 'Address of /health, /ready, /status and /metrics. "" turns it off.',
    },
    log_level: {
      type: "enum",
      values: ["debug", "info", "warn", "error"],
      default: "info",
      doc: "The least level that is logged.",
    },
    log_format: {
      type: "enum",
      values: ["auto", "text", "json"],
      default: "auto",
      doc: '"auto" is text on a terminal and JSON otherwise.',
    },
    secrets_reread: {
      type: "duration",
      off: true,
      range: ["1s", "30d"],
      default: "15m",
      role: "outlet",
      doc: 'How often secrets are read anew from their stores, so that a rotation needs no restart. It is done on SIGHUP, too, and when InfluxDB refuses a token. "" turns it off.',
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const enroll = {
  path: "enroll",
  many: false,
  doc: "How the node becomes a member of an authority that is elsewhere. An enrolled inlet learns the outlet's addresses from it.",
  keys: {
    ticket: {
      type: "secret",
      off: true,
      default: "",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own syntax
      example: "${CULVERT_TICKET:-}",
      suggested: true,
      doc: 'Ticket of an authority, as `culvert ticket create` prints it. Used once, while state_dir holds no credential. "" is none.',
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const channel = {
  path: "channel",
  many: false,
  doc: "The encrypted channel between an inlet's node and an outlet's node.",
  keys: {
    listen: {
      type: "channel-listen",
      list: true,
      role: "outlet",
      required: "with-role",
      default: [],
      example: ["tcp://0.0.0.0:4433"],
      doc: "Where channels are accepted: on TCP, in a WebSocket over TLS (wss://0.0.0.0:443/culvert, with tls_cert and tls_key), or in a WebSocket in the clear (ws://127.0.0.1:4480/culvert) for behind a load balancer that ends TLS. An authority needs it, too, but for one that is reached through relays alone.",
    },
    advertise: {
      type: "node-address",
      list: true,
      role: "outlet",
      default: [],
      example: ["tcp://outlet.example.com:4433"],
      suggested: true,
      doc: "Where this node is reached from outside: what tickets carry and members are told. Empty stands for the addresses in listen; an authority, or an outlet that enrolls, needs it where it listens on 0.0.0.0, on :: or on ws:// alone.",
    },
    relays: {
      type: "relay-address",
      list: true,
      role: "outlet",
      default: [],
      example: ["tcp://relay.example.com:4434"],
      doc: "Relays to dial out to: inlets reach this node through them, and it needs neither listen nor an open port. Members are told of them in this order, after the addresses in advertise or listen.",
    },
    relay_name: {
      type: "name",
      role: "outlet",
      example: "influxdb",
      doc: 'What this node is called at its relays. Its authority has to allow the name, by the attribute relay-names, unless the node has the authority itself. Absent: its first service, or "authority".',
    },
    allow_from: {
      type: "network",
      list: true,
      role: "outlet",
      default: [],
      example: ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
      doc: "Networks and addresses from which a channel may be opened. Others are cut off before a byte of theirs is read. Empty allows every address. Who comes through a relay is not asked for its address.",
    },
    connect: {
      type: "node-address",
      list: true,
      role: "inlet",
      default: [],
      example: ["tcp://outlet.example.com:4433"],
      doc: "Where the outlet is reached, tcp://host:port or wss://host/path. Several addresses are tried in turn. Needed with authorized; an enrolled node knows the addresses from its authority.",
    },
    tls_cert: {
      type: "path",
      role: "outlet",
      example: "/etc/culvert/channel.pem",
      doc: "PEM file of the certificate of the wss:// addresses in listen, here and in [relay], and of those between it and its authority. Needs tls_key.",
    },
    tls_key: {
      type: "path",
      role: "outlet",
      example: "/etc/culvert/channel.key",
      doc: "PEM file of the private key of tls_cert, without a passphrase, and closed to others as the file of a secret. Both files are read again when they change.",
    },
    tls_ca: {
      type: "path",
      example: "/etc/culvert/channel-ca.pem",
      doc: "PEM file of the authorities to trust for servers of wss:// addresses, instead of the system's. It is read for each connection.",
    },
    wss_host: {
      type: "host",
      example: "culvert.example.com",
      doc: "What to send as Host to servers of wss:// addresses, where a load balancer wants another than the address's. The certificate is compared with the address all the same.",
    },
    https_proxy: {
      type: "secret",
      off: true,
      default: "",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own syntax
      example: "${CULVERT_PROXY:-}",
      doc: 'HTTP proxy for wss:// addresses: "http://user:password@proxy.example.com:3128", or "off" for none. "" takes the environment\'s https_proxy or HTTPS_PROXY. What no_proxy or NO_PROXY names is reached without one. Nothing else ever goes to a proxy.',
    },
    keepalive: {
      type: "duration",
      range: ["5s", "24h"],
      default: "120s",
      doc: "How long a new channel is idle until it is checked by a ping. While anything waits for an answer it is checked within seconds, whatever this says.",
    },
    keepalive_max: {
      type: "duration",
      range: ["5s", "24h"],
      default: "300s",
      doc: "What the time between the pings of an idle channel grows to while they are answered: devices pay for bytes. A node that loses a channel by it, as behind a NAT that forgets, stays below it and tries a step more once a day. With the same value as keepalive, or with a keepalive above the default, nothing grows.",
    },
    max_age: {
      type: "duration",
      range: ["1s", "7d"],
      default: "1h",
      doc: "A channel older than this is replaced by one with fresh keys. No request is lost by it.",
    },
    cipher: {
      type: "enum",
      values: ["aes-gcm", "chacha20-poly1305"],
      default: "aes-gcm",
      doc: 'Cipher of the channel, by the inlet\'s choice; an outlet takes either. "chacha20-poly1305" suits devices without AES hardware.',
    },
    crypto: {
      type: "enum",
      values: ["auto", "node", "noble"],
      default: "auto",
      doc: 'Implementation of the cipher. "auto" takes the fastest one that this runtime has; the bytes sent are the same.',
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const relay = {
  path: "relay",
  many: false,
  optional: true,
  role: "relay",
  doc: "Makes the node a relay: outlets dial out to it, inlets ask it for them, and it passes on what it cannot read.",
  keys: {
    listen: {
      type: "channel-listen",
      list: true,
      required: true,
      example: ["tcp://0.0.0.0:4434"],
      doc: "Where outlets and inlets connect to: tcp://, wss:// or ws://, as in [channel], whose tls_cert and tls_key serve here, too.",
    },
    authorities: {
      type: "authority-key",
      list: true,
      required: true,
      example: ["<public key of the authority>"],
      doc: "Authorities whose members may use the relay, by their public keys, as `culvert status` shows them there.",
    },
    max_connections: {
      type: "integer",
      range: [16, 1_000_000],
      default: 20_000,
      doc: "Connections at once, of all kinds. A channel through the relay takes two.",
    },
    max_connections_per_member: {
      type: "integer",
      range: [1, 10_000],
      default: 16,
      doc: "Channels through the relay that one member may have at once; and control channels, of one that takes a name.",
    },
    max_bandwidth_per_member: {
      type: "size",
      off: true,
      range: ["1KiB", "100GiB"],
      default: "64MiB",
      doc: 'Bytes per second each way for all channels of one member together. "" turns it off.',
    },
    idle_timeout: {
      type: "duration",
      range: ["1m", "30d"],
      default: "30m",
      doc: "A channel through the relay on which nothing has passed for so long is cut. It must be longer than every keepalive.",
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const authority = {
  path: "authority",
  many: false,
  optional: true,
  role: "outlet",
  doc: "Makes the node an authority, by its header alone: it issues tickets and credentials and keeps the member list. It may be an outlet besides, or have a node of its own.",
  keys: {
    credential_expires_in: {
      type: "duration",
      range: ["1m", "30d"],
      default: "24h",
      doc: "Life of a credential. Members renew it well before its end; a member that was away for longer gets a new one without a ticket.",
    },
    clones: {
      type: "enum",
      values: ["warn", "lock"],
      default: "warn",
      doc: 'What to do when two devices turn up with one identity, as with a copied SD card. "warn" logs it and shows it in the status; "lock" refuses both as well, until an operator decides.',
    },
  },
  tables: {},
} as const satisfies TableEntry;
