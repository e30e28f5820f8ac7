/**
 * bulk-service: the TCP service behind the portals that are measured. A client's first byte says what it wants:
 * `g` bytes until it hangs up, as fast as they
 * are taken, `l` the same at 50 MB/s, `p` its own bytes thrown away. Argument: the port.
 */
const PIECE = new Uint8Array(256 * 1024).fill(7);

/** As `PACED_BYTES_PER_SECOND` of bulk.ts says. */
const PACED_PIECE = new Uint8Array(500_000).fill(7);
const PACE_MS = 10;

type Wish = { asked: number | undefined };

function give(socket: Bun.Socket<Wish>): void {
  while (socket.write(PIECE) === PIECE.length);
}

function givePaced(socket: Bun.Socket<Wish>): void {
  const timer = setInterval(() => {
    if (socket.readyState <= 0) clearInterval(timer);
    else socket.write(PACED_PIECE);
  }, PACE_MS);
}

const [GIVE, GIVE_PACED] = [0x67, 0x6c];

Bun.listen<Wish>({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  data: { asked: undefined },
  socket: {
    open(socket) {
      socket.data = { asked: undefined };
    },
    data(socket, chunk) {
      if (socket.data.asked !== undefined) return;
      socket.data.asked = chunk[0];
      if (chunk[0] === GIVE) give(socket);
      else if (chunk[0] === GIVE_PACED) givePaced(socket);
    },
    drain(socket) {
      // What was taken in part begins anew: only the count of bytes matters.
      if (socket.data.asked === GIVE) give(socket);
    },
    error() {},
  },
});
