import { Fault } from "../../base/fault.ts";
import { chooseProvider } from "../../crypto/choose-provider.ts";
import { type Command, textOption } from "../command.ts";
import { loadOrCreateIdentity } from "../identity-store.ts";

export const identityShow: Command = {
  name: "identity show",
  summary: "print this node's identifier; makes its identity if there is none",
  options: { "state-dir": { type: "string", value: "DIR", doc: "The node's state_dir." } },
  async run(invocation) {
    const stateDir = textOption(invocation, "state-dir");
    if (!stateDir) throw new Fault("usage.invalid", "identity show: --state-dir DIR is needed");
    const { identifier } = await loadOrCreateIdentity(stateDir, await chooseProvider("auto", ["AESGCM"]));
    invocation.terminal.out(invocation.json ? JSON.stringify({ identifier }) : identifier);
    return 0;
  },
};
