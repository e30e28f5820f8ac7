/** The demo's InfluxDB: the stand-in on a loopback port, and what its owner can see from behind. */
import { randomBytes } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Secret } from "../../base/secret.ts";
import { createStandIn } from "../../stand-in/stand-in.ts";
import { LoopbackClient } from "./loopback-client.ts";

export const ORGANIZATION = "edge";
export const BUCKET = "metrics";

/** A token of culvert's as InfluxDB lists it: without its text. */
export interface ListedLease {
  readonly authorizationId: string;
  /** The identifier of the node that it was made for. */
  readonly member: string;
  /** As `write metrics`. */
  readonly permissions: readonly string[];
  readonly expiresAtMs: number;
}

interface Listing {
  readonly authorizations: readonly {
    readonly id: string;
    readonly description: string;
    readonly permissions: readonly {
      readonly action: string;
      readonly resource: { readonly name?: string };
    }[];
  }[];
}

export class DemoInfluxdb {
  readonly url: string;
  readonly adminToken: Secret;
  /** What the last write brought as its `Authorization`. */
  lastWriteToken = new Secret("");
  readonly #server: Server;
  readonly #client: LoopbackClient;

  private constructor(server: Server, adminToken: Secret) {
    this.#server = server;
    this.adminToken = adminToken;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#client = new LoopbackClient(this.url);
  }

  static async start(): Promise<DemoInfluxdb> {
    const adminToken = new Secret(randomBytes(32).toString("base64url"));
    const standIn = createStandIn({
      adminToken: adminToken.reveal(),
      organization: ORGANIZATION,
      buckets: [BUCKET],
    });
    let influxdb: DemoInfluxdb | undefined;
    const server = createAdaptorServer({
      overrideGlobalObjects: false,
      fetch: (request) => {
        if (influxdb && new URL(request.url).pathname === "/api/v2/write") {
          influxdb.lastWriteToken = tokenOf(request.headers.get("authorization"));
        }
        return standIn.fetch(request);
      },
    }) as Server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    influxdb = new DemoInfluxdb(server, adminToken);
    return influxdb;
  }

  /** culvert's tokens in InfluxDB's token list, oldest first. */
  async leases(): Promise<ListedLease[]> {
    const answer = await this.#client.send("/api/v2/authorizations", {
      headers: this.#authorized(this.adminToken),
    });
    if (answer.status !== 200) throw new Error(`the token list answered ${answer.status}`);
    const { authorizations } = JSON.parse(answer.body) as Listing;
    return authorizations.flatMap(({ id, description, permissions }) => {
      const facts = /^culvert lease 1: member=(\S+) .*expires=(\S+) /.exec(description);
      if (!facts) return [];
      return {
        authorizationId: id,
        member: facts[1]!,
        expiresAtMs: Date.parse(facts[2]!),
        permissions: permissions.map(
          ({ action, resource }) => `${action} ${resource.name ?? "every bucket"}`,
        ),
      };
    });
  }

  /** The status that a write past the tunnel gets with this token. */
  async writeDirectly(token: Secret): Promise<number> {
    const { status } = await this.#client.send(`/api/v2/write?org=${ORGANIZATION}&bucket=${BUCKET}`, {
      method: "POST",
      headers: this.#authorized(token),
      body: "past_the_tunnel value=1",
    });
    return status;
  }

  async stop(): Promise<void> {
    this.#client.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #authorized(token: Secret): Record<string, string> {
    return { authorization: `Token ${token.reveal()}` };
  }
}

function tokenOf(authorization: string | null): Secret {
  return new Secret(authorization?.replace(/^Token /, "") ?? "");
}
