/** A line on which nobody hears that the near end has gone: what a device's power cut leaves behind. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface HalfOpenTcp {
  readonly port: number;
  /** Connections to the far end whose near end has gone. */
  readonly orphans: number;
  stop(): Promise<void>;
}

export async function halfOpenTcp(targetPort: number): Promise<HalfOpenTcp> {
  const sockets = new Set<Socket>();
  const orphans = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port: targetPort, allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    near.on("data", (chunk) => far.write(chunk));
    far.on("data", (chunk) => near.write(chunk));
    far.on("end", () => {
      near.end();
      far.end();
    });
    near.on("close", () => {
      sockets.delete(near);
      if (!far.destroyed) orphans.add(far);
    });
    far.on("close", () => {
      sockets.delete(far);
      orphans.delete(far);
      near.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get orphans() {
      return orphans.size;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
