/**
 * Who is let in, and as whom: what an acceptor asks of every handshake, and a service of every stream. The
 * roster has the last word about members; a pin in the config needs none.
 */
import { Fault } from "../base/fault.ts";
import type { Introduction } from "../channel/handshake.ts";
import type { IdentityPublicKey } from "../crypto/provider.ts";
import { NO_ATTRIBUTES } from "../identity/attributes.ts";
import { type Credential, checkCredentialDates } from "../identity/credential.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Member, Roster } from "../identity/roster.ts";
import type { Subject } from "../policy/subject.ts";
import type { Trust } from "./trust.ts";

export interface AdmissionOptions {
  readonly trust: Trust;
  /** Undefined where nobody keeps a member list. */
  readonly roster: () => Roster | undefined;
  /** Identifiers that the config names: welcome without a credential, but not when the authority has barred them. */
  readonly pinned: ReadonlySet<Identifier>;
  /** Whether an authority answers here, so that peers may come to ask it for a credential. */
  readonly admitsErrands: boolean;
  /** This node's clock: it decides about members' dates. */
  readonly wallMs: () => number;
}

/** What a peer has shown, verified once: a credential, or why it is none. */
interface Shown {
  readonly anchor: IdentityPublicKey | undefined;
  readonly credential?: Credential;
  readonly fault?: Fault;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #shown = new WeakMap<Introduction, Shown>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Why this peer is not welcome, for the operator's log; undefined when it is. Never throws. */
  authorize(peer: Introduction): Fault | undefined {
    const refusal = peer.errand ? this.#errandRefusal(peer) : this.#refusal(peer);
    return refusal && named(refusal, peer.identifier);
  }

  /** The verified credential of a peer, whatever its dates. */
  credentialOf(peer: Introduction): Credential | undefined {
    return this.#shownBy(peer).credential;
  }

  /**
   * Who the peer is now, for policies and leases. Called for every stream.
   * @throws Fault `member.revoked`, `member.locked`, `member.unknown`, `credential.expired`,
   *   `credential.malformed`, `credential.untrusted`, and `handshake.unauthorized` for one that came on an
   *   errand to the authority.
   */
  subjectOf(peer: Introduction): Subject {
    const { identifier } = peer;
    if (peer.errand) throw onErrand(identifier);
    const roster = this.#options.roster();
    const member = roster?.find(identifier);
    const barred = refusalOf(member);
    if (barred) throw barred;
    const refusal = this.#credentialRefusal(peer, member, roster);
    if (!refusal) {
      const attributes = member?.attributes ?? this.#shownBy(peer).credential!.attributes;
      return { identifier, attributes, isMember: true };
    }
    if (this.#options.pinned.has(identifier))
      return { identifier, attributes: NO_ATTRIBUTES, isMember: false };
    throw refusal;
  }

  #refusal(peer: Introduction): Fault | undefined {
    const roster = this.#options.roster();
    const member = roster?.find(peer.identifier);
    const refusal = refusalOf(member);
    if (refusal || this.#options.pinned.has(peer.identifier)) return refusal;
    return this.#credentialRefusal(peer, member, roster);
  }

  /** Why the credential does not make the peer a member now. */
  #credentialRefusal(
    peer: Introduction,
    member: Member | undefined,
    roster: Roster | undefined,
  ): Fault | undefined {
    const { credential, fault } = this.#shownBy(peer);
    if (!credential) return fault;
    if (!member && roster?.complete && !isNewerThan(credential, roster)) return unknown(peer.identifier);
    try {
      checkCredentialDates(credential, this.#options.wallMs());
      return undefined;
    } catch (thrown) {
      return Fault.from(thrown);
    }
  }

  /**
   * Who may come to ask the authority for a credential, and for nothing else: whoever shows that it had to do
   * with it. The revoked, and those with an old ticket, are among them, for they are to be told why not.
   */
  #errandRefusal(peer: Introduction): Fault | undefined {
    const { admitsErrands, pinned, roster, trust } = this.#options;
    if (!admitsErrands) return noAuthorityHere(peer.identifier);
    // Its identity is proven.
    if (pinned.has(peer.identifier) || roster()?.find(peer.identifier)) return undefined;
    const { credential, fault } = this.#shownBy(peer);
    if (credential) return undefined;
    if (peer.pass === undefined) return fault;
    try {
      trust.passOf({ identifier: peer.identifier, pass: peer.pass });
      return undefined;
    } catch (thrown) {
      return Fault.from(thrown);
    }
  }

  #shownBy(peer: Introduction): Shown {
    const { trust } = this.#options;
    const known = this.#shown.get(peer);
    if (known && known.anchor === trust.anchor) return known;
    const shown = verified(peer, trust);
    this.#shown.set(peer, shown);
    return shown;
  }
}

function verified(peer: Introduction, trust: Trust): Shown {
  try {
    return { anchor: trust.anchor, credential: trust.credentialOf(peer) };
  } catch (thrown) {
    return { anchor: trust.anchor, fault: Fault.from(thrown) };
  }
}

/** Between two looks at the list: for the way of the answer, and clocks that differ by a little. */
const LIST_MARGIN_MS = 10_000;

/** Of a device that has just enrolled, a list that was fetched before says nothing. */
function isNewerThan({ issuedAtMs }: Credential, { asOfMs }: Roster): boolean {
  return asOfMs !== undefined && issuedAtMs > asOfMs - LIST_MARGIN_MS;
}

/** Whoever reads the log must be able to tell which device it is. */
function named(fault: Fault, identifier: Identifier): Fault {
  if (fault.message.includes(identifier)) return fault;
  return new Fault(fault.code, `${identifier}: ${fault.message}`, { cause: fault });
}

function refusalOf(member: Member | undefined): Fault | undefined {
  if (!member || member.state === "active") return undefined;
  const { identifier } = member;
  if (member.state === "revoked") {
    return new Fault(
      "member.revoked",
      `${identifier} is revoked; a device that shall be back needs a new identity`,
    );
  }
  return new Fault(
    "member.locked",
    `${identifier} is locked, for two devices had its identity; see \`culvert member show ${identifier}\``,
  );
}

function unknown(identifier: Identifier): Fault {
  return new Fault(
    "member.unknown",
    `${identifier} has a credential of ours and is not on the member list; enroll it with a new ticket`,
  );
}

function onErrand(identifier: Identifier): Fault {
  return new Fault("handshake.unauthorized", `${identifier} came on an errand to the authority alone`);
}

function noAuthorityHere(identifier: Identifier): Fault {
  return new Fault(
    "handshake.unauthorized",
    `${identifier} came on an errand to the authority, and there is none here`,
  );
}
