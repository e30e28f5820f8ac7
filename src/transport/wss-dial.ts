/**
 * Dials a server of wss: TCP, a tunnel through an HTTP proxy where there is one (RFC 9110 §9.3.6), TLS that is
 * always verified, and the opening of a WebSocket. By node:net and node:tls on every runtime.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Fault } from "../base/fault.ts";
import { bracketed } from "../base/host-port.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import { HeadPhase } from "./head-phase.ts";
import { HeadReader, type HttpHead } from "./http-head.ts";
import type { HttpsProxy } from "./https-proxy.ts";
import { newKey, upgradeRefusal, upgradeRequest } from "./websocket-upgrade.ts";
import { WebSocketWire } from "./websocket-wire.ts";
import type { Wire, WireHandler } from "./wire.ts";
import { NodeWire } from "./wire-node.ts";

export interface WssDialOptions {
  /** PEM of the authorities that servers are verified with; undefined for those that the runtime trusts. */
  readonly ca: string | undefined;
  /** For the Host header, where it is not the address's. */
  readonly host: string | undefined;
  readonly proxy: HttpsProxy | undefined;
}

/** For all of it; a little less than a dialler waits, which could not say where it went wrong. In milliseconds. */
const DEADLINE_MS = 9_500;

const NOT_TRUSTED = "; tls_ca in [channel] names the file of an authority of your own";
/** By OpenSSL's and node:tls's code: what a person does next. */
const TLS_REMEDIES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
  CERT_HAS_EXPIRED: "; renew it at the server, and see that this machine's clock is right",
  CERT_NOT_YET_VALID: "; see that this machine's clock is right",
  ERR_TLS_CERT_ALTNAME_INVALID: "; dial it by a name that its certificate has",
};

/** @returns gives the attempt up; nothing is told after that. */
export function dialWss(
  address: NodeAddress,
  options: WssDialOptions,
  take: (wire: Wire) => WireHandler,
  onFailure: (fault: Fault) => void,
): () => void {
  const attempt = new Attempt(address, options, take);
  attempt.run().catch((cause) => {
    if (attempt.drop()) onFailure(attempt.faultOf(cause));
  });
  return () => void attempt.drop();
}

class Attempt {
  readonly #address: NodeAddress;
  readonly #options: WssDialOptions;
  readonly #take: (wire: Wire) => WireHandler;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #place: string;
  #giveUp: (cause: Error) => void = () => {};
  #socket: Socket | undefined;
  /** Who is waited for, for the message. */
  #who: string;
  #over = false;

