/** The tables of stores that keep the node's secrets elsewhere. */
import type { TableEntry } from "./schema-entry.ts";

export const awsSecretsManager = {
  path: "secretstores.aws-secretsmanager",
  many: false,
  extra: true,
  optional: true,
  role: "outlet",
  doc: "AWS Secrets Manager. AWS's own configuration says who asks: environment, shared config and SSO, container, or instance.",
  keys: {
    id: {
      type: "name",
      default: "aws",
      doc: "Name of the store in references: @{aws:name} for a secret that is plain text, @{aws:name#field} for a field of one that is JSON. An ARN does for the name.",
    },
    region: {
      type: "name",
      example: "eu-central-1",
      doc: "Region of the secrets. Without it, the one of AWS's configuration; an ARN names its own.",
    },
    profile: {
      type: "text",
      example: "metrics",
      doc: "Profile of AWS's shared configuration.",
    },
    endpoint: {
      type: "url",
      example: "https://vpce-0123.secretsmanager.eu-central-1.vpce.amazonaws.com",
      doc: "Address to use instead of AWS's public one, such as that of a VPC endpoint. Clear text stays on this machine alone.",
    },
  },
  tables: {},
} as const satisfies TableEntry;

export const commandStore = {
  path: "secretstores.command",
  many: true,
  extra: true,
  role: "outlet",
  doc: "A command that prints a secret: the way to any other store. It is run without a shell; all that it prints is the secret, but for the line break at its end.",
  keys: {
    id: {
      type: "name",
      required: true,
      example: "vault",
      doc: "Name of the store in references, as in @{vault:influxdb/token}.",
    },
    command: {
      type: "text",
      list: true,
      required: true,
      example: ["/usr/bin/vault", "kv", "get", "-field=token", "secret/{key}"],
      doc: "Program, by its absolute path, and its arguments. {key} in an argument stands for the key of the reference.",
    },
    environment: {
      type: "text",
      list: true,
      default: [],
      example: ["VAULT_ADDR"],
      doc: "Names of environment variables that it is given. Besides, it has PATH and HOME and nothing else.",
    },
    timeout: {
      type: "duration",
      range: ["100ms", "5m"],
      default: "10s",
      doc: "It is killed, with all that it has started, when it takes longer.",
    },
  },
  tables: {},
} as const satisfies TableEntry;
