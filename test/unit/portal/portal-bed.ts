/** Portals on memory wires and a virtual clock: real dialers, acceptors and channels, and a service behind them. */
import type { Fault } from "../../../src/base/fault.ts";
import { decodeRequestHead } from "../../../src/channel/exchange.ts";
import type { ChannelLimits } from "../../../src/channel/limits.ts";
import { NO_ATTRIBUTES } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import { InletChannels } from "../../../src/portal/inlet-channels.ts";
import { InletPortal } from "../../../src/portal/inlet-portal.ts";
import { InletResets } from "../../../src/portal/inlet-resets.ts";
import { OutletPortal } from "../../../src/portal/outlet-portal.ts";
import { serviceSocket } from "../../../src/portal/outlet-socket.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import type { Wire, WireHandler } from "../../../src/transport/wire.ts";
import { aDialer, anAcceptor, MemoryLog } from "../../harness/channel-nodes.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import { text } from "../../harness/session-pair.ts";

export const CHANNEL_PORT = 4433;
export const SERVICE_PORT = 80;
export const PORTAL_PORT = 8087;

/** One end of a connection: a client, or what the service has of one. */
export class Peer implements WireHandler {
  readonly wire: Wire;
  received = "";
  ended = false;
  closed = false;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  onData(chunk: Uint8Array): void {
    this.received += Buffer.from(chunk).toString("latin1");
  }

  onWritable(): void {}

  onEnd(): void {
    this.ended = true;
  }

  onClose(): void {
    this.closed = true;
  }

  say(words: string): void {
    this.wire.write(text(words));
  }
}

export interface BedOptions {
  readonly inlet?: { readonly maxConnections?: number };
  readonly outlet?: { readonly maxConnections?: number; readonly maxMemberConnections?: number };
  readonly limits?: Partial<ChannelLimits>;
  readonly judge?: (identifier: string) => Fault | undefined;
  readonly turnsAway?: (address: string | undefined) => boolean;
}

export class PortalBed {
  readonly wires = new MemoryWires();
  readonly ticker = new Ticker();
  readonly served: Peer[] = [];
  readonly inletLog = new MemoryLog();
  readonly outletLog = new MemoryLog();
  readonly outlet: OutletPortal;
  readonly inlet: InletPortal;
  readonly channels: InletChannels;
  /** Attributes of whoever asks. */
  attributes: Readonly<Record<string, string>> = { admin: "true" };
  readonly #acceptor: ReturnType<typeof anAcceptor>;

  constructor(options: BedOptions = {}) {
    const { wires, ticker } = this;
    const idleTimeoutMs = 3_600_000;
    this.outlet = new OutletPortal({
      name: "ui",
      subjectOf: ({ identifier }) => ({ identifier, attributes: this.attributes as never, isMember: true }),
      rules: { authorized: new Set(), allow: parsePolicy("admin") },
      dial: serviceSocket({
        place: "memory",
        dial: (take, onFailure) => wires.dial({ host: "127.0.0.1", port: SERVICE_PORT }, take, onFailure),
        connectTimeoutMs: 5_000,
      }),
      maxConnections: options.outlet?.maxConnections ?? 1_000,
      maxMemberConnections: options.outlet?.maxMemberConnections ?? 1_000,
      ...{ idleTimeoutMs, ticker, log: this.outletLog },
    });
    this.#acceptor = anAcceptor({
      ...{ wires, ticker, ports: [CHANNEL_PORT] },
      ...(options.limits && { limits: options.limits }),
      onStream: (stream, head, peer) => this.outlet.accept(stream, decodeRequestHead(head) as never, peer),
    });
    this.channels = new InletChannels({
      dialer: (onUp) => aDialer({ wires, ticker, ports: [CHANNEL_PORT], onUp, random: () => 0.5 }).dialer,
      waiting: () => this.inlet.isWaiting,
      onRoom: () => this.inlet.admitWaiting(),
      ticker,
    });
    this.inlet = new InletPortal({
      at: { host: "127.0.0.1", port: PORTAL_PORT },
      service: "ui",
      channels: this.channels,
      resets: new InletResets(ticker),
      judge: ({ identifier }) => options.judge?.(identifier),
      turnsAway: options.turnsAway ?? (() => false),
      maxConnections: options.inlet?.maxConnections ?? 1_000,
      ...{ idleTimeoutMs, wires, ticker, log: this.inletLog },
    });
  }

  async start({ outlet = true, service = true } = {}): Promise<this> {
    if (service) await this.startService();
    if (outlet) await this.startOutlet();
    await this.inlet.start();
    return this;
  }

  async startOutlet(): Promise<void> {
    await this.#acceptor.acceptor.start();
  }

  async startService(): Promise<void> {
    await this.wires.listen({ host: "127.0.0.1", port: SERVICE_PORT }, (wire) => {
      const peer = new Peer(wire);
      this.served.push(peer);
      return peer;
    });
  }

  get member(): Identifier {
    return this.#acceptor.acceptor.links[0]!.peer!.identifier;
  }

  get channelCount(): number {
    return this.#acceptor.acceptor.links.length;
  }

  async connect(): Promise<Peer> {
    const peer = await new Promise<Peer>((resolve, reject) => {
      this.wires.dial(
        { host: "127.0.0.1", port: PORTAL_PORT },
        (wire) => {
          const made = new Peer(wire);
          resolve(made);
          return made;
        },
        reject,
      );
    });
    await turns();
    return peer;
  }

  stop(): void {
    this.inlet.close();
    this.inlet.cutAll();
    this.channels.stop();
    this.outlet.close();
    this.#acceptor.acceptor.close("normal");
  }
}

export const nobody = { attributes: NO_ATTRIBUTES, isMember: true };

/** Lets bytes that are under way arrive; no time passes. */
export async function turns(count = 60): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
