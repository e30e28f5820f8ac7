/** The reference page of the configuration, made from the schema. */
import { tomlValue } from "./sample.ts";
import { tables } from "./schema.ts";
import { header, type KeyEntry, type TableEntry } from "./schema-entry.ts";
import { valueTypes } from "./value-reader.ts";

/** Markdown; docs/configuration.md is this text. */
export function referencePage(): string {
  return `${[HABITS, ...tables.flatMap(sections)].join("\n\n")}\n`;
}

const HABITS = `# Configuration

<!-- Made from the schema (src/config/schema.ts and the tables beside it). Edit that, not this page. -->

The configuration is TOML in Telegraf's habits: \`[table]\` stands once, \`[[kind.plugin]]\` any number of
times. A node takes every role that its configuration names: \`[[inlets.influxdb]]\` makes it an inlet,
\`[[outlets.influxdb]]\` an outlet, \`[authority]\` an authority, \`[relay]\` a relay; \`[[inlets.tcp]]\` and
\`[[outlets.tcp]]\` are the ends of a portal ([portals.md](portals.md)), and make it an inlet or an outlet as well.
\`culvert config sample\` prints a commented configuration with every key.

An edge device that enrolls needs no more than this; the rest it learns from its authority:

\`\`\`toml
[enroll]
  ticket = "\${CULVERT_TICKET:-}"

[[inlets.influxdb]]
\`\`\`

An unknown key, a value that does not fit, or a missing one is an error that names file, line and key;
all of them are reported at once, and nothing is started.

## Several files

Files given together are one configuration: \`[[tables]]\` add up in the order of the files, and a key of a
\`[table]\` may stand in one file alone.

## Values

- **Durations** are text: \`"300ms"\`, \`"5s"\`, \`"5m"\`, \`"24h"\`, \`"1d"\`, and sums such as \`"1h30m"\`.
- **Sizes** are text: \`"100B"\`, \`"512KiB"\`, \`"1MiB"\`, \`"1GiB"\`; \`kB\`, \`MB\` and \`GB\` are powers of 1000.
- **Environment**: inside any text, \`\${NAME}\` is replaced by the environment variable, and it is an error
  when that is not set; \`\${NAME:-default}\` falls back to the default when it is not set or empty. \`$\${\`
  stands for \`\${\` itself. Numbers, \`true\` and \`false\` may be taken from the environment too:
  \`max_connections = "\${CONNECTIONS:-64}"\`. Replacing comes after parsing, so a variable can never add a
  key or a table.
- **Paths** are absolute, so that the current folder has no say.
- **Policies** say which members may: an attribute's name (\`"influxdb-inlet"\`: a member whose attribute of
  that name is \`"true"\`), or a CEL expression over \`subject\`, the member's attributes, and \`request\`, its
  \`method\`, \`path\` and \`bucket\`: \`'subject.site == "berlin" && request.bucket == "metrics"'\`. What is not
  allowed is denied, and so is a member that lacks an attribute which the expression needs.
- **Attributes in names**: in a bucket's name, \`{{ site }}\` stands for the member's attribute \`site\`.

## Secrets

A secret key takes a reference that says where the secret is kept, and which is the whole of the value:

| Reference | Where it is read from |
|---|---|
| \`@{env:NAME}\` | the environment variable |
| \`@{file:/path}\` | the file, without the line break at its end; 64 KiB at most |
| \`@{systemd:NAME}\` | the credential that systemd gives the unit (\`LoadCredential=NAME:/path\`) |
| \`@{aws:name}\`, \`@{aws:name#field}\` | AWS Secrets Manager, with \`[secretstores.aws-secretsmanager]\`: a secret that is plain text, or one field of a JSON secret |
| \`@{ID:key}\` | what the command of \`[[secretstores.command]]\` with that id prints |

A file with a secret must be closed to others: nobody but its owner may write it, and nobody but its owner
may read it. Two forms are accepted besides: a file of root's that its group may read (\`0640 root:culvert\`),
and a file of root's that all may read in a mount for secrets (\`/run/secrets/\`, \`/var/run/secrets/\`,
\`/run/credentials/\`), as Docker, Kubernetes and systemd make them.

Secrets are read anew every 15 minutes (\`secrets_reread\`), on SIGHUP, and when InfluxDB refuses a token, so a
rotation needs no restart: write the new secret to its store first, then delete the old token. While a store
cannot be read, the last value that it gave stays in use. At the start, a secret of this machine (environment,
file, systemd) that is not there ends the node; a store that does not answer yet is asked again and again, and
the node is not ready and says why. A ticket is read once, at the start.

A secret can also come from the environment (\`"\${INFLUXDB_TOKEN}"\`) or stand in the configuration as it is;
the latter is the least safe. A text that comes out of an environment variable is never taken for a reference.`;

function sections(entry: TableEntry): string[] {
  const rows = Object.entries(entry.keys).map(([name, key]) => row(name, key));
  const section = [
    `## \`${header(entry)}\``,
    `${entry.doc}${entry.role && !entry.optional ? ` For an ${entry.role}.` : ""}`,
    ["| Key | Value | Default | Meaning |", "|---|---|---|---|", ...rows].join("\n"),
  ].join("\n\n");
  return [section, ...Object.values(entry.tables).flatMap(sections)];
}

function row(name: string, key: KeyEntry): string {
  return `| \`${name}\` | ${cell(valueText(key))} | ${cell(defaultText(key))} | ${cell(key.doc)} |`;
}

function valueText(key: KeyEntry): string {
  const one =
    key.type === "secret"
      ? "secret"
      : key.type === "enum"
        ? (key.values ?? []).map((value) => `\`"${value}"\``).join(", ")
        : valueTypes[key.type].form;
  const range = key.range ? `, from ${key.range[0]} to ${key.range[1]}` : "";
  return `${key.list ? "list: " : ""}${one}${range}`;
}

function defaultText(key: KeyEntry): string {
  if (key.required === true) return "required";
  if (key.required === "with-role") return `required for an ${key.role}`;
  return key.default === undefined ? "none" : `\`${tomlValue(key.default)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
