/**
 * An inlet whose identity the outlet has pinned, and that obeys nobody: it sends any request head it likes
 * straight to the outlet, past everything that an honest inlet refuses.
 */
import type { FaultCode } from "../../src/base/fault.ts";
import {
  decodeReplyHead,
  encodeHead,
  type HttpRequestHead,
  type ReplyHead,
  type RequestHead,
} from "../../src/channel/exchange.ts";
import type { LeaseReplyHead, LeaseRequestHead } from "../../src/channel/lease-heads.ts";
import { defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty, type Statements } from "../../src/channel/local-party.ts";
import type { Stream } from "../../src/channel/stream.ts";
import { enrollmentFile } from "../../src/cli/enrollment-file.ts";
import { loadIdentity } from "../../src/cli/identity-store.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { Identity } from "../../src/identity/identity.ts";
import { Link } from "../../src/transport/link.ts";
import { Ticker } from "../../src/transport/ticker.ts";
import { runtimeWires } from "../../src/transport/wire-runtime.ts";

/** What came back on a stream: the outlet's head and the body behind it, or the code that ended it. */
export interface HostileAnswer {
  readonly head?: ReplyHead;
  readonly body: string;
  readonly reset?: FaultCode;
}

export class HostileInlet {
  readonly #link: Link;
  readonly service: string;

  private constructor(link: Link, service: string) {
    this.#link = link;
    this.service = service;
  }

  /** @param stateDir of the inlet whose place it takes, with its credential where it is enrolled. */
  static async connect(port: number, stateDir: string, service = "influxdb"): Promise<HostileInlet> {
    const identity = await loadIdentity(stateDir, nodeProvider);
    if (!identity) throw new Error(`no identity in ${stateDir}`);
    const { identifier } = identity;
    const record = await enrollmentFile(stateDir, { provider: nodeProvider, identifier }).load();
    return await HostileInlet.withIdentity(
      port,
      identity,
      record ? { credential: record.credential } : {},
      service,
    );
  }

  /** @param statements what its hello carries. @throws the fault that ended the channel. */
  static async withIdentity(
    port: number,
    identity: Identity,
    statements: Statements,
    service = "influxdb",
  ): Promise<HostileInlet> {
    const party = new LocalParty({
      provider: nodeProvider,
      identity,
      software: "hostile/1",
      statements: () => statements,
    });
    const wires = await runtimeWires();
    const ticker = new Ticker();
    const link = await new Promise<Link>((resolve, reject) => {
      wires.dial(
        { host: "127.0.0.1", port },
        (wire) => {
          const made: Link = new Link(wire, {
            party,
            limits: defaultLimits,
            suite: "AESGCM",
            keepaliveMs: 120_000,
            authorize: () => undefined,
            initiator: true,
            route: "",
            events: {
              onEstablished: () => resolve(made),
              onStream: () => ({ onData() {}, onEnd() {}, onReset() {} }),
              onGoAway() {},
              onClosed: (fault) => reject(fault ?? new Error("closed")),
              onSendable() {},
            },
          });
          ticker.add(made);
          return made;
        },
        reject,
      );
    });
    return new HostileInlet(link, service);
  }

  async lease(rejected?: string, held?: LeaseRequestHead["held"]): Promise<LeaseReplyHead> {
    const answer = await this.ask({
      kind: "lease",
      service: this.service,
      ...(rejected === undefined ? {} : { rejected }),
      ...(held && { held }),
    });
    if (answer.head?.kind !== "lease") throw new Error(`no lease: ${JSON.stringify(answer)}`);
    return answer.head;
  }

  /** One request; `headers` go as they are. */
  async http(
    request: Pick<HttpRequestHead, "target"> & Partial<HttpRequestHead>,
    body = "",
  ): Promise<HostileAnswer> {
    return await this.ask(
      { kind: "http", service: this.service, method: "POST", headers: [], ...request },
      body,
    );
  }

  async ask(head: RequestHead, body = ""): Promise<HostileAnswer> {
    return await this.askBytes(encodeHead(head), body);
  }

  askBytes(head: Uint8Array, body = ""): Promise<HostileAnswer> {
    return new Promise((resolve) => {
      let reply: ReplyHead | undefined;
      let text = "";
      let stream: Stream | undefined;
      const done = (reset?: FaultCode): void =>
        resolve({
          ...(reply === undefined ? {} : { head: reply }),
          body: text,
          ...(reset === undefined ? {} : { reset }),
        });
      const data = new TextEncoder().encode(body);
      stream = this.#link.session.openStream(
        head,
        {
          onHead: (bytes) => {
            reply = decodeReplyHead(bytes);
          },
          onData: (chunk) => {
            text += Buffer.from(chunk).toString("utf8");
            stream?.consumed(chunk.length);
          },
          onEnd: () => done(),
          onReset: (fault) => done(fault.code),
        },
        { ...(data.length > 0 ? { data } : {}), end: true },
      );
    });
  }

  get closed(): boolean {
    return this.#link.session.closed;
  }

  close(): void {
    this.#link.close("normal");
  }
}
