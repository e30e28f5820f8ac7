/** An Ockam node configuration, JSON or YAML, as the culvert.toml that does the same. */
import { isWildcard } from "../config/address.ts";
import { Findings } from "../config/finding.ts";
import type { Source } from "../config/toml-document.ts";
import { ConfigDraft, variable } from "./config-draft.ts";
import { readNodeFile } from "./node-file.ts";
import { importedAddress } from "./ockam-address.ts";
import { draftInfluxdbInlet, draftTcpInlet } from "./ockam-inlets.ts";
import { RELAY_ARGUMENTS, RESOURCE_ARGUMENTS, RESOURCE_KINDS, type ResourceKind } from "./ockam-keys.ts";
import { type OckamNode, type Resource, readOckamNode } from "./ockam-node.ts";
import { draftInfluxdbOutlet, draftTcpOutlet, isTrue, type OutletDraft } from "./ockam-outlets.ts";

export interface ImportedConfig {
  readonly toml: string;
  /** What a person has to look at; each is a comment in the text as well. */
  readonly notes: readonly string[];
}

/** @throws Fault `config.invalid`: a line for each finding, with file and line, and no value. */
export function importOckamNode(source: Source): ImportedConfig {
  const findings = new Findings([source.file]);
  const node = readOckamNode(readNodeFile(source), findings);
  // A section that could not be read is not missing.
  findings.throwIfAny();
  const { resources, variables } = node;
  if (RESOURCE_KINDS.every((kind) => resources[kind].length === 0))
    findings.add({ file: source.file, line: 1 }, "has no inlet and no outlet; is it the whole file?");
  const draft = new ConfigDraft();
  draft.comment(
    `Made by \`culvert config import\` from ${basename(source.file)}; its lines are meant below.`,
  );
  draftAgent(node, draft, findings);
  draftMembership(node, draft);
  draftChannel(node, draft, findings);
  const context = { draft, findings, variables };
  for (const kind of RESOURCE_KINDS) {
    for (const one of resources[kind]) {
      noteWithoutEqual(one, RESOURCE_ARGUMENTS[kind], draft);
      DRAFTS[kind](one, context);
    }
  }
  findings.throwIfAny();
  return { toml: draft.text, notes: draft.notes };
}

const DRAFTS: Readonly<Record<ResourceKind, (resource: Resource, into: OutletDraft) => void>> = {
  "influxdb-inlet": draftInfluxdbInlet,
  "tcp-inlet": draftTcpInlet,
  "influxdb-outlet": draftInfluxdbOutlet,
  "tcp-outlet": draftTcpOutlet,
};

function draftAgent({ settings, ignored }: OckamNode, draft: ConfigDraft, findings: Findings): void {
  for (const { key, place, reason } of ignored) draft.note(withoutEqual(key, place.line, reason));
  draft.table("[agent]");
  draft.key("state_dir", "/var/lib/culvert");
  const port = settings.get("http-server-port");
  const server = settings.get("http-server") ?? settings.get("enable-http-server");
  if (server && !isTrue(server, findings)) draft.key("status_listen", "");
  else if (port) {
    const { resolved, written } = port.phrase;
    if (resolved !== undefined && !(/^\d{1,5}$/.test(resolved) && Number(resolved) <= 65_535))
      findings.add(port.place, '"http-server-port" must be a port');
    draft.comment("/health, /ready, /status and /metrics, where Ockam had /show.");
    draft.key("status_listen", `127.0.0.1:${written}`);
  }
}

/** An outlet's node is the authority where it needs no other; whoever has an inlet enrolls with one. */
function draftMembership({ settings, resources }: OckamNode, draft: ConfigDraft): void {
  const ticket = settings.get("ticket");
  const old = ticket
    ? `Line ${ticket.place.line}: Ockam's ticket is of no use here, and is not copied. `
    : "";
  const hasInlet = resources["influxdb-inlet"].length + resources["tcp-inlet"].length > 0;
  if (hasInlet) {
    draft.note(
      `${old}Put one of \`culvert ticket create\` into the environment as CULVERT_TICKET for the first start, or run \`culvert enroll\`.`,
    );
    draft.table("[enroll]");
    draft.key("ticket", variable("CULVERT_TICKET", ""));
    return;
  }
  draft.note(
    `${old}The Orchestrator was Ockam's authority: here this node is, by the next line. If there is another, write [enroll] and its ticket instead.`,
  );
  draft.table("[authority]");
}

function draftChannel(node: OckamNode, draft: ConfigDraft, findings: Findings): void {
  const { settings, relays, resources } = node;
  const listen = settings.get("tcp-listener-address");
  const hasOutlet = resources["influxdb-outlet"].length + resources["tcp-outlet"].length > 0;
  if (!hasOutlet) {
    if (listen)
      draft.note(withoutEqual("tcp-listener-address", listen.place.line, "only an outlet's node listens"));
    for (const { place } of relays)
      draft.note(withoutEqual("relay", place.line, "only an outlet's node is at one"));
    return;
  }
  for (const relay of relays) noteWithoutEqual(relay, RELAY_ARGUMENTS, draft);
  const address = listen && importedAddress("tcp-listener-address", listen, findings);
  draft.table("[channel]");
  if (relays.length > 0) {
    const { line } = relays[0]!.place;
    draft.note(
      `Line ${line}: Ockam's relay was in its Orchestrator. Run your own, and give its address as CULVERT_RELAY, such as tcp://relay.example.com:4434.`,
    );
    draft.key("relays", [variable("CULVERT_RELAY")]);
    if (!address) return;
  }
  draft.key("listen", [`tcp://${address?.phrase.written ?? "0.0.0.0:4433"}`]);
  if (address?.address && !isWildcard(address.address)) return;
  draft.note(
    "How this node is reached from outside, which goes into tickets: tcp://outlet.example.com:4433.",
  );
  draft.key("advertise", [variable("CULVERT_ADVERTISE")]);
}

function noteWithoutEqual(
  { args }: Resource,
  known: Readonly<Record<string, true | string>>,
  draft: ConfigDraft,
): void {
  for (const [name, { place, phrase }] of args) {
    const reason = known[name];
    // What is off was never asked for.
    if (typeof reason === "string" && phrase.resolved !== "false")
      draft.note(withoutEqual(name, place.line, reason));
  }
}

function withoutEqual(key: string, line: number, reason: string): string {
  return `Line ${line}: ${key} has no equal: ${reason}.`;
}

function basename(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1);
}
