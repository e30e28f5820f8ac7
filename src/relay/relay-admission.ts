/**
 * Who may use the relay, and for what: members of the authorities that it knows, by what those have signed. There
 * is no list of members here; who was revoked is refused by the outlet, inside.
 */
import { Fault } from "../base/fault.ts";
import type { Introduction, Peer } from "../channel/handshake.ts";
import type { CryptoProvider, IdentityPublicKey } from "../crypto/provider.ts";
import { CLOCK_SKEW_MS } from "../identity/attestation.ts";
import {
  type Attributes,
  AUTHORITY_ATTRIBUTE,
  OUTLET_ATTRIBUTE,
  RELAY_NAMES_ATTRIBUTE,
} from "../identity/attributes.ts";
import { type Credential, checkCredentialDates, readCredential } from "../identity/credential.ts";
import { type Identifier, identifierOf } from "../identity/identifier.ts";
import { readPass, type TicketPass, verifyTicketProof } from "../identity/ticket.ts";

/** Who was let in, and by whose word. */
export interface Guest {
  readonly authority: Identifier;
  readonly identifier: Identifier;
}

export interface HostGuest extends Guest {
  readonly attributes: Attributes;
  readonly expiresAtMs: number;
}

export interface JoinGuest extends Guest {
  /** On its way to the authority, with a pass or with a credential of any age: on short terms. */
  readonly errand: boolean;
}

export interface RelayAdmissionOptions {
  readonly provider: CryptoProvider;
  readonly authorities: readonly IdentityPublicKey[];
  readonly wallMs: () => number;
}

export class RelayAdmission {
  readonly #options: RelayAdmissionOptions;

  constructor(options: RelayAdmissionOptions) {
    this.#options = options;
  }

  /** Who keeps a control channel. @throws Fault `relay.denied`, `credential.expired`, `credential.untrusted`. */
  host(peer: Introduction): HostGuest {
    const { authority, subject: identifier, attributes, expiresAtMs } = this.#member(peer);
    return { authority, identifier, attributes, expiresAtMs };
  }

  /**
   * Who asks for a name.
   * @param proof that it has the key of the ticket whose pass it shows.
   * @throws Fault `relay.denied`, `credential.expired`, `credential.untrusted`, `ticket.expired`.
   */
  joiner(peer: Peer, proof: string | undefined): JoinGuest {
    const { identifier } = peer;
    if (peer.errand !== true) return { authority: this.#member(peer).authority, identifier, errand: false };
    // A device that was away has to get to its authority with what it has.
    const credential = this.#credentialOf(peer);
    if (credential) return { authority: credential.authority, identifier, errand: true };
    return { authority: this.#ticketHolder(peer, proof), identifier, errand: true };
  }

  #member(peer: Introduction): Credential {
    const credential = this.#credentialOf(peer);
    if (!credential) throw denied(peer, "it shows no credential of an authority that this relay knows");
    checkCredentialDates(credential, this.#options.wallMs());
    return credential;
  }

  #credentialOf({ credential: text, identifier }: Introduction): Credential | undefined {
    const { provider } = this.#options;
    if (text === undefined) return undefined;
    const credential = this.#known((authorityKey) => readCredential({ provider, text, authorityKey }));
    return credential?.subject === identifier ? credential : undefined;
  }

  #ticketHolder(peer: Peer, proof: string | undefined): Identifier {
    const { provider, wallMs } = this.#options;
    const { pass: text, channelBinding, identifier } = peer;
    const known =
      text === undefined
        ? undefined
        : this.#known((authorityKey) => ({ authorityKey, pass: readPass({ provider, text, authorityKey }) }));
    if (!known)
      throw denied(peer, "it shows neither credential nor ticket of an authority that this relay knows");
    const { authorityKey, pass } = known;
    if (proof === undefined || !verifyTicketProof({ provider, pass, proof, channelBinding, identifier }))
      throw denied(peer, "it does not prove that it has the ticket");
    checkPassDates(pass, wallMs());
    return identifierOf(authorityKey, provider);
  }

  /** The first authority whose statement it is. */
  #known<T>(read: (authorityKey: IdentityPublicKey) => T): T | undefined {
    for (const authorityKey of this.#options.authorities) {
      try {
        return read(authorityKey);
      } catch {
        // Another one's, or nobody's.
      }
    }
    return undefined;
  }
}

/** Names are not taken but given: by an authority to its own node, or in a member's attribute. */
export function mayTakeName(guest: HostGuest, name: string): boolean {
  if (isAuthority(guest)) return true;
  const { [OUTLET_ATTRIBUTE]: outlet, [RELAY_NAMES_ATTRIBUTE]: names = "" } = guest.attributes;
  return outlet === "true" && names.split(",").some((given) => given.trim() === name);
}

export function isAuthority({ attributes }: HostGuest): boolean {
  return attributes[AUTHORITY_ATTRIBUTE] === "true";
}

function checkPassDates({ issuedAtMs, expiresAtMs }: TicketPass, nowMs: number): void {
  if (issuedAtMs > nowMs + CLOCK_SKEW_MS)
    throw new Fault("relay.denied", "the ticket is from the future: check both clocks");
  if (nowMs >= expiresAtMs) throw new Fault("ticket.expired", "the ticket has expired");
}

function denied({ identifier }: Introduction, why: string): Fault {
  return new Fault("relay.denied", `${identifier}: ${why}`);
}
