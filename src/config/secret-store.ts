/** Fetches the secret that a reference names. Everything it reads is given to it. */
import { Fault } from "../base/fault.ts";
import { Secret } from "../base/secret.ts";
import { quoted } from "./finding.ts";
import { type SecretReference, unfitSecret } from "./secret-reference.ts";
import type { Environment } from "./substitution.ts";

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
  const { store, key } = reference;
  const name = `secret @{${store}:${key}}`;
  const text =
    store === "env"
      ? Object.hasOwn(dependencies.env, key)
        ? dependencies.env[key]
        : undefined
      : await textOfFile(name, key, dependencies.readFile);
  if (text === undefined) throw new Fault("secret.unavailable", `${name}: the variable is not set`);
  const unfit = unfitSecret(text);
  if (unfit) throw new Fault("secret.unavailable", `${name} ${unfit}`);
  return new Secret(text);
}

async function textOfFile(
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
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(file.bytes).replace(/\r?\n$/, "");
  } catch {
    // No cause: the decoder's error is about the secret's bytes.
    throw new Fault("secret.unavailable", `${name}: the file is not UTF-8 text`);
  }
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
