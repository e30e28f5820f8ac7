/** Finds who answers a stream: the service that it asks for, or the authority. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type AuthorityRequestHead, decodeRequestHead, type RequestHead } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import { sendFault } from "./http-exchange.ts";
import { discard, type InfluxdbService } from "./influxdb-service.ts";

export interface ServiceDirectoryOptions {
  readonly services: readonly InfluxdbService[];
  /** Answers what is for an authority; absent where this node is none. */
  readonly authority?:
    | ((stream: Stream, head: AuthorityRequestHead, peer: Peer) => StreamHandler)
    | undefined;
  readonly log: Log;
}

export class ServiceDirectory {
  readonly #options: ServiceDirectoryOptions;
  readonly #services: ReadonlyMap<string, InfluxdbService>;

  constructor(options: ServiceDirectoryOptions) {
    this.#options = options;
    this.#services = new Map(options.services.map((service) => [service.name, service]));
  }

  accept(stream: Stream, headBytes: Uint8Array, peer: Peer): StreamHandler {
    let head: RequestHead;
    try {
      head = decodeRequestHead(headBytes);
    } catch (thrown) {
      this.#options.log.warn("stream.refused", { member: peer.identifier, fault: thrown });
      stream.reset("protocol");
      return discard(stream);
    }
    if (head.kind === "http" || head.kind === "lease" || head.kind === "own-leases") {
      const service = this.#services.get(head.service);
      return service
        ? service.accept(stream, head, peer)
        : this.#refuse(stream, peer, `there is no service "${head.service}" here`);
    }
    const { authority } = this.#options;
    return authority
      ? authority(stream, head, peer)
      : this.#refuse(stream, peer, "there is no authority here");
  }

  #refuse(stream: Stream, peer: Peer, why: string): StreamHandler {
    const fault = new Fault("request.route", why);
    this.#options.log.warn("stream.refused", { member: peer.identifier, fault });
    sendFault(stream, fault);
    return discard(stream);
  }
}
