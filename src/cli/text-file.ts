import { type FileHandle, open } from "node:fs/promises";
import { Fault } from "../base/fault.ts";

const MAX_BYTES = 1024 * 1024;

/**
 * @param what the config key or option that names the file.
 * @throws Fault `config.invalid`.
 */
export async function readTextFile(path: string, what: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      return new TextDecoder().decode(await bytesOf(file));
    } finally {
      await file.close();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault("config.invalid", `${what}: cannot read ${path}: ${why}`, { cause });
  }
}

/** By what comes, not by what the system says the size is: a pipe or a device has none. */
async function bytesOf(file: FileHandle): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_BYTES + 1);
  let length = 0;
  for (let read = 1; read > 0 && length < buffer.length; length += read)
    read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead;
  if (length > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
  return buffer.subarray(0, length);
}
