/**
 * Which lines were sent, how often each has arrived at InfluxDB, and of which the client was told so. A line carries
 * its own checksum, so that one which was altered on the way is known without keeping what was sent.
 */
export class Ledger {
  /** By the line's hash: a piece of a text keeps all of that text in memory. */
  readonly #arrived = new Map<number | bigint, number>();
  acknowledged = 0;
  /** Acknowledged, and not there. */
  lost = 0;
  /** Lines that nobody has sent. */
  altered = 0;
  /** Arrived a second time: an inlet sends a body once more when its channel goes before the answer. */
  repeated = 0;
  /** Arrived more often than that. */
  excessive = 0;

  /** A line of line protocol, like no other. */
  line(client: number, count: number): string {
    return sealed(`ledger,client=${client} count=${count}i`);
  }

  /** @param body lines, of which comments count for nothing. */
  arrive(body: Uint8Array): void {
    for (const line of new TextDecoder().decode(body).split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      if (sealed(line.slice(0, line.lastIndexOf(","))) !== line) {
        this.altered++;
        continue;
      }
      const key = Bun.hash(line);
      const times = (this.#arrived.get(key) ?? 0) + 1;
      this.#arrived.set(key, times);
      if (times === 2) this.repeated++;
      else if (times > 2) this.excessive++;
    }
  }

  /** InfluxDB has it, the client was told. It is forgotten, so that an hour's ledger is no longer than a minute's. */
  acknowledge(line: string): void {
    this.acknowledged++;
    if (!this.#arrived.delete(Bun.hash(line))) this.lost++;
  }
}

function sealed(text: string): string {
  return `${text},sum="${Bun.hash(text).toString(16)}"`;
}
