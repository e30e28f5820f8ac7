/** An authority as members see it from outside: keys, statements, and an end that answers as a test says. */
import type { Clock } from "../../../src/base/clock.ts";
import { Fault } from "../../../src/base/fault.ts";
import {
  type AuthorityRequestHead,
  decodeRequestHead,
  encodeHead,
  type ReplyHead,
} from "../../../src/channel/exchange.ts";
import type { Introduction, Peer } from "../../../src/channel/handshake.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { LocalParty, type Statements } from "../../../src/channel/local-party.ts";
import type { SessionOptions } from "../../../src/channel/session-options.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { type Attributes, AUTHORITY_ATTRIBUTE, parseAttributes } from "../../../src/identity/attributes.ts";
import { issueCredential } from "../../../src/identity/credential.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { generateIdentity, type Identity } from "../../../src/identity/identity.ts";
import type { Member, MemberState, Roster } from "../../../src/identity/roster.ts";
import { issueTicket, parseTicket, type Ticket } from "../../../src/identity/ticket.ts";
import { Trust } from "../../../src/membership/trust.ts";
import { Acceptor } from "../../../src/transport/acceptor.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import type { WireProvider } from "../../../src/transport/wire.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";

export const NOW_MS = Date.UTC(2026, 5, 1, 12);
export const DAY_MS = 24 * 3600 * 1000;
export const PORT = 4433;

export class TestClock implements Clock {
  wall: number;
  monotonic = 1_000;

  constructor(wallMs = NOW_MS) {
    this.wall = wallMs;
  }

  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }

  monotonicMs(): number {
    return this.monotonic;
  }

  wallMs(): number {
    return this.wall;
  }
}

export interface CredentialOptions {
  readonly attributes?: Record<string, string>;
  readonly issuedAtMs?: number;
  readonly lifetimeMs?: number;
}

/** The authority's own key, and what it signs. */
export class Signer {
  readonly key = generateIdentity(nodeProvider);
  #serial = 0;

  credentialFor(subject: Identifier, options: CredentialOptions = {}): string {
    return issueCredential({
      provider: nodeProvider,
      authority: this.key,
      subject,
      attributes: parseAttributes(options.attributes ?? { "influxdb-inlet": "true" }),
      serial: `s${++this.#serial}`,
      issuedAtMs: options.issuedAtMs ?? NOW_MS,
      lifetimeMs: options.lifetimeMs ?? DAY_MS,
    });
  }

  ticketText(options: { addresses?: string[]; issuedAtMs?: number; lifetimeMs?: number } = {}): string {
    return issueTicket({
      provider: nodeProvider,
      authority: this.key,
      ticketId: `t${++this.#serial}`,
      issuedAtMs: options.issuedAtMs ?? NOW_MS,
      lifetimeMs: options.lifetimeMs ?? 600_000,
      addresses: options.addresses ?? [`tcp://127.0.0.1:${PORT}`],
      service: "influxdb",
    }).reveal();
  }

  ticket(options: Parameters<Signer["ticketText"]>[0] = {}): Ticket {
    return parseTicket(this.ticketText(options), nodeProvider);
  }

  trust(clock: Clock = new TestClock()): Trust {
    const trust = new Trust({ provider: nodeProvider, clock });
    trust.anchor = this.key.publicKey;
    return trust;
  }
}

export function aPeer(identity: Identity, statements: Statements = {}): Introduction {
  return {
    identifier: identity.identifier,
    software: "culvert/0.0.0-test",
    maxStreams: 256,
    windowBytes: 65_536,
    clockSkewMs: 0,
    instance: "00",
    ...statements,
  };
}

export function newIdentity(): Identity {
  return generateIdentity(nodeProvider);
}

export class TestRoster implements Roster {
  complete: boolean;
  asOfMs: number | undefined;
  readonly members = new Map<Identifier, Member>();

  constructor(complete = true) {
    this.complete = complete;
  }

  set(identifier: Identifier, state: MemberState, attributes: Record<string, string> = {}): this {
    this.members.set(identifier, { identifier, state, attributes: parseAttributes(attributes) });
    return this;
  }

  find(identifier: Identifier): Member | undefined {
    return this.members.get(identifier);
  }

  onChange(): () => void {
    return () => {};
  }
}

export type Answer = (head: AuthorityRequestHead, peer: Peer) => ReplyHead | "silence" | "reset";

export interface EndOptions {
  readonly wires: WireProvider;
  readonly signer: Signer;
  readonly answer: Answer;
  readonly port?: number;
  readonly authorize?: SessionOptions["authorize"];
  /** In place of the authority's own credential. */
  readonly credential?: (identity: Identity) => string | undefined;
}

/** Listens as an authority. */
export async function anAuthorityEnd(options: EndOptions) {
  const identity = newIdentity();
  const requests: { head: AuthorityRequestHead; peer: Peer }[] = [];
  const own = options.signer.credentialFor(identity.identifier, {
    attributes: { [AUTHORITY_ATTRIBUTE]: "true", "influxdb-outlet": "true" },
  });
  const credential = options.credential ? options.credential(identity) : own;
  const acceptor = new Acceptor({
    addresses: [{ transport: "tcp", host: "127.0.0.1", port: options.port ?? PORT, path: "" }],
    wires: options.wires,
    ticker: new Ticker(),
    session: {
      party: aParty(identity, () => (credential === undefined ? {} : { credential })),
      limits: defaultLimits,
      suite: "AESGCM",
      keepaliveMs: 120_000,
      authorize: options.authorize ?? (() => undefined),
    },
    onStream(stream, bytes, peer) {
      const head = decodeRequestHead(bytes) as AuthorityRequestHead;
      requests.push({ head, peer });
      const reply = options.answer(head, peer);
      if (reply === "reset") stream.reset("failed");
      else if (reply !== "silence") stream.sendHead(encodeHead(reply), { end: true });
      return { onData() {}, onEnd() {}, onReset() {} };
    },
    log: new MemoryLog(),
  });
  await acceptor.start();
  return { acceptor, identity, requests };
}

export function aParty(identity: Identity, statements?: () => Statements): LocalParty {
  return new LocalParty({
    provider: nodeProvider,
    identity,
    software: "culvert/0.0.0-test",
    ...(statements && { statements }),
  });
}

export interface GrantOptions extends CredentialOptions {
  readonly expiresInMs?: number;
  readonly renewInMs?: number;
  readonly authorityAddresses?: string[];
  readonly outletAddresses?: string[];
}

/** The answer to enrolling and renewing. */
export function credentialReply(signer: Signer, subject: Identifier, options: GrantOptions = {}): ReplyHead {
  return {
    kind: "credential",
    credential: signer.credentialFor(subject, options),
    expiresInMs: options.expiresInMs ?? DAY_MS,
    renewInMs: options.renewInMs ?? DAY_MS / 2,
    authorityAddresses: options.authorityAddresses ?? [`tcp://127.0.0.1:${PORT}`],
    outletAddresses: options.outletAddresses ?? ["tcp://127.0.0.1:5544"],
  };
}

export function attributesOf(...names: string[]): Attributes {
  return parseAttributes(Object.fromEntries(names.map((name) => [name, "true"])));
}

/** The code of the Fault that comes out, or undefined for none. */
export function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return Fault.from(thrown).code;
  }
}

export async function codeOfPromise(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (thrown) {
    return Fault.from(thrown).code;
  }
}
