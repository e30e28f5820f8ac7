import { systemClock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { createLog, inertText } from "../../base/log.ts";
import { Secret } from "../../base/secret.ts";
import { LocalParty } from "../../channel/local-party.ts";
import { chooseProvider } from "../../crypto/choose-provider.ts";
import { parseTicket } from "../../identity/ticket.ts";
import type { EnrollmentKeeper } from "../../membership/enrollment-keeper.ts";
import { Trust } from "../../membership/trust.ts";
import { type Connector, directConnector } from "../../transport/connector.ts";
import { throughRelays } from "../../transport/relay-join.ts";
import { Ticker } from "../../transport/ticker.ts";
import { runtimeWires } from "../../transport/wire-runtime.ts";
import { adminOptions, namesConfig, stateDirOf } from "../admin-client.ts";
import type { Command, Invocation, Terminal } from "../command.ts";
import { loadConfig } from "../config-files.ts";
import { loadOrCreateIdentity } from "../identity-store.ts";
import { withSecrets } from "../node-secrets.ts";
import { makeKeeper } from "../standing.ts";
import { readTextFile } from "../text-file.ts";
import { version } from "../version.ts";
import { environmentWay, openWssWay } from "../wss-way.ts";

const MAX_TICKET_BYTES = 64 * 1024;
const TELL_MS = 500;

export const enroll: Command = {
  name: "enroll",
  summary: "make this node a member, by a ticket; safe to run again",
  positionals: [
    {
      name: "TICKET|-|@FILE",
      doc: "The ticket, - for standard input, or @ and the name of a file that holds it.",
    },
  ],
  options: adminOptions,
  async run(invocation) {
    const { terminal } = invocation;
    const written = invocation.positionals[0]!;
    const text = await ticketText(written);
    const provider = await chooseProvider("auto", ["AESGCM"]);
    // Before anything is made or dialled: is it one at all?
    const ticket = parseTicket(text, provider);
    const stateDir = await stateDirOf(invocation);
    const identity = await loadOrCreateIdentity(stateDir, provider);
    const keeper = makeKeeper({
      stateDir,
      party: new LocalParty({ provider, identity, software: `culvert/${version}` }),
      provider,
      suite: "AESGCM",
      connector: throughRelays(await connectorOf(invocation), "AESGCM"),
      ticker: new Ticker(),
      trust: new Trust({ provider, clock: systemClock }),
      ticket: new Secret(text),
      log: createLog({ level: "error", format: "text", wallMs: Date.now, write: terminal.err }),
    });
    if (terminal.isTty) terminal.err(inertText(`asking the authority at ${ticket.addresses.join(" or ")} …`));
    const telling = tellOfFailures(keeper, terminal);
    const record = await keeper.enrollNow().finally(() => clearInterval(telling));
    if (invocation.json) {
      const { authorityAddresses, outletAddresses, service } = record;
      const { identifier } = identity;
      const told = { identifier, authority: ticket.authority, authorityAddresses, outletAddresses, service };
      terminal.out(JSON.stringify(told, null, 2));
    } else {
      terminal.out(`${identity.identifier} is a member now, of the authority ${ticket.authority}`);
      if (written === text)
        terminal.err(
          "a ticket in the command line is seen by other users of this machine; next time give - or @FILE",
        );
    }
    return 0;
  },
};

/** By the config where one is named, else by the environment alone. */
async function connectorOf(invocation: Invocation): Promise<Connector> {
  const { env, roles } = invocation;
  const wires = await runtimeWires();
  if (!namesConfig(invocation)) return directConnector(wires, environmentWay(env));
  const config = await loadConfig(invocation);
  return await withSecrets({ config, aws: roles.awsSecrets, env }, async (secrets) =>
    directConnector(wires, await openWssWay({ channel: config.channel, secrets, env })),
  );
}

/** Whoever waits is told why, once for each reason; the last one is the command's own. */
function tellOfFailures(keeper: EnrollmentKeeper, { err }: Terminal): ReturnType<typeof setInterval> {
  let told: string | undefined;
  return setInterval(() => {
    const { lastFault } = keeper.status();
    if (!lastFault || lastFault.code === "enrollment.missing" || lastFault.code === told) return;
    told = lastFault.code;
    err(inertText(`${lastFault.message}; trying again …`));
  }, TELL_MS);
}

async function ticketText(written: string): Promise<string> {
  if (written === "-") return await standardInput();
  if (written.startsWith("@")) return (await readTextFile(written.slice(1), "TICKET")).trim();
  return written;
}

async function standardInput(): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of process.stdin) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MAX_TICKET_BYTES)
      throw new Fault("ticket.malformed", "what came on standard input is no ticket: it is too long");
  }
  return text.trim();
}
