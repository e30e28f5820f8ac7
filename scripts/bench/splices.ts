/**
 * splices: an inlet and an outlet with something between them that passes bytes on and understands none of them:
 * nothing at all, culvert's relay, haproxy in TCP mode, nginx's stream module. The nodes are the same throughout.
 */
import { existsSync } from "node:fs";
import { authorityKey, inletNode, outletNode, relayNode, ticketFrom } from "./members.ts";
import { nginxMain } from "./sink.ts";
import { freePort, type Stage, type Started } from "./stage.ts";
import { part, type Surroundings, type Target } from "./target.ts";

export const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";
/** The role of what is between. */
export const SPLICE = "splice";

export async function straight(around: Surroundings): Promise<Target> {
  return await direct(around, { name: "straight", outletPort: await freePort() });
}

/** The commands that run each, without their arguments. */
export interface Commands {
  readonly inlet?: readonly string[];
  readonly relay?: readonly string[];
  readonly outlet?: readonly string[];
}

export async function throughRelay(
  { stage, sinkPort }: Surroundings,
  commands: Commands = {},
): Promise<Target> {
  const port = await freePort();
  const outlet = outletNode(stage, {
    name: "relay-outlet",
    influxPort: sinkPort,
    channel: `  relays = ["tcp://127.0.0.1:${port}"]`,
    command: commands.outlet,
  });
  const startedOutlet = stage.start(outlet.start);
  const authorities = [await authorityKey(outlet)];
  const relay = relayNode(stage, { name: "relay", port, authorities, command: commands.relay });
  const startedRelay = stage.start(relay.start);
  await stage.listening(startedRelay, port);
  const ticket = ticketFrom(outlet);
  const inlet = await inletNode(stage, { name: "relay-inlet", ticket, command: commands.inlet });
  const startedInlet = stage.start(inlet.start);
  await stage.listening(startedInlet, inlet.port);
  return {
    name: "relay",
    port: inlet.port,
    processes: [part("inlet", startedInlet), part(SPLICE, startedRelay), part("outlet", startedOutlet)],
  };
}

/** Logs off, a thread that works, time-outs that never come, buffers as large as in the write-path benchmark. */
export async function throughHaproxy(around: Surroundings): Promise<Target> {
  return await throughPeer(around, "haproxy", (stage, { port, outletPort }) => {
    const config = stage.write(
      "haproxy-tcp.cfg",
      `global
  nbthread 1
  tune.bufsize 32768
  maxconn 1024
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
listen splice
  bind 127.0.0.1:${port}
  server outlet 127.0.0.1:${outletPort}
`,
    );
    return stage.start({ name: "haproxy-tcp", command: ["haproxy", "-db", "-q", "-f", config] });
  });
}

export async function throughNginx(around: Surroundings): Promise<Target> {
  return await throughPeer(around, "nginx", (stage, { port, outletPort }) => {
    const folder = stage.subfolder("nginx-stream");
    const config = stage.write(
      "nginx-stream.conf",
      `${existsSync(STREAM_MODULE) ? `load_module ${STREAM_MODULE};\n` : ""}${nginxMain(folder)}
stream {
  proxy_buffer_size 32k;
  proxy_timeout 300s;
  tcp_nodelay on;
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${outletPort};
  }
}
`,
    );
    return stage.start({ name: "nginx-stream", command: ["nginx", "-p", folder, "-c", config] });
  });
}

interface PeerPorts {
  readonly port: number;
  readonly outletPort: number;
}

async function throughPeer(
  around: Surroundings,
  name: string,
  start: (stage: Stage, ports: PeerPorts) => Started,
): Promise<Target> {
  const ports = { port: await freePort(), outletPort: await freePort() };
  const peer = start(around.stage, ports);
  await around.stage.listening(peer, ports.port);
  return await direct(around, {
    name,
    outletPort: ports.outletPort,
    peer: { started: peer, port: ports.port },
  });
}

interface Direct {
  readonly name: string;
  readonly outletPort: number;
  /** Where tickets say that the outlet is; without one, where it is. */
  readonly peer?: { readonly started: Started; readonly port: number };
}

async function direct(
  { stage, sinkPort }: Surroundings,
  { name, outletPort, peer }: Direct,
): Promise<Target> {
  const outlet = outletNode(stage, {
    name: `${name}-outlet`,
    influxPort: sinkPort,
    channel: [
      `  listen = ["tcp://127.0.0.1:${outletPort}"]`,
      `  advertise = ["tcp://127.0.0.1:${peer?.port ?? outletPort}"]`,
    ].join("\n"),
  });
  const startedOutlet = stage.start(outlet.start);
  await stage.listening(startedOutlet, outletPort);
  const inlet = await inletNode(stage, { name: `${name}-inlet`, ticket: ticketFrom(outlet) });
  const startedInlet = stage.start(inlet.start);
  await stage.listening(startedInlet, inlet.port);
  const between = peer ? [part(SPLICE, peer.started)] : [];
  return {
    name,
    port: inlet.port,
    processes: [part("inlet", startedInlet), ...between, part("outlet", startedOutlet)],
  };
}
