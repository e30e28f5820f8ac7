/**
 * `@{store:key}`: says where a secret is kept instead of what it is. Text in, a value out; fetching it
 * is secret-store.ts's.
 */
import { Secret } from "../base/secret.ts";
import { Problem, quoted } from "./finding.ts";
import { nearestName } from "./nearest-name.ts";
import type { Substituted } from "./substitution.ts";

export const secretStores = ["env", "file"] as const;
export type SecretStoreName = (typeof secretStores)[number];

export type SecretReference =
  | { readonly kind: "stored"; readonly store: SecretStoreName; readonly key: string }
  /** Given in place. `inClear`: the config file itself holds the text, not only the name of a variable. */
  | { readonly kind: "literal"; readonly secret: Secret; readonly inClear: boolean };

/**
 * @param written the value as the file has it: what comes out of the environment is never taken for a reference.
 * @param substituted the same with its `${…}` replaced.
 */
export function parseSecretReference(written: string, substituted: Substituted): SecretReference | Problem {
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
  const known = secretStores.find((name) => name === store);
  if (!known) {
    const nearest = nearestName(store, secretStores);
    const hint = nearest
      ? `did you mean ${quoted(nearest)}?`
      : `known are ${secretStores.map(quoted).join(", ")}`;
    return new Problem(`names the unknown secret store ${quoted(store)}; ${hint}`);
  }
  if (known === "env" && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) {
    return new Problem("must name an environment variable, as in @{env:INFLUXDB_TOKEN}");
  }
  if (known === "file" && !isPlainAbsolutePath(key)) {
    return new Problem(
      'must name a file by its absolute path without "..", as in @{file:/run/secrets/token}',
    );
  }
  return { kind: "stored", store: known, key };
}

/** Why a text cannot be a secret, if so; it ends up in a header, where a control character would be an injection. */
export function unfitSecret(text: string): string | undefined {
  if (text === "") return "is empty";
  return /[\u0000-\u001f\u007f]/.test(text) ? "holds a control character or a line break" : undefined;
}

/** Where the current folder has no say (F1), and which is what it looks like. */
export function isPlainAbsolutePath(path: string): boolean {
  return path.startsWith("/") && !path.split("/").includes("..") && !/[\u0000-\u001f\u007f]/.test(path);
}
