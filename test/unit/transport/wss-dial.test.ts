/** Dialling wss against servers and proxies that do not do what they should; real sockets, all on this machine. */
import { once } from "node:events";
import { createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Fault } from "../../../src/base/fault.ts";
import { parseNodeAddress } from "../../../src/identity/node-address.ts";
import { parseHttpsProxy } from "../../../src/transport/https-proxy.ts";
import { dialWss } from "../../../src/transport/wss-dial.ts";
import { eventually } from "../../harness/eventually.ts";
import { type Certificate, CertificateAuthority } from "../../harness/tls-front.ts";
import { ToldHandler } from "../../harness/trickling-wire.ts";

let authority: CertificateAuthority;
let certificate: Certificate;
const closes: (() => void)[] = [];

beforeAll(async () => {
  authority = await CertificateAuthority.make("dialled");
  certificate = authority.issue("server", "IP:127.0.0.1");
});
afterEach(() => {
  for (const close of closes.splice(0)) close();
});
type Talk = (socket: Socket, head: string) => void;

/** A server that reads a head, and then does what the test says; or says that at once; or nothing, for ever. */
async function serving(
  kind: "tcp" | "tls",
  talk: Talk | string | undefined,
  { cert, key } = certificate,
): Promise<{ port: number; live: Set<Socket> }> {
  const live = new Set<Socket>();
  const serve = (socket: Socket): void => {
    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      if (typeof talk === "function") talk(socket, head);
    };
    if (typeof talk === "string") socket.end(talk);
    socket.on("data", onData);
  };
  const server = kind === "tls" ? createTlsServer({ cert, key }, serve) : createTcpServer(serve);
  server.on("connection", (socket: Socket) => {
    live.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => live.delete(socket));
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closes.push(() => {
    server.close();
    for (const socket of live) socket.destroy();
  });
  return { port: (server.address() as { port: number }).port, live };
}

/** @returns why it failed. */
function failure(port: number, proxy?: string): Promise<Fault> {
  return new Promise((resolve, reject) => {
    const way = {
      ca: authority.pem,
      host: undefined,
      proxy: proxy === undefined ? undefined : parseHttpsProxy(proxy),
    };
    dialWss(
      parseNodeAddress(`wss://127.0.0.1:${port}/culvert`)!,
      way,
      () => {
        reject(new Error("it was taken"));
        return new ToldHandler();
      },
      resolve,
    );
  });
}

describe("a server", () => {
  it.each<[string, string, RegExp]>([
    ["that has nothing at the path", "HTTP/1.1 404 x\r\n\r\n", /status 404; is the path/],
    ["that redirects", "HTTP/1.1 302 x\r\nLocation: /\r\n\r\n", /status 302; redirects are not followed/],
    ["whose load balancer reaches nobody", "HTTP/1.1 503 x\r\n\r\n", /status 503; the load balancer/],
    [
      "that proves nothing",
      "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
      /not understood/,
    ],
    ["that speaks something else", "220 smtp ESMTP\r\n\r\n", /speaks no HTTP/],
    ["that answers bytes", "\u0000\u0001\u0002\r\n\r\n", /its first line/],
    ["with a head without an end", "HTTP/1.1 101 x\r\nA: ".padEnd(9_000, "x"), /too long/],
    ["that hangs up", "", /closed the connection/],
  ])("%s: a fault that says so, and nothing is left open", async (_what, answer, expected) => {
    const { port, live } = await serving("tls", (socket) =>
      answer === "" ? socket.end() : socket.write(answer, "latin1"),
    );
    const fault = await failure(port);
    expect(fault.code).toBe("transport.unreachable");
    expect(fault.message).toMatch(expected);
    expect(fault.message).toContain(`cannot reach wss://127.0.0.1:${port}/culvert`);
    await eventually("the end of the connection", () => live.size === 0);
  });

  it("F2 whose certificate is for a name, dialled by its address", async () => {
    const named = authority.issue("named", "DNS:localhost,DNS:127.0.0.1");
    const { port, live } = await serving("tls", undefined, named);
    expect((await failure(port)).message).toMatch(/altnames|address|IP/);
    await eventually("the end of the connection", () => live.size === 0);
  });

  it("that speaks no TLS", async () => {
    const { port, live } = await serving("tcp", "HTTP/1.1 400 x\r\n\r\n");
    expect((await failure(port)).code).toBe("transport.unreachable");
    await eventually("the end of the connection", () => live.size === 0);
  });
});

