/**
 * Wires without a network that keep what each connection carried, and when; and what that is on a real wire, by
 * a sum of the harness' own.
 */
import type { TcpAddress, Wire, WireHandler, WireProvider } from "../../src/transport/wire.ts";
import type { MemoryWires } from "./memory-wires.ts";

interface Piece {
  readonly fromDialer: boolean;
  readonly bytes: number;
  readonly atMs: number;
}

/** IPv4 and TCP with timestamps. */
const HEADERS_BYTES = 52;
const SEGMENT_BYTES = 1_448;
/** SYN, SYN with ACK, ACK; and FIN and ACK at each end. */
const CONNECTION_BYTES = 60 + 60 + HEADERS_BYTES + 4 * HEADERS_BYTES;
/** What is answered within this needs no acknowledgement of its own. */
const PIGGYBACK_MS = 500;

export class MeteredWires implements WireProvider {
  readonly connections: Piece[][] = [];
  readonly #wires: MemoryWires;

  constructor(wires: MemoryWires) {
    this.#wires = wires;
  }

  get pieces(): number {
    return this.connections.reduce((sum, { length }) => sum + length, 0);
  }

  dial(address: TcpAddress, take: (wire: Wire) => WireHandler, onFailure: (cause: unknown) => void) {
    const pieces: Piece[] = [];
    const note = (fromDialer: boolean, bytes: number): void => {
      if (bytes > 0) pieces.push({ fromDialer, bytes, atMs: performance.now() });
    };
    const metered = (wire: Wire): WireHandler => {
      this.connections.push(pieces);
      const handler = take({
        ...wire,
        write(bytes) {
          const taken = wire.write(bytes);
          note(true, taken);
          return taken;
        },
      });
      return {
        onData(chunk) {
          note(false, chunk.length);
          handler.onData(chunk);
        },
        onWritable: () => handler.onWritable(),
        onClose: () => handler.onClose(),
      };
    };
    return this.#wires.dial(address, metered, onFailure);
  }

  listen: WireProvider["listen"] = (address, take) => this.#wires.listen(address, take);

  /** Both ways together, with all that TCP and IP add. */
  onTheWireBytes(): number {
    return this.connections.reduce((sum, pieces) => sum + CONNECTION_BYTES + costOf(pieces), 0);
  }
}

function costOf(pieces: readonly Piece[]): number {
  let sum = 0;
  for (const [i, { fromDialer, bytes, atMs }] of pieces.entries()) {
    const segments = Math.ceil(bytes / SEGMENT_BYTES);
    const next = pieces[i + 1];
    const answered = next && next.fromDialer !== fromDialer && next.atMs - atMs < PIGGYBACK_MS;
    sum += bytes + segments * HEADERS_BYTES + (answered ? 0 : HEADERS_BYTES);
  }
  return sum;
}
