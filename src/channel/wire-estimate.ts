/**
 * About what TCP and IP add to one connection. Assumed are IPv4 and TCP timestamps, segments as long as Ethernet
 * lets them be, an acknowledgement for every second segment (RFC 1122 §4.2.3.2), and one for the last that goes
 * along with an answer where that comes soon. Segments that were lost and sent again are not seen from here.
 */
import type { Way } from "./traffic-meter.ts";

/** IPv4 header 20, TCP header 20, timestamps 12 (RFC 7323). */
export const HEADERS_BYTES = 52;
/** SYN has other options too: segment size, window scale, selective acknowledgement. */
const SYN_BYTES = 60;
const SEGMENT_BYTES = 1_500 - HEADERS_BYTES;
/** An acknowledgement waits less than this for something to go along with (RFC 1122 §4.2.3.2). */
const DELAYED_ACK_MS = 500;

export type Purpose = "idle" | "payload";

/** Takes what goes over the wire, with all headers. */
export type WireTaker = (way: Way, bytes: number, purpose: Purpose) => void;

interface Unacknowledged {
  readonly atMs: number;
  readonly purpose: Purpose;
}

export class WireEstimate {
  readonly #take: WireTaker;
  readonly #unacknowledged: { [way in Way]?: Unacknowledged | undefined } = {};

  /** Of a connection that we have made. */
  constructor(take: WireTaker) {
    this.#take = take;
    take("sent", SYN_BYTES + HEADERS_BYTES, "idle");
    take("received", SYN_BYTES, "idle");
  }

  /** So many bytes of one message went this way. */
  message(way: Way, bytes: number, purpose: Purpose, nowMs: number): void {
    const other = otherThan(way);
    const theirs = this.#unacknowledged[other];
    if (theirs && nowMs - theirs.atMs >= DELAYED_ACK_MS) this.#take(way, HEADERS_BYTES, theirs.purpose);
    this.#unacknowledged[other] = undefined;

    const segments = Math.ceil(bytes / SEGMENT_BYTES);
    this.#take(way, bytes + segments * HEADERS_BYTES, purpose);
    const ours = segments + (this.#unacknowledged[way] ? 1 : 0);
    this.#take(other, Math.floor(ours / 2) * HEADERS_BYTES, purpose);
    this.#unacknowledged[way] = ours % 2 === 1 ? { atMs: nowMs, purpose } : undefined;
  }

  /** Each end says that it has ended, and acknowledges that the other has. */
  end(): void {
    for (const way of ["sent", "received"] as const) this.#take(way, 2 * HEADERS_BYTES, "idle");
  }
}

function otherThan(way: Way): Way {
  return way === "sent" ? "received" : "sent";
}
