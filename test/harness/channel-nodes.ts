/** Dialers and acceptors with identities of their own, and a log that tests can read. */
import { Fault } from "../../src/base/fault.ts";
import type { Log, LogFields } from "../../src/base/log.ts";
import { type ChannelLimits, defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import type { SessionEvents, SessionOptions } from "../../src/channel/session-options.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { generateIdentity, type Identity } from "../../src/identity/identity.ts";
import { diallable } from "../../src/identity/node-address.ts";
import { Acceptor, type AcceptorOptions } from "../../src/transport/acceptor.ts";
import { directConnector } from "../../src/transport/connector.ts";
import { Dialer, type DialerOptions } from "../../src/transport/dialer.ts";
import { Ticker } from "../../src/transport/ticker.ts";
import type { WireProvider } from "../../src/transport/wire.ts";

export class MemoryLog implements Log {
  readonly lines: { level: string; event: string; fields: LogFields }[] = [];

  debug(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "debug", event, fields });
  }

  info(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "info", event, fields });
  }

  warn(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", event, fields });
  }

  error(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "error", event, fields });
  }

  with(): Log {
    return this;
  }

  of(event: string): LogFields[] {
    return this.lines.filter((line) => line.event === event).map((line) => line.fields);
  }
}

export interface NodeOptions {
  readonly wires: WireProvider;
  readonly identity?: Identity;
  readonly authorize?: SessionOptions["authorize"];
  readonly limits?: Partial<ChannelLimits>;
  readonly ticker?: Ticker;
}

export const refusing: SessionOptions["authorize"] = ({ identifier }) =>
  new Fault("handshake.unauthorized", `${identifier} is a stranger`);

function sessionOf(options: NodeOptions, identity: Identity) {
  return {
    party: new LocalParty({ provider: nodeProvider, identity, software: "culvert/0.0.0-test" }),
    limits: { ...defaultLimits, ...options.limits },
    suite: "AESGCM",
    keepaliveMs: 120_000,
    authorize: options.authorize ?? (() => undefined),
  } as const;
}

export function anAcceptor(
  options: NodeOptions & {
    ports?: number[];
    /** Instead of TCP, a WebSocket in the clear. */
    path?: string;
    onStream?: SessionEvents["onStream"];
  } & Partial<Pick<AcceptorOptions, "allows">>,
) {
  const identity = options.identity ?? generateIdentity(nodeProvider);
  const log = new MemoryLog();
  const acceptor = new Acceptor({
    addresses: (options.ports ?? [0]).map((port) => ({
      transport: options.path === undefined ? "tcp" : "ws",
      host: "127.0.0.1",
      port,
      path: options.path ?? "",
    })),
    wires: options.wires,
    ticker: options.ticker ?? new Ticker(),
    session: sessionOf(options, identity),
    ...(options.allows && { allows: options.allows }),
    onStream: options.onStream ?? answering,
    log,
  });
  return { acceptor, identity, log };
}

export function aDialer(
  options: NodeOptions & { ports: number[] } & Partial<Pick<DialerOptions, "maxAgeMs" | "random" | "onUp">>,
) {
  const identity = options.identity ?? generateIdentity(nodeProvider);
  const log = new MemoryLog();
  const ups: string[] = [];
  const dialer = new Dialer({
    addresses: () => diallable(options.ports.map((port) => `tcp://127.0.0.1:${port}`)),
    connector: directConnector(options.wires),
    ticker: options.ticker ?? new Ticker(),
    session: sessionOf(options, identity),
    maxAgeMs: options.maxAgeMs ?? 3_600_000,
    log,
    ...(options.random ? { random: options.random } : {}),
    onUp: (peer) => {
      ups.push("up");
      options.onUp?.(peer);
    },
    onDown: () => ups.push("down"),
  });
  return { dialer, identity, log, ups };
}

/** Answers every stream with its own body. */
const answering: SessionEvents["onStream"] = (stream, head) => {
  stream.sendHead(head.slice());
  return {
    onData(chunk) {
      stream.write(chunk.slice());
      stream.consumed(chunk.length);
    },
    onEnd: () => stream.end(),
    onReset: () => stream.end(),
  };
};
