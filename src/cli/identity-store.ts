/**
 * Identities on disk: a node's own in `identity.json`, an authority's in a file of its own. One that does
 * not read is refused and left alone, for a new one would have to be made known anew to everyone.
 */
import { Fault } from "../base/fault.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import {
  decodeIdentityFile,
  encodeIdentityFile,
  generateIdentity,
  type Identity,
} from "../identity/identity.ts";
import { StateDirectory } from "./state-directory.ts";

export const IDENTITY_FILE = "identity.json";
export const AUTHORITY_KEY_FILE = "authority-key.json";

/** Far above what an identity takes: a device file or somebody's log is not read into memory. */
const MAX_FILE_BYTES = 4096;

/**
 * The identity in this directory; a new one where there is none. Of several processes at once, one makes
 * it and all get the same.
 * @throws Fault `state.unusable`; nothing was overwritten then.
 */
export async function loadOrCreateIdentity(
  stateDir: string,
  provider: CryptoProvider,
  file = IDENTITY_FILE,
): Promise<Identity> {
  const directory = await StateDirectory.make(stateDir);
  const known = await readIdentity(directory, provider, file);
  if (known) return known;
  const made = generateIdentity(provider);
  if (await directory.createPrivateFile(file, encodeIdentityFile(made))) return made;
  const winner = await readIdentity(directory, provider, file);
  if (winner) return winner;
  throw new Fault(
    "state.unusable",
    `${directory.pathOf(file)} comes and goes; who else uses this directory?`,
  );
}

/** @returns undefined where there is no identity. @throws Fault `state.unusable` where it cannot be used. */
export async function loadIdentity(
  stateDir: string,
  provider: CryptoProvider,
  file = IDENTITY_FILE,
): Promise<Identity | undefined> {
  const directory = await StateDirectory.find(stateDir);
  return directory && (await readIdentity(directory, provider, file));
}

async function readIdentity(
  directory: StateDirectory,
  provider: CryptoProvider,
  file: string,
): Promise<Identity | undefined> {
  const text = await directory.readPrivateFile(file, MAX_FILE_BYTES);
  if (text === undefined) return undefined;
  try {
    return decodeIdentityFile(text, provider);
  } catch (cause) {
    throw new Fault("state.unusable", `${directory.pathOf(file)}: ${Fault.from(cause).message}`, { cause });
  }
}
