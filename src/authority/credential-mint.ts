/** Gives credentials out: to members, and to the node that has the authority. */
import type { Clock, Random } from "../base/clock.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { issueCredential } from "../identity/credential.ts";
import type { Identity } from "../identity/identity.ts";
import type { Member } from "../identity/roster.ts";
import type { Sequence } from "./sequence.ts";

/** What a member is answered. Durations, for its clock may be wrong. */
export interface Grant {
  readonly credential: string;
  readonly expiresInMs: number;
  readonly renewInMs: number;
  /** `tcp://host:port` */
  readonly authorityAddresses: readonly string[];
  readonly outletAddresses: readonly string[];
}

export interface CredentialMintOptions {
  readonly key: Identity;
  readonly provider: CryptoProvider;
  readonly clock: Clock;
  readonly random: Random;
  readonly credentialLifetimeMs: number;
  readonly addresses: () => readonly string[];
  readonly sequence: Sequence;
}

export class CredentialMint {
  readonly #options: CredentialMintOptions;

  constructor(options: CredentialMintOptions) {
    this.#options = options;
  }

  /** When a credential that is given out now ends. */
  endMs(): number {
    const { clock, credentialLifetimeMs } = this.#options;
    return Math.floor(clock.wallMs() / 1000) * 1000 + Math.floor(credentialLifetimeMs / 1000) * 1000;
  }

  /** Its serial is greater than that of every credential before it. */
  credentialFor({ identifier, attributes }: Member): string {
    const { key, provider, clock, sequence, credentialLifetimeMs } = this.#options;
    const issuedAtMs = clock.wallMs();
    return issueCredential({
      provider,
      authority: key,
      subject: identifier,
      attributes,
      serial: String(sequence.next(issuedAtMs)),
      issuedAtMs,
      lifetimeMs: credentialLifetimeMs,
    });
  }

  /** @param outletAddresses empty where no outlet is known: the member asks again soon. */
  grant(member: Member, outletAddresses: readonly string[]): Grant {
    const { credentialLifetimeMs, random, addresses } = this.#options;
    return {
      credential: this.credentialFor(member),
      expiresInMs: credentialLifetimeMs,
      // Half to two thirds of its life: an outage of hours costs no member anything, and no two come at once.
      renewInMs: Math.floor(credentialLifetimeMs * (0.5 + random() * 0.16)),
      authorityAddresses: addresses(),
      outletAddresses,
    };
  }
}
