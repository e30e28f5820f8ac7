/** Ockam's InfluxDB and TCP inlets as `[[inlets.influxdb]]` and `[[inlets.tcp]]`. */
import { isLoopback } from "../config/address.ts";
import type { Findings } from "../config/finding.ts";
import { OUTLET_ATTRIBUTE } from "../identity/attributes.ts";
import type { ConfigDraft } from "./config-draft.ts";
import { type ImportedAddress, importedAddress, importedService } from "./ockam-address.ts";
import { LOOPBACK } from "./ockam-keys.ts";
import type { Resource } from "./ockam-node.ts";
import { DEFAULT_SERVICE, importedPolicy } from "./ockam-outlets.ts";

export interface InletDraft {
  readonly draft: ConfigDraft;
  readonly findings: Findings;
}

export function draftInfluxdbInlet(inlet: Resource, { draft, findings }: InletDraft): void {
  const address = begin("[[inlets.influxdb]]", inlet, { draft, findings });
  if (address) draft.key("listen", address.phrase.written);
  else draft.note("Ockam would take any free port: this is 127.0.0.1:8086, or what listen says.");
  expose(address, inlet, draft);
  const name = service(inlet, findings);
  if (name !== DEFAULT_SERVICE) draft.key("service", name);
  allowOutlet(inlet, draft);
}

export function draftTcpInlet(inlet: Resource, { draft, findings }: InletDraft): void {
  const address = begin("[[inlets.tcp]]", inlet, { draft, findings });
  if (!address) draft.comment("Any free port, as with Ockam; it is told at the start.");
  draft.key("listen", address?.phrase.written ?? "127.0.0.1:0");
  expose(address, inlet, draft);
  draft.key("service", service(inlet, findings));
  allowOutlet(inlet, draft);
}

function begin(
  header: string,
  { args }: Resource,
  { draft, findings }: InletDraft,
): ImportedAddress | undefined {
  const from = args.get("from");
  const address = from && importedAddress("from", from, findings);
  // As a key, `tls` is among those without an equal.
  if (address?.scheme === "tls") draft.note(`tls:// has no equal: ${LOOPBACK}.`);
  draft.table(header);
  return address;
}

/** Beyond loopback only where the file says that it is: an address of the environment may be anything. */
function expose(address: ImportedAddress | undefined, { args }: Resource, draft: ConfigDraft): void {
  const line = args.get("from")?.place.line;
  if (!address || (address.address && isLoopback(address.address))) return;
  if (!address.address)
    return draft.note(`Line ${line}: beyond loopback, the address is refused without expose = true.`);
  draft.note(
    `Line ${line}: whoever reaches this address may use it, without a token. Better 127.0.0.1, or a list of networks in allow_from.`,
  );
  draft.key("expose", true);
}

function service({ args }: Resource, findings: Findings): string {
  const to = args.get("to");
  return (to && importedService("to", to, findings))?.written ?? DEFAULT_SERVICE;
}

function allowOutlet({ args }: Resource, draft: ConfigDraft): void {
  const allow = args.get("allow") ?? args.get("expression");
  if (!allow) return;
  const policy = importedPolicy(allow.phrase);
  const same =
    policy === undefined ? "" : ` To ask for the same as Ockam: allow_outlet = ${JSON.stringify(policy)}.`;
  draft.note(
    `Line ${allow.place.line}: an outlet that is its own authority has the attribute ${OUTLET_ATTRIBUTE}, and no other.${same}`,
  );
  draft.key("allow_outlet", OUTLET_ATTRIBUTE);
}
