/** One value of the config, from what TOML has to what the program gets. */
import { Fault } from "../base/fault.ts";
import { canonicalHost, parseHostPort } from "../base/host-port.ts";
import { type IdentityPublicKey, KEY_BYTES } from "../crypto/provider.ts";
import { fromBase64url } from "../identity/base64url.ts";
import { isIdentifier } from "../identity/identifier.ts";
import { parseNodeAddress } from "../identity/node-address.ts";
import { parsePolicy } from "../policy/policy.ts";
import { parseTemplate } from "../policy/template.ts";
import {
  isWildcard,
  parseChannelListen,
  parseHostHeader,
  parseListenAddress,
  parseOrigin,
  parseTcpListen,
} from "./address.ts";
import { Problem, quoted } from "./finding.ts";
import { parseNetwork } from "./network.ts";
import { parsePermissionSource } from "./permission-json.ts";
import { parseDurationMs, parseSizeBytes } from "./quantity.ts";
import type { KeyEntry, KeyType, ValueByType } from "./schema-entry.ts";
import { isPlainAbsolutePath, parseSecretReference, type SecretStoreKinds } from "./secret-reference.ts";
import { type Environment, substitute } from "./substitution.ts";

interface ValueType<T> {
  /** How it is written; completes "must be …". */
  readonly form: string;
  /** @returns undefined when the text has not that form, or a problem when more can be said. */
  readonly parse: (text: string, entry: KeyEntry) => T | Problem | undefined;
  /** False where a slip could put a secret, so that the text stays out of findings. */
  readonly shown: boolean;
}

type TextType = Exclude<KeyType, "secret">;

/** The reference page shows the forms too. */
export const valueTypes: { readonly [K in TextType]: ValueType<ValueByType[K]> } = {
  text: {
    form: "text",
    parse: (text) => (text.trim() === "" ? undefined : text),
    shown: false,
  },
  name: {
    form: "a name of letters, digits, `.`, `_` and `-`, 64 at most",
    parse: (text) => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text) ? text : undefined),
    shown: true,
  },
  path: {
    form: "an absolute path",
    parse: (text) => (isPlainAbsolutePath(text) ? text : undefined),
    shown: true,
  },
  boolean: {
    form: "true or false",
    parse: (text) => ({ true: true, false: false })[text],
    shown: true,
  },
  integer: {
    form: "a whole number",
    parse: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : undefined),
    shown: true,
  },
  duration: {
    form: "a duration such as `300ms`, `5s`, `1h30m` or `1d`",
    parse: parseDurationMs,
    shown: true,
  },
  size: { form: "a size such as `512KiB`, `1MiB` or `10MB`", parse: parseSizeBytes, shown: true },
  enum: {
    form: "one of the words",
    parse: (text, entry) => entry.values?.find((value) => value === text),
    shown: true,
  },
  listen: { form: "`host:port`, `[ipv6]:port` or `unix:///path`", parse: parseListenAddress, shown: true },
  "tcp-listen": { form: "`host:port` or `[ipv6]:port`", parse: parseTcpListen, shown: true },
  "tcp-address": {
    form: "`host:port` or `[ipv6]:port`, an address that can be reached",
    parse: (text) => {
      const address = parseTcpListen(text);
      return address && address.port > 0 && !isWildcard(address) ? address : undefined;
    },
    shown: true,
  },
  "channel-listen": {
    form: "`tcp://host:port`, `wss://host:port/path` or `ws://host:port/path`",
    parse: parseChannelListen,
    shown: true,
  },
  "node-address": {
    form: "`tcp://host:port` or `wss://host:port/path`, an address that can be reached; with `#name`, through the relay that is there",
    parse: (text) => {
      const address = parseNodeAddress(text);
      if (!address || isWildcard(address)) return undefined;
      // Only a relay is named before the host; who is pinned otherwise stands in "authorized".
      return address.relay === undefined || address.name !== undefined ? address : undefined;
    },
    shown: true,
  },
  "relay-address": {
    form: "`tcp://host:port` or `wss://host:port/path`, where a relay can be reached; with `<its identifier>@` before the host no other one is taken",
    parse: (text) => {
      const address = parseNodeAddress(text);
      return address && address.name === undefined && !isWildcard(address) ? address : undefined;
    },
    shown: true,
  },
  "authority-key": {
    form: "an authority's public key, as `culvert status` shows it there",
    parse: parseAuthorityKey,
    shown: true,
  },
  network: { form: "`address` or `address/bits`, IPv4 or IPv6", parse: parseNetwork, shown: true },
  url: {
    form: "`http://host:port` or `https://host:port`, without user, path or query",
    parse: parseOrigin,
    shown: false,
  },
  identifier: {
    form: "a node's identifier, as `culvert identity show` prints it",
    parse: (text) => (isIdentifier(text) ? text : undefined),
    shown: false,
  },
  host: { form: "`host` or `host:port`", parse: parseHostHeader, shown: true },
  "host-name": {
    form: "the name of a host",
    parse: (text) => (text.startsWith("[") ? undefined : canonicalHost(text)),
    shown: true,
  },
  origin: { form: "`http://host:port` or `https://host:port`", parse: parseOrigin, shown: false },
  policy: {
    form: "a policy",
    parse: (text, { asks }) =>
      compiled(() => {
        const policy = parsePolicy(text);
        if (asks !== "subject" || !policy.asksRequest) return policy;
        return new Problem("is asked before there is a request, so it may name subject.* and not request.*");
      }),
    shown: false,
  },
  template: {
    form: "a name, which may hold `{{ attribute }}`",
    parse: (text) => compiled(() => parseTemplate(text)),
    shown: false,
  },
  "permission-json": {
    form: "JSON as InfluxDB's API takes permissions, or `@{file:/path}`",
    parse: parsePermissionSource,
    shown: false,
  },
};

