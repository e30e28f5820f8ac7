/** Nodes that trust one authority: an outlet that embeds it, and devices that join with tickets. */
import { join } from "node:path";
import { type Binary, binary, CulvertNode, culvert } from "./culvert.ts";
import { Spawned } from "./spawned.ts";
import { freePort, tempDir } from "./temporary.ts";

export interface AuthorityOptions {
  /** Where no InfluxDB is given the node is an authority alone. */
  readonly influxUrl?: string;
  readonly adminToken?: string;
  /** More keys of `[authority]`, `[channel]` and `[[outlets.influxdb]]`. */
  readonly authority?: string;
  readonly channel?: string;
  readonly outlet?: string;
  /** `[[outlets.influxdb.permissions]]` as `write:metrics`, or `write:site-{{ site }}`. */
  readonly permissions?: readonly string[];
  /** The permissions as tables, where more than action and bucket is to be said. */
  readonly permissionTables?: string;
  readonly binary?: Binary;
  /** What tickets and members are told, where that is not where it listens: somebody on the line. */
  readonly advertise?: readonly string[];
  /** To listen on; a free one otherwise. */
  readonly channelPort?: number;
  /** Where it listens, instead of TCP on that port. */
  readonly listen?: string;
  /** Relays to register at, `tcp://…`: then the node listens nowhere. */
  readonly relays?: readonly string[];
}

export interface AuthorityNode {
  readonly node: CulvertNode;
  readonly channelPort: number;
  readonly address: string;
}

/** Configured; not running yet. */
export async function makeAuthority(options: AuthorityOptions = {}): Promise<AuthorityNode> {
  const node = await CulvertNode.make(options.binary ?? "culvert", {
    INFLUXDB_TOKEN: options.adminToken ?? "unused",
  });
  const channelPort = options.channelPort ?? (await freePort());
  const address = `tcp://127.0.0.1:${channelPort}`;
  await node.configure(
    [
      "[authority]",
      options.authority ?? "",
      "[channel]",
      reachedBy(options, address),
      options.channel ?? "",
      options.influxUrl === undefined ? "" : outletTables(options),
    ].join("\n"),
  );
  return { node, channelPort, address };
}

function reachedBy({ relays, advertise, listen }: AuthorityOptions, address: string): string {
  const list = (texts: readonly string[]) => `[${texts.map((text) => `"${text}"`).join(", ")}]`;
  if (relays) return `  relays = ${list(relays)}`;
  return `  listen = ${list([listen ?? address])}\n  advertise = ${list(advertise ?? [address])}`;
}

export async function startAuthority(options: AuthorityOptions = {}): Promise<AuthorityNode> {
  const made = await makeAuthority(options);
  await made.node.start();
  if (options.influxUrl !== undefined) await made.node.untilReady();
  return made;
}

/** `[[outlets.influxdb]]` of an outlet whose members come by tickets. */
export function outletTables(options: AuthorityOptions): string {
  const permissions = (options.permissions ?? ["write:metrics"]).map((permission) => {
    const [action, bucket] = permission.split(":");
    return `  [[outlets.influxdb.permissions]]\n    action = "${action}"\n    bucket = "${bucket}"`;
  });
  return [
    "[[outlets.influxdb]]",
    `  url = "${options.influxUrl}"`,
    '  organization = "edge"',
    '  token = "@{env:INFLUXDB_TOKEN}"',
    // Most tests have no other token than that of a fresh InfluxDB.
    "  allow_operator_token = true",
    options.outlet ?? "",
    ...(options.permissionTables === undefined ? permissions : [options.permissionTables]),
  ].join("\n");
}

export interface TicketOptions {
  readonly attributes?: Readonly<Record<string, string>>;
  readonly expires?: string;
  readonly uses?: number;
  readonly service?: string;
}

