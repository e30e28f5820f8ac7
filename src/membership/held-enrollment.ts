/** The record that is in force, and what follows from it: whom this node trusts, and until when it is trusted. */
import type { Clock } from "../base/clock.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Credential } from "../identity/credential.ts";
import { diallable } from "../identity/node-address.ts";
import type { Grant } from "./authority-client.ts";
import { credentialIn, type Enrollment, type EnrollmentStore } from "./enrollment.ts";
import type { EnrollmentStatus } from "./enrollment-status.ts";
import type { Trust } from "./trust.ts";

export interface HeldEnrollmentOptions {
  readonly store: EnrollmentStore;
  readonly trust: Trust;
  readonly provider: CryptoProvider;
  readonly clock: Clock;
}

export class HeldEnrollment {
  readonly #options: HeldEnrollmentOptions;
  readonly #listeners = new Set<() => void>();
  #record: Enrollment | undefined;
  #credential: Credential | undefined;
  #expiresAtMs: number | undefined;
  /** The authority's clock less this machine's, when it was last asked. */
  #clockSkewMs: number | undefined;
  #grantsWithoutOutlet = 0;

  constructor(options: HeldEnrollmentOptions) {
    this.#options = options;
  }

  get record(): Enrollment | undefined {
    return this.#record;
  }

  get credential(): Credential | undefined {
    return this.#credential;
  }

  /** Than the outlets, as far as their addresses tell. */
  get authorityIsElsewhere(): boolean {
    const { outletAddresses = [], authorityAddresses = [] } = this.#record ?? {};
    return outletAddresses.some((each) => !authorityAddresses.includes(each));
  }

  /** How many times in a row the authority has named no outlet. */
  get grantsWithoutOutlet(): number {
    return this.#grantsWithoutOutlet;
  }

  status(): Partial<EnrollmentStatus> {
    const expiresInMs = this.expiresInMs();
    return {
      ...(this.#credential && { authority: this.#credential.authority }),
      ...(this.#record && { service: this.#record.service }),
      ...(expiresInMs !== undefined && { credentialExpiresInMs: expiresInMs }),
      ...(this.#clockSkewMs !== undefined && { clockSkewMs: Math.round(this.#clockSkewMs) }),
    };
  }

  /** What is left of the credential; undefined where this machine's clock cannot know. */
  expiresInMs(): number | undefined {
    if (this.#expiresAtMs === undefined) return undefined;
    return Math.round(this.#expiresAtMs - this.#options.clock.monotonicMs());
  }

  /** Called when the credential or the addresses are new. @returns how to end it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the listeners, once the owner has taken note itself. */
  announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /**
   * Saves the record before it is used: a restart must not bring back an older credential than one that
   * was shown, for that is what a copied device does.
   * @throws Fault `state.unusable`; what was in force stays.
   */
  async take(grant: Grant, record: Enrollment): Promise<void> {
    await this.#options.store.save(record);
    this.#expiresAtMs = this.#options.clock.monotonicMs() + grant.expiresInMs;
    this.#clockSkewMs = grant.clockSkewMs;
    // Of the grant, not of the record, which keeps the address of an outlet that may be gone.
    const namesOutlet = diallable(grant.outletAddresses).length > 0;
    this.#grantsWithoutOutlet = namesOutlet ? 0 : this.#grantsWithoutOutlet + 1;
    this.#use(record, grant.credential);
  }

  /**
   * Uses the record on disk where it is newer than what is held: another process may have enrolled.
   * @returns whether it did.
   * @throws Fault `state.unusable`
   */
  async look(): Promise<boolean> {
    const { store, provider, clock } = this.#options;
    const record = await store.load();
    if (!record || record.credential === this.#record?.credential) return false;
    const credential = credentialIn(record, provider);
    if (this.#credential && credential.issuedAtMs < this.#credential.issuedAtMs) return false;
    const wallMs = clock.wallMs();
    const believable = wallMs >= credential.issuedAtMs;
    this.#expiresAtMs = believable ? clock.monotonicMs() + credential.expiresAtMs - wallMs : undefined;
    this.#use(record, credential);
    return true;
  }

  #use(record: Enrollment, credential: Credential): void {
    this.#record = record;
    this.#credential = credential;
    this.#options.trust.anchor = record.authorityKey;
    this.#options.trust.noteTrueTime(credential.issuedAtMs);
  }
}
