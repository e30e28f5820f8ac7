/**
 * config: from TOML text to typed settings, and from the same schema to the sample and the reference
 * page. It opens no file and no socket, but for secret-file.ts; it knows nothing of what the settings do.
 *
 * Everything is checked here, once: what comes out needs no second check.
 */
import { checkConsistency } from "./consistency.ts";
import { Findings, type Place, quoted } from "./finding.ts";
import { nearestName } from "./nearest-name.ts";
import { schema, tables } from "./schema.ts";
import { header, type TableConfig, type TableEntry } from "./schema-entry.ts";
import { builtInStores, type SecretStoreKinds } from "./secret-reference.ts";
import type { Environment } from "./substitution.ts";
import { type Occurrence, type ReadContext, type ReadTable, readTable, tablesBelow } from "./table-reader.ts";
import { isTable, readDocument, type Source, type TomlDocument } from "./toml-document.ts";

export type AgentConfig = TableConfig<typeof schema.agent>;
export type AwsSecretsManagerConfig = TableConfig<typeof schema.secretstores.awsSecretsManager>;
export type CommandStoreConfig = TableConfig<typeof schema.secretstores.command>;
export type EnrollConfig = TableConfig<typeof schema.enroll>;
export type ChannelConfig = TableConfig<typeof schema.channel>;
export type InfluxdbInletConfig = TableConfig<typeof schema.inlets.influxdb>;
export type TcpInletConfig = TableConfig<typeof schema.inlets.tcp>;
export type AuthorityConfig = TableConfig<typeof schema.authority>;
export type RelayConfig = TableConfig<typeof schema.relay>;
export type InfluxdbOutletConfig = TableConfig<typeof schema.outlets.influxdb>;
export type TcpOutletConfig = TableConfig<typeof schema.outlets.tcp>;

export interface Config {
  readonly agent: AgentConfig;
  readonly secretStores: {
    /** Undefined where the config has none. */
    readonly awsSecretsManager: AwsSecretsManagerConfig | undefined;
    readonly command: readonly CommandStoreConfig[];
  };
  readonly enroll: EnrollConfig;
  readonly channel: ChannelConfig;
  readonly inlets: {
    readonly influxdb: readonly InfluxdbInletConfig[];
    readonly tcp: readonly TcpInletConfig[];
  };
  /** The role is off where it is undefined. */
  readonly authority: AuthorityConfig | undefined;
  readonly outlets: {
    readonly influxdb: readonly InfluxdbOutletConfig[];
    readonly tcp: readonly TcpOutletConfig[];
  };
  /** The role is off where it is undefined. */
  readonly relay: RelayConfig | undefined;
}

/** Of every kind. */
export function allInlets({
  inlets,
}: Pick<Config, "inlets">): readonly (InfluxdbInletConfig | TcpInletConfig)[] {
  return [...inlets.influxdb, ...inlets.tcp];
}

export function allOutlets({
  outlets,
}: Pick<Config, "outlets">): readonly (InfluxdbOutletConfig | TcpOutletConfig)[] {
  return [...outlets.influxdb, ...outlets.tcp];
}

/**
 * Reads one config out of one or several files: `[[tables]]` append, a key of a `[table]` may stand in
 * one file alone.
 * @throws Fault `config.invalid`: a line for each finding, with file, line and key, and no secret.
 */