/** As an operator makes one. */
export async function ticketFrom(node: CulvertNode, options: TicketOptions = {}): Promise<string> {
  const attributes = options.attributes ?? { "influxdb-inlet": "true" };
  const made = await culvert([
    "ticket",
    "create",
    "--state-dir",
    node.stateDir,
    ...Object.entries(attributes).flatMap(([name, value]) => ["--attribute", `${name}=${value}`]),
    ...(options.expires === undefined ? [] : ["--expires", options.expires]),
    ...(options.uses === undefined ? [] : ["--uses", String(options.uses)]),
    ...(options.service === undefined ? [] : ["--service", options.service]),
  ]);
  if (made.exit.code !== 0) throw new Error(`no ticket: ${made.output}`);
  return made.stdout.trim();
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into it as jq would.
export type Answer = any;

/** An admin command with `--json` on this node. @throws Error with what it said, where it failed. */
export async function admin(node: CulvertNode, ...args: string[]): Promise<Answer> {
  const asked = await culvert([...args, "--state-dir", node.stateDir, "--json"]);
  if (asked.exit.code !== 0) throw new Error(`${args.join(" ")}: ${asked.output}`);
  return JSON.parse(asked.stdout);
}

export interface Device {
  readonly node: CulvertNode;
  /** Where its clients send to. */
  readonly url: string;
}

export interface DeviceOptions {
  readonly ticket?: string;
  /** More keys of `[[inlets.influxdb]]`, or more tables. */
  readonly inlet?: string;
  readonly channel?: string;
  readonly binary?: Binary;
  readonly env?: Readonly<Record<string, string>>;
}

/** An inlet that has nothing but a ticket, in its environment; not running yet. */
export async function makeDevice(options: DeviceOptions = {}): Promise<Device> {
  const node = await CulvertNode.make(options.binary ?? "culvert-inlet", {
    ...(options.ticket === undefined ? {} : { CULVERT_TICKET: options.ticket }),
    ...options.env,
  });
  const port = await freePort();
  await node.configure(
    [
      "[enroll]",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own placeholder.
      '  ticket = "${CULVERT_TICKET:-}"',
      options.channel === undefined ? "" : `[channel]\n${options.channel}`,
      "[[inlets.influxdb]]",
      `  listen = "127.0.0.1:${port}"`,
      options.inlet ?? "",
    ].join("\n"),
  );
  return { node, url: `http://127.0.0.1:${port}` };
}

/** Enrolled, with its lease. */
export async function startDevice(options: DeviceOptions): Promise<Device> {
  const device = await makeDevice(options);
  await device.node.start();
  await device.node.untilReady();
  return device;
}

export interface OutletOptions extends AuthorityOptions {
  readonly influxUrl: string;
  /** Of the authority that is elsewhere. */
  readonly ticket: string;
}

/** An outlet that is a member like others: its authority is elsewhere. Not running yet. */
export async function makeOutlet(options: OutletOptions): Promise<AuthorityNode> {
  const node = await CulvertNode.make(options.binary ?? "culvert-outlet", {
    INFLUXDB_TOKEN: options.adminToken ?? "unused",
    CULVERT_TICKET: options.ticket,
  });
  const channelPort = options.channelPort ?? (await freePort());
  const address = `tcp://127.0.0.1:${channelPort}`;
  await node.configure(
    [
      "[enroll]",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own placeholder.
      '  ticket = "${CULVERT_TICKET:-}"',
      "[channel]",
      reachedBy(options, address),
      options.channel ?? "",
      outletTables(options),
    ].join("\n"),
  );
  return { node, channelPort, address };
}

export async function startOutlet(options: OutletOptions): Promise<AuthorityNode> {
  const made = await makeOutlet(options);
  await made.node.start();
  await made.node.untilReady();
  return made;
}

/** A path for a device's state directory; nothing is there yet. */
export async function newStateDir(): Promise<string> {
  return join(await tempDir("device"), "state");
}

/** `culvert enroll` to its end, the ticket on standard input. */
export async function enroll(
  stateDir: string,
  ticket: string,
  ...more: string[]
): Promise<Awaited<ReturnType<typeof culvert>>> {
  return await culvert(["enroll", "-", "--state-dir", stateDir, ...more], {
    binary: "culvert-inlet",
    input: ticket,
  });
}

/** The same under way. */
export function enrolling(stateDir: string, ticket: string): Spawned {
  return new Spawned({
    command: binary("culvert-inlet"),
    args: ["enroll", "-", "--state-dir", stateDir, "--json"],
    input: ticket,
  });
}
