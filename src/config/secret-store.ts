/**
 * Fetches the secret that a reference names, from the stores that every machine has. Everything it reads is
 * given to it.
 */
import { Fault } from "../base/fault.ts";
import { Secret } from "../base/secret.ts";
import { quoted } from "./finding.ts";
import { isPlainAbsolutePath, referenceText, type SecretReference, unfitSecret } from "./secret-reference.ts";
import type { Environment } from "./substitution.ts";

/** More than that is no token, and would be no header. */
export const MAX_SECRET_FILE_BYTES = 64 * 1024;

/** An opened file: what it holds and what was true of that same file. */
export interface SecretFile {
  /** At most one byte more than was asked for, so that too long a file shows. */
  readonly bytes: Uint8Array;
  readonly isRegularFile: boolean;
  /** Permission bits, 0o000..0o777. */
  readonly mode: number;
  readonly ownerId: number;
}

export interface SecretStoreDependencies {
  readonly env: Environment;
  /** @throws whatever the system says when it cannot be read. */
  readonly readFile: (path: string, maxBytes: number) => Promise<SecretFile>;
}

/** @throws Fault `secret.unavailable`, which names the place and never the content. */
export async function resolveSecret(
  reference: SecretReference,
  dependencies: SecretStoreDependencies,
): Promise<Secret> {
  if (reference.kind === "literal") return reference.secret;
  const name = secretName(reference);
  return fitSecret(name, await storedText(name, reference, dependencies));
}

/** As faults begin: which one it is, by its place. */
export function secretName(reference: { readonly store: string; readonly key: string }): string {
  return `secret ${referenceText(reference)}`;
}

/** @throws Fault `secret.unavailable` for a text that can be no secret, without the text. */
export function fitSecret(name: string, text: string): Secret {
  const tooLong = text.length > MAX_SECRET_FILE_BYTES;
  const unfit = tooLong ? `is longer than ${MAX_SECRET_FILE_BYTES} bytes` : unfitSecret(text);
  if (unfit) throw new Fault("secret.unavailable", `${name} ${unfit}`);
  return new Secret(text);
}

/** Without the line break at its end, which editors and commands put there. */
export function secretText(name: string, bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    // No cause: the decoder's error is about the secret's bytes.
    throw new Fault("secret.unavailable", `${name}: ${what} is not UTF-8 text`);
  }
}

async function storedText(
  name: string,
  { store, key }: { readonly store: string; readonly key: string },
  { env, readFile }: SecretStoreDependencies,
): Promise<string> {
  const variable = (wanted: string) => (Object.hasOwn(env, wanted) ? env[wanted] : undefined);
  switch (store) {
    case "env": {
      const text = variable(key);
      if (text === undefined) throw new Fault("secret.unavailable", `${name}: the variable is not set`);
      return text;
    }
    case "file":
      return await textOfFile(name, key, readFile);
    case "systemd": {
      // systemd.exec(5): where LoadCredential= and SetCredentialEncrypted= leave what the unit is given.
      const folder = variable("CREDENTIALS_DIRECTORY");
      if (folder === undefined || !isPlainAbsolutePath(folder)) {
        const hint = `it is there for a unit of systemd that has LoadCredential=${key}:/path`;
        throw new Fault("secret.unavailable", `${name}: there is no CREDENTIALS_DIRECTORY; ${hint}`);
      }
      return await textOfFile(name, `${folder.replace(/\/+$/, "")}/${key}`, readFile);
    }
    default:
      throw new Fault("secret.unavailable", `${name}: the store ${quoted(store)} is none of this machine's`);
  }
}

/** @throws Fault `secret.unavailable` for a file that is not there, open to others, too long or no text. */
export async function textOfFile(
  name: string,
  path: string,
  readFile: SecretStoreDependencies["readFile"],
): Promise<string> {
  let file: SecretFile;
  try {
    file = await readFile(path, MAX_SECRET_FILE_BYTES);
  } catch (cause) {
    const code = (cause as { code?: unknown } | null)?.code;
    const why = typeof code === "string" ? code : "unknown error";
    throw new Fault("secret.unavailable", `${name}: the file cannot be read (${why})`, { cause });
  }
  if (!file.isRegularFile) throw new Fault("secret.unavailable", `${name}: is not a regular file`);
  const open = openTo(path, file);
  if (open) {
    const mode = `0${file.mode.toString(8).padStart(3, "0")}`;
    throw new Fault(
      "secret.unavailable",
      `${name}: the file's mode ${mode} lets ${open}; chmod 0600 ${quoted(path)}`,
    );
  }
  if (file.bytes.length > MAX_SECRET_FILE_BYTES) {
    throw new Fault("secret.unavailable", `${name}: the file is longer than ${MAX_SECRET_FILE_BYTES} bytes`);
  }
  return secretText(name, file.bytes, "the file");
}

/** Where Docker, Kubernetes and systemd mount secrets, by their own rules and as root: readable to all inside. */
const MOUNTS = ["/run/secrets/", "/var/run/secrets/", "/run/credentials/"];

/**
 * Whom a file's mode lets in who should not be: nobody but the owner may write or read it. Two forms are
 * fine besides: root's file that a group may read (0640 root:culvert), and root's file in a mount for secrets.
 */
function openTo(path: string, { mode, ownerId }: SecretFile): string | undefined {
  if (mode & 0o022) return "others write it";
  const ofRoot = ownerId === 0;
  if (mode & 0o004 && !(ofRoot && MOUNTS.some((mount) => path.startsWith(mount)))) return "everyone read it";
  return mode & 0o040 && !ofRoot ? "its group read it" : undefined;
}
