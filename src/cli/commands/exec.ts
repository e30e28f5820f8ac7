import { Fault } from "../../base/fault.ts";
import { inertText } from "../../base/log.ts";
import { adminOptions, nodeOf } from "../admin-client.ts";
import { runChild, SignalRelay, signalCode } from "../child-command.ts";
import { type Command, type Invocation, listOption, textOption } from "../command.ts";
import { KeptLease } from "../kept-lease.ts";
import { serviceOption } from "./lease.ts";

const DEFAULT_VARIABLE = "INFLUX_TOKEN";

export const exec: Command = {
  name: "exec",
  summary: "run a command with a leased token in its environment, which is revoked when it ends",
  positionals: [
    { name: "CMD", doc: 'The command; put "--" before it.' },
    { name: "ARG", doc: "What it is given.", optional: true, rest: true },
  ],
  options: {
    env: {
      type: "string",
      multiple: true,
      value: "NAME[=PERMISSIONS]",
      doc: `Variable for a token, ${DEFAULT_VARIABLE} where nothing is said, and which of this node's permissions it has (write:metrics,read:metrics), all where nothing is said; may be given several times.`,
    },
    service: serviceOption,
    ...adminOptions,
  },
  async run(invocation) {
    const { positionals, terminal, env } = invocation;
    const variables = variablesOf(invocation);
    const ask = await nodeOf(invocation);
    const service = textOption(invocation, "service");
    const warn = (text: string) => terminal.err(inertText(`culvert exec: ${text}`));
    const signals = new SignalRelay();
    const leases = new Map<string, KeptLease>();
    try {
      const tokens: Record<string, string> = {};
      for (const { name, permissions } of variables) {
        const key = permissions?.join(",") ?? "";
        const options = { ask, service, permissions, warn };
        const lease = leases.get(key) ?? (await KeptLease.wait(options, () => signals.early !== undefined));
        leases.set(key, lease);
        tokens[name] = lease.token.reveal();
      }
      if (signals.early) return signalCode(signals.early);
      const [command = "", ...args] = positionals;
      const child = { command, args, env: { ...env, ...tokens }, signals };
      return await runChild(child, (why) => warn(`${command}: ${why}`));
    } finally {
      await Promise.all([...leases.values()].map((lease) => lease.end()));
      signals.stop();
    }
  },
};

interface Variable {
  readonly name: string;
  /** Sorted, each once; all of the member's where absent. */
  readonly permissions: readonly string[] | undefined;
}

/** @throws Fault `usage.invalid` */
function variablesOf(invocation: Invocation): Variable[] {
  const given = listOption(invocation, "env");
  const variables = (given.length > 0 ? given : [DEFAULT_VARIABLE]).map(variableIn);
  const twice = variables.find(({ name }, i) => variables.findIndex((other) => other.name === name) !== i);
  if (twice) throw new Fault("usage.invalid", `exec: --env ${twice.name} is given twice`);
  return variables;
}

function variableIn(text: string): Variable {
  const [, name = "", permissions] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  if (!/^[A-Za-z_]\w*$/.test(name))
    throw new Fault("usage.invalid", `exec: --env "${text}": "${name}" is no name of a variable`);
  if (permissions === undefined) return { name, permissions: undefined };
  const parts = [...new Set(permissions.split(","))].sort();
  if (parts.every((part) => /^(?:read|write):./.test(part))) return { name, permissions: parts };
  throw new Fault(
    "usage.invalid",
    `exec: --env ${name}: "${permissions}" names no permissions, as write:metrics or write:metrics,read:metrics do`,
  );
}
