/** realm: an authority made for one run, the members that it gave a credential, and how these judge each other. */
import { systemClock } from "../../src/base/clock.ts";
import type { SessionOptions } from "../../src/channel/session-options.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { OUTLET_ATTRIBUTE, parseAttributes } from "../../src/identity/attributes.ts";
import { issueCredential } from "../../src/identity/credential.ts";
import { generateIdentity, type Identity } from "../../src/identity/identity.ts";
import type { Member, Roster } from "../../src/identity/roster.ts";
import { Admission } from "../../src/membership/admission.ts";
import { Trust } from "../../src/membership/trust.ts";

const CREDENTIAL_LIFETIME_MS = 24 * 60 * 60 * 1_000;
/** What the devices of a fleet are known by. */
export const INLET_ATTRIBUTES = parseAttributes({ "influxdb-inlet": "true", site: "berlin", line: "7" });
export const OUTLET_ATTRIBUTES = parseAttributes({ [OUTLET_ATTRIBUTE]: "true" });

export interface RealmMember extends Member {
  readonly identity: Identity;
  readonly credential: string;
}

export class Realm {
  readonly authority: Identity;
  readonly #provider: CryptoProvider;
  readonly #members = new Map<string, Member>();

  constructor(provider: CryptoProvider) {
    this.#provider = provider;
    this.authority = generateIdentity(provider);
  }

  enroll(attributes = INLET_ATTRIBUTES): RealmMember {
    const identity = generateIdentity(this.#provider);
    const { identifier } = identity;
    const credential = issueCredential({
      provider: this.#provider,
      authority: this.authority,
      subject: identifier,
      attributes,
      serial: String(this.#members.size),
      issuedAtMs: Date.now(),
      lifetimeMs: CREDENTIAL_LIFETIME_MS,
    });
    const member = { identity, identifier, state: "active", attributes, credential } as const;
    this.#members.set(identifier, member);
    return member;
  }

  /** A judge of peers that has seen nobody yet. */
  judge(provider: CryptoProvider, options: { readonly withRoster: boolean }): SessionOptions["authorize"] {
    const trust = new Trust({ provider, clock: systemClock });
    trust.anchor = this.authority.publicKey;
    const roster: Roster = {
      find: (identifier) => this.#members.get(identifier),
      complete: true,
      onChange: () => () => {},
    };
    const admission = new Admission({
      trust,
      roster: () => (options.withRoster ? roster : undefined),
      pinned: new Set(),
      admitsErrands: options.withRoster,
      wallMs: Date.now,
    });
    return (peer) => admission.authorize(peer);
  }
}
