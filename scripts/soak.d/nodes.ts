/** nodes: what a soak runs: everybody reaches everybody through one relay alone, and everything is renewed soon. */
import { BUCKET } from "../bench/admin-stub.ts";
import {
  authorityKey,
  type InletNode,
  inletNode,
  type MemberNode,
  outletNode,
  relayNode,
  ticketFrom,
} from "../bench/members.ts";
import { freePort, type Stage, type Started } from "../bench/stage.ts";

/** Shorter than any sensible config has them, for an hour is to show what a month does. */
const RENEWALS = {
  channel: `  max_age = "15s"`,
  outlet: `  lease_expires_in = "20s"
  [[outlets.influxdb.permissions]]
    action = "read"
    bucket = "${BUCKET}"`,
  authority: `  credential_expires_in = "1m"`,
};
/** Half a second less than by default, for a busy machine takes its time to tell a client. */
const TIMEOUT = `  timeout = "4s"`;
const READY_DEADLINE_MS = 60_000;

export interface SoakNodes {
  /** Those that live throughout: the relay, the outlet with the authority, inlets. */
  readonly steady: readonly Started[];
  readonly inlets: readonly SoakInlet[];
  /** An outlet and an inlet; not running yet. */
  readonly troubled: readonly MemberNode[];
  readonly troubledInlet: SoakInlet;
}

export interface SoakInlet extends InletNode {
  readonly portalPort: number;
}

export interface SoakOptions {
  readonly influxPort: number;
  /** Of the service behind the portals. */
  readonly echoPort: number;
  /** That live throughout. */
  readonly inlets: number;
}

/** @returns once the inlets are served. */
export async function startNodes(
  stage: Stage,
  { influxPort, echoPort, inlets: count }: SoakOptions,
): Promise<SoakNodes> {
  const relayPort = await freePort();
  const channel = `  relays = ["tcp://127.0.0.1:${relayPort}"]\n${RENEWALS.channel}`;
  const outletOptions = { influxPort, channel, outlet: RENEWALS.outlet, tables: outletPortal(echoPort) };
  const authority = outletNode(stage, {
    ...outletOptions,
    name: "outlet-1",
    authority: RENEWALS.authority,
  });
  const startedAuthority = stage.start(authority.start);
  const relay = relayNode(stage, {
    name: "relay",
    port: relayPort,
    authorities: [await authorityKey(authority)],
  });
  const startedRelay = stage.start(relay.start);
  await stage.listening(startedRelay, relayPort);
  const second = outletNode(stage, {
    ...outletOptions,
    name: "outlet-2",
    ticket: ticketFrom(authority, ["influxdb-outlet=true", "relay-names=influxdb"]),
  });
  const inlets = await Promise.all(
    Array.from({ length: count + 1 }, async (_, i) => {
      const portalPort = await freePort();
      const node = await inletNode(stage, {
        name: `inlet-${i + 1}`,
        channel: RENEWALS.channel,
        inlet: TIMEOUT,
        tables: inletPortal(portalPort),
        ticket: ticketFrom(authority),
      });
      return { ...node, portalPort };
    }),
  );
  const startedInlets = inlets.slice(0, -1).map(({ start }) => stage.start(start));
  await Promise.all(inlets.slice(0, -1).map(untilServed));
  return {
    steady: [startedRelay, startedAuthority, ...startedInlets],
    troubled: [second, inlets.at(-1)!],
    inlets: inlets.slice(0, -1),
    troubledInlet: inlets.at(-1)!,
  };
}

function outletPortal(port: number): string {
  return `[[outlets.tcp]]
  service = "echo"
  address = "127.0.0.1:${port}"
  allow = "influxdb-inlet"`;
}

function inletPortal(port: number): string {
  return `[[inlets.tcp]]
  listen = "127.0.0.1:${port}"
  service = "echo"`;
}

async function untilServed({ port, start }: { port: number; start: { name: string } }): Promise<void> {
  for (const endMs = performance.now() + READY_DEADLINE_MS; ; await Bun.sleep(50)) {
    const answer = await fetch(`http://127.0.0.1:${port}/ping`).catch(() => undefined);
    if (answer?.status === 204) return;
    if (performance.now() > endMs) throw new Error(`${start.name} does not reach an outlet`);
  }
}
