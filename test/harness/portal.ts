/** An inlet and an outlet pinned to each other, with one portal and no InfluxDB. */
import { type Binary, CulvertNode } from "./culvert.ts";
import { freePort } from "./temporary.ts";

export interface PortalOptions {
  /** `host:port` of the service. */
  readonly address: string;
  /** More keys of `[[inlets.tcp]]` and `[[outlets.tcp]]`. */
  readonly inlet?: string;
  readonly outlet?: string;
  /** More keys of `[channel]`, at both ends. */
  readonly channel?: string;
  readonly binaries?: { readonly inlet: Binary; readonly outlet: Binary };
  readonly env?: Readonly<Record<string, string>>;
}

export interface Portal {
  readonly inlet: CulvertNode;
  readonly outlet: CulvertNode;
  /** Where clients connect to. */
  readonly port: number;
  readonly channelPort: number;
  stop(): Promise<void>;
}

export async function startPortal(options: PortalOptions): Promise<Portal> {
  const portal = await makePortal(options);
  try {
    await portal.outlet.start();
    await portal.inlet.start();
  } catch (error) {
    await portal.stop();
    throw error;
  }
  return portal;
}

/** The same, not running yet. */
export async function makePortal(options: PortalOptions): Promise<Portal> {
  const { binaries = { inlet: "culvert-inlet", outlet: "culvert-outlet" }, env = {} } = options;
  const outlet = await CulvertNode.make(binaries.outlet, env);
  const inlet = await CulvertNode.make(binaries.inlet, env);
  const [port, channelPort] = [await freePort(), await freePort()];
  await outlet.configure(
    [
      "[channel]",
      `  listen = ["tcp://127.0.0.1:${channelPort}"]`,
      options.channel ?? "",
      "[[outlets.tcp]]",
      '  service = "ui"',
      `  address = "${options.address}"`,
      `  authorized = ["${inlet.identifier}"]`,
      options.outlet ?? "",
    ].join("\n"),
  );
  await inlet.configure(
    [
      "[channel]",
      `  connect = ["tcp://127.0.0.1:${channelPort}"]`,
      options.channel ?? "",
      "[[inlets.tcp]]",
      `  listen = "127.0.0.1:${port}"`,
      '  service = "ui"',
      `  authorized = ["${outlet.identifier}"]`,
      options.inlet ?? "",
    ].join("\n"),
  );
  const stop = async () => {
    await Promise.all([inlet.stop(), outlet.stop()]);
  };
  return { inlet, outlet, port, channelPort, stop };
}

/** What `/status` says of the one portal at either end. */
export async function portalStatus(node: CulvertNode, end: "inlet" | "outlet") {
  const { roles } = await node.status();
  return end === "inlet" ? roles.inlet.portals.services[0] : roles.outlet.portals[0];
}
