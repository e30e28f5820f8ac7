/** bulk: one transfer in one direction for so long, and how many bytes of it the client has seen go. */
export type Direction = "download" | "upload";

export interface BulkOptions {
  readonly port: number;
  readonly direction: Direction;
  readonly seconds: number;
  /** At 50 MB/s rather than as fast as it goes. */
  readonly paced?: boolean;
}

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
}

const PIECE = new Uint8Array(256 * 1024).fill(7);
export const PACED_BYTES_PER_SECOND = 50e6;
const PACE_MS = 10;
/** Buffers on the way fill up first, which is no transfer. */
const WARM_UP_MS = 300;

/** @param onMeasured called when the warm-up is over, and again at the end. */
export async function transfer(options: BulkOptions, onMeasured: () => void = () => {}): Promise<Transfer> {
  const { port, direction, paced = false } = options;
  const uploads = direction === "upload";
  let bytes = 0;
  let broken: string | undefined;
  const put = (socket: Bun.Socket): void => {
    for (;;) {
      const taken = Math.max(0, socket.write(PIECE));
      bytes += taken;
      if (taken < PIECE.length) return;
    }
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open(opened) {
        opened.write(uploads ? "p" : paced ? "l" : "g");
        if (uploads && !paced) put(opened);
      },
      data(_socket, chunk) {
        bytes += chunk.length;
      },
      drain(drained) {
        if (uploads && !paced) put(drained);
      },
      close() {
        broken ??= "the connection ended";
      },
      error(_socket, error) {
        broken ??= error.message;
      },
    },
  });
  const piece = PIECE.subarray(0, (PACED_BYTES_PER_SECOND * PACE_MS) / 1e3 / 2);
  const pace = setInterval(() => {
    if (!uploads || !paced) return;
    for (let i = 0; i < 2; i++) bytes += Math.max(0, socket.write(piece));
  }, PACE_MS);
  await Bun.sleep(WARM_UP_MS);
  const [before, sinceMs] = [bytes, performance.now()];
  onMeasured();
  await Bun.sleep(options.seconds * 1000);
  const moved = { bytes: bytes - before, seconds: (performance.now() - sinceMs) / 1000 };
  onMeasured();
  if (broken !== undefined) throw new Error(`the transfer broke: ${broken}`);
  clearInterval(pace);
  socket.terminate();
  return moved;
}
