import { Fault } from "../../base/fault.ts";
import { type ListenAddress, parseListenAddress } from "../../config/address.ts";
import type { Config } from "../../config/config.ts";
import { parseTelegrafFile } from "../../config/telegraf-file.ts";
import { record, records, type Told, text } from "../admin-answer.ts";
import { adminOptions, askAdmin, stateDirOf } from "../admin-client.ts";
import { jsonText } from "../admin-text.ts";
import { type Command, type Invocation, listOption, textOption } from "../command.ts";
import { loadConfig } from "../config-files.ts";
import { CANARY_MEASUREMENT, releaseCanary } from "../doctor/canary.ts";
import { configFindings } from "../doctor/config-findings.ts";
import { configFileFindings, secretFileFindings, stateFindings } from "../doctor/file-findings.ts";
import { countText, exitCode, type Finding, findingLines, sorted } from "../doctor/finding.ts";
import { inletHops, inletSend } from "../doctor/inlet-canary.ts";
import { nodeFindings } from "../doctor/node-findings.ts";
import { type KnownInlet, telegrafFindings } from "../doctor/telegraf-findings.ts";
import type { CanaryOptions } from "../node.ts";
import { withSecrets } from "../node-secrets.ts";
import { readTextFile } from "../text-file.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "look for what is unsafe or unwell: files, tokens, TLS, leases, clocks, a telegraf.conf",
  options: {
    telegraf: { type: "string", value: "FILE", doc: "Say what in this telegraf.conf would lose points." },
    canary: {
      type: "boolean",
      doc: "Write a point, find it again, and say how long each hop took: through the inlet, or from the outlet.",
    },
    organization: {
      type: "string",
      value: "NAME",
      doc: "Of the canary; else as in the config or telegraf.conf.",
    },
    bucket: { type: "string", value: "NAME", doc: "Of the canary; else as in the config or telegraf.conf." },
    measurement: { type: "string", value: "NAME", doc: `Of the canary; ${CANARY_MEASUREMENT} otherwise.` },
    strict: { type: "boolean", doc: "Exit with 1 for a warning, too, and not for an error alone." },
    ...adminOptions,
  },
  async run(invocation) {
    const findings = sorted(await examine(invocation));
    const { terminal, json } = invocation;
    const code = exitCode(findings, { strict: invocation.options.strict === true });
    if (json) terminal.out(jsonText({ ok: code === 0, findings }));
    else {
      for (const line of findingLines(findings)) terminal.out(line);
      terminal.err(countText(findings));
    }
    return code;
  },
};

async function examine(invocation: Invocation): Promise<Finding[]> {
  const files = listOption(invocation, "config");
  const hasConfig = files.length > 0 || listOption(invocation, "config-directory").length > 0;
  const config = hasConfig ? await configOf(invocation) : undefined;
  if (config instanceof Fault) return [...(await configFileFindings(files)), ...invalidConfig(config)];
  const stateDir = await stateDirOf(invocation);
  const told = await statusOf(stateDir);
  const telegrafFile = textOption(invocation, "telegraf");
  const read = telegrafFile === undefined ? undefined : await telegrafRoot(telegrafFile, invocation);
  const telegraf = read instanceof Fault ? undefined : read;
  const inlets = knownInlets(config, told);
  const canary = invocation.options.canary === true ? canaryOptions(invocation, telegraf) : undefined;
  return [
    ...(config ? configFindings(config) : []),
    ...(await configFileFindings(files, config)),
    ...(await stateFindings(stateDir)),
    ...(config ? await secretFileFindings(config) : []),
    ...(told instanceof Fault
      ? [notRunning(told)]
      : nodeFindings(told, config !== undefined && invocation.roles.examine !== undefined)),
    ...(config ? await roleFindings(invocation, config, canary) : []),
    ...(config ? [] : [withoutConfig()]),
    ...(read instanceof Fault ? unreadTelegraf(read) : []),
    ...(telegraf ? telegrafFindings(telegraf, inlets) : []),
    ...(canary ? await inletCanaries(canary, inlets, config) : []),
  ];
}

