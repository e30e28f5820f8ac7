/**
 * What stands before a relay and passes all on, but for what a relay could do to the channels that it joins: the
 * two together are a relay that lies. It knows an outlet's pick-up by its first bytes; all that comes back on such a
 * connection is what a joiner says to the outlet.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface LyingRelay {
  readonly port: number;
  /** What becomes of each chunk that a joiner says; undefined for passing them on as they are. */
  lie: ((chunk: Buffer) => Buffer[]) | undefined;
  /** The next two that pick up are given each other's joiner. */
  swapNext(): void;
  /** All that the joiner of each pick-up said, in the order of the pick-ups. */
  readonly said: readonly Buffer[][];
  /** Whoever picks up next hears this, and nothing from the one that waits. */
  replayNext(said: readonly Buffer[]): void;
  readonly swapped: number;
  readonly replayed: number;
  stop(): Promise<void>;
}

const PICK_UP_BYTES = 41;
const PICK_UP_TYPE = 0x80;

export async function lyingRelay(relayPort: number): Promise<LyingRelay> {
  const sockets = new Set<Socket>();
  const said: Buffer[][] = [];
  let swapping: { far: Socket; cookie: Buffer }[] | undefined;
  let replay: readonly Buffer[] | undefined;
  const counts = { swapped: 0, replayed: 0 };

  const pickUp = (near: Socket, far: Socket, cookie: Buffer): void => {
    const heard: Buffer[] = [];
    said.push(heard);
    const recorded = replay;
    replay = undefined;
    far.on("data", (chunk: Buffer) => {
      heard.push(chunk);
      if (!recorded) for (const piece of line.lie?.(chunk) ?? [chunk]) near.write(piece);
    });
    if (recorded) {
      counts.replayed++;
      for (const chunk of recorded) near.write(chunk);
    }
    if (!swapping) return void far.write(cookie);
    swapping.push({ far, cookie });
    if (swapping.length < 2) return;
    const [one, two] = swapping as [(typeof swapping)[0], (typeof swapping)[0]];
    one.far.write(two.cookie);
    two.far.write(one.cookie);
    counts.swapped++;
    swapping = undefined;
  };

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port: relayPort, allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    near.once("data", (first: Buffer) => {
      near.on("data", (chunk: Buffer) => far.write(chunk));
      if (first.length === PICK_UP_BYTES && first[8] === PICK_UP_TYPE) return pickUp(near, far, first);
      far.write(first);
      far.on("data", (chunk: Buffer) => near.write(chunk));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const line: LyingRelay = {
    port: (server.address() as AddressInfo).port,
    lie: undefined,
    said,
    swapNext() {
      swapping = [];
    },
    replayNext(recorded) {
      replay = recorded;
    },
    get swapped() {
      return counts.swapped;
    },
    get replayed() {
      return counts.replayed;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return line;
}
