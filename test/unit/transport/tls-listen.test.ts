import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../../src/base/secret.ts";
import { listen, type Newcomer } from "../../../src/transport/listening.ts";
import { nodeWires } from "../../../src/transport/wire-node.ts";
import { eventually } from "../../harness/eventually.ts";
import { type Certificate, CertificateAuthority } from "../../harness/tls-front.ts";
import { ToldHandler } from "../../harness/trickling-wire.ts";

let first: Certificate;
let second: Certificate;
const closes: (() => void)[] = [];

beforeAll(async () => {
  const authority = await CertificateAuthority.make("listening");
  first = authority.issue("first", "DNS:localhost");
  second = authority.issue("second", "DNS:localhost");
});
afterEach(() => {
  for (const close of closes.splice(0)) close();
});
async function listening(admits: (from: Newcomer) => boolean = () => true) {
  let now = first;
  const changed: (() => void)[] = [];
  const listener = await listen({
    at: { transport: "wss", host: "127.0.0.1", port: 0, path: "/culvert" },
    wires: nodeWires,
    certificate: {
      current: () => ({ cert: now.cert, key: new Secret(now.key) }),
      onChange: (tell) => void changed.push(tell),
    },
    admits,
    take: () => new ToldHandler(),
  });
  closes.push(() => listener.stop());
  const renew = (to: Certificate): void => {
    now = to;
    for (const tell of changed) tell();
  };
  return { listener, renew };
}

function stranger(port: number, say = "") {
  const socket = connect({ host: "127.0.0.1", port });
  const state = { socket, heard: 0, closed: false };
  socket.on("data", (chunk) => {
    state.heard += chunk.length;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    state.closed = true;
  });
  socket.write(say);
  closes.push(() => socket.destroy());
  return state;
}

function subject(socket: ReturnType<typeof connectTls>): string {
  return String(socket.getPeerCertificate().subject.CN);
}

async function secured(port: number): Promise<ReturnType<typeof connectTls>> {
  const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
  socket.on("error", () => {});
  closes.push(() => (socket as Socket).destroy());
  await eventually("TLS", () => socket.getCipher() && socket.getPeerCertificate().subject);
  return socket;
}

describe("a listener of wss", () => {
  it("turns away whom it does not admit before a byte is read", async () => {
    const seen: Newcomer[] = [];
    const { listener } = await listening((from) => {
      seen.push(from);
      return false;
    });
    // A ClientHello would be answered, and so would nonsense.
    const one = stranger(listener.port, "\u0016\u0003\u0001\u0000\u0005nonsense");
    await eventually("the end of it", () => one.closed);
    expect([one.heard, listener.opening]).toEqual([0, 0]);
    expect(seen).toEqual([
      { remote: expect.stringMatching(/^127\.0\.0\.1:\d+$/), remoteAddress: "127.0.0.1" },
    ]);
  });

  it("C10 counts who has not finished TLS, and cuts it off after 10 s; the same for the request after it", async () => {
    const { listener } = await listening();
    const [silent, secret] = [stranger(listener.port), await secured(listener.port)];
    let closed = false;
    secret.on("close", () => {
      closed = true;
    });
    secret.resume();
    await eventually("two on their way", () => listener.opening === 2);
    await eventually("nobody", () => listener.opening === 0 && silent.closed && closed, {
      deadlineMs: 15_000,
    });
  }, 20_000);

  it("lets go of who goes, and of who speaks no TLS", async () => {
    const { listener } = await listening();
    const one = stranger(listener.port);
    await eventually("one on its way", () => listener.opening === 1);
    one.socket.destroy();
    const other = stranger(listener.port, "GET /culvert HTTP/1.1\r\n\r\n");
    await eventually("nobody", () => other.closed && listener.opening === 0);
  });

  it("shows a new certificate from then on, and leaves connections that are open", async () => {
    const { listener, renew } = await listening();
    const before = await secured(listener.port);
    expect(subject(before)).toBe("first");
    renew(second);
    expect(subject(await secured(listener.port))).toBe("second");
    expect(before.destroyed).toBe(false);
  });
});
