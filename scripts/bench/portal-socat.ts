/** A pair of socat with OpenSSL between them, as people put it in front of a port: a process per connection. */
import { CORE_NAME } from "./certificates.ts";
import type { PeerSurroundings } from "./peers.ts";
import { freePort } from "./stage.ts";
import { part, type Target } from "./target.ts";

/** socat's own is 8 KiB, which halves it. */
const BUFFER_BYTES = 65_536;

export async function socatPair({ stage, sinkPort, certificates }: PeerSurroundings): Promise<Target> {
  const [edgePort, corePort] = [await freePort(), await freePort()];
  const { authority, edge, core } = certificates;
  const start = (role: string, listen: string, to: string) =>
    stage.start({ name: `socat-${role}`, command: ["socat", "-b", String(BUFFER_BYTES), listen, to] });
  const tls = `cafile=${authority},verify=1,openssl-min-proto-version=TLS1.3`;
  const coreStarted = start(
    "core",
    `OPENSSL-LISTEN:${corePort},bind=127.0.0.1,reuseaddr,fork,cert=${core.bundle},${tls}`,
    `TCP:127.0.0.1:${sinkPort}`,
  );
  const edgeStarted = start(
    "edge",
    `TCP-LISTEN:${edgePort},bind=127.0.0.1,reuseaddr,fork`,
    `OPENSSL:127.0.0.1:${corePort},cert=${edge.bundle},commonname=${CORE_NAME},snihost=${CORE_NAME},${tls}`,
  );
  await stage.listening(coreStarted, corePort);
  await stage.listening(edgeStarted, edgePort);
  return { name: "socat", port: edgePort, processes: [part("edge", edgeStarted), part("core", coreStarted)] };
}
