/** What is known of InfluxDB's versions: whose API culvert speaks, and which let tokens do more than they say. */
import type { Finding } from "./finding.ts";

interface Advisory {
  /** The first version without it. */
  readonly fixedIn: readonly [major: number, minor: number];
  readonly severity: "warn" | "error";
  readonly what: string;
  readonly source: string;
}

const ADVISORIES: readonly Advisory[] = [
  {
    fixedIn: [2, 2],
    severity: "error",
    what: "a write-only token may read, through InfluxQL's /query",
    source: "InfluxDB's release notes, v2.2.0, security updates",
  },
  {
    fixedIn: [2, 7],
    severity: "error",
    what: "a read-only token may write, through Flux's to()",
    source: "InfluxDB's release notes, v2.7.0, and https://github.com/influxdata/influxdb/issues/24075",
  },
  {
    // 2.8 can keep hashes, 2.9 does by itself; whether tokens are shown is looked at besides.
    fixedIn: [2, 8],
    severity: "warn",
    what: "CVE-2024-30896: whoever may list the tokens of the first organization is shown its operator token",
    source: "https://nvd.nist.gov/vuln/detail/CVE-2024-30896",
  },
];

/** @param told `X-Influxdb-Version`: `v2.9.1`, `2.7.5`, `v3.0.0`. */
export function influxdbVersionFindings(told: string | undefined): Finding[] {
  const check = "influxdb.version";
  const [, major, minor] = (/^v?(\d+)\.(\d+)/.exec(told ?? "") ?? []).map(Number);
  if (major === undefined || minor === undefined) {
    const message = `InfluxDB does not say which version it is${told ? ` ("${told.slice(0, 40)}")` : ""}`;
    return [{ severity: "info", check, message }];
  }
  if (major !== 2) {
    return [
      {
        severity: "error",
        check,
        message: `InfluxDB is ${told}, and culvert makes tokens by the API of InfluxDB 2`,
        remedy: "use InfluxDB 2.x",
      },
    ];
  }
  const known = ADVISORIES.filter(
    ({ fixedIn }) => major < fixedIn[0] || (major === fixedIn[0] && minor < fixedIn[1]),
  );
  if (known.length === 0) return [{ severity: "ok", check, message: `InfluxDB is ${told}` }];
  return known.map(({ severity, what, source, fixedIn }) => ({
    severity,
    check,
    message: `InfluxDB is ${told}: ${what} (${source})`,
    remedy: `update InfluxDB to ${fixedIn.join(".")} or newer; 2.9 keeps tokens as hashes`,
  }));
}
