/** Finds who answers a stream: the service that it asks for, or the authority. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import {
  type AuthorityRequestHead,
  decodeRequestHead,
  type RequestHead,
  type ServiceRequestHead,
  type TcpRequestHead,
} from "../channel/exchange.ts";
import { discard, sendFault } from "../channel/fault-reply.ts";
import type { Peer } from "../channel/handshake.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";

/** What a service's streams begin with, by the kind of service. */
export interface HeadsByKind {
  readonly influxdb: ServiceRequestHead;
  readonly tcp: TcpRequestHead;
}

export interface Service<K extends keyof HeadsByKind> {
  readonly name: string;
  accept(stream: Stream, head: HeadsByKind[K], peer: Peer): StreamHandler;
}

export interface ServiceDirectoryOptions {
  /** By kind; a name is given once among all of them. */
  readonly services: { readonly [K in keyof HeadsByKind]: readonly Service<K>[] };
  /** Answers what is for an authority; absent where this node is none. */
  readonly authority?:
    | ((stream: Stream, head: AuthorityRequestHead, peer: Peer) => StreamHandler)
    | undefined;
  readonly log: Log;
}

export class ServiceDirectory {
  readonly #options: ServiceDirectoryOptions;
  readonly #influxdb: ReadonlyMap<string, Service<"influxdb">>;
  readonly #tcp: ReadonlyMap<string, Service<"tcp">>;

  constructor(options: ServiceDirectoryOptions) {
    const { influxdb, tcp } = options.services;
    this.#options = options;
    this.#influxdb = new Map(influxdb.map((service) => [service.name, service]));
    this.#tcp = new Map(tcp.map((service) => [service.name, service]));
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
    switch (head.kind) {
      case "http":
      case "lease":
      case "own-leases": {
        const service = this.#influxdb.get(head.service);
        return service ? service.accept(stream, head, peer) : this.#noService(stream, peer, head.service);
      }
      case "tcp": {
        const service = this.#tcp.get(head.service);
        return service ? service.accept(stream, head, peer) : this.#noService(stream, peer, head.service);
      }
      default: {
        const { authority } = this.#options;
        return authority
          ? authority(stream, head, peer)
          : this.#refuse(stream, peer, "there is no authority here");
      }
    }
  }

  #noService(stream: Stream, peer: Peer, name: string): StreamHandler {
    const isOther = this.#influxdb.has(name) || this.#tcp.has(name);
    return this.#refuse(
      stream,
      peer,
      isOther ? `the service "${name}" is of another kind` : `there is no service "${name}" here`,
    );
  }

  #refuse(stream: Stream, peer: Peer, why: string): StreamHandler {
    const fault = new Fault("request.route", why);
    this.#options.log.warn("stream.refused", { member: peer.identifier, fault });
    sendFault(stream, fault);
    return discard(stream);
  }
}
