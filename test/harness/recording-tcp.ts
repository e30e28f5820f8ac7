/** A plain TCP proxy that keeps all bytes it passes on, and may alter them: somebody on the line. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export interface RecordingTcp {
  readonly port: number;
  /** Everything so far, as Latin-1, so that bytes and characters are one to one. */
  sent(): string;
  received(): string;
  /** What becomes of each chunk from now on; undefined for passing them on as they are. */
  tamper: Tamper | undefined;
  stop(): Promise<void>;
}

export type Tamper = (chunk: Buffer, direction: "sent" | "received") => Buffer[];

export async function recordTcp(targetPort: number): Promise<RecordingTcp> {
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  const sockets = new Set<Socket>();
  const join = (from: Socket, to: Socket, record: Buffer[], direction: "sent" | "received"): void => {
    sockets.add(from);
    from.on("data", (chunk: Buffer) => {
      record.push(Buffer.from(chunk));
      for (const piece of line.tamper?.(chunk, direction) ?? [chunk]) to.write(piece);
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server: Server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port: targetPort, allowHalfOpen: true });
    join(near, far, sent, "sent");
    join(far, near, received, "received");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const line: RecordingTcp = {
    port: (server.address() as AddressInfo).port,
    sent: () => Buffer.concat(sent).toString("latin1"),
    received: () => Buffer.concat(received).toString("latin1"),
    tamper: undefined,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return line;
}