function parseAuthorityKey(text: string): IdentityPublicKey | undefined {
  const bytes = fromBase64url(text);
  return bytes?.length === KEY_BYTES ? (bytes as IdentityPublicKey) : undefined;
}

/** What a value may refer to. */
export interface ValueContext {
  readonly env: Environment;
  readonly stores: SecretStoreKinds;
}

/** Reads one value, or one item of a list. */
export function readValue(entry: KeyEntry, written: unknown, { env, stores }: ValueContext): unknown {
  if (entry.type === "boolean" && typeof written === "boolean") return written;
  if (entry.type === "integer" && typeof written === "number") {
    return Number.isInteger(written) ? withinRange(entry, written) : new Problem(mustBe(entry));
  }
  if (typeof written !== "string") return new Problem(`${mustBe(entry)}${inQuotes(entry)}`);
  if (bare(entry) && !written.includes("${")) return new Problem(`${mustBe(entry)}, without quotes`);
  const substituted = substitute(written, env);
  if (substituted instanceof Problem) return substituted;
  const { text, fromEnvironment } = substituted;
  if (text === "" && entry.off) return undefined;
  if (entry.type === "secret") return parseSecretReference(written, substituted, stores);
  if (entry.type === "permission-json") return parsePermissionSource(text);
  if (written.includes("@{"))
    return new Problem("takes no secret reference; @{store:key} is for secrets alone");
  if (/[\u0000-\u001f\u007f]/.test(text)) return new Problem("holds a control character or a line break");
  const type = valueTypes[entry.type];
  const value = type.parse(text, entry);
  if (value instanceof CompileProblem) return fromEnvironment ? value.withoutText() : value;
  if (value !== undefined) return withinRange(entry, value);
  // What came out of the environment may be secret: it is shown as the file has it.
  const shown = type.shown && !text.includes("@") ? `, not ${quoted(fromEnvironment ? written : text)}` : "";
  return new Problem(`${mustBe(entry)}${shown}${addressHint(entry, text)}`);
}

/** A policy or template that does not compile: the fault says what is wrong with it, and at which column. */
class CompileProblem extends Problem {
  /** What came out of the environment may be secret, and the fault may quote it: its place alone is left. */
  withoutText(): Problem {
    const place = /\((?:line \d+, )?column \d+\)$/.exec(this.text)?.[0];
    return new Problem(`does not compile with what the environment put into it${place ? ` ${place}` : ""}`);
  }
}

function compiled<T>(compile: () => T): T | Problem {
  try {
    return compile();
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return new CompileProblem(`does not compile: ${thrown.message}`);
  }
}

/** What a key takes, in the words of a finding. */
function mustBe(entry: KeyEntry): string {
  if (entry.values)
    return `must be ${entry.values.length > 1 ? "one of " : ""}${entry.values.map(quoted).join(", ")}`;
  return `must be ${entry.type === "secret" ? "text or a secret reference" : valueTypes[entry.type].form}`.replaceAll(
    "`",
    '"',
  );
}

function bare(entry: KeyEntry): boolean {
  return entry.type === "boolean" || entry.type === "integer";
}

function inQuotes(entry: KeyEntry): string {
  return bare(entry) ? "" : ", in quotes";
}

function addressHint(entry: KeyEntry, text: string): string {
  const isAddress = ["channel-listen", "node-address", "relay-address"].includes(entry.type);
  if (!isAddress || !parseHostPort(text)) return "";
  return `; write ${quoted(`tcp://${text}`)}`;
}

function withinRange(entry: KeyEntry, value: unknown): unknown {
  if (typeof value !== "number" || !entry.range) return value;
  const [min, max] = entry.range.map((limit) => rangeLimit(entry, limit));
  const fits = value >= min! && value <= max!;
  return fits ? value : new Problem(`must be between ${entry.range[0]} and ${entry.range[1]}`);
}

function rangeLimit(entry: KeyEntry, limit: string | number): number {
  if (typeof limit === "number") return limit;
  const value = entry.type === "duration" ? parseDurationMs(limit) : parseSizeBytes(limit);
  return value ?? Number.NaN;
}