  constructor(address: NodeAddress, options: WssDialOptions, take: (wire: Wire) => WireHandler) {
    this.#address = address;
    this.#options = options;
    this.#take = take;
    this.#place = `${bracketed(address.host)}:${address.port}`;
    this.#who = options.proxy ? `the proxy ${options.proxy.text}` : this.#place;
    this.#timer = setTimeout(
      () => this.#giveUp(new Error(`${this.#who} does not answer; ${DEADLINE_MS / 1000} s have passed`)),
      DEADLINE_MS,
    );
  }

  /** Ends with the wire handed over. */
  async run(): Promise<void> {
    const { proxy } = this.#options;
    const { host, port } = proxy ?? this.#address;
    const tcp = this.#own(connectTcp({ host, port, allowHalfOpen: true }));
    await this.#event(tcp, "connect");
    if (proxy) await this.#tunnel(tcp, proxy);
    this.#who = this.#place;
    await this.#openWebSocket(await this.#secure(tcp));
  }

  /** @returns false where it is over already, one way or the other. */
  drop(): boolean {
    if (this.#over) return false;
    this.#finish();
    this.#socket?.destroy();
    return true;
  }

  faultOf(cause: unknown): Fault {
    if (cause instanceof Fault) return cause;
    const { message, code } = cause as NodeJS.ErrnoException;
    const what = `cannot reach ${this.#address.text}${this.#via()}`;
    const remedy = TLS_REMEDIES[code ?? ""] ?? "";
    return new Fault("transport.unreachable", `${what}: ${message || code}${remedy}`, { cause });
  }

  #via(): string {
    const { proxy } = this.#options;
    return proxy ? ` through the proxy ${proxy.text}` : "";
  }

  #finish(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #own<S extends Socket>(socket: S): S {
    this.#socket = socket;
    // Whoever waits has a listener of its own; without one at all an error would end the process.
    socket.on("error", () => {});
    if (this.#over) socket.destroy();
    return socket;
  }

  #event(socket: Socket, name: "connect" | "secureConnect"): Promise<void> {
    return this.#step((done, failed) => {
      socket.once(name, () => done());
      socket.once("error", failed);
      socket.once("close", () => failed(new Error(`${this.#who} closed the connection`)));
    });
  }

  #step(begin: (done: () => void, failed: (cause: Error) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      begin(resolve, reject);
    });
  }

  async #secure(below: Socket): Promise<Socket> {
    const { ca } = this.#options;
    const { host } = this.#address;
    const socket = this.#own(
      connectTls({
        socket: below,
        // What the environment says about it (NODE_TLS_REJECT_UNAUTHORIZED) is not asked.
        rejectUnauthorized: true,
        minVersion: "TLSv1.2",
        ALPNProtocols: ["http/1.1"],
        host,
        ...(isIP(host) === 0 && { servername: host }),
        ...(ca !== undefined && { ca }),
      }),
    );
    await this.#event(socket, "secureConnect");
    return socket;
  }

  #tunnel(way: Socket, proxy: HttpsProxy): Promise<void> {
    const reader = new HeadReader();
    return this.#step((done, failed) => {
      const onData = (chunk: Buffer): void => {
        try {
          const found = reader.push(chunk);
          if (!found) return;
          way.off("data", onData);
          way.pause();
          this.#checkTunnel(found.head, proxy);
          if (found.rest.length > 0) throw new Error("the proxy speaks before the server does");
          done();
        } catch (cause) {
          failed(
            cause instanceof Fault ? cause : new Error(`the proxy's answer: ${(cause as Error).message}`),
          );
        }
      };
      way.on("data", onData);
      way.once("error", failed);
      way.once("end", () => failed(new Error("the proxy closed the connection")));
      way.once("close", () => failed(new Error("the proxy closed the connection")));
      const authorization = proxy.authorization
        ? `Proxy-Authorization: ${proxy.authorization.reveal()}\r\n`
        : "";
      const head = `CONNECT ${this.#place} HTTP/1.1\r\nHost: ${this.#place}\r\nUser-Agent: culvert\r\n`;
      way.write(`${head}${authorization}\r\n`);
    });
  }

  /** @throws Fault */
  #checkTunnel({ start: [version, status] }: HttpHead, proxy: HttpsProxy): void {
    if (/^HTTP\/1\.[01]$/.test(version) && /^2\d\d$/.test(status)) return;
    const what = /^\d{3}$/.test(status) ? `answers with HTTP status ${status}` : "speaks no HTTP";
    // Some say 401, which is a server's (tinyproxy 1.11).
    const remedy =
      status === "407" || status === "401"
        ? proxy.authorization
          ? "it does not accept the user and password in https_proxy"
          : "it wants a user and a password: put them into https_proxy, http://USER:PASSWORD@HOST:PORT"
        : status === "403"
          ? `have it let connections to ${this.#place} through`
          : "is https_proxy right, and does this proxy know CONNECT?";
    throw new Fault(
      "transport.unreachable",
      `cannot reach ${this.#address.text}: the proxy ${proxy.text} ${what}; ${remedy}`,
    );
  }

  #openWebSocket(tls: Socket): Promise<void> {
    const { path, port, host } = this.#address;
    const key = newKey();
    const ownHost = port === 443 ? bracketed(host) : this.#place;
    const request = upgradeRequest({ path, host: this.#options.host ?? ownHost, key });
    return this.#step((done, failed) => {
      new NodeWire(tls, (below) => {
        below.write(Buffer.from(request, "latin1"));
        return new HeadPhase({
          onHead: (head) => {
            const refusal = upgradeRefusal(head, key);
            if (refusal !== undefined || this.#over) {
              failed(new Error(refusal));
              return undefined;
            }
            this.#finish();
            done();
            return new WebSocketWire(below, "client", this.#take, `${this.#address.text}${this.#via()}`);
          },
          onBroken: (cause) => failed(new Error(`its answer: ${(cause as Error).message}`)),
          onCut: () => failed(new Error(`${this.#who} closed the connection`)),
        });
      });
    });
  }
}
