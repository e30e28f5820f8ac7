/** Finds the service that a stream asks for. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { decodeRequestHead, type RequestHead } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import { sendFault } from "./http-exchange.ts";
import { discard, type InfluxdbService } from "./influxdb-service.ts";

export class ServiceDirectory {
  readonly #services: ReadonlyMap<string, InfluxdbService>;
  readonly #log: Log;

  constructor(services: readonly InfluxdbService[], log: Log) {
    this.#services = new Map(services.map((service) => [service.name, service]));
    this.#log = log;
  }

  accept(stream: Stream, headBytes: Uint8Array, peer: Peer): StreamHandler {
    let head: RequestHead;
    try {
      head = decodeRequestHead(headBytes);
    } catch (thrown) {
      this.#log.warn("stream.refused", { member: peer.identifier, fault: thrown });
      stream.reset("protocol");
      return discard(stream);
    }
    const service = this.#services.get(head.service);
    if (service) return service.accept(stream, head, peer);
    const fault = new Fault("request.route", `there is no service "${head.service}" here`);
    this.#log.warn("stream.refused", { member: peer.identifier, fault });
    sendFault(stream, fault);
    return discard(stream);
  }
}
