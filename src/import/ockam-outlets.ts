/** Ockam's InfluxDB and TCP outlets as `[[outlets.influxdb]]` and `[[outlets.tcp]]`. */
import type { Findings, Place } from "../config/finding.ts";
import { parseDurationMs } from "../config/quantity.ts";
import { type ConfigDraft, variable } from "./config-draft.ts";
import { type Phrase, parsePhrase, type Variables } from "./node-text.ts";
import { importedAddress, importedService } from "./ockam-address.ts";
import type { Argument, Resource } from "./ockam-node.ts";
import { importedRights } from "./ockam-permissions.ts";
import { culvertPolicy } from "./ockam-policy.ts";

/** What Ockam calls an outlet without a name. */
export const DEFAULT_SERVICE = "outlet";
const MAX_LEASE_MS = 365 * 86_400_000;

export interface OutletDraft {
  readonly draft: ConfigDraft;
  readonly findings: Findings;
  readonly variables: Variables;
}

export function draftInfluxdbOutlet(outlet: Resource, { draft, findings, variables }: OutletDraft): void {
  const { args, place } = outlet;
  const fixed = args.get("fixed-token");
  const to = needed(outlet, "to", findings);
  const address = to && importedAddress("to", to, findings);
  const organization = args.get("org-id")?.phrase.written ?? variable("INFLUXDB_ORG_ID");
  draft.table("[[outlets.influxdb]]");
  service(outlet, "influxdb", { draft, findings });
  if (address) {
    const isTls = isTrue(args.get("tls"), findings) || ["tls", "https"].includes(address.scheme ?? "");
    draft.key("url", `${isTls ? "https" : "http"}://${address.phrase.written}`);
  }
  draft.key("organization", organization);
  draftAllow(outlet, "influxdb-inlet", { draft, findings });
  if (fixed) {
    if (args.has("all-access-token") || args.has("leased-token-permissions"))
      findings.add(fixed.place, '"fixed-token" cannot stand beside what leases are made with');
    draft.key("lease_strategy", "fixed");
    draft.key("lease_placement", "outlet");
    secret("fixed_token", fixed, "INFLUXDB_FIXED_TOKEN", draft);
    draft.note("Ockam let members do with the fixed token whatever it may: say what they need.");
    for (const action of ["write", "read"]) right(draft, action, undefined);
    return;
  }
  secret("token", args.get("all-access-token"), "INFLUXDB_TOKEN", draft);
  const strategy = args.get("leased-token-strategy");
  if (strategy) draftStrategy(strategy, { draft, findings });
  const life = needed(outlet, "leased-token-expires-in", findings);
  if (life) draftLife(life, { draft, findings });
  const permissions = needed(outlet, "leased-token-permissions", findings);
  if (permissions) draftRights(permissions, place, { draft, findings, variables });
}

export function draftTcpOutlet(outlet: Resource, { draft, findings }: Omit<OutletDraft, "variables">): void {
  const { args } = outlet;
  const to = needed(outlet, "to", findings);
  const address = to && importedAddress("to", to, findings);
  draft.table("[[outlets.tcp]]");
  const name = service(outlet, undefined, { draft, findings });
  if (address) draft.key("address", address.phrase.written);
  if (isTrue(args.get("tls"), findings) || address?.scheme === "tls") draft.key("tls", true);
  draftAllow(outlet, name ?? DEFAULT_SERVICE, { draft, findings });
}

/** @param standard the name that need not be written. @returns the name, where it is known. */
function service(
  { name, args, place }: Resource,
  standard: string | undefined,
  { draft, findings }: Pick<OutletDraft, "draft" | "findings">,
): string | undefined {
  const given: Argument | undefined =
    args.get("from") ??
    (name === undefined ? undefined : { place, raw: name, phrase: parsePhrase(name, new Map()) });
  const phrase = given && importedService("from", given, findings);
  const written = phrase?.written ?? DEFAULT_SERVICE;
  if (written !== DEFAULT_SERVICE || standard === undefined) draft.key("service", written);
  return phrase ? phrase.resolved : DEFAULT_SERVICE;
}

