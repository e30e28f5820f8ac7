/** What a running node says of itself, judged: its `/status` goes in. */
import { number, record, records, type Told, text, texts } from "../admin-answer.ts";
import { spanText } from "../span-text.ts";
import { version } from "../version.ts";
import type { Finding } from "./finding.ts";

/** Credentials and leases bear some skew; beyond it, dates in logs mislead at least. */
const CLOCK_SKEW_MS = 30_000;

/** @param asked InfluxDB is asked besides: what the node knows of it is left out. */
export function nodeFindings(told: Told, asked = false): Finding[] {
  const { inlet, outlet, relay } = record(told.roles);
  return [
    versionFinding(told),
    ...readyFindings(told),
    ...enrollmentFindings(record(told.enrollment)),
    ...(inlet === undefined ? [] : inletFindings(record(inlet))),
    ...(outlet === undefined
      ? []
      : records(record(outlet).services).flatMap((service) => serviceFindings(service, asked))),
    ...(outlet === undefined ? [] : listenerFindings(record(record(outlet).channels))),
    ...(relay === undefined ? [] : listenerFindings(record(relay))),
    ...(outlet === undefined ? [] : records(record(outlet).relays).map(relayFinding)),
    ...(outlet === undefined ? [] : rosterFindings(record(record(outlet).roster))),
    ...(told.authority === undefined ? [] : authorityFindings(record(told.authority))),
  ];
}

function versionFinding(told: Told): Finding {
  const running = String(told.version);
  if (running === version) return { severity: "ok", check: "node.runs", message: `culvert ${running} runs` };
  return {
    severity: "warn",
    check: "node.runs",
    message: `culvert ${running} runs, and this command is of ${version}`,
    remedy: "restart the node with the version that is installed",
  };
}

function relayFinding({ relay, name, state, lastFault }: Told): Finding {
  const check = "node.relay";
  if (state === "registered")
    return { severity: "ok", check, message: `the node is known at ${relay} as "${name}"` };
  const why = text(record(lastFault).message);
  return {
    severity: "error",
    check,
    message: `the node is not known at ${relay} as "${name}"${why ? `: ${why}` : ""}`,
    remedy: 'see "relay." in docs/troubleshooting.md',
  };
}

function readyFindings({ ready, reasons }: Told): Finding[] {
  if (ready === true) return [{ severity: "ok", check: "node.ready", message: "the node is ready" }];
  return texts(reasons).map((reason) => ({
    severity: "error",
    check: "node.ready",
    message: `not ready: ${reason}`,
    remedy: 'docs/troubleshooting.md has it under "By symptom"; the log says since when',
  }));
}

function enrollmentFindings(enrollment: Told): Finding[] {
  const findings: Finding[] = [];
  const check = "node.enrollment";
  const fault = text(record(enrollment.lastFault).message);
  const expiresInMs = number(enrollment.credentialExpiresInMs);
  if (enrollment.state === "member" && expiresInMs !== undefined && expiresInMs <= 0) {
    findings.push({
      severity: "error",
      check,
      message: `the credential has expired${fault ? `, and the authority could not be asked: ${fault}` : ""}`,
      remedy: "see that the authority can be reached from here; the credential is renewed by itself then",
    });
  } else if (enrollment.state === "member") {
    const left = expiresInMs === undefined ? "" : `, its credential is good for ${spanText(expiresInMs)}`;
    findings.push({ severity: "ok", check, message: `the node is a member${left}` });
    if (fault !== undefined) {
      findings.push({
        severity: "warn",
        check,
        message: `the credential could not be renewed yet: ${fault}`,
        remedy: "see that the authority can be reached from here, before the credential ends",
      });
    }
  } else if (enrollment.state === "refused") {
    findings.push({
      severity: "error",
      check,
      message: `the authority refuses this node: ${fault ?? "no reason given"}`,
      remedy: "ask the authority's operator: `culvert member show`, or a new ticket",
    });
  } else if (enrollment.state === "enrolling") {
    findings.push({
      severity: "warn",
      check,
      message: `the node is not enrolled yet${fault ? `: ${fault}` : ""}`,
      remedy: "see that the authority can be reached, and that the ticket is still good",
    });
  }
  const skewMs = number(enrollment.clockSkewMs);
  if (skewMs !== undefined && Math.abs(skewMs) > CLOCK_SKEW_MS) {
    findings.push(clockFinding("the authority's clock", skewMs));
  }
  return findings;
}

/** @param skewMs the other clock less this machine's. */
export function clockFinding(whose: string, skewMs: number): Finding {
  const where = skewMs > 0 ? "behind" : "ahead of";
  return {
    severity: "warn",
    check: "clock",
    message: `this machine's clock is ${spanText(skewMs)} ${where} ${whose}`,
    remedy: "let NTP set it: points without a timestamp get InfluxDB's, those of this machine get its own",
  };
}

