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
      type: "tcp-listen",
      list: true,
      role: "outlet",
      required: "with-role",
      default: [],
      example: ["tcp://0.0.0.0:4433"],
      doc: "Where channels are accepted. An authority needs it, too.",
    },
    advertise: {
      type: "tcp-connect",
      list: true,
      role: "outlet",
      default: [],
      example: ["tcp://outlet.example.com:4433"],
      suggested: true,
      doc: "Where this node is reached from outside: what tickets carry and members are told. Empty stands for the addresses in listen; an authority, or an outlet that enrolls, needs it where it listens on 0.0.0.0 or :: alone.",
    },
    allow_from: {
      type: "network",
      list: true,
      role: "outlet",
      default: [],
      example: ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
      doc: "Networks and addresses from which a channel may be opened. Others are cut off before a byte of theirs is read. Empty allows every address.",
    },
    connect: {
      type: "tcp-connect",
      list: true,
      role: "inlet",
      default: [],
      example: ["tcp://outlet.example.com:4433"],
      doc: "Where the outlet is reached. Several addresses are tried in turn. Needed with authorized; an enrolled node knows the addresses from its authority.",
    },
    keepalive: {
      type: "duration",
      range: ["5s", "24h"],
      default: "120s",
      doc: "How often an idle channel is checked. While anything waits for an answer it is checked within seconds, whatever this says.",
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