/** @param standard the attribute that is asked for where Ockam would take every member. */
function draftAllow(
  { args }: Resource,
  standard: string,
  { draft, findings }: Pick<OutletDraft, "draft" | "findings">,
): void {
  const given = args.get("allow") ?? args.get("expression");
  if (!given) {
    draft.note(
      `Without allow, Ockam lets in every member of the project. Here an attribute is asked for: make tickets with --attribute ${standard}=true.`,
    );
    draft.key("allow", standard);
    return;
  }
  const policy = importedPolicy(given.phrase);
  if (policy === undefined) {
    const { line } = given.place;
    draft.note(
      `Line ${line}: this policy has no equal (${short(given.raw)}). Nobody is let in until you write one.`,
    );
    draft.key("allow", "false");
  } else {
    if (/^[\w-]+$/.test(policy) && policy !== "true" && policy !== "false")
      draft.comment(`Members whose ticket was made with --attribute ${policy}=true.`);
    draft.key("allow", policy);
  }
  if (args.has("allow") && args.has("expression"))
    findings.add(
      args.get("expression")!.place,
      '"expression" is another word for "allow", which is given too',
    );
}

/** One that comes from the environment whole stays there: it is culvert's to read, then. */
export function importedPolicy({ resolved, variable, written }: Phrase): string | undefined {
  if (resolved === undefined) return variable === undefined ? undefined : written;
  return culvertPolicy(resolved);
}

function secret(key: string, given: Argument | undefined, standard: string, draft: ConfigDraft): void {
  const named = given?.phrase.variable;
  const name = named !== undefined && named !== "INFLUX_TOKEN" ? named : standard;
  const where =
    given && named === undefined ? `Line ${given.place.line} held it, and it is not copied. Put` : "Put";
  draft.note(
    `${where} the token into the environment as ${name}, or into a file of mode 0600 and write "@{file:/etc/culvert/influxdb-token}".`,
  );
  draft.key(key, `@{env:${name}}`);
}

function draftStrategy(
  { raw, place }: Argument,
  { draft, findings }: Pick<OutletDraft, "draft" | "findings">,
): void {
  if (raw === "shared" || raw === "per-client") draft.key("lease_strategy", raw);
  else findings.add(place, '"leased-token-strategy" must be "shared" or "per-client"');
}

/** A number alone is seconds. */
function draftLife(
  { phrase, place }: Argument,
  { draft, findings }: Pick<OutletDraft, "draft" | "findings">,
): void {
  const { resolved, written } = phrase;
  const isNumber = /^\d+$/.test(resolved ?? "");
  if (resolved === undefined) draft.note(`Line ${place.line}: the variable needs a unit here, as in "300s".`);
  else {
    const ms = parseDurationMs(isNumber ? `${resolved}s` : resolved);
    if (ms === undefined || ms < 1_000 || ms > MAX_LEASE_MS)
      findings.add(
        place,
        '"leased-token-expires-in" must be a duration such as 300, "300s" or "1h", of 1s to 365d',
      );
  }
  draft.key("lease_expires_in", isNumber ? `${written}s` : written);
}

function draftRights(
  { raw, phrase, place }: Argument,
  outlet: Place,
  { draft, findings, variables }: OutletDraft,
): void {
  if (phrase.variable !== undefined && phrase.resolved === undefined) {
    draft.note(`Line ${place.line}: here each permission must name one bucket, by name or id.`);
    draft.key("permissions_json", phrase.written);
    return;
  }
  const read = importedRights(phrase.variable !== undefined ? phrase.resolved! : raw);
  if (typeof read === "string") return findings.add(place, `"leased-token-permissions" ${read}`);
  for (const type of read.left)
    draft.note(`Line ${place.line}: leases are for buckets, so the permissions for ${type} have no equal.`);
  if (read.rights.length === 0) {
    const text = "none of the permissions is for a bucket, and a lease is for nothing else";
    return findings.add(place, `"leased-token-permissions": ${text} (outlet at line ${outlet.line})`);
  }
  for (const { action, bucket } of read.rights)
    right(draft, action, bucket === undefined ? undefined : parsePhrase(bucket, variables).written);
}

function right(draft: ConfigDraft, action: string, bucket: string | undefined): void {
  draft.table("[[outlets.influxdb.permissions]]", 1);
  draft.key("action", action);
  if (bucket === undefined)
    draft.note(
      "Ockam's was for every bucket of the organization. Name the one that is meant, a table for each.",
    );
  draft.key("bucket", bucket ?? variable("INFLUXDB_BUCKET"));
}

function needed({ args, place }: Resource, key: string, findings: Findings): Argument | undefined {
  const given = args.get(key);
  if (!given)
    findings.add(place, `"${key}" is missing from the outlet that begins here; is this the whole file?`);
  return given;
}

export function isTrue(argument: Argument | undefined, findings: Findings): boolean {
  if (!argument) return false;
  const { resolved } = argument.phrase;
  if (resolved !== "true" && resolved !== "false")
    findings.add(argument.place, "must be true or false, and not come out of the environment");
  return resolved === "true";
}

function short(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
