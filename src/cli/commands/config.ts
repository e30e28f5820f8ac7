import { Fault } from "../../base/fault.ts";
import { inertText } from "../../base/log.ts";
import { sampleConfig } from "../../config/sample.ts";
import { type Command, type Invocation, textOption } from "../command.ts";
import { configOptions, loadConfig } from "../config-files.ts";
import { type RoleCheck, wantedRoles } from "../node.ts";
import { withSecrets } from "../node-secrets.ts";
import { wssFindings } from "../wss-way.ts";

export const configSample: Command = {
  name: "config sample",
  summary: "print a config with every key, its default and what it is for",
  options: { role: { type: "string", value: "ROLE", doc: "inlet, outlet or relay alone." } },
  async run(invocation) {
    const role = textOption(invocation, "role");
    if (role !== undefined && role !== "inlet" && role !== "outlet" && role !== "relay") {
      throw new Fault("usage.invalid", `--role: "${role}" is neither inlet, outlet nor relay`);
    }
    invocation.terminal.out(sampleConfig(role).trimEnd());
    return 0;
  },
};

export const configCheck: Command = {
  name: "config check",
  summary: "check a config: its keys, secrets and addresses, and InfluxDB's organization and buckets",
  options: configOptions,
  async run(invocation) {
    const { findings, warnings } = await findingsOf(invocation);
    if (invocation.json) {
      invocation.terminal.out(JSON.stringify({ ok: findings.length === 0, findings, warnings }, null, 2));
    } else {
      for (const warning of warnings) invocation.terminal.err(inertText(`warning: ${warning}`));
      for (const finding of findings) invocation.terminal.err(inertText(finding));
      if (findings.length === 0) invocation.terminal.out("the config is good");
    }
    return findings.length === 0 ? 0 : 1;
  },
};

async function findingsOf(invocation: Invocation): Promise<RoleCheck> {
  try {
    const config = await loadConfig(invocation);
    wantedRoles(config, invocation.roles);
    const { roles, env } = invocation;
    const checked = await withSecrets({ config, aws: roles.awsSecrets, env }, async (secrets) => ({
      role: await roles.check?.(config, secrets),
      wss: await wssFindings({ channel: config.channel, secrets, env }),
    }));
    const { findings = [], warnings = [] } = checked.role ?? {};
    return { findings: [...checked.wss, ...findings], warnings };
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== "config.invalid") throw thrown;
    return { findings: thrown.message.split("\n"), warnings: [] };
  }
}
