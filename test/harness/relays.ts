/** Relays as compiled binaries, and nodes that are reached through them alone. */
import { type Binary, CulvertNode } from "./culvert.ts";
import { eventually } from "./eventually.ts";
import { type AuthorityNode, type AuthorityOptions, makeAuthority } from "./members.ts";
import { freePort } from "./temporary.ts";

export interface RelayNode {
  readonly node: CulvertNode;
  readonly port: number;
  /** `tcp://127.0.0.1:port` */
  readonly address: string;
}

export interface RelayNodeOptions {
  /** Public keys of the authorities whose members it takes. */
  readonly authorities: readonly string[];
  readonly port?: number;
  /** Where it listens, instead of TCP on that port. */
  readonly listen?: string;
  /** More keys of `[relay]`, or more tables. */
  readonly relay?: string;
  readonly binary?: Binary;
}

/** Configured; not running yet. */
export async function makeRelay(options: RelayNodeOptions): Promise<RelayNode> {
  const node = await CulvertNode.make(options.binary ?? "culvert-outlet");
  const port = options.port ?? (await freePort());
  const address = `tcp://127.0.0.1:${port}`;
  await node.configure(
    [
      "[relay]",
      `  listen = ["${options.listen ?? address}"]`,
      `  authorities = [${options.authorities.map((key) => `"${key}"`).join(", ")}]`,
      options.relay ?? "",
    ].join("\n"),
  );
  return { node, port, address };
}

export async function startRelay(options: RelayNodeOptions): Promise<RelayNode> {
  const relay = await makeRelay(options);
  await relay.node.start();
  return relay;
}

/** What a relay's `authorities` takes. */
export async function publicKeyOf(node: CulvertNode): Promise<string> {
  return (await node.status()).authority.publicKey as string;
}

export interface Relayed {
  readonly outlet: AuthorityNode;
  readonly relay: RelayNode;
}

/** An authority that listens nowhere, and its relay; both run, and the name is taken. */
export async function startRelayed(
  options: AuthorityOptions = {},
  relayOptions: Partial<RelayNodeOptions> = {},
): Promise<Relayed> {
  const port = relayOptions.port ?? (await freePort());
  const outlet = await makeAuthority({ relays: [`tcp://127.0.0.1:${port}`], ...options });
  await outlet.node.start();
  const relay = await startRelay({
    ...relayOptions,
    authorities: [await publicKeyOf(outlet.node), ...(relayOptions.authorities ?? [])],
    port,
  });
  await untilRegistered(outlet.node);
  await outlet.node.untilReady();
  return { outlet, relay };
}

export async function untilRegistered(node: CulvertNode, at = 0): Promise<void> {
  await eventually("a name at the relay", async () => {
    const { roles } = await node.status();
    return roles.outlet.relays[at]?.state === "registered";
  });
}
