/**
 * The identity on disk: `identity.json` (0600) in the state directory (0700). Whatever is there and does
 * not read is refused and left alone, for a new identity would have to be authorized anew by hand.
 */
import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import {
  decodeIdentityFile,
  encodeIdentityFile,
  generateIdentity,
  type Identity,
} from "../identity/identity.ts";

export const IDENTITY_FILE = "identity.json";

/** Far above what an identity takes: a device file or somebody's log is not read into memory. */
const MAX_FILE_BYTES = 4096;

/**
 * The identity in this directory; a new one where there is none. Of several processes at once, one makes
 * it and all get the same.
 * @throws Fault `state.unusable`; nothing was overwritten then.
 */
export async function loadOrCreateIdentity(stateDir: string, provider: CryptoProvider): Promise<Identity> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 }).catch((cause) => {
    throw unusable(stateDir, "cannot be made", cause);
  });
  const known = await loadIdentity(stateDir, provider);
  if (known) return known;
  const made = generateIdentity(provider);
  if (await writeOnce(stateDir, encodeIdentityFile(made))) return made;
  const winner = await loadIdentity(stateDir, provider);
  if (!winner) throw unusable(join(stateDir, IDENTITY_FILE), "comes and goes; who else uses this directory?");
  return winner;
}

/** @returns undefined where there is no identity. @throws Fault `state.unusable` where it cannot be used. */
export async function loadIdentity(
  stateDir: string,
  provider: CryptoProvider,
): Promise<Identity | undefined> {
  const path = join(stateDir, IDENTITY_FILE);
  if (!(await isPrivateDirectory(stateDir))) return undefined;
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  try {
    return decodeIdentityFile(text, provider);
  } catch (cause) {
    throw new Fault("state.unusable", `${path}: ${Fault.from(cause).message}`, { cause });
  }
}

/** The directory itself may be a symbolic link: systemd makes one for a unit with DynamicUser. */
async function isPrivateDirectory(stateDir: string): Promise<boolean> {
  const found = await stat(stateDir).catch((cause) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw unusable(stateDir, "cannot be read", cause);
  });
  if (!found) return false;
  if (!found.isDirectory()) throw unusable(stateDir, "is not a directory");
  if (found.mode & 0o077) throw unusable(stateDir, `is open to other users; run: chmod 700 ${stateDir}`);
  return true;
}

async function readPrivateFile(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    // Not through a link, and without waiting for the other end of a pipe.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    if (codeOf(cause) === "ELOOP")
      throw unusable(path, "is a symbolic link; put the file itself there", cause);
    throw unusable(path, "cannot be read", cause);
  }
  try {
    const found = await file.stat();
    if (!found.isFile()) throw unusable(path, "is not a file");
    if (found.mode & 0o077) {
      throw unusable(
        path,
        `is open to other users, who may have the key; make a new identity, or if you trust them run: chmod 600 ${path}`,
      );
    }
    if (found.size > MAX_FILE_BYTES) throw unusable(path, "is too large to be an identity");
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/**
 * Writes the file whole or not at all, and never over another: a temporary file is synced, then linked to
 * its name, which fails where rename would replace.
 * @returns false when the name was taken meanwhile.
 */
async function writeOnce(stateDir: string, text: string): Promise<boolean> {
  const path = join(stateDir, IDENTITY_FILE);
  const temporary = join(stateDir, `.${IDENTITY_FILE}.${process.pid}.${crypto.randomUUID()}`);
  try {
    await writeSynced(temporary, text);
    await link(temporary, path);
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    throw unusable(stateDir, "cannot take the identity file", cause);
  } finally {
    await unlink(temporary).catch(() => {}); // it was never made, or is left as a private stray file
  }
  await syncDirectory(stateDir);
  return true;
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function codeOf(thrown: unknown): unknown {
  return (thrown as { code?: unknown } | null)?.code;
}

function unusable(path: string, what: string, cause?: unknown): Fault {
  const why = cause instanceof Error && !(cause instanceof Fault) ? ` (${cause.message})` : "";
  return new Fault("state.unusable", `${path} ${what}${why}`, { cause });
}
