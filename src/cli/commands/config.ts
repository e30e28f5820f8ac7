import { Fault } from "../../base/fault.ts";
import { sampleConfig } from "../../config/sample.ts";
import { type Command, textOption } from "../command.ts";
import { configOptions, loadConfig } from "../config-files.ts";

export const configSample: Command = {
  name: "config sample",
  summary: "print a config with every key, its default and what it is for",
  options: { role: { type: "string", value: "ROLE", doc: "inlet or outlet alone." } },
  async run(invocation) {
    const role = textOption(invocation, "role");
    if (role !== undefined && role !== "inlet" && role !== "outlet") {
      throw new Fault("usage.invalid", `--role: "${role}" is neither inlet nor outlet`);
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
    const config = await loadConfig(invocation);
    const findings = (await invocation.roles.check?.(config, invocation.env)) ?? [];
    if (invocation.json) {
      invocation.terminal.out(JSON.stringify({ ok: findings.length === 0, findings }, null, 2));
    } else {
      for (const finding of findings) invocation.terminal.err(finding);
      if (findings.length === 0) invocation.terminal.out("the config is good");
    }
    return findings.length === 0 ? 0 : 1;
  },
};
