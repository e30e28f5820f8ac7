/** Control channels: which hosts are there, and the names that they take and give back. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Introduction, Peer } from "../channel/handshake.ts";
import { decodeRegisterHead, encodeOffer, encodeRelayHead, type Offer } from "../channel/relay-heads.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import type { Link } from "../transport/link.ts";
import { Host } from "./host.ts";
import type { NameRegistry, Registration } from "./name-registry.ts";
import type { RefusalLog } from "./refusal-log.ts";
import { type HostGuest, isAuthority, mayTakeName, type RelayAdmission } from "./relay-admission.ts";

export interface ControlDeskOptions {
  readonly admission: RelayAdmission;
  readonly registry: NameRegistry;
  readonly refusals: RefusalLog;
  /** Control channels that a member may have at once. */
  readonly maxChannelsPerMember: number;
  /** How many it has. */
  readonly channelsOf: (peer: Introduction) => number;
  readonly wallMs: () => number;
  readonly log: Log;
}

const RETRY_AFTER_MS = 5_000;

export class ControlDesk {
  readonly #options: ControlDeskOptions;
  readonly #guests = new WeakMap<Introduction, HostGuest>();
  readonly #hosts = new Map<string, Host>();
  readonly #links = new Map<Link, HostGuest>();

  constructor(options: ControlDeskOptions) {
    this.#options = options;
  }

  /** As `SessionOptions.authorize`. */
  authorize(peer: Introduction): Fault | undefined {
    const { admission, channelsOf, maxChannelsPerMember } = this.#options;
    try {
      this.#guests.set(peer, admission.host(peer));
    } catch (thrown) {
      return Fault.from(thrown);
    }
    if (channelsOf(peer) < maxChannelsPerMember) return undefined;
    return new Fault("relay.limit", `${peer.identifier} has as many control channels as one member may`);
  }

  up(link: Link, peer: Peer): void {
    const guest = this.#guests.get(peer);
    if (!guest) return link.close("unauthorized");
    this.#links.set(link, guest);
    const key = hostKey(guest, peer);
    const host = this.#hosts.get(key) ?? new Host({ ...guest, isAuthority: isAuthority(guest) });
    this.#hosts.set(key, host);
    host.channels++;
  }

  /** @param fault undefined where it ended in good order: then so do the channels of its joiners, on their own. */
  down(link: Link, peer: Peer, fault: Fault | undefined): void {
    const guest = this.#links.get(link);
    this.#links.delete(link);
    const key = guest && hostKey(guest, peer);
    const host = key === undefined ? undefined : this.#hosts.get(key);
    if (!host || key === undefined) return;
    host.channels--;
    if (host.channels > 0) return;
    this.#hosts.delete(key);
    if (host.splices.size > 0) {
      const { identifier, splices } = host;
      this.#options.log.info("relay.host-gone", { identifier, splices: splices.size });
    }
    host.leave(fault ? "cut" : "ended");
  }

  accept(stream: Stream, head: Uint8Array, peer: Peer): StreamHandler {
    const { registry, refusals, log } = this.#options;
    const guest = this.#guests.get(peer);
    const host = guest && this.#hosts.get(hostKey(guest, peer));
    try {
      const { name } = decodeRegisterHead(head);
      if (!host || !mayTakeName(guest, name))
        throw new Fault("relay.denied", `${peer.identifier} may not take the name "${name}"`);
      const place = new StreamRegistration({ host, name, stream, onOver: () => registry.remove(place) });
      if (!registry.add(place)) {
        const text = `too many nodes have the name "${name}"`;
        throw new Fault("relay.limit", text, { retryAfterMs: RETRY_AFTER_MS });
      }
      stream.sendHead(encodeRelayHead({ kind: "registered" }));
      log.info("relay.name-taken", { name, identifier: host.identifier, authority: host.authority });
      return place;
    } catch (thrown) {
      const fault = Fault.from(thrown);
      refusals.note("relay.registration-refused", fault, { identifier: peer.identifier });
      const { code, retryAfterMs } = fault;
      const reply = { kind: "fault", code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } as const;
      stream.sendHead(encodeRelayHead(reply), { end: true });
      return { onData: (chunk) => stream.consumed(chunk.length), onEnd() {}, onReset() {} };
    }
  }

  /** A name is held as long as the credential that gave it is good. */
  tick(): void {
    const wallMs = this.#options.wallMs();
    for (const [link, { expiresAtMs }] of this.#links) {
      if (wallMs >= expiresAtMs) link.close("unauthorized");
    }
  }
}

/** One run of a node's process: another one with the same identity may be a copy of it. */
function hostKey({ authority, identifier }: HostGuest, { instance }: Peer): string {
  return `${authority} ${identifier} ${instance}`;
}

class StreamRegistration implements Registration, StreamHandler {
  readonly host: Host;
  readonly name: string;
  readonly #stream: Stream;
  readonly #onOver: () => void;
  #full = false;

  constructor(options: { host: Host; name: string; stream: Stream; onOver: () => void }) {
    this.host = options.host;
    this.name = options.name;
    this.#stream = options.stream;
    this.#onOver = options.onOver;
  }

  offer(offer: Offer): boolean {
    if (this.#full) return false;
    this.#full = !this.#stream.write(encodeOffer(offer));
    return true;
  }

  onWritable(): void {
    this.#full = false;
  }

  onData(chunk: Uint8Array): void {
    this.#stream.consumed(chunk.length);
  }

  onEnd(): void {
    this.#onOver();
    this.#stream.end();
  }

  onReset(): void {
    this.#onOver();
  }
}
