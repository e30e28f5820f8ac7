/** An authority over a real SQLite file, on a clock of the test's own, and devices that want to join. */
import { join } from "node:path";
import { Authority, type AuthorityOptions, type TicketWish } from "../../../src/authority/authority.ts";
import { type AuthorityStore, openAuthorityStore } from "../../../src/authority/authority-store.ts";
import type { Grant } from "../../../src/authority/credential-mint.ts";
import { createLog, type Log } from "../../../src/base/log.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import { type Credential, readCredential } from "../../../src/identity/credential.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { generateIdentity, type Identity } from "../../../src/identity/identity.ts";
import { parseTicket, proveTicket } from "../../../src/identity/ticket.ts";
import { tempDir } from "../../harness/temporary.ts";

export const DAY_MS = 24 * 3600 * 1000;
export const ADDRESSES = ["tcp://authority.example.com:4433"];

export class TestClock {
  wall = Date.UTC(2031, 4, 5);
  monotonic = 0;
  readonly wallMs = () => this.wall;
  readonly monotonicMs = () => this.monotonic;

  advance(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

export interface BedOptions {
  readonly clones?: AuthorityOptions["clones"];
  readonly credentialLifetimeMs?: number;
  readonly addresses?: AuthorityOptions["addresses"];
  /** Of the authority's own node. */
  readonly services?: string[];
  readonly random?: () => number;
  readonly store?: (path: string) => Promise<AuthorityStore>;
}

export class Bed {
  readonly clock = new TestClock();
  readonly key = generateIdentity(nodeProvider);
  readonly events: Record<string, unknown>[] = [];
  readonly log: Log;
  readonly path: string;
  authority!: Authority;
  readonly #options: BedOptions;

  private constructor(path: string, options: BedOptions) {
    this.path = path;
    this.#options = options;
    this.log = createLog({
      level: "debug",
      format: "json",
      wallMs: this.clock.wallMs,
      write: (line) => this.events.push(JSON.parse(line)),
    });
  }

  static async make(options: BedOptions = {}): Promise<Bed> {
    const bed = new Bed(join(await tempDir("authority"), "authority.db"), options);
    await bed.open();
    return bed;
  }

  async open(key: Identity = this.key): Promise<Authority> {
    const store = await (this.#options.store ?? openAuthorityStore)(this.path);
    try {
      this.authority = new Authority({
        store,
        key,
        provider: nodeProvider,
        clock: this.clock,
        random: this.#options.random ?? (() => 0.5),
        log: this.log,
        credentialLifetimeMs: this.#options.credentialLifetimeMs ?? DAY_MS,
        clones: this.#options.clones ?? "warn",
        addresses: this.#options.addresses ?? (() => ADDRESSES),
        services: this.#options.services ?? ["influxdb"],
      });
    } catch (thrown) {
      store.close();
      throw thrown;
    }
    return this.authority;
  }

  async reopen(): Promise<Authority> {
    this.authority.close();
    return await this.open();
  }

  ticket(wish: Partial<TicketWish> = {}): { ticketId: string; text: string; expiresAtMs: number } {
    const { text, ...rest } = this.authority.createTicket({
      attributes: parseAttributes({ "influxdb-inlet": "true" }),
      expiresInMs: 600_000,
      uses: 1,
      service: "influxdb",
      ...wish,
    });
    return { ...rest, text: text.reveal() };
  }

  enroll(device: Identity, text: string): Grant {
    return this.authority.enroll(attemptOf(device, text));
  }

  /** A new member. */
  member(wish: Partial<TicketWish> = {}): Identifier {
    const device = newDevice();
    this.enroll(device, this.ticket(wish).text);
    return device.identifier;
  }

  read(credential: string): Credential {
    return readCredential({ provider: nodeProvider, text: credential, authorityKey: this.key.publicKey });
  }

  of(event: string): Record<string, unknown>[] {
    return this.events.filter((line) => line.event === event);
  }
}

export function newDevice(): Identity {
  return generateIdentity(nodeProvider);
}

/** What the device would send over a channel of its own. */
export function attemptOf(device: Identity, text: string) {
  const { identifier } = device;
  const channelBinding = nodeProvider.randomBytes(32);
  const ticket = parseTicket(text, nodeProvider);
  const proof = proveTicket({ provider: nodeProvider, ticket, channelBinding, identifier });
  return { identifier, pass: ticket.pass, proof, channelBinding, remote: "192.0.2.7:50000" };
}

export function sightingOf(identifier: Identifier) {
  return { identifier, remote: "192.0.2.7:50000", software: "culvert/1.2.3", clockSkewMs: 250, agoMs: 0 };
}

/** @returns the code of the fault that `work` throws. */
export function faultOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return (thrown as { code?: string }).code;
  }
}
