/** The authority of a node: opened before anything listens, for the node's own credential comes from it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Authority } from "../authority/authority.ts";
import { AuthorityDesk } from "../authority/authority-desk.ts";
import { openAuthorityStore } from "../authority/authority-store.ts";
import { systemClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type AuthorityConfig, allOutlets, type Config } from "../config/config.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { toBase64url } from "../identity/base64url.ts";
import type { Identity } from "../identity/identity.ts";
import { MAX_TICKET_ADDRESSES } from "../identity/ticket.ts";
import { Trust } from "../membership/trust.ts";
import { advertised } from "./advertised.ts";
import { AUTHORITY_KEY_FILE, loadIdentity, loadOrCreateIdentity } from "./identity-store.ts";
import type { Metric } from "./metrics.ts";
import { type Standing, withoutAuthority } from "./standing.ts";

const DATABASE_FILE = "authority.db";

export interface AuthorityPartOptions {
  readonly config: Config & { readonly authority: AuthorityConfig };
  readonly identity: Identity;
  readonly provider: CryptoProvider;
  readonly log: Log;
}

export interface AuthorityPart {
  readonly authority: Authority;
  readonly desk: AuthorityDesk;
  readonly standing: Standing;
  /** Where the node listens, once that is known: members are told so where the config says nothing else. */
  listensAt(addresses: readonly string[]): void;
  status(): Record<string, unknown>;
  metrics(): Metric[];
  close(): void;
}

/** @throws Fault `state.unusable`; nothing was overwritten then. */
export async function openAuthority(options: AuthorityPartOptions): Promise<AuthorityPart> {
  const { config, identity, provider, log } = options;
  const { stateDir } = config.agent;
  const database = join(stateDir, DATABASE_FILE);
  const { key, isNew } = await authorityKey(stateDir, database, provider);
  const store = await openAuthorityStore(database);
  if (store.created && !isNew) {
    log.warn("authority.new-database", {
      database,
      hint: "the authority's key was there and its list of members was not: if it had one, restore it from a backup",
    });
  }
  let addresses = advertised(config);
  const authority = new Authority({
    store,
    key,
    provider,
    clock: systemClock,
    random: Math.random,
    log,
    credentialLifetimeMs: config.authority.credentialExpiresInMs,
    clones: config.authority.clones,
    addresses: () => addresses.slice(0, MAX_TICKET_ADDRESSES),
    services: allOutlets(config).map(({ service }) => service),
  });
  authority.start();
  const trust = new Trust({ provider, clock: systemClock });
  trust.anchor = authority.publicKey;
  return {
    authority,
    desk: new AuthorityDesk(authority, log),
    standing: ownStanding(authority, trust, identity, config.authority.credentialExpiresInMs),
    listensAt(bound) {
      addresses = advertised(config, bound);
    },
    status: () => authorityStatus(authority),
    metrics: () => authorityMetrics(authority),
    close: () => authority.close(),
  };
}

/** A list of members under a new key would be worth nothing, so a key that is lost is not made anew. */
async function authorityKey(
  stateDir: string,
  database: string,
  provider: CryptoProvider,
): Promise<{ key: Identity; isNew: boolean }> {
  const known = await loadIdentity(stateDir, provider, AUTHORITY_KEY_FILE);
  if (known) return { key: known, isNew: false };
  if (existsSync(database)) {
    throw new Fault(
      "state.unusable",
      `${join(stateDir, AUTHORITY_KEY_FILE)} is missing, and ${database} is of that key; restore both from one backup`,
    );
  }
  return { key: await loadOrCreateIdentity(stateDir, provider, AUTHORITY_KEY_FILE), isNew: true };
}

/** The node vouches for itself, anew at half the life of what it says. */
function ownStanding(authority: Authority, trust: Trust, identity: Identity, lifetimeMs: number): Standing {
  let credential: string | undefined;
  let madeAtMs = 0;
  return {
    ...withoutAuthority(trust),
    credential() {
      const nowMs = systemClock.monotonicMs();
      if (credential === undefined || nowMs - madeAtMs > lifetimeMs / 2) {
        credential = authority.selfCredential(identity.identifier);
        madeAtMs = nowMs;
      }
      return credential;
    },
  };
}

function authorityStatus(authority: Authority): Record<string, unknown> {
  const members = authority.members();
  const tickets = authority.tickets();
  const count = <T>(list: readonly T[], has: (item: T) => boolean) => list.filter(has).length;
  return {
    identifier: authority.identifier,
    publicKey: toBase64url(authority.publicKey),
    members: count(members, ({ state }) => state === "active"),
    locked: count(members, ({ state }) => state === "locked"),
    revoked: count(members, ({ state }) => state === "revoked"),
    clones: members
      .filter(({ clone, state }) => clone && state !== "revoked")
      .slice(0, MAX_LISTED)
      .map(({ identifier, clone, state }) => ({ identifier, state, ...clone })),
    ticketsOpen: count(tickets, ({ state }) => state === "open"),
    ...authority.counts,
  };
}

const MAX_LISTED = 100;

function authorityMetrics(authority: Authority): Metric[] {
  const members = authority.members();
  const { enrolled, repeated, renewed, refused, cloned } = authority.counts;
  const total = (name: string, help: string, value: number): Metric => ({
    name: `authority_${name}_total`,
    kind: "counter",
    help,
    value,
  });
  return [
    ...(["active", "locked", "revoked"] as const).map((state) => ({
      name: "authority_members",
      kind: "gauge" as const,
      help: "Members by state.",
      value: members.filter((member) => member.state === state).length,
      labels: { state },
    })),
    total("enrolled", "Devices that became members.", enrolled),
    total("enrollments_repeated", "Enrollments of a device by the ticket that it had used.", repeated),
    total("renewed", "Credentials renewed.", renewed),
    total("refused", "Attempts to enroll or renew that were refused.", refused),
    total("cloned", "Sightings of a second device with a member's identity.", cloned),
  ];
}
