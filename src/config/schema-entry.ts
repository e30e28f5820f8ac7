/**
 * What the schema can say about a key and a table, and the types that follow from it: a key's name,
 * type and default decide the property's name and type in `Config`.
 */
import type { IdentityPublicKey } from "../crypto/provider.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import type { Policy } from "../policy/policy.ts";
import type { Template } from "../policy/template.ts";
import type { ChannelListen, ListenAddress, TcpAddress } from "./address.ts";
import type { Network } from "./network.ts";
import type { PermissionSource } from "./permission-json.ts";
import type { SecretReference } from "./secret-reference.ts";

/** Which side of the culvert has use for a table or key. */
export type Role = "inlet" | "outlet" | "relay";

/** A key's type as a person writes it → what the program gets. Lists hold one of these per item. */
export interface ValueByType {
  /** Any text without control characters, at least one character. */
  text: string;
  /** A service's name. */
  name: string;
  /** An absolute path. */
  path: string;
  boolean: boolean;
  integer: number;
  /** Milliseconds. */
  duration: number;
  /** Bytes. */
  size: number;
  enum: string;
  secret: SecretReference;
  /** `host:port` or `unix:///path`: where plain HTTP is served. */
  listen: ListenAddress;
  /** `host:port`, port 0 for any free one: where TCP connections are accepted. */
  "tcp-listen": TcpAddress;
  /** `host:port`: where TCP connections are made to. */
  "tcp-address": TcpAddress;
  /** `tcp://host:port`, `ws://…/path` or `wss://…/path`, port 0 for any free one: where channels are accepted. */
  "channel-listen": ChannelListen;
  /** `tcp://host:port` or `wss://host/path`: where channels are dialled to. */
  "node-address": NodeAddress;
  /** The same of a relay, which may be named by its identifier. */
  "relay-address": NodeAddress;
  /** An authority's public key. */
  "authority-key": IdentityPublicKey;
  /** Addresses that begin alike: `192.0.2.0/24`, `2001:db8::/32`, or one address. */
  network: Network;
  /** `http(s)://host[:port]`, as its origin: no slash at the end, no default port. */
  url: string;
  /** A node's identifier. */
  identifier: Identifier;
  /** A `Host` header's value, lower case. */
  host: string;
  /** A host's name, lower case. */
  "host-name": string;
  /** An `Origin` header's value. */
  origin: string;
  /** Who may: an attribute's name, or an expression. */
  policy: Policy;
  /** A name with members' attributes in it. */
  template: Template;
  /** Permissions in InfluxDB's own form, or the file that holds them. */
  "permission-json": PermissionSource;
}

export type KeyType = keyof ValueByType;

/** A value as TOML writes it. */
export type WrittenValue = string | number | boolean | readonly string[];

export interface KeyEntry {
  readonly type: KeyType;
  /** What it does; the first sentence stands alone. */
  readonly doc: string;
  /** In the form a person would write; absent: the key has no value unless it is given. */
  readonly default?: WrittenValue;
  /** `true`: the table is useless without it. `"with-role"`: needed once its role is configured. */
  readonly required?: true | "with-role";
  /** An array of `type` instead of one. */
  readonly list?: true;
  /** "" is allowed and means off. */
  readonly off?: true;
  /** What an `enum` may be. */
  readonly values?: readonly string[];
  /** Smallest and largest value of an integer, a duration or a size, as written. */
  readonly range?: readonly [min: string | number, max: string | number];
  /** For the sample, where the default does not show the form; `<…>` must be filled by a person. */
  readonly example?: WrittenValue;
  /** The sample has it with its example, uncommented, though it may be left out. */
  readonly suggested?: true;
  /** A `policy` that is asked before there is a request, and so may not ask for one. */
  readonly asks?: "subject";
  /** Absent: whatever role the table is for. */
  readonly role?: Role;
}

export interface TableEntry {
  /** Dotted, as in its header. */
  readonly path: string;
  /** `[[path]]`, any number of them, rather than `[path]`, one. */
  readonly many: boolean;
  /** Its header alone says something: where it is not written, the config has undefined and no defaults. */
  readonly optional?: true;
  /** Absent: for every role. */
  readonly role?: Role;
  /** The sample has it commented out, for what it opens or runs must be meant. */
  readonly extra?: true;
  /** The key of the table above that may stand in its place. */
  readonly insteadOfKey?: string;
  readonly doc: string;
  readonly keys: Readonly<Record<string, KeyEntry>>;
  /** `[[path.name]]` below each table; at least one of each is needed, unless `insteadOfKey` is written. */
  readonly tables: Readonly<Record<string, TableEntry>>;
}

/** A table as its header is written. */
export function header(entry: TableEntry): string {
  return entry.many ? `[[${entry.path}]]` : `[${entry.path}]`;
}

/** The property that holds a key's value: camel case, with the unit. */
export function propertyName(name: string, entry: KeyEntry): string {
  const camel = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  if (entry.type === "duration") return `${camel}Ms`;
  return entry.type === "size" ? `${camel}Bytes` : camel;
}

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

type PropertyName<N extends string, K extends KeyEntry> = K["type"] extends "duration"
  ? `${Camel<N>}Ms`
  : K["type"] extends "size"
    ? `${Camel<N>}Bytes`
    : Camel<N>;

type Item<K extends KeyEntry> = K extends { type: "enum"; values: readonly (infer V)[] }
  ? V
  : ValueByType[K["type"]];

type Value<K extends KeyEntry> =
  | (K extends { list: true } ? readonly Item<K>[] : Item<K>)
  | (K extends { off: true } ? undefined : never)
  | (K extends { required: true } | { default: WrittenValue } ? never : undefined);

/** What a table of the schema becomes: `keepalive = "120s"` → `keepaliveMs: 120_000`. */
export type TableConfig<T extends TableEntry> = {
  readonly [N in keyof T["keys"] & string as PropertyName<N, T["keys"][N]>]: Value<T["keys"][N]>;
} & {
  readonly [N in keyof T["tables"]]: readonly TableConfig<T["tables"][N]>[];
};