function inletFindings({ channel, services }: Told): Finding[] {
  const { state, remote, lastFault } = record(channel);
  const why = text(record(lastFault).message);
  const findings: Finding[] =
    state === undefined
      ? [] // An inlet of portals alone: they have channels when there is something to carry.
      : state === "up"
        ? [{ severity: "ok", check: "channel.up", message: `the channel to ${text(remote)} is up` }]
        : [
            {
              severity: "error",
              check: "channel.up",
              message: `no channel to the outlet${why ? `: ${why}` : ""}`,
              remedy: "see that the outlet runs, and that its port can be reached from here",
            },
          ];
  for (const { service, lease } of records(services)) {
    const { held, state: leaseState, expiresInMs, lastFault: reason } = record(lease);
    const left = number(expiresInMs);
    const good =
      leaseState === "idle"
        ? "no request wants a lease now, and the next one that does gets it"
        : `a lease is held${left === undefined ? "" : `, for ${spanText(left)}`}`;
    findings.push(
      held === true || leaseState === "idle"
        ? { severity: "ok", check: "lease.held", message: `${service}: ${good}` }
        : {
            severity: "error",
            check: "lease.held",
            message: `${service}: no lease${text(reason) ? ` (${reason})` : ""}`,
            remedy: "the outlet's `culvert doctor` says what it lacks",
          },
    );
  }
  return findings;
}

function serviceFindings(told: Told, asked: boolean): Finding[] {
  const { name, leases, certificates, tlsFilesTrouble, token } = told;
  const service = String(name);
  const findings: Finding[] = [];
  const { revocationsPending, count, listed, creationsLost } = record(leases);
  const pending = number(revocationsPending) ?? 0;
  const overdue = records(listed).filter(
    ({ expiresInMs, failedRevocations }) => expiresInMs === 0 && (number(failedRevocations) ?? 0) > 0,
  ).length;
  if (pending > 0) {
    findings.push({
      severity: overdue > 0 ? "error" : "warn",
      check: "lease.revocations",
      message: `${service}: ${pending} revocations have failed and are tried again${overdue > 0 ? `; ${overdue} of these leases are past their end, and alive` : ""}`,
      remedy:
        "see why InfluxDB refuses them in the log (lease.revocation-failed): is it reachable, is the token good",
    });
  } else {
    const message = `${service}: ${number(count) ?? 0} leases, none past its end`;
    findings.push({ severity: "ok", check: "lease.revocations", message });
  }
  if ((number(creationsLost) ?? 0) > 0) {
    findings.push({
      severity: "info",
      check: "lease.creations",
      message: `${service}: ${creationsLost} creations had no answer; what they made is looked for in InfluxDB's list`,
    });
  }
  if (!asked) {
    for (const message of texts(record(token).warnings))
      findings.push(tokenFinding(`${service}: ${message}`));
  }
  return [...findings, ...certificateFindings(service, asked ? [] : certificates, text(tlsFilesTrouble))];
}

/** Of wss. */
function listenerFindings({ certificates, tlsFilesTrouble }: Told): Finding[] {
  return certificateFindings("[channel]", certificates, text(tlsFilesTrouble));
}

export function tokenFinding(message: string): Finding {
  const remedy = 'make one that can do less: "The outlet\'s own token" in docs/operations.md';
  return { severity: "warn", check: "token.rights", message, remedy };
}

/** @param certificates as `/status` has them: `which`, `subject`, `expiresAt`, `state`. */
export function certificateFindings(service: string, certificates: unknown, trouble?: string): Finding[] {
  const findings = records(certificates).map(({ which, subject, expiresAt, state }): Finding => {
    const until = String(expiresAt).slice(0, 10);
    const what = `${service}: the certificate "${subject}" (${which})`;
    if (state === "good")
      return { severity: "ok", check: "tls.certificate", message: `${what} is good until ${until}` };
    return {
      severity: state === "ends-soon" ? "warn" : "error",
      check: "tls.certificate",
      message: state === "over" ? `${what} is over since ${until}` : `${what} ends on ${until}`,
      remedy: "renew it; files that the config names are read again by themselves",
    };
  });
  if (trouble === undefined) return findings;
  const remedy = "put the files right; until then those of before are used";
  return [...findings, { severity: "error", check: "tls.files", message: `${service}: ${trouble}`, remedy }];
}

function rosterFindings({ connected, complete, lastFault }: Told): Finding[] {
  if (connected !== false && complete !== false) return [];
  const why = text(record(lastFault).message);
  return [
    {
      severity: complete === false ? "error" : "warn",
      check: "roster",
      message: `the member list cannot be followed${why ? `: ${why}` : ""}; whoever is revoked meanwhile gets in`,
      remedy: "see that the authority can be reached from here",
    },
  ];
}

function authorityFindings({ clones, locked }: Told): Finding[] {
  const findings: Finding[] = [];
  if (size(clones) > 0) {
    findings.push({
      severity: "error",
      check: "members.cloned",
      message: `${size(clones)} members turned up twice: two devices have one identity`,
      remedy: "`culvert member list` names them; revoke the identity and enroll both anew",
    });
  }
  if (size(locked) > 0) {
    findings.push({
      severity: "warn",
      check: "members.locked",
      message: `${size(locked)} members are locked`,
      remedy: "`culvert member unlock ID`, or `culvert member revoke ID`",
    });
  }
  return findings;
}

/** Of a count, or of what is to be counted. */
function size(value: unknown): number {
  return Array.isArray(value) ? value.length : (number(value) ?? 0);
}
