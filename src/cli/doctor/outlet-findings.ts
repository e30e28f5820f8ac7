/** What an outlet's InfluxDB tells, asked by the config: its version, its clock, our token, our leases there. */
import { Fault } from "../../base/fault.ts";
import { silentLog } from "../../base/log.ts";
import type { Config, InfluxdbOutletConfig } from "../../config/config.ts";
import { BucketDirectory } from "../../outlet/bucket-directory.ts";
import { type FoundAuthorization, InfluxdbApi } from "../../outlet/influxdb-api.ts";
import { influxdbSend } from "../../outlet/influxdb-send.ts";
import { ProfileBook } from "../../outlet/lease-profile.ts";
import type { TokenReview } from "../../outlet/token-watch.ts";
import { openUpstream } from "../influxdb-upstream.ts";
import type { Examination } from "../node.ts";
import { adminToken } from "../outlet-role.ts";
import { tokenWarnings, tokenWatch } from "../outlet-token.ts";
import { permissionRules } from "../permission-rules.ts";
import { spanText } from "../span-text.ts";
import type { Finding } from "./finding.ts";
import { influxdbVersionFindings } from "./influxdb-version.ts";
import { leaseScribe } from "./lease-scribe.ts";
import { certificateFindings, clockFinding, tokenFinding } from "./node-findings.ts";
import { outletCanary } from "./outlet-canary.ts";

const YEAR_MS = 365 * 86_400_000;
/** A `Date` header has whole seconds, and the answer takes its time. */
const CLOCK_SKEW_MS = 5_000;
/** A lease that is renewed lives on for its overlap. */
const OVERDUE_MS = 60_000;

export async function examineOutlets(examination: Examination): Promise<Finding[]> {
  const findings = await Promise.all(
    examination.config.outlets.influxdb.map((outlet) => examineOutlet(outlet, examination)),
  );
  return findings.flat();
}

async function examineOutlet(outlet: InfluxdbOutletConfig, examination: Examination): Promise<Finding[]> {
  const { config, secrets, canary } = examination;
  const findings: Finding[] = [];
  const { service } = outlet;
  try {
    const permissions = await permissionRules(outlet);
    const { upstream, certificates } = await openUpstream(outlet, silentLog);
    try {
      const token = await adminToken(outlet, { secrets });
      const api = new InfluxdbApi({ send: influxdbSend(upstream), token });
      const { version, date } = await api.ping();
      findings.push(...influxdbVersionFindings(version), ...clockFindings(date));
      findings.push(...certificateFindings(service, certificates.status()));
      // Such a token need not be able to list tokens, nor to say what it may do.
      if (outlet.leaseStrategy === "fixed") {
        const message = `outlet "${service}" makes no leases: what its fixed token may do is not known`;
        return [...findings, { severity: "info", check: "token.kind", message }];
      }
      const found = await api.listAuthorizations();
      findings.push(...(await leaseFindings(found, { config, service })));
      const watch = tokenWatch({ config: outlet, permissions, api });
      await watch.admit(found);
      const { fixedBuckets: fixed } = new ProfileBook({ permissions });
      const buckets = new BucketDirectory({
        ...{ api, fixed, organization: outlet.organization },
        monotonicMs: () => performance.now(),
      });
      const trouble = await buckets.refresh(() => {}).catch((thrown) => Fault.from(thrown));
      if (trouble && trouble.code !== "lease.denied") throw trouble;
      findings.push(...tokenFindings(watch.compare((permission) => buckets.remembered([permission])?.[0])));
      if (trouble) throw trouble;
      if (canary)
        findings.push(
          ...(await outletCanary({ outlet, config, api, upstream, buckets, canary, permissions })),
        );
    } finally {
      await upstream.destroy();
    }
  } catch (thrown) {
    const { message } = Fault.from(thrown);
    const remedy = "`culvert config check` repeats this; docs/operations.md says what the token needs";
    findings.push({
      severity: "error",
      check: "influxdb.use",
      message: `outlet "${service}": ${message}`,
      remedy,
    });
  }
  return findings;
}

function clockFindings(date: string | undefined): Finding[] {
  const theirsMs = Date.parse(date ?? "");
  if (Number.isNaN(theirsMs)) return [];
  const skewMs = theirsMs - Date.now();
  if (Math.abs(skewMs) > CLOCK_SKEW_MS) return [clockFinding("InfluxDB's", skewMs)];
  return [{ severity: "ok", check: "clock", message: "this machine's clock and InfluxDB's agree" }];
}

function tokenFindings(review: TokenReview): Finding[] {
  const { kind, reason, madeAtMs } = review;
  const warnings = tokenWarnings(review).map(tokenFinding);
  if (kind === "unknown") {
    const message = `what the outlet's own token may do is not known: ${reason}`;
    return [{ severity: "info", check: "token.kind", message }, ...warnings];
  }
  const ageMs = madeAtMs === undefined ? undefined : Date.now() - madeAtMs;
  const age = ageMs === undefined ? "" : `, made ${spanText(ageMs)} ago`;
  const isOld = ageMs !== undefined && ageMs > YEAR_MS;
  return [
    {
      severity: kind === "scoped" && !isOld ? "ok" : isOld ? "warn" : "info",
      check: "token.kind",
      message: `the outlet's own token is ${kind === "scoped" ? "scoped" : `an ${kind} token`}${age}`,
      ...(isOld && {
        remedy: "make a new one, put it in its place, then delete this one: no restart is needed",
      }),
    },
    ...warnings,
  ];
}

/** What InfluxDB's list has of ours: past its end, of another outlet, or only named like one. */
async function leaseFindings(
  found: readonly FoundAuthorization[],
  { config, service }: { readonly config: Config; readonly service: string },
): Promise<Finding[]> {
  const named = found.filter(({ description }) => description.startsWith("culvert lease "));
  const scribe = await leaseScribe(config, service);
  if (!scribe) {
    const message = `${named.length} tokens in InfluxDB are named like leases; the node has no identity yet to tell its own`;
    return [{ severity: "info", check: "lease.list", message }];
  }
  const facts = named.map(({ description }) => scribe.codec.decode(description));
  const ours = facts.filter((one) => typeof one !== "string");
  const nowMs = Date.now();
  const overdue = ours.filter(({ expiresAtMs }) => expiresAtMs + OVERDUE_MS < nowMs);
  const forged = facts.filter((one) => one === "forged").length;
  const foreign = facts.filter((one) => one === "foreign").length;
  const findings: Finding[] = [];
  if (overdue.length > 0) {
    const oldest = Math.min(...overdue.map(({ expiresAtMs }) => expiresAtMs));
    findings.push({
      severity: "error",
      check: "lease.list",
      message: `${overdue.length} of ${ours.length} leases in InfluxDB are past their end, one for ${spanText(nowMs - oldest)}`,
      remedy: "start the outlet with this state directory: it revokes them; until then they are good",
    });
  } else {
    const message = `${ours.length} leases of this outlet in InfluxDB, none past its end`;
    findings.push({ severity: "ok", check: "lease.list", message });
  }
  if (forged > 0) {
    findings.push({
      severity: "warn",
      check: "lease.forged",
      message: `${forged} tokens say that they are leases of this outlet, and are not: it leaves them alone`,
      remedy:
        "somebody wrote or edited these descriptions; look at them in InfluxDB, and delete what nobody needs",
    });
  }
  if (foreign > 0) {
    findings.push({
      severity: "info",
      check: "lease.foreign",
      message: `${foreign} tokens are leases of another outlet, or of one whose state directory is gone: who made them revokes them`,
    });
  }
  return findings;
}
