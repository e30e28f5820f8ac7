/**
 * membership: how a node becomes and stays a member, and how it judges the peers that say they are. It asks
 * the authority, keeps time for that, and decides who is let in; what a member may do is for policies to say,
 * and where records are kept is for others: it knows no file, no config and no HTTP.
 *
 * Trust is what this node holds true: the key of its authority, the credentials that it has found good, and
 * how late it is at least.
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Introduction } from "../channel/handshake.ts";
import type { CryptoProvider, IdentityPublicKey } from "../crypto/provider.ts";
import { type Credential, checkCredentialDates, readCredential } from "../identity/credential.ts";
import { readPass, type TicketPass } from "../identity/ticket.ts";

/** A reconnecting fleet shows the texts that it has shown before; only texts that were found good are kept. */
const MAX_VERIFIED = 20_000;

export class Trust {
  readonly #provider: CryptoProvider;
  readonly #clock: Clock;
  readonly #verified = new Map<string, Credential>();
  #anchor: IdentityPublicKey | undefined;
  #trueTime: { readonly wallMs: number; readonly atMs: number } | undefined;

  constructor(options: { provider: CryptoProvider; clock: Clock }) {
    this.#provider = options.provider;
    this.#clock = options.clock;
  }

  /** The authority's public key; undefined while this node belongs to none. */
  get anchor(): IdentityPublicKey | undefined {
    return this.#anchor;
  }

  set anchor(key: IdentityPublicKey | undefined) {
    if (key && this.#anchor && sameBytes(key, this.#anchor)) return;
    this.#anchor = key;
    this.#verified.clear();
  }

  /**
   * The peer's credential: signed by our authority, and this peer's own. Its dates are not looked at.
   * @throws Fault `credential.malformed`, `credential.untrusted`, or `handshake.unauthorized` where the peer
   *   shows none or this node has no authority.
   */
  credentialOf({
    identifier,
    credential: text,
  }: Pick<Introduction, "identifier" | "credential">): Credential {
    const authorityKey = this.#anchorFor(identifier);
    if (text === undefined) {
      throw new Fault(
        "handshake.unauthorized",
        `${identifier} shows no credential; enroll it with a ticket (\`culvert ticket create\`), or add its identifier to "authorized"`,
      );
    }
    const credential =
      this.#recall(text) ??
      this.#keep(text, readCredential({ provider: this.#provider, text, authorityKey }));
    if (credential.subject !== identifier) {
      throw new Fault(
        "credential.untrusted",
        `${identifier} shows the credential of another, ${credential.subject}; enroll it with a ticket of its own`,
      );
    }
    return credential;
  }

  /**
   * What a device asks of its outlet: as `credentialOf`, and not expired by what is certain of the time. The
   * device's own clock decides nothing, for it may stand at 1970 or in the next century.
   * @throws Fault as `credentialOf`, and `credential.expired`.
   */
  outletCredentialOf(peer: Pick<Introduction, "identifier" | "credential">): Credential {
    const credential = this.credentialOf(peer);
    this.refuseLongExpired(credential);
    return credential;
  }

  /** @throws Fault `credential.expired` where that is beyond doubt. */
  refuseLongExpired(credential: Credential): void {
    checkCredentialDates(credential, Math.max(credential.issuedAtMs, this.trueTimeLowerBoundMs()));
  }

  /**
   * The pass of a ticket, signed by our authority. Its dates are not looked at.
   * @throws Fault `ticket.malformed`, `ticket.foreign`, or `handshake.unauthorized` where this node has no authority.
   */
  passOf({ identifier, pass }: { identifier: string; pass: string }): TicketPass {
    return readPass({ provider: this.#provider, text: pass, authorityKey: this.#anchorFor(identifier) });
  }

  /** @param issuedAtMs a date that our authority has signed: it is that late, at least. */
  noteTrueTime(issuedAtMs: number): void {
    if (issuedAtMs > this.trueTimeLowerBoundMs())
      this.#trueTime = { wallMs: issuedAtMs, atMs: this.#clock.monotonicMs() };
  }

  /** Milliseconds since 1970 that have passed beyond doubt; 0 while nothing is known. Never goes back. */
  trueTimeLowerBoundMs(): number {
    const known = this.#trueTime;
    return known ? known.wallMs + (this.#clock.monotonicMs() - known.atMs) : 0;
  }

  #anchorFor(identifier: string): IdentityPublicKey {
    if (this.#anchor) return this.#anchor;
    throw new Fault(
      "handshake.unauthorized",
      `${identifier} is not in "authorized" here, and this node belongs to no authority that could vouch for it; add it if the node is yours`,
    );
  }

  #recall(text: string): Credential | undefined {
    const credential = this.#verified.get(text);
    if (!credential) return undefined;
    this.#verified.delete(text);
    this.#verified.set(text, credential);
    return credential;
  }

  #keep(text: string, credential: Credential): Credential {
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size < MAX_VERIFIED) break;
      this.#verified.delete(oldest);
    }
    this.#verified.set(text, credential);
    this.noteTrueTime(credential.issuedAtMs);
    return credential;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
