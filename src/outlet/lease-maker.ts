/** Makes a token for a lease that the book wants, with just the permissions of its profile. */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { Secret } from "../base/secret.ts";
import type { DescriptionCodec } from "../lease/description.ts";
import type { Creation } from "../lease/lease.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import type { ResolvedPermission } from "../lease/permission.ts";
import type { BucketDirectory } from "./bucket-directory.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import { type InfluxdbApi, mayHaveCreated } from "./influxdb-api.ts";
import { unavailable } from "./lease-fault.ts";
import { type LeaseProfile, permissionName } from "./lease-profile.ts";
import type { LeaseSurvey } from "./lease-survey.ts";

export interface LeaseMakerOptions {
  readonly api: InfluxdbApi;
  readonly book: LeaseBook;
  readonly codec: DescriptionCodec;
  readonly buckets: BucketDirectory;
  readonly survey: LeaseSurvey;
  readonly clock: Clock;
  readonly log: Log;
}

const MAX_CREATIONS = 8;

export class LeaseMaker {
  readonly #options: LeaseMakerOptions;
  readonly #limit = new ConcurrencyLimit(MAX_CREATIONS);
  /** By lease id; each resolves, to a fault or to nothing, and never rejects. */
  readonly #creations = new Map<string, Promise<Fault | undefined>>();
  /** By name, of the leases that this process has made or taken back. */
  readonly #profiles = new Map<string, LeaseProfile>();

  constructor(options: LeaseMakerOptions) {
    this.#options = options;
  }

  /** @param done runs when that has come to something, whatever it is. */
  make(creation: Creation, profile: LeaseProfile, done: () => void): void {
    const { leaseId } = creation;
    this.uses(profile);
    const made = this.#make(creation, profile).finally(() => {
      this.#creations.delete(leaseId);
      done();
    });
    this.#creations.set(leaseId, made);
  }

  /** There is a lease of this profile, or there will be. */
  uses(profile: LeaseProfile): void {
    this.#profiles.set(profile.name, profile);
  }

  /** What a creation comes to: why there is no lease, or nothing. */
  outcome(leaseId: string): Promise<Fault | undefined> {
    return this.#creations.get(leaseId) ?? Promise.resolve(undefined);
  }

  /** `write:metrics`, each of a profile that there are leases of; undefined for one of a run before this one. */
  permissionsOf(profile: string): string[] | undefined {
    return this.#profiles.get(profile)?.permissions.map(permissionName);
  }

  /** Names of the profiles whose leases may be used for this bucket. */
  profilesWith(bucket: string): string[] {
    const profiles = [...this.#profiles.values()];
    return profiles
      .filter(({ permissions }) => permissions.some((permission) => permission.bucket === bucket))
      .map(({ name }) => name);
  }

  /** @param used names of the profiles that there are leases of. */
  forgetAllBut(used: ReadonlySet<string>): void {
    for (const name of this.#profiles.keys()) if (!used.has(name)) this.#profiles.delete(name);
  }

  async #make(creation: Creation, profile: LeaseProfile): Promise<Fault | undefined> {
    const { book, buckets, survey, log } = this.#options;
    const { leaseId, member } = creation;
    let permissions: readonly ResolvedPermission[];
    try {
      permissions = await buckets.resolve(profile.permissions);
    } catch (thrown) {
      const cause = Fault.from(thrown, "upstream.malformed");
      book.creationFailed(leaseId, this.#nowMs(), { ambiguous: false });
      log.warn("lease.creation-failed", { lease: leaseId, member, ambiguous: false, error: cause });
      return cause.code === "lease.denied" ? cause : unavailable(cause);
    }
    try {
      const authorizationId = await this.#create(creation, permissions);
      survey.creationTried(undefined);
      log.info("lease.created", { lease: leaseId, member, authorization: authorizationId });
      return undefined;
    } catch (thrown) {
      const cause = Fault.from(thrown, "upstream.malformed");
      if (cause.code === "lease.denied") return cause;
      const ambiguous = mayHaveCreated(cause);
      book.creationFailed(leaseId, this.#nowMs(), { ambiguous });
      // A right that is missing for one member's bucket does not say that the outlet cannot work.
      if (cause.code === "upstream.denied" && buckets.isFixed(profile.permissions)) {
        survey.creationTried(cause.message);
      }
      survey.soon();
      log.warn("lease.creation-failed", { lease: leaseId, member, ambiguous, error: cause });
      return unavailable(cause);
    }
  }

  /** @returns InfluxDB's id of the token. */
  async #create(creation: Creation, permissions: readonly ResolvedPermission[]): Promise<string> {
    const { api, book, clock, codec } = this.#options;
    const { leaseId, member, profile } = creation;
    const madeAtMs = Math.round(clock.wallMs());
    const expiresAtMs = madeAtMs + Math.round(creation.expiresAtMs - creation.startedMs);
    const description = codec.encode({ leaseId, member, profile, madeAtMs, expiresAtMs });
    const organizationId = permissions[0]?.organizationId ?? "";
    const { authorizationId, token } = await this.#limit.run(() =>
      api.createAuthorization({ organizationId, description, permissions }),
    );
    const lease = book.created(leaseId, { authorizationId, token: new Secret(token) }, this.#nowMs());
    if (!lease) throw new Fault("lease.denied", "the member's rights were changed or revoked meanwhile");
    return authorizationId;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
