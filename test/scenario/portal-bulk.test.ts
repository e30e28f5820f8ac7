import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { type Portal, portalStatus, startPortal } from "../harness/portal.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, type TcpEnd, TcpService } from "../harness/tcp-service.ts";
import { CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

const MEGABYTE = 1_000_000;
const TOTAL_BYTES = 1_000 * MEGABYTE;
/** What 1 GB may leave behind in a node at most: many times less than is kept when the slow side is not heeded. */
const MAX_GROWTH_BYTES = 100 * MEGABYTE;
const DEADLINE_MS = 120_000;

let portal: Portal;
let service: TcpService;
afterEach(async () => {
  await portal.stop();
  service.stop();
});

/** Resident memory that no file holds. */
function memoryOf(pid: number): number {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

/** The most that the two nodes have used since. */
class MemoryWatch {
  readonly #pids: readonly number[];
  readonly #before: readonly number[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #most: number[];

  constructor({ inlet, outlet }: Portal) {
    this.#pids = [inlet.process.pid, outlet.process.pid];
    this.#before = this.#pids.map(memoryOf);
    this.#most = [...this.#before];
    this.#timer = setInterval(() => this.#look(), 50);
  }

  growth(): number[] {
    clearInterval(this.#timer);
    this.#look();
    return this.#most.map((most, i) => most - this.#before[i]!);
  }

  #look(): void {
    for (const [i, pid] of this.#pids.entries()) this.#most[i] = Math.max(this.#most[i]!, memoryOf(pid));
  }
}

/** Bytes that repeat in no way that a lost or doubled piece could hide in, as fast as the other side takes them. */
function send({ socket }: TcpEnd, totalBytes: number): Promise<string> {
  const hash = createHash("sha256");
  let left = totalBytes;
  let count = 0;
  return new Promise((resolve) => {
    const more = (): void => {
      while (left > 0) {
        const piece = Buffer.alloc(Math.min(left, 256 * 1024), count++ & 0xff);
        piece.writeUInt32BE(count);
        hash.update(piece);
        left -= piece.length;
        if (!socket.write(piece)) return void socket.once("drain", more);
      }
      socket.end();
      resolve(hash.digest("hex"));
    };
    more();
  });
}

async function received(end: TcpEnd): Promise<string> {
  const hash = createHash("sha256");
  end.socket.on("data", (chunk) => hash.update(chunk));
  await eventually("the end", () => end.ended, { deadlineMs: DEADLINE_MS });
  return hash.digest("hex");
}

describe("1 GB through a portal", () => {
  it("M11 arrives as it was, both ways at once, and leaves memory as it was", {
    timeout: DEADLINE_MS,
  }, async () => {
    const answers: Promise<[string, string]>[] = [];
    service = await TcpService.start(
      (end) => answers.push(Promise.all([received(end), send(end, TOTAL_BYTES)])),
      { keep: false },
    );
    portal = await startPortal({ address: service.address });
    const client = await connectTcp(portal.port, { keep: false });
    const got = received(client);
    const memory = new MemoryWatch(portal);
    const sent = await send(client, TOTAL_BYTES);
    const [heard, answered] = await eventually("an answer", () => answers[0]).then((answer) => answer);
    expect(await got).toBe(answered);
    expect(heard).toBe(sent);
    for (const bytes of memory.growth()) expect(bytes).toBeLessThan(MAX_GROWTH_BYTES);
    expect((await portalStatus(portal.outlet, "outlet")).toServiceBytes).toBe(TOTAL_BYTES);
  });
});

describe("a client that never reads", () => {
  it.each(["plain", "TLS"])(
    "holds a %s service back, and no node keeps what it does not take",
    async (kind) => {
      const authority = await CertificateAuthority.make();
      const certificate = kind === "TLS" ? authority.issue("service", "IP:127.0.0.1") : undefined;
      let taken = 0;
      service = await TcpService.start(
        ({ socket }) => {
          const chunk = Buffer.alloc(64 * 1024);
          const more = (): void => {
            while (socket.write(chunk)) taken += chunk.length;
            taken += chunk.length;
            socket.once("drain", more);
          };
          more();
        },
        { keep: false, ...(certificate && { certificate }) },
      );
      const outlet = certificate ? `tls = true\ntls_ca = "${authority.certFile}"` : "";
      portal = await startPortal({ address: service.address, outlet });
      const client = await connectTcp(portal.port, { keep: false });
      client.socket.pause();
      const memory = new MemoryWatch(portal);
      // The service has written nothing for a second: all that there is between the two is full.
      let before = 0;
      const isFull = (): boolean => {
        const isStill = taken > 0 && taken === before;
        before = taken;
        return isStill;
      };
      await eventually("a full way", isFull, { everyMs: 1_000, deadlineMs: 20_000 });
      for (const bytes of memory.growth()) expect(bytes).toBeLessThan(MAX_GROWTH_BYTES);
      expect(taken).toBeLessThan(64 * MEGABYTE);
      // And another client is served meanwhile.
      const other = await connectTcp(portal.port, { keep: false });
      await eventually("bytes", () => other.received > 32 * MEGABYTE);
      other.abort();
      client.abort();
    },
  );
});
