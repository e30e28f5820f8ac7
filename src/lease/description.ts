/**
 * The description that a lease's token carries in InfluxDB: readable by a person in InfluxDB's list,
 * and authenticated, so that an outlet which lost all memory finds its leases again and leaves every
 * other token alone. InfluxDB accepts any text from anyone here, hence the MAC:
 *
 *   culvert lease 1: member=… profile=… expires=… made=… lease=… realm=… mac=<HMAC-SHA-256, hex>
 *
 * The MAC covers everything before ` mac=`. Values are printable ASCII, the rest percent-encoded.
 */
import { Fault } from "../base/fault.ts";
import { toHex } from "../base/hex.ts";
import { Secret } from "../base/secret.ts";
import type { CryptoProvider } from "../crypto/provider.ts";

/** No description of ours is longer; InfluxDB keeps megabytes if someone writes them. */
export const MAX_DESCRIPTION_CHARS = 2048;

export interface LeaseFacts {
  readonly leaseId: string;
  /** The member's identifier. */
  readonly member: string;
  readonly profile: string;
  /** By the outlet's wall clock, whole milliseconds since 1970. */
  readonly madeAtMs: number;
  readonly expiresAtMs: number;
}

export interface DescriptionCodecOptions {
  /** Whose leases: differs between any two outlets that may share one InfluxDB. */
  readonly realm: string;
  /** At least 32 bytes, the same after a restart. */
  readonly key: Uint8Array;
  readonly crypto: Pick<CryptoProvider, "hmacSha256">;
}

export class DescriptionCodec {
  readonly #options: DescriptionCodecOptions;

  constructor(options: DescriptionCodecOptions) {
    if (options.key.length < 32) throw new Fault("internal.bug", "the description key is under 32 bytes");
    this.#options = options;
  }

  /** @throws Fault `internal.bug` for facts that no description can carry. */
  encode(facts: LeaseFacts): string {
    const fields = [
      `member=${escaped(facts.member)}`,
      `profile=${escaped(facts.profile)}`,
      `expires=${date(facts.expiresAtMs)}`,
      `made=${date(facts.madeAtMs)}`,
      `lease=${escaped(facts.leaseId)}`,
      `realm=${escaped(this.#options.realm)}`,
    ];
    const body = `culvert lease 1: ${fields.join(" ")}`;
    const text = `${body} mac=${this.#mac(body)}`;
    if (!PATTERN.test(text) || text.length > MAX_DESCRIPTION_CHARS) {
      throw new Fault("internal.bug", "these lease facts do not fit in a description");
    }
    return text;
  }

  /**
   * @returns "foreign" for what is not of this realm and version, "forged" for what says that it is but
   * was not written with this key. Neither may be touched.
   */
  decode(text: string): LeaseFacts | "foreign" | "forged" {
    if (text.length > MAX_DESCRIPTION_CHARS) return "foreign";
    const fields = PATTERN.exec(text)?.groups as Fields | undefined;
    if (!fields || fields.realm !== escaped(this.#options.realm)) return "foreign";
    const body = text.slice(0, text.lastIndexOf(" mac="));
    if (!new Secret(this.#mac(body)).equals(fields.mac)) return "forged";
    return {
      leaseId: decodeURIComponent(fields.lease),
      member: decodeURIComponent(fields.member),
      profile: decodeURIComponent(fields.profile),
      madeAtMs: Date.parse(fields.made),
      expiresAtMs: Date.parse(fields.expires),
    };
  }

  #mac(body: string): string {
    const mac = this.#options.crypto.hmacSha256(this.#options.key, new TextEncoder().encode(body));
    return toHex(mac);
  }
}

/**
 * What is left of a lease's life by its description. Its dates came from a wall clock that may have been
 * wrong then or be wrong now: it never lives longer from now than the life that it states, nor than `maxMs`.
 */
export function leftMs(facts: LeaseFacts, wallMs: number, maxMs: number): number {
  const statedMs = facts.expiresAtMs - facts.madeAtMs;
  return Math.max(0, Math.min(facts.expiresAtMs - wallMs, statedMs, maxMs));
}

type Fields = Record<"member" | "profile" | "expires" | "made" | "lease" | "realm" | "mac", string>;

const DATE = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z";

const PATTERN = new RegExp(
  "^culvert lease 1: member=(?<member>[!-~]+) profile=(?<profile>[!-~]+) " +
    `expires=(?<expires>${DATE}) made=(?<made>${DATE}) ` +
    "lease=(?<lease>[!-~]+) realm=(?<realm>[!-~]+) mac=(?<mac>[0-9a-f]{64})$",
);

function escaped(value: string): string {
  return value.replace(/[^A-Za-z0-9._~:/,+-]/gu, encodeURIComponent);
}

function date(wallMs: number): string {
  const value = new Date(wallMs);
  if (Number.isNaN(value.getTime())) throw new Fault("internal.bug", "a lease date is out of range");
  return value.toISOString();
}
