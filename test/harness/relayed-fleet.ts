/** Several outlets under one name at a relay, and devices that reach them through it alone. */
import type { CulvertNode } from "./culvert.ts";
import { eventually } from "./eventually.ts";
import type { InfluxDbUnderTest } from "./influxdb-under-test.ts";
import { admin, type Device, makeAuthority, makeDevice, makeOutlet, ticketFrom } from "./members.ts";
import { makeRelay, publicKeyOf, untilRegistered } from "./relays.ts";
import { freePort } from "./temporary.ts";

export interface FleetOptions {
  readonly influx: InfluxDbUnderTest;
  /** Default 1. The first has the authority. */
  readonly outlets?: number;
  /** Default 1. */
  readonly devices?: number;
  /** More keys of `[channel]`, at outlets and devices. */
  readonly channel?: string;
  /** Of leases, as in `AuthorityOptions`. */
  readonly permissions?: readonly string[];
  /** A socket file that the first device's inlet listens on besides. */
  readonly unix?: string;
  /** What everybody dials in place of the relay, given where the relay is. */
  readonly line?: (relayPort: number) => Promise<number>;
  /** Where relay and devices are, if not on loopback as everything else (`BadNetwork`). */
  readonly relayHost?: { readonly address: string; readonly within: readonly string[] };
  readonly deviceWithin?: readonly string[];
}

export interface Fleet {
  readonly relay: CulvertNode;
  readonly outlets: readonly CulvertNode[];
  readonly devices: readonly Device[];
  stop(): Promise<void>;
}

/** Of an inlet; half a second less than by default, for a busy machine takes its time to tell a client. */
const TIMEOUT_MS = 4_000;

/** All running, each device enrolled and with its lease. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { influx, channel, unix, relayHost } = options;
  const nodes: CulvertNode[] = [];
  const start = async (node: CulvertNode): Promise<void> => {
    nodes.push(node);
    await node.start();
  };
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    const port = await freePort();
    const host = relayHost?.address ?? "127.0.0.1";
    const common = {
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      relays: [`tcp://${host}:${(await options.line?.(port)) ?? port}`],
      ...(channel !== undefined && { channel }),
      ...(options.permissions && { permissions: options.permissions }),
    };
    const { node: authority } = await makeAuthority(common);
    await start(authority);
    const listen = `tcp://${host}:${port}`;
    const { node: relay } = await makeRelay({ authorities: [await publicKeyOf(authority)], listen });
    relay.within = relayHost?.within ?? [];
    await start(relay);
    await untilRegistered(authority);

    const outlets = [authority];
    for (let i = 1; i < (options.outlets ?? 1); i++) {
      const attributes = { "influxdb-outlet": "true", "relay-names": "influxdb" };
      const { node } = await makeOutlet({ ...common, ticket: await ticketFrom(authority, { attributes }) });
      await start(node);
      await node.untilReady();
      await untilRegistered(node);
      outlets.push(node);
    }
    const devices: Device[] = [];
    const timeout = `  timeout = "${TIMEOUT_MS}ms"`;
    const besides = `[[inlets.influxdb]]\n  listen = "unix://${unix}"\n${timeout}`;
    for (let i = 0; i < (options.devices ?? 1); i++) {
      const ticket = await ticketFrom(authority);
      const device = await makeDevice({
        ticket,
        ...(channel !== undefined && { channel }),
        inlet: unix !== undefined && i === 0 ? `${timeout}\n${besides}` : timeout,
      });
      device.node.within = options.deviceWithin ?? [];
      await start(device.node);
      await untilLeased(device.node);
      devices.push(device);
    }
    return { relay, outlets, devices, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** By its admin socket: wherever on the network the node is, its files are here. */
async function untilLeased(device: CulvertNode): Promise<void> {
  const held = async () => (await admin(device, "status")).roles.inlet.services[0].lease.held;
  await eventually("a lease", held, { deadlineMs: 30_000, everyMs: 200 }).catch((error: Error) => {
    throw new Error(`${error.message}\n${device.log}`);
  });
}
