/** What a config alone tells of portals: who reaches them, and what is readable on the way to their services. */
import { isLoopback } from "../../config/address.ts";
import type { Config, TcpInletConfig, TcpOutletConfig } from "../../config/config.ts";
import type { Finding } from "./finding.ts";

export function portalFindings({ inlets, outlets }: Pick<Config, "inlets" | "outlets">): Finding[] {
  return [...inlets.tcp.map(inletFinding), ...outlets.tcp.flatMap(outletFindings)];
}

function inletFinding({ listen, service, allowFrom }: TcpInletConfig): Finding {
  const check = "listen.portal";
  if (isLoopback(listen)) {
    return { severity: "ok", check, message: `portal "${service}" is on ${listen.text} alone` };
  }
  const message = `portal "${service}" on ${listen.text} takes clients from beyond this machine`;
  if (allowFrom.length > 0) {
    return { severity: "info", check, message: `${message}, from the networks in allow_from` };
  }
  return {
    severity: "warn",
    check,
    message: `${message}: whoever reaches it reaches the service as this node`,
    remedy: "listen on 127.0.0.1, or name the networks of the clients in allow_from",
  };
}

function outletFindings(outlet: TcpOutletConfig): Finding[] {
  const { service, address, allow, tls, insecureSkipVerify } = outlet;
  const findings: Finding[] = [];
  const check = "tls.verify";
  if (insecureSkipVerify) {
    findings.push({
      severity: "error",
      check,
      message: `portal "${service}" takes any certificate for its service's (insecure_skip_verify): whoever is between reads and changes what goes through`,
      remedy:
        "take insecure_skip_verify out, and name the service's authority in tls_ca if it is a private one",
    });
  } else if (tls) {
    const message = `portal "${service}" verifies its service's certificate, TLS ${outlet.tlsMinVersion} or newer`;
    findings.push({ severity: "ok", check, message });
  } else if (!isLoopback(address)) {
    findings.push({
      severity: "info",
      check,
      message: `portal "${service}" speaks to ${address.text} in the clear, unless clients encrypt by themselves`,
    });
  }
  if (allow.text.trim() === "true") {
    findings.push({
      severity: "warn",
      check: "portal.allow",
      message: `portal "${service}" is open to every member (allow = "true")`,
      remedy: "let allow ask for an attribute that its users alone have",
    });
  }
  return findings;
}
