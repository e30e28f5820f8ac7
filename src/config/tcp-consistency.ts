/** What no key of a portal can tell alone. */
import { type Findings, quoted } from "./finding.ts";
import type { schema } from "./schema.ts";
import { header } from "./schema-entry.ts";
import type { ReadTable } from "./table-reader.ts";

export interface ReadPortals {
  readonly inlets: readonly ReadTable<typeof schema.inlets.tcp>[];
  readonly outlets: readonly ReadTable<typeof schema.outlets.tcp>[];
}

export function checkPortals({ outlets }: ReadPortals, findings: Findings): void {
  for (const outlet of outlets) {
    checkAccess(outlet, findings);
    checkTls(outlet, findings);
  }
}

/** Nothing is open by default, and a portal for nobody is a slip. */
function checkAccess(outlet: ReadPortals["outlets"][number], findings: Findings): void {
  if (outlet.has("allow") || outlet.has("authorized")) return;
  const text = `${header(outlet.entry)} lets nobody in: it needs the key "allow", or "authorized" without an authority`;
  findings.add(outlet.place(), text);
}

/** Who writes tls = false beside them has switched it off, and knows. */
function checkTls(outlet: ReadPortals["outlets"][number], findings: Findings): void {
  if (outlet.has("tls")) return;
  for (const key of ["tls_ca", "tls_server_name", "tls_min_version", "insecure_skip_verify"]) {
    if (!outlet.has(key)) continue;
    const text = `${header(outlet.entry)} key ${quoted(key)} does nothing without tls = true`;
    findings.add(outlet.place(key), text);
  }
}