async function roleFindings(
  { roles, env }: Invocation,
  config: Config,
  canary: CanaryOptions | undefined,
): Promise<readonly Finding[]> {
  const found = await withSecrets(
    { config, aws: roles.awsSecrets, env },
    async (secrets) => await roles.examine?.({ config, secrets, canary }),
  );
  return found ?? [];
}

/** The config, or what is wrong with it. */
async function configOf(invocation: Invocation): Promise<Config | Fault> {
  try {
    return await loadConfig(invocation);
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "config.invalid") return thrown;
    throw thrown;
  }
}

function invalidConfig({ message }: Fault): Finding[] {
  const remedy = "put it right; the rest can be looked at then";
  return message.split("\n").map((line) => ({ severity: "error", check: "config", message: line, remedy }));
}

/** What the node says, or why there is nobody who says anything. */
async function statusOf(stateDir: string): Promise<Told | Fault> {
  try {
    return record(await askAdmin({ stateDir, method: "GET", path: "/status" }));
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "admin.unreachable") return thrown;
    throw thrown;
  }
}

function notRunning({ message }: Fault): Finding {
  const remedy = "start it, or run this as its user, to have the live part looked at, too";
  return { severity: "warn", check: "node.runs", message, remedy };
}

function withoutConfig(): Finding {
  const message = "without --config neither listeners, secrets nor InfluxDB were looked at";
  return { severity: "info", check: "config", message };
}

/** What is in it, or why it cannot be read. */
async function telegrafRoot(file: string, { env }: Invocation): Promise<Told | Fault> {
  try {
    return parseTelegrafFile({ file, text: await readTextFile(file, "--telegraf") }, env);
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "config.invalid") return thrown;
    throw thrown;
  }
}

function unreadTelegraf({ message }: Fault): Finding[] {
  const remedy =
    "run this as a user who may read it, with the variables that Telegraf has; then: telegraf --test";
  return message
    .split("\n")
    .map((line) => ({ severity: "error", check: "telegraf.file", message: line, remedy }));
}

/** From the config, else from the node that runs. */
function knownInlets(config: Config | undefined, told: Told | Fault): KnownInlet[] {
  if (config) return config.inlets.influxdb.map(({ listen, timeoutMs }) => ({ listen, timeoutMs }));
  if (told instanceof Fault) return [];
  return records(record(record(told.roles).inlet).services).flatMap(({ listen: written }) => {
    const listen = listenAddress(text(written) ?? "");
    return listen ? [{ listen, timeoutMs: undefined }] : [];
  });
}

/** A listener's own address: `http://127.0.0.1:8086`, `unix:///path`. */
function listenAddress(address: string): ListenAddress | undefined {
  return parseListenAddress(address.replace(/^http:\/\//, "").replace(/\/$/, ""));
}

function canaryOptions(invocation: Invocation, telegraf: Told | undefined): CanaryOptions {
  const { influxdb_v2: v2 } = record(telegraf?.outputs);
  const output = record(Array.isArray(v2) ? v2[0] : v2);
  return {
    organization: textOption(invocation, "organization") ?? text(output.organization),
    bucket: textOption(invocation, "bucket") ?? text(output.bucket),
    measurement: textOption(invocation, "measurement") ?? CANARY_MEASUREMENT,
  };
}

/** @throws Fault `usage.invalid` where nobody says where the point is to go. */
async function inletCanaries(
  canary: CanaryOptions,
  inlets: readonly KnownInlet[],
  config: Config | undefined,
): Promise<Finding[]> {
  if (inlets.length === 0) {
    if (config && config.outlets.influxdb.length > 0) return [];
    throw new Fault("usage.invalid", "--canary: no inlet runs here; name the config with --config");
  }
  const { organization, bucket, measurement } = canary;
  if (!organization || !bucket) {
    throw new Fault(
      "usage.invalid",
      "--canary: an inlet knows no bucket: give --organization and --bucket, or --telegraf FILE with both",
    );
  }
  const findings: Finding[] = [];
  for (const { listen } of inlets) {
    findings.push(
      ...(await releaseCanary(inletSend(listen), { organization, bucket, measurement }, inletHops)),
    );
  }
  return findings;
}
