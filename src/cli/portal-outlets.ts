/** The `[[outlets.tcp]]` of a node: the services that members may connect to. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { TcpOutletConfig } from "../config/config.ts";
import { OutletPortal, type OutletPortalOptions } from "../portal/outlet-portal.ts";
import { type Dial, serviceSocket } from "../portal/outlet-socket.ts";
import type { WireProvider } from "../transport/wire.ts";
import type { NodeContext } from "./node-context.ts";
import { TlsFiles } from "./tls-files.ts";

export async function openPortalOutlets(
  { config, wires, ticker, log }: Pick<NodeContext, "config" | "wires" | "ticker" | "log">,
  subjectOf: OutletPortalOptions["subjectOf"],
): Promise<OutletPortal[]> {
  return await Promise.all(
    config.outlets.tcp.map(async (outlet) => {
      const own = log.with({ service: outlet.service });
      if (outlet.insecureSkipVerify) {
        own.warn("tls.not-verified", {
          address: outlet.address.text,
          hint: "insecure_skip_verify is on: whoever answers at this address is taken for the service",
        });
      }
      return new OutletPortal({
        name: outlet.service,
        subjectOf,
        rules: { authorized: new Set(outlet.authorized), allow: outlet.allow },
        dial: await serviceDial(outlet, wires, own),
        maxConnections: outlet.maxConnections,
        maxMemberConnections: outlet.maxMemberConnections,
        idleTimeoutMs: outlet.idleTimeoutMs,
        ticker,
        log: own,
      });
    }),
  );
}

/** @param portals of the config, in its order. */
export function portalOutletStatus(
  { outlets }: Pick<NodeContext["config"], "outlets">,
  portals: readonly OutletPortal[],
): object[] {
  return outlets.tcp.map(({ address, allow, tls, insecureSkipVerify }, i) => {
    const { name, counts } = portals[i]!;
    return { name, address: address.text, allow: allow.text, tls, insecureSkipVerify, ...counts.snapshot() };
  });
}

/** For `config check`: whether the service takes a connection, TLS and all. */
export async function checkPortalOutlet(
  outlet: TcpOutletConfig,
  wires: WireProvider,
  log: Log,
): Promise<string | undefined> {
  try {
    const dial = await serviceDial(outlet, wires, log);
    await new Promise<void>((resolve, reject) => {
      dial((wire) => {
        setImmediate(() => wire.destroy());
        resolve();
        return { onData() {}, onWritable() {}, onClose() {} };
      }, reject);
    });
    return undefined;
  } catch (thrown) {
    return `[[outlets.tcp]] service "${outlet.service}": ${Fault.from(thrown).message}`;
  }
}

/** @throws Fault `config.invalid` for an authority's file that cannot be used. */
async function serviceDial(outlet: TcpOutletConfig, wires: WireProvider, log: Log): Promise<Dial<Fault>> {
  const { address, connectTimeoutMs, insecureSkipVerify } = outlet;
  const socket = (dial: Dial<unknown>) => serviceSocket({ place: address.text, dial, connectTimeoutMs });
  if (!outlet.tls) return socket((take, onFailure) => wires.dial(address, take, onFailure));
  const files = await TlsFiles.open({ tlsCa: outlet.tlsCa, tlsCert: undefined, tlsKey: undefined }, log);
  // Loading TLS takes its time, and most portals do without.
  const { dialTls } = await import("../portal/outlet-tls.ts");
  const tls = {
    ca: () => files.current().ca,
    serverName: outlet.tlsServerName,
    minVersion: outlet.tlsMinVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    insecureSkipVerify,
  } as const;
  return socket((take, onFailure) =>
    dialTls(address, tls, take, (cause) => {
      // Perhaps the service has been given a certificate of another authority: the next one to try will know.
      void files.refresh();
      onFailure(cause);
    }),
  );
}