export function parseConfig(sources: readonly Source[], env: Environment): Config {
  const findings = new Findings(sources.map(({ file }) => file));
  const nowhere: Place = { file: sources[0]?.file ?? "config", line: 1 };
  const documents = sources
    .map((source) => readDocument(source, findings))
    .filter((read) => read !== undefined);
  // What a file that cannot be read would have held is not missing.
  findings.throwIfAny();

  for (const document of documents) checkNames(document, findings);
  const single = <T extends TableEntry>(entry: T, context: ReadContext) =>
    readTable(
      entry,
      documents.flatMap((document) => whole(entry, document, findings)),
      nowhere,
      context,
    );
  const many = <T extends TableEntry>(entry: T, context: ReadContext) =>
    documents
      .flatMap((document) => plugins(entry, document, findings))
      .map((occurrence) => readTable(entry, [occurrence], nowhere, context));

  const bare: ReadContext = { env, findings, stores: builtInStores };
  const awsSecretsManager = single(schema.secretstores.awsSecretsManager, bare);
  const commands = many(schema.secretstores.command, bare);
  const context = { ...bare, stores: storeKinds(awsSecretsManager, commands) };
  const read = {
    awsSecretsManager,
    commands,
    agent: single(schema.agent, context),
    enroll: single(schema.enroll, context),
    channel: single(schema.channel, context),
    inlets: many(schema.inlets.influxdb, context),
    authority: single(schema.authority, context),
    outlets: many(schema.outlets.influxdb, context),
    portals: {
      inlets: many(schema.inlets.tcp, context),
      outlets: many(schema.outlets.tcp, context),
    },
    relay: single(schema.relay, context),
  };
  checkConsistency(read, nowhere, findings);
  findings.throwIfAny();
  // Without a finding nothing is absent, so what was partial is whole.
  return {
    agent: read.agent.values as AgentConfig,
    secretStores: {
      awsSecretsManager: awsSecretsManager.isWritten
        ? (awsSecretsManager.values as AwsSecretsManagerConfig)
        : undefined,
      command: commands.map(({ values }) => values as CommandStoreConfig),
    },
    enroll: read.enroll.values as EnrollConfig,
    channel: read.channel.values as ChannelConfig,
    inlets: {
      influxdb: read.inlets.map(({ values }) => values as InfluxdbInletConfig),
      tcp: read.portals.inlets.map(({ values }) => values as TcpInletConfig),
    },
    authority: read.authority.isWritten ? (read.authority.values as AuthorityConfig) : undefined,
    outlets: {
      influxdb: read.outlets.map(({ values }) => values as InfluxdbOutletConfig),
      tcp: read.portals.outlets.map(({ values }) => values as TcpOutletConfig),
    },
    relay: read.relay.isWritten ? (read.relay.values as RelayConfig) : undefined,
  };
}

/** What references may name. */
function storeKinds(
  aws: ReadTable<typeof schema.secretstores.awsSecretsManager>,
  commands: readonly ReadTable<typeof schema.secretstores.command>[],
): SecretStoreKinds {
  const stores = new Map(builtInStores);
  if (aws.isWritten && aws.values.id !== undefined) stores.set(aws.values.id, "aws-secretsmanager");
  for (const { values } of commands) if (values.id !== undefined) stores.set(values.id, "command");
  return stores;
}

/** Complains of top-level names and plugins that the schema does not know. */
function checkNames(document: TomlDocument, findings: Findings): void {
  for (const [name, value] of Object.entries(document.root)) {
    if (tables.some(({ path }) => path === name)) continue;
    const plugin = tables.filter(({ path }) => path.startsWith(`${name}.`));
    if (plugin.length === 0) {
      findings.add(document.place([name]), `${quoted(name)} is unknown${hint(name, value)}`);
    } else if (!isTable(value)) {
      findings.add(
        document.place([name]),
        `${quoted(name)} must be written as ${plugin.map(header).join(" or ")}`,
      );
    } else {
      for (const below of Object.keys(value)) {
        const path = `${name}.${below}`;
        if (plugin.some((entry) => entry.path === path)) continue;
        findings.add(document.place([name, below]), `${quoted(path)} is unknown${hint(path, value[below])}`);
      }
    }
  }
}

/** For a name at the top: the table that is meant, or the table that the key belongs to. */
function hint(name: string, value: unknown): string {
  const nearest = nearestName(
    name,
    tables.map(({ path }) => path),
  );
  const entry = tables.find(({ path }) => path === nearest);
  if (entry) return `; did you mean ${header(entry)}?`;
  const owners = tables.filter(({ keys }) => Object.hasOwn(keys, name));
  if (owners.length === 0 || isTable(value)) return "";
  return `; it belongs under ${owners.map(header).join(" or ")}`;
}

/** Where a `[table]` stands in a document, if it does. */
function whole(entry: TableEntry, document: TomlDocument, findings: Findings): Occurrence[] {
  const path = entry.path.split(".");
  let table: unknown = document.root;
  for (const name of path) table = isTable(table) && Object.hasOwn(table, name) ? table[name] : undefined;
  if (table === undefined) return [];
  if (isTable(table)) return [{ document, path, table }];
  findings.add(
    document.place(path),
    `${quoted(entry.path)} must be one table with the header ${header(entry)}`,
  );
  return [];
}

/** Where the `[[kind.plugin]]` tables stand in a document. */
function plugins(entry: TableEntry, document: TomlDocument, findings: Findings): Occurrence[] {
  const [kind = "", plugin = ""] = entry.path.split(".");
  const table = document.root[kind];
  return isTable(table)
    ? (tablesBelow(plugin, entry, { document, path: [kind], table }, findings) ?? [])
    : [];
}
