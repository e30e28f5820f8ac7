/**
 * `@{store:key}`: says where a secret is kept instead of what it is. Text in, a value out; fetching it
 * is secret-store.ts's.
 */
import { Secret } from "../base/secret.ts";
import { Problem, quoted } from "./finding.ts";
import { nearestName } from "./nearest-name.ts";
import type { Substituted } from "./substitution.ts";

/** What a store is, which decides how its keys look. The first three are there under these names. */
export type SecretStoreKind = "env" | "file" | "systemd" | "command" | "aws-secretsmanager";

/** Stores by the name that references have for them. */
export type SecretStoreKinds = ReadonlyMap<string, SecretStoreKind>;

/** What this machine has without any configuration. */
export const builtInStores: SecretStoreKinds = new Map([
  ["env", "env"],
  ["file", "file"],
  ["systemd", "systemd"],
]);

export type SecretReference =
  | { readonly kind: "stored"; readonly store: string; readonly key: string }
  /** Given in place. `inClear`: the config file itself holds the text, not only the name of a variable. */
  | { readonly kind: "literal"; readonly secret: Secret; readonly inClear: boolean };

/**
 * @param written the value as the file has it: what comes out of the environment is never taken for a reference.
 * @param substituted the same with its `${…}` replaced.
 */
export function parseSecretReference(
  written: string,
  substituted: Substituted,
  stores: SecretStoreKinds = builtInStores,
): SecretReference | Problem {
  const { text, fromEnvironment } = substituted;
  if (!written.includes("@{")) {
    const problem = unfitSecret(text);
    return problem
      ? new Problem(problem)
      : { kind: "literal", secret: new Secret(text), inClear: !fromEnvironment };
  }
  const [, store = "", key = ""] = /^@\{([^:{}]*):([^{}\u0000-\u001f\u007f]+)\}$/.exec(text) ?? [];
  if (key === "" || !written.startsWith("@{")) {
    return new Problem("must be one secret reference of the form @{store:key} and nothing else");
  }
  const kind = stores.get(store);
  if (!kind) {
    const names = [...stores.keys()];
    const nearest = nearestName(store, names);
    const hint = nearest
      ? `did you mean ${quoted(nearest)}?`
      : `known are ${names.map(quoted).join(", ")}, and tables below [secretstores] add others`;
    return new Problem(`names the unknown secret store ${quoted(store)}; ${hint}`);
  }
  const { fits, form } = keys[kind];
  return fits(key) ? { kind: "stored", store, key } : new Problem(`must name ${form}`);
}

/** The reference as it is written, for a person. */
export function referenceText({ store, key }: { readonly store: string; readonly key: string }): string {
  return `@{${store}:${key}}`;
}

const keys: Readonly<Record<SecretStoreKind, { fits: (key: string) => boolean; form: string }>> = {
  env: {
    fits: (key) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(key),
    form: "an environment variable, as in @{env:INFLUXDB_TOKEN}",
  },
  file: {
    fits: isPlainAbsolutePath,
    form: 'a file by its absolute path without "..", as in @{file:/run/secrets/token}',
  },
  systemd: {
    // A file's name and no path: what is named stays within the folder of the credentials.
    fits: (key) => /^[A-Za-z0-9_][A-Za-z0-9._@+=-]{0,254}$/.test(key),
    form: "a credential of the systemd unit, as in @{systemd:influxdb-token}",
  },
  command: {
    // Part of it may come from the environment; it must not become an option of the command.
    fits: (key) => !key.startsWith("-") && key.length <= 2_048,
    form: 'a secret by a key that does not begin with "-"',
  },
  "aws-secretsmanager": {
    fits: (key) => /^[A-Za-z0-9/_+=.@!:-]{1,2048}(?:#[^#]{1,256})?$/.test(key),
    form: "a secret by its name or ARN, with #field for a field of a JSON secret, as in @{aws:influxdb-admin#token}",
  },
};

/** Why a text cannot be a secret, if so; it ends up in a header, where a control character would be an injection. */
export function unfitSecret(text: string): string | undefined {
  if (text === "") return "is empty";
  return /[\u0000-\u001f\u007f]/.test(text) ? "holds a control character or a line break" : undefined;
}

/** Where the current folder has no say (F1), and which is what it looks like. */
export function isPlainAbsolutePath(path: string): boolean {
  return path.startsWith("/") && !path.split("/").includes("..") && !/[\u0000-\u001f\u007f]/.test(path);
}