describe("a proxy", () => {
  const TO = 65_000;

  it.each<[string, string, RegExp]>([
    ["that wants a user", "HTTP/1.1 407 x\r\n\r\n", /status 407; it does not accept the user and password/],
    [
      "that forbids it",
      "HTTP/1.1 403 x\r\n\r\n",
      /status 403; have it let connections to 127\.0\.0\.1:65000 through/,
    ],
    ["that knows no CONNECT", "HTTP/1.1 405 x\r\n\r\n", /status 405; is https_proxy right/],
    ["that speaks something else", "SSH-2.0-x y\r\n\r\n", /speaks no HTTP/],
    ["that answers bytes", "\u0000\u0001\r\n\r\n", /the proxy's answer: its first line/],
    [
      "with a head without an end",
      "HTTP/1.1 200 x\r\nA: ".padEnd(9_000, "x"),
      /the proxy's answer: its head is too long/,
    ],
    ["that speaks before the server", "HTTP/1.1 200 x\r\n\r\nmore", /speaks before the server does/],
    ["that hangs up", "", /the proxy closed the connection/],
  ])(
    "%s: a fault that says so, without the password, and nothing is left open",
    async (_what, answer, expected) => {
      const { port, live } = await serving("tcp", (socket) =>
        answer === "" ? socket.end() : socket.write(answer, "latin1"),
      );
      const fault = await failure(TO, `http://fleet:hunter2@127.0.0.1:${port}`);
      expect(fault.code).toBe("transport.unreachable");
      expect(fault.message).toMatch(expected);
      expect(fault.message).toContain(`the proxy http://127.0.0.1:${port}`);
      expect(`${fault.message} ${String(fault.cause)} ${fault.stack}`).not.toMatch(/hunter2|Zmxl/);
      await eventually("the end of the connection", () => live.size === 0);
    },
  );

  it("is asked for the name, with what it is to be asked with", async () => {
    const heads: string[] = [];
    const { port } = await serving("tcp", (socket, head) => {
      heads.push(head);
      socket.end("HTTP/1.1 502 x\r\n\r\n");
    });
    await failure(443, `http://fleet:hunter2@127.0.0.1:${port}`);
    const sent = Buffer.from("fleet:hunter2").toString("base64");
    expect(heads).toEqual([
      `CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\nUser-Agent: culvert\r\nProxy-Authorization: Basic ${sent}\r\n\r\n`,
    ]);
  });

  it("that is not there", async () => {
    const { port } = await serving("tcp", undefined);
    for (const close of closes.splice(0)) close();
    expect((await failure(TO, `http://127.0.0.1:${port}`)).message).toContain(
      `through the proxy http://127.0.0.1:${port}`,
    );
  });
});

describe("M10 who never answers", () => {
  it("is given up within 10 s, whatever the step, and named", async () => {
    const [proxy, tls, upgrade] = await Promise.all([
      serving("tcp", undefined),
      serving("tcp", undefined),
      serving("tls", undefined),
    ]);
    const startedMs = performance.now();
    const faults = await Promise.all([
      failure(443, `http://127.0.0.1:${proxy.port}`),
      failure(tls.port),
      failure(upgrade.port),
    ]);
    expect(performance.now() - startedMs).toBeLessThan(10_500);
    const named = [
      `the proxy http://127.0.0.1:${proxy.port}`,
      `127.0.0.1:${tls.port}`,
      `127.0.0.1:${upgrade.port}`,
    ];
    expect(
      faults.map(({ message }, i) => message.endsWith(`: ${named[i]} does not answer; 9.5 s have passed`)),
    ).toEqual([true, true, true]);
    for (const { live } of [proxy, tls, upgrade]) await eventually("the end of it", () => live.size === 0);
  }, 20_000);

  it("is let go at once when the attempt is given up, and nothing is told", async () => {
    const { port, live } = await serving("tls", undefined);
    const told: unknown[] = [];
    const cancel = dialWss(
      parseNodeAddress(`wss://127.0.0.1:${port}/culvert`)!,
      { ca: authority.pem, host: undefined, proxy: undefined },
      () => {
        told.push("taken");
        return new ToldHandler();
      },
      (fault) => told.push(fault),
    );
    await eventually("a connection", () => live.size === 1);
    cancel();
    await eventually("the end of it", () => live.size === 0);
    expect(told).toEqual([]);
  });
});
