/**
 * demo: culvert shown in one process: InfluxDB (a stand-in), an outlet, an inlet and a client. The nodes
 * are started by what `culvert run` starts them with, from a config as a person would write it; nothing
 * in them knows that it is shown.
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog, type Log } from "../../base/log.ts";
import type { Secret } from "../../base/secret.ts";
import { parseConfig } from "../../config/config.ts";
import { chooseProvider } from "../../crypto/choose-provider.ts";
import { parseAttributes } from "../../identity/attributes.ts";
import { parseIdentifier } from "../../identity/identifier.ts";
import { loadOrCreateIdentity } from "../identity-store.ts";
import { type Roles, type RunningNode, startNode } from "../node.ts";
import { BUCKET, DemoInfluxdb, ORGANIZATION } from "./demo-influxdb.ts";

const GRACE_MS = 3_000;
const KEPT_LOG_LINES = 40;
const TOKEN_VARIABLE = "INFLUXDB_TOKEN";
const TICKET_VARIABLE = "CULVERT_TICKET";
const TICKET_MS = 600_000;

export class Stage {
  readonly influxdb: DemoInfluxdb;
  readonly identifiers: { readonly outlet: string; readonly inlet: string };
  /** The last lines that the nodes have logged: for the day when something does not go as told. */
  readonly logLines: string[] = [];
  readonly #folder: string;
  readonly #roles: Roles;
  readonly #leaseExpiresIn: string;
  #outlet: RunningNode | undefined;
  #inlet: RunningNode | undefined;

  private constructor(options: {
    influxdb: DemoInfluxdb;
    folder: string;
    roles: Roles;
    leaseExpiresIn: string;
    identifiers: { outlet: string; inlet: string };
  }) {
    this.influxdb = options.influxdb;
    this.identifiers = options.identifiers;
    this.#folder = options.folder;
    this.#roles = options.roles;
    this.#leaseExpiresIn = options.leaseExpiresIn;
  }

  /** InfluxDB runs, and both nodes have their identities; neither of them runs yet. */
  static async open(roles: Roles, leaseExpiresIn: string): Promise<Stage> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "culvert-demo-")));
    try {
      const provider = await chooseProvider("auto", ["AESGCM"]);
      const outlet = await loadOrCreateIdentity(join(folder, "outlet"), provider);
      const inlet = await loadOrCreateIdentity(join(folder, "inlet"), provider);
      const identifiers = { outlet: outlet.identifier, inlet: inlet.identifier };
      const influxdb = await DemoInfluxdb.start();
      return new Stage({ influxdb, folder, roles, leaseExpiresIn, identifiers });
    } catch (thrown) {
      rmSync(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** @returns the address of the channel's listener: `tcp://127.0.0.1:PORT`. */
  async startOutlet(): Promise<string> {
    const permission = (action: string) =>
      `[[outlets.influxdb.permissions]]\n action = "${action}"\n bucket = "${BUCKET}"\n`;
    this.#outlet = await this.#start(
      "outlet",
      `[authority]
       [channel]
         listen = ["tcp://127.0.0.1:0"]
       [[outlets.influxdb]]
         url = "${this.influxdb.url}"
         organization = "${ORGANIZATION}"
         token = "@{env:${TOKEN_VARIABLE}}"
         allow_operator_token = true
         lease_expires_in = "${this.#leaseExpiresIn}"
       ${permission("write")}${permission("read")}`,
      { [TOKEN_VARIABLE]: this.influxdb.adminToken.reveal() },
    );
    return addressIn(this.#outlet, "outlet");
  }

  /** For one device. */
  makeTicket(): Secret {
    const { text } = this.#authority.createTicket({
      attributes: parseAttributes({ "influxdb-inlet": "true" }),
      expiresInMs: TICKET_MS,
      uses: 1,
      service: "influxdb",
    });
    return text;
  }

  /** @returns the address for clients: `http://127.0.0.1:PORT`. */
  async startInlet(ticket: Secret): Promise<string> {
    this.#inlet = await this.#start(
      "inlet",
      `[enroll]
         ticket = "@{env:${TICKET_VARIABLE}}"
       [[inlets.influxdb]]
         listen = "127.0.0.1:0"`,
      { [TICKET_VARIABLE]: ticket.reveal() },
    );
    return addressIn(this.#inlet, "inlet");
  }

  get outlet(): RunningNode | undefined {
    return this.#outlet;
  }

  get inlet(): RunningNode | undefined {
    return this.#inlet;
  }

  members(): string[] {
    return this.#authority.members().map(({ identifier }) => identifier);
  }

  revokeInlet(): void {
    this.#authority.revoke(parseIdentifier(this.identifiers.inlet));
  }

  get #authority(): NonNullable<RunningNode["authority"]> {
    const authority = this.#outlet?.authority;
    if (!authority) throw new Error("the outlet's node has no authority");
    return authority;
  }

  /** Whom each end's status says that it talks to: the inlet as the outlet sees it, and the other way. */
  peers(): { readonly inlet: string | undefined; readonly outlet: string | undefined } {
    return {
      inlet: statusOf<OutletStatus>(this.#outlet, "outlet")?.channels.peers[0]?.identifier,
      outlet: statusOf<InletStatus>(this.#inlet, "inlet")?.channel.peer?.identifier,
    };
  }

  leaseTotals(): { readonly created: number; readonly revoked: number } {
    const status = statusOf<OutletStatus>(this.#outlet, "outlet");
    return status?.services[0]?.leases.totals ?? { created: 0, revoked: 0 };
  }

  /** In order: requests under way finish, leases are revoked. InfluxDB goes on. Safe to call again. */
  async stopNodes(): Promise<void> {
    await this.#inlet?.stop(GRACE_MS);
    this.#inlet = undefined;
    await this.#outlet?.stop(GRACE_MS);
    this.#outlet = undefined;
  }

  /** Everything ends and nothing is left on disk. */
  async close(): Promise<void> {
    try {
      await this.stopNodes();
      await this.influxdb.stop();
    } finally {
      this.removeFolder();
    }
  }

  removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(
    role: "outlet" | "inlet",
    tables: string,
    env: Readonly<Record<string, string>>,
  ): Promise<RunningNode> {
    const agent = `[agent]\n state_dir = "${join(this.#folder, role)}"\n status_listen = ""\n`;
    const config = parseConfig([{ file: `demo-${role}.toml`, text: `${agent}${tables}\n` }], env);
    return await startNode({ config, roles: this.#roles, log: this.#log(role), env });
  }

  #log(node: string): Log {
    const log = createLog({
      level: "info",
      format: "text",
      wallMs: Date.now,
      write: (line) => {
        this.logLines.push(line);
        if (this.logLines.length > KEPT_LOG_LINES) this.logLines.shift();
      },
    });
    return log.with({ node });
  }
}

/** What is read here of the status that `/status` shows. */
interface OutletStatus {
  readonly channels: { readonly peers: readonly { readonly identifier: string }[] };
  readonly services: readonly {
    readonly leases: { readonly totals: { created: number; revoked: number } };
  }[];
}
interface InletStatus {
  readonly channel: { readonly peer?: { readonly identifier: string } };
}

function statusOf<T>(node: RunningNode | undefined, role: string): T | undefined {
  return (node?.status().roles as Record<string, T> | undefined)?.[role];
}

/** Out of `inlet http://127.0.0.1:8086 (influxdb)`. */
function addressIn({ listeners }: RunningNode, role: string): string {
  const line = listeners.find((listener) => listener.startsWith(`${role} `));
  const address = line?.split(" ")[1];
  if (address === undefined) throw new Error(`the ${role} listens nowhere`);
  return address;
}
